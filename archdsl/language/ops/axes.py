"""Which axes a tensor has and which of them a setting means."""

from collections.abc import Callable

from archdsl.language.errors.shapes import AxesUnlike, AxisMissing, GroupsDoNotDivide, WrongInput
from archdsl.language.ops.op import Op, Reject
from archdsl.language.types import Dim, TensorType, axis_names, axis_number, calculated

__all__ = [
    "GRID", "Axis", "Spatial", "axes_of", "axis_of", "by", "divide", "each", "grid", "image", "nearest_multiples",
    "positions", "spread",
]  # fmt: skip

Axis = Dim | str
Spatial = Dim | tuple[Dim, ...]  # a number for all spatial axes, or one for each
GRID = "`[c, n]`, `[c, h, w]` or `[c, d, h, w]`"
_VECTOR = "a vector has no positions left: use it before `gap` or `flatten`"
_MERGE = "merge the axes first: `reshape` names them"


def image(op: str, x: TensorType) -> tuple[Dim, Dim, Dim]:
    """The sizes of `[c, h, w]`. Raises Reject for any other rank."""
    if x.rank != 3:
        tokens = '`reshape("c (h w) -> c h w", h=…)` makes an image of tokens'
        advice = {1: _VECTOR, 2: tokens}.get(x.rank, _MERGE)
        raise Reject(WrongInput(op, "an image `[c, h, w]`", str(x), advice), labels=((0, str(x)),))
    c, h, w = x.shape
    return c, h, w


def grid(op: str, x: TensorType, port: int = 0) -> tuple[Dim, ...]:
    """The sizes of one to three spatial axes. Raises Reject for other tensors."""
    if not 2 <= x.rank <= 4:
        raise Reject(WrongInput(op, GRID, str(x), _VECTOR if x.rank == 1 else _MERGE), labels=((port, str(x)),))
    return x.spatial


def each(op: Op, name: str, value: Spatial, x: TensorType) -> tuple[Dim, ...]:
    """A number for each spatial axis of `x`. Raises Reject where the setting `name` is a list of another length."""
    axes = x.rank - 1
    if isinstance(value, tuple) and len(value) != axes:
        raise Reject(AxesUnlike(op.name, name, len(value), str(x), axes), name, ((0, str(x)),))
    return value if isinstance(value, tuple) else (value,) * axes


def spread(rule: Callable[..., Dim], *values: Spatial) -> Spatial:
    """`rule` for each axis; of numbers that stand for all axes it is one number again."""
    if all(isinstance(v, Dim) for v in values):
        return rule(*values)
    axes = max(len(v) for v in values if isinstance(v, tuple))
    return tuple(map(rule, *(v if isinstance(v, tuple) else (v,) * axes for v in values)))


def by(numbers: tuple[Dim | int, ...]) -> str:
    """`3x3`: numbers of several axes as people write them."""
    return "x".join(str(n) for n in numbers)


def positions(x: TensorType) -> int:
    """How many vectors of channels a tensor holds: h*w, n or 1."""
    return x.elements // int(x.c)


def axes_of(op: str, axis: Axis, x: TensorType) -> tuple[int, ...]:
    """The axes that a setting means, as numbers from 0, ascending. Raises Reject for one that `x` lacks."""
    if isinstance(axis, Dim):
        number = int(axis)
        if not -x.rank <= number < x.rank:
            raise _missing(op, str(number), x)
        return (number % x.rank,)
    words = axis.replace(",", " ").split()
    if not words:
        raise _missing(op, '""', x)
    found = set()
    for word in words:
        place = axis_number(word, x.rank)
        if place is None:
            raise _missing(op, f"`{word}`", x)
        found.add(place)
    return tuple(sorted(found))


def axis_of(op: str, axis: Axis, x: TensorType) -> int:
    """The one axis that a setting means. Raises Reject where it is none or several."""
    found = axes_of(op, axis, x)
    if len(found) > 1:
        raise _missing(op, f"`{axis}` (one axis is needed)", x)
    return found[0]


def _missing(op: str, axis: str, x: TensorType) -> Reject:
    names = ", ".join(f"{i} = `{name}`" for i, name in enumerate(axis_names(x.rank)))
    return Reject(AxisMissing(op, axis, str(x), names), "axis", ((0, str(x)),))


def nearest_multiples(number: int, of: int) -> str:
    """`96 or 104` for 100 and 8: the multiples around a number."""
    below = number // of * of
    return f"{below} or {below + of}" if below else str(of)


def divide(op: str, number: Dim, groups: Dim, what: str, *, unit: str = "channels", at: str = "groups") -> Dim:
    """`number // groups`. Raises Reject with the nearest numbers that would divide."""
    if calculated("%", number, groups) != 0:
        several = nearest_multiples(number.plain, groups.plain)
        fitting = _divisors_near(number.plain, groups.plain)
        advice = f"{groups} {what} need {several} {unit}; {number} {unit} take {fitting} {what}"
        raise Reject(GroupsDoNotDivide(op, groups.plain, what, number.plain, unit, advice), at)
    return number // groups


def _divisors_near(number: int, wanted: int) -> str:
    """The divisors of `number` next to `wanted` (looked for within 4096)."""
    below = next((d for d in range(min(wanted, number, 4096), 0, -1) if number % d == 0), 1)
    above = next((d for d in range(wanted, min(number, wanted + 4096) + 1) if number % d == 0), None)
    return f"{below} or {above}" if above else str(below)
