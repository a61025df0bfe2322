"""The specs of author.py and chains.py for hypothesis, and the same as somebody in a hurry typed them."""

from __future__ import annotations

from author import Spec, structured
from chains import chained
from hypothesis import strategies as st
from writing import Draw, loosened

__all__ = ["Spec", "loose_specs", "specs", "structured_specs"]


def structured_specs(depth: int = 2) -> st.SearchStrategy[Spec]:
    return st.builds(structured, st.randoms(use_true_random=False), st.just(depth))


def specs() -> st.SearchStrategy[Spec]:
    """Any of them."""
    lines = st.builds(chained, st.randoms(use_true_random=False)).map(Spec)
    return st.one_of(structured_specs(), lines, structured_specs(depth=1))


@st.composite
def loose_specs(draw: Draw) -> str:
    """A spec as somebody in a hurry typed it."""
    return loosened(draw, draw(specs()).text)
