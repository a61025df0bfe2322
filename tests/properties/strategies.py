"""The specs of author.py and chains.py for hypothesis, and the same as somebody in a hurry typed them."""

from author import Spec, structured
from chains import chained
from hypothesis import strategies as st
from writing import Draw, loosened

from archdsl.api import find
from archdsl.graph.elaborate import elaborate, load
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import SpecError
from archdsl.language.source import Source

__all__ = ["Spec", "loose_specs", "specs", "structured_specs"]


def structured_specs(depth: int = 2) -> st.SearchStrategy[Spec]:
    """Those of author.py without the few in which it put together what does not go together."""
    return st.builds(structured, st.randoms(use_true_random=False), st.just(depth)).filter(_is_legal)


def _is_legal(spec: Spec) -> bool:
    program = load(Source("spec.arch", spec.text))
    graphs = [elaborate(program, model).graph for model in program.models]
    return all(graph is not None and ("share(" not in spec.text or _is_written(graph)) for graph in graphs)


def _is_written(graph: Graph) -> bool:
    """Whether code can be generated: uses of a shared flow may be refused (E0702)."""
    try:
        find("torch").emit(graph)
    except SpecError:
        return False
    return True


def specs() -> st.SearchStrategy[Spec]:
    """Any of them."""
    lines = st.builds(chained, st.randoms(use_true_random=False)).map(Spec)
    return st.one_of(structured_specs(), lines, structured_specs(depth=1))


@st.composite
def loose_specs(draw: Draw) -> str:
    """A spec as somebody in a hurry typed it."""
    return loosened(draw, draw(specs()).text)
