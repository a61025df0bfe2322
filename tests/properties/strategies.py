"""The specs of author.py and chains.py for hypothesis, and the same as somebody in a hurry typed them."""

from author import Spec, structured
from chains import chained
from hypothesis import strategies as st
from writing import Draw, loosened

from archdsl.graph.elaborate import elaborate, load
from archdsl.language.source import Source

__all__ = ["Spec", "loose_specs", "specs", "structured_specs"]


def structured_specs(depth: int = 2) -> st.SearchStrategy[Spec]:
    """Those of author.py without the few in which it put together what does not go together."""
    return st.builds(structured, st.randoms(use_true_random=False), st.just(depth)).filter(_is_legal)


def _is_legal(spec: Spec) -> bool:
    program = load(Source("spec.arch", spec.text))
    return all(elaborate(program, model).graph is not None for model in program.models)


def specs() -> st.SearchStrategy[Spec]:
    """Any of them."""
    lines = st.builds(chained, st.randoms(use_true_random=False)).map(Spec)
    return st.one_of(structured_specs(), lines, structured_specs(depth=1))


@st.composite
def loose_specs(draw: Draw) -> str:
    """A spec as somebody in a hurry typed it."""
    return loosened(draw, draw(specs()).text)
