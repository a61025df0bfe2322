"""The vocabulary: what an op is, and all ops by theme. `OPS` holds every word, by name."""

from archdsl.language.ops import (
    act,
    arithmetic,
    attend,
    constant,
    conv,
    learned,
    linear,
    merge,
    norm,
    pool,
    regularize,
    resize,
    shape,
)
from archdsl.language.ops.op import OPS, Op, Reject, make

THEMES = (conv, linear, norm, act, arithmetic, pool, merge, resize, shape, attend, regularize, learned, constant)

__all__ = ["OPS", "THEMES", "Op", "Reject", "make"]
