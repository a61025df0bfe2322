"""From a program to the graph of one of its models: elaborated, and legal."""

from collections.abc import Mapping

from archdsl.graph.elaborate import Program, elaborate
from archdsl.graph.graph import Graph
from archdsl.graph.spec import verify
from archdsl.language.diagnostics import Diagnostic, SpecError

__all__ = ["graph_of"]


def graph_of(
    program: Program,
    model: str,
    settings: Mapping[str, str] | None = None,
    input: str | None = None,
    features: str | None = None,
) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """The graph of `model`, and warnings about it. settings, input, features: as the flags give them.

    Raises SpecError where there is none, with every independent reason; contracts are not looked at.

    >>> from archdsl.graph.elaborate import load
    >>> from archdsl.language.resources import read_spec
    >>> graph, warnings = graph_of(load(read_spec("lenet5")[0]), "lenet5", {"classes": "100"})
    >>> str(graph.type_of(graph.outputs[0])), graph.asked
    ('[100]', '--set classes=100')
    """
    result = elaborate(program, model, settings, input, features)
    if result.graph is None:
        raise SpecError(result.diagnostics)
    verify(result.graph)
    return result.graph, result.diagnostics
