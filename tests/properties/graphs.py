"""The graph of a text that is known to be right."""

from collections.abc import Mapping

from archdsl.graph.elaborate import elaborate, load
from archdsl.graph.graph import Graph
from archdsl.graph.spec import verify
from archdsl.language.diagnostics import Diagnostic, render
from archdsl.language.source import Source

__all__ = ["graph_of"]


def graph_of(text: str, settings: Mapping[str, str] | None = None, input: str | None = None) -> Graph:
    """The graph of the only model of a spec; it has no errors."""
    program = load(Source("spec.arch", text))
    (model,) = program.models
    result = elaborate(program, model, settings or {}, input)
    assert result.graph is not None, _shown((*program.diagnostics, *result.diagnostics))
    verify(result.graph)
    return result.graph


def _shown(found: tuple[Diagnostic, ...]) -> str:
    return "\n\n".join(render(d) for d in found)
