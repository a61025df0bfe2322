"""Which axes a tensor has and which of them a setting means."""

from archdsl.language.errors.shapes import AxisMissing, GroupsDoNotDivide, WrongInput
from archdsl.language.ops.op import Reject
from archdsl.language.types import Dim, TensorType, axis_names

__all__ = ["Axis", "axes_of", "axis_of", "divide", "image", "nearest_multiples", "positions"]

Axis = Dim | str
IMAGE_HELP = {
    1: "a vector has no height and width left: use it before `gap` or `flatten`",
    2: '`reshape("c (h w) -> c h w", h=…)` makes an image of tokens',
}


def image(op: str, x: TensorType, port: int = 0, tokens: str = "") -> tuple[Dim, Dim, Dim]:
    """The sizes of `[c, h, w]`. Raises Reject for any other rank; `tokens` is a further advice for `[c, n]`."""
    if x.rank != 3:
        advice = IMAGE_HELP.get(x.rank, "merge the axes to three first: `reshape` names them")
        advice += f"; {tokens}" if tokens and x.rank == 2 else ""
        raise Reject(WrongInput(op, "an image `[c, h, w]`", str(x), advice), labels=((port, str(x)),))
    return x.c, x.h, x.w


def positions(x: TensorType) -> int:
    """How many vectors of channels a tensor holds: h*w, n or 1."""
    return x.elements // int(x.c)


def axes_of(op: str, axis: Axis, x: TensorType) -> tuple[int, ...]:
    """The axes that a setting means, as numbers from 0, ascending. Raises Reject for one that `x` lacks."""
    names = axis_names(x.rank)
    if isinstance(axis, Dim):
        number = int(axis)
        if not -x.rank <= number < x.rank:
            raise _missing(op, str(number), x)
        return (number % x.rank,)
    words = axis.replace(",", " ").split()
    for word in words:
        if word not in names:
            raise _missing(op, f"`{word}`", x)
    if not words:
        raise _missing(op, '""', x)
    return tuple(sorted({names.index(word) for word in words}))


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
    if int(number) % int(groups):
        several = nearest_multiples(int(number), int(groups))
        fitting = _divisors_near(int(number), int(groups))
        advice = f"{groups} {what} need {several} {unit}; {number} {unit} take {fitting} {what}"
        raise Reject(GroupsDoNotDivide(op, int(groups), what, int(number), unit, advice), at)
    return number // groups


def _divisors_near(number: int, wanted: int) -> str:
    """The divisors of `number` next to `wanted` (looked for within 4096)."""
    below = next((d for d in range(min(wanted, number, 4096), 0, -1) if number % d == 0), 1)
    above = next((d for d in range(wanted, min(number, wanted + 4096) + 1) if number % d == 0), None)
    return f"{below} or {above}" if above else str(below)
