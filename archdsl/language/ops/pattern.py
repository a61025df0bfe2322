"""Patterns that name axes: `"(g c) h w -> g c h w"`. Parsing, solving for sizes, and what they come down to."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from archdsl.language.errors.shapes import PatternInvalid, PatternMismatch, PatternReorders
from archdsl.language.ops.op import Reject
from archdsl.language.types import Dim, TensorType

__all__ = ["Pattern", "Regrouping", "einsum_plan", "parse_pattern", "permute_plan", "reduce_plan", "reshape_plan"]

LONGEST = 200  # characters
MOST_AXES = 16
TOKEN = re.compile(r"\s*([A-Za-z_]\w*|\d+|[()]|\S)", re.ASCII)
EXAMPLES = {
    "einsum": 'write it as in `"n d i, n d j -> n i j"`',
    "reduce": 'write it as in `"c h w -> 1 h w"`',
}
EXAMPLE = 'write it as in `"(g c) h w -> g c h w"`'

Side = tuple[tuple[str, ...], ...]
Sizes = tuple[tuple[str, Dim], ...]


@dataclass(frozen=True)
class Pattern:
    """A parsed pattern: per tensor a tuple of axes, each the names it is made of; `()` is an axis of size 1."""

    text: str
    inputs: tuple[Side, ...]
    output: Side


@dataclass(frozen=True)
class Regrouping:
    """What a pattern does: reshape to `split`, drop or reorder axes of it, reshape to `merged`.

    order: axes of `split` in their new order (without the dropped ones). dropped: axes reduced away.
    """

    split: tuple[Dim, ...]
    order: tuple[int, ...]
    dropped: tuple[int, ...]
    merged: tuple[Dim, ...]


@lru_cache(maxsize=4096)
def parse_pattern(op: str, text: str) -> Pattern:
    """Read a pattern. Raises Reject (E0209)."""
    if len(text) > LONGEST:
        raise _invalid(op, text[:20] + "…", f"longer than {LONGEST} characters")
    left, arrow, right = text.partition("->")
    if not arrow or "->" in right:
        raise _invalid(op, text, "there must be one `->` between what is and what is to be")
    if not left.strip():
        raise _invalid(op, text, "nothing stands before `->`")
    operands = left.split(",") if op == "einsum" else [left]
    return Pattern(text, tuple(_side(op, text, part) for part in operands), _side(op, text, right))


def _side(op: str, pattern: str, text: str) -> Side:
    axes: list[tuple[str, ...]] = []
    group: list[str] | None = None
    for word in TOKEN.findall(text):
        if word == "(" and group is None:
            group = []
        elif word == ")" and group is not None:
            axes.append(tuple(group))
            group = None
        elif word in "()":
            raise _invalid(op, pattern, "parentheses do not nest" if word == "(" else "`)` without `(`")
        elif word == "1":
            axes += [()] if group is None else []
        elif word[0].isdigit():
            raise _invalid(op, pattern, f"`{word}` is no name: name the axis and give its size, as in `g={word}`")
        elif not word.isidentifier() or not word.isascii():
            raise _invalid(op, pattern, f"`{word}` has no meaning in a pattern")
        elif group is None:
            axes.append((word,))
        else:
            group.append(word)
    if group is not None:
        raise _invalid(op, pattern, "`(` is never closed")
    _check_names(op, pattern, axes)
    return tuple(axes)


def _check_names(op: str, pattern: str, axes: list[tuple[str, ...]]) -> None:
    names = [name for axis in axes for name in axis]
    if len(names) > MOST_AXES or len(axes) > MOST_AXES:
        raise _invalid(op, pattern, f"more than {MOST_AXES} axes")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise _invalid(op, pattern, f"`{twice}` stands twice on one side")


def reshape_plan(op: str, text: str, x: TensorType, sizes: Sizes) -> Regrouping:
    """Axes split and merged in their order. Raises Reject (E0209, E0210, E0211)."""
    pattern = parse_pattern(op, text)
    found = _solve(op, pattern.inputs[0], x, sizes)
    left, right = _names(pattern.inputs[0]), _names(pattern.output)
    _same_names(op, pattern, left, right)
    if left != right:
        raise Reject(PatternReorders(op, " ".join(left), " ".join(right)), at="pattern")
    return _regrouping(found, left, left, pattern.output)


def permute_plan(op: str, text: str, x: TensorType, sizes: Sizes) -> Regrouping:
    """Axes split, reordered and merged. Raises Reject (E0209, E0210)."""
    pattern = parse_pattern(op, text)
    found = _solve(op, pattern.inputs[0], x, sizes)
    left, right = _names(pattern.inputs[0]), _names(pattern.output)
    _same_names(op, pattern, left, right)
    return _regrouping(found, left, right, pattern.output)


def reduce_plan(op: str, text: str, x: TensorType, sizes: Sizes) -> Regrouping:
    """Axes split, those missing on the right dropped, the rest merged. Raises Reject (E0209, E0210, E0211)."""
    pattern = parse_pattern(op, text)
    found = _solve(op, pattern.inputs[0], x, sizes)
    left, right = _names(pattern.inputs[0]), _names(pattern.output)
    if new := next((name for name in right if name not in left), None):
        raise _invalid(op, text, f"`{new}` is only on the right side")
    if right != [name for name in left if name in right]:
        raise Reject(PatternReorders(op, " ".join(left), " ".join(right)), at="pattern")
    if left == right:
        raise _invalid(op, text, "no axis is left out on the right, so there is nothing to reduce")
    return _regrouping(found, left, right, pattern.output)


def einsum_plan(text: str, xs: tuple[TensorType, ...]) -> tuple[Pattern, dict[str, Dim]]:
    """The pattern of an einsum and the size of each of its axes. Raises Reject (E0209, E0210)."""
    pattern = parse_pattern("einsum", text)
    sides = (*pattern.inputs, pattern.output)
    if any(len(axis) != 1 for side in sides for axis in side):
        raise _invalid("einsum", text, "axes are plain names here: split and merge them with `reshape` or `permute`")
    if len(pattern.inputs) != len(xs):
        problem = f"it has {len(pattern.inputs)} operands and is given {len(xs)} tensors"
        raise _invalid("einsum", text, problem, "operands are separated by commas, one for each tensor")
    sizes: dict[str, Dim] = {}
    for port, (side, x) in enumerate(zip(pattern.inputs, xs, strict=True)):
        for name, size in _solve("einsum", side, x, (), port).items():
            if sizes.setdefault(name, size) != size:
                problem = f"`{name}` is {sizes[name]} before and {size} here"
                advice = "an axis of one name has one size in all operands"
                raise Reject(PatternMismatch("einsum", str(x), problem, advice), "pattern", ((port, str(x)),))
    if new := next((name for name in _names(pattern.output) if name not in sizes), None):
        raise _invalid("einsum", text, f"`{new}` is only on the right side")
    return pattern, sizes


def _names(side: Side) -> list[str]:
    return [name for axis in side for name in axis]


def _same_names(op: str, pattern: Pattern, left: list[str], right: list[str]) -> None:
    if lost := next((name for name in left if name not in right), None):
        raise _invalid(op, pattern.text, f"`{lost}` is missing on the right side", "`reduce` takes axes away")
    if new := next((name for name in right if name not in left), None):
        raise _invalid(op, pattern.text, f"`{new}` is only on the right side")


def _regrouping(found: dict[str, Dim], left: list[str], right: list[str], output: Side) -> Regrouping:
    return Regrouping(
        split=tuple(found[name] for name in left),
        order=tuple(left.index(name) for name in right),
        dropped=tuple(i for i, name in enumerate(left) if name not in right),
        merged=tuple(_product(found[name] for name in axis) for axis in output),
    )


def _product(dims: Iterable[Dim]) -> Dim:
    total = Dim(1)
    for d in dims:
        total = total * d
    return total


def _solve(op: str, side: Side, x: TensorType, given: Sizes, port: int = 0) -> dict[str, Dim]:
    """The size of every name of a side. Raises Reject (E0210) where it does not fit `x`."""
    if len(side) != x.rank:
        problem = f"the pattern names {len(side)} of its axes, the tensor has {x.rank}"
        raise _unfit(op, x, problem, _naming_help(side, x), port=port)
    known = dict(given)
    names = _names(side)
    for name, size in given:
        if name not in names:
            advice = f"axes here: {', '.join(f'`{n}`' for n in names)}"
            raise _unfit(op, x, f"no axis is called `{name}`", advice, at=name)
        if size < 1:
            raise _unfit(op, x, f"`{name}` is {size}", "a size is at least 1", at=name)
    return {name: size for axis, whole in zip(side, x.shape, strict=True)
            for name, size in _solve_axis(op, axis, whole, known, x, port).items()}  # fmt: skip


def _naming_help(side: Side, x: TensorType) -> str:
    """What to do where the number of axes differs; `"ij"` for two axes is a habit of other notations."""
    if len(side) == 1 and len("".join(side[0])) == x.rank > 1:
        return f"names are separated by spaces: `{' '.join(''.join(side[0]))}`"
    return "name every axis of the tensor on the left"


def _solve_axis(op: str, axis: tuple[str, ...], whole: Dim, known: dict[str, Dim], x: TensorType,
                port: int) -> dict[str, Dim]:  # fmt: skip
    """Sizes of the names of one axis of the tensor; at most one of them may be unknown."""
    written = f"({' '.join(axis)})" if len(axis) != 1 else axis[0]
    unknown = [name for name in axis if name not in known]
    if len(unknown) > 1:
        advice = f"give the size of all but one, as in `{unknown[0]}=2`"
        raise _unfit(op, x, f"the sizes of `{'` and `'.join(unknown)}` are not known", advice, port=port)
    rest = _product(known[name] for name in axis if name in known).value
    if whole.value % rest or (not unknown and whole != rest):
        what = "1" if not axis else f"`{written}`"
        problem = f"{what} stands for {whole}, which is " + (f"not {rest}" if not unknown else f"no multiple of {rest}")
        raise _unfit(op, x, problem, "the sizes in parentheses multiply to the axis that they stand for", port=port)
    solved = {name: known[name] for name in axis if name in known}
    if unknown:
        solved[unknown[0]] = whole // _product(solved.values())
    return {name: solved[name] for name in axis}


def _invalid(op: str, pattern: str, problem: str, advice: str = "") -> Reject:
    return Reject(PatternInvalid(op, pattern, problem, advice or EXAMPLES.get(op, EXAMPLE)), at="pattern")


def _unfit(op: str, x: TensorType, problem: str, advice: str, at: str = "pattern", port: int = 0) -> Reject:
    return Reject(PatternMismatch(op, str(x), problem, advice), at, ((port, str(x)),))
