"""What parameters take: of ops, recipes' words, blocks and the settings of a training.

A parameter is a field of a dataclass, declared by `parameter` and read off by `parameters`. `bind` says which parameter
each argument of a call fills, `fit` whether a value is what a parameter takes. Both report nothing: what is wrong they
give back as a value, and who asked says it in its own place, under a span or beside a flag.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from fractions import Fraction
from math import inf
from typing import Any, Final, Literal, get_args

from archdsl.language.printable import escaped
from archdsl.language.types import Dim

__all__ = [
    "KINDS", "UNITS", "Count", "Kind", "Misfit", "Parameter", "Stray", "bind", "bounds", "fit", "missing", "parameter",
    "parameters", "wanted", "written",
]  # fmt: skip

Kind = Literal[
    "int", "number", "float", "bool", "text", "word", "words", "spatial", "ints", "range", "axis", "count", "counts",
    "tensor", "numbers", "any",
]  # fmt: skip
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_WANTED: Final[dict[Kind, str]] = {
    "int": "a whole number", "number": "a number", "float": "a number", "bool": "`true` or `false`",
    "text": "a text in quotes", "spatial": "a whole number or one for each axis as in `[h, w]`",
    "ints": "whole numbers", "range": "two numbers, the smaller first", "axis": "an axis, by number or name",
    "tensor": "a tensor",
    "count": "a count such as `epochs(5)` or `steps(64K)`",
    "counts": "a list of counts such as `epochs(60)` or `64K`", "any": "any value",
    "numbers": "a list of numbers, or of such lists of one length",
}  # fmt: skip
_PARTS: Final[dict[Kind, Kind]] = {
    "spatial": "int",
    "ints": "int",
    "range": "float",
    "counts": "count",
    "words": "word",
}
_MOST_SPATIAL = 3
_SMALLEST, _LARGEST = 1e-30, 1e30  # of floats: no setting means anything outside, and inside all can be written
_MOST_STEPS = 10**12
UNITS: Final = ("steps", "epochs")  # of a Count
_LIMITS: Final[dict[Kind, tuple[float, float]]] = {
    "float": (-_LARGEST, _LARGEST), "range": (-_LARGEST, _LARGEST), "count": (0, _MOST_STEPS),
    "counts": (0, _MOST_STEPS),
}  # fmt: skip


@dataclass(frozen=True)
class Count:
    """So many optimizer steps or epochs: `64K`, `steps(64K)`, `epochs(2.5)`.

    n: of steps a whole number, of epochs any number. unit: `steps` or `epochs`.
    """

    n: float | Fraction
    unit: str = "steps"

    def steps(self, per_epoch: int) -> int:
        """In optimizer steps, where an epoch has `per_epoch`."""
        return round(self.n * (per_epoch if self.unit == "epochs" else 1))

    def part(self, of: int) -> Count:
        """One of `of` equal parts, of steps rounded down."""
        return Count(self.n // of if self.unit == "steps" else self.n / of, self.unit)

    def __str__(self) -> str:
        return f"{self.unit}({written(self.n)})"


@dataclass(frozen=True)
class Parameter:
    """What one parameter takes. name: its word in the language. field: where its owner keeps it.

    kind: what values it takes, and as what they are kept:
        `int`, `number`, `bool`, `text`  a number keeps how it was written, where it comes as a Dim
        `float`                          a number that is kept as a float
        `word`, `words`                  one of the texts of `words`, or a tuple of them
        `spatial`                        a whole number for all spatial axes or one for each: up to three
        `ints`                           a whole number or a list of them
        `numbers`                        a list of numbers, or of such lists, all of one shape
        `range`                          two numbers, the smaller first, kept as floats
        `axis`                           a whole number, from the end where negative, or axis names as in "h w"
        `count`, `counts`                a Count, where a whole number stands for steps; a list of them
        `tensor`                         a value of a graph, which only an elaborator knows: nothing fits it here
        `any`                            whatever its body makes of it: of blocks and recipes
    default: MISSING where it has to be given.
    low, high: bounds of the number or of each number of several, both included; above: a bound that is itself left out.
    words: the texts of a `word`; beside another kind, texts that are accepted in its stead.
    auto: whether leaving it out has a meaning of its own (the field is then None).
    """

    name: str
    kind: Kind
    default: Any = field(default_factory=lambda: MISSING)
    low: float = -inf
    high: float = inf
    above: float = -inf
    words: tuple[str, ...] = ()
    auto: bool = False
    field: str = ""

    @property
    def required(self) -> bool:
        return self.default is MISSING


def parameter(kind: Kind, default: Any = MISSING, *, auto: bool = False, **limits: Any) -> Any:
    """Declare a dataclass field that is a parameter. limits: `low`, `high`, `above`, `words` of `Parameter`."""
    return field(default=None if auto else default, metadata={"kind": kind, "auto": auto, **limits})


_READ: dict[type[Any], tuple[Parameter, ...]] = {}


def parameters(owner: type[Any]) -> tuple[Parameter, ...]:
    """The parameters of an op, a recipe's word or `Settings`, in the order in which positionals fill them.

    A field that would hide a method ends in `_`, which is not part of the name.
    """
    if owner not in _READ:
        declared = [f for f in fields(owner) if f.metadata]
        found = (Parameter(f.name.rstrip("_"), default=f.default, field=f.name, **f.metadata) for f in declared)
        _READ[owner] = tuple(found)
    return _READ[owner]


# --- which argument is which parameter ---------------------------------------------------------------


@dataclass(frozen=True)
class Stray:
    """An argument that fills no parameter: it is one too `many`, its name is `unknown`, or was given `twice`."""

    why: Literal["many", "unknown", "twice"]
    name: str = ""


def bind(
    arguments: Sequence[str | None], known: Sequence[Parameter], given: Collection[str] = (), extra: bool = False
) -> Iterator[str | Stray]:
    """For each argument the name of the parameter that it fills, or why it fills none.

    arguments: their names, None for a positional one; these fill in order what is left. given: what has been filled
    before. extra: other keywords are welcome, too.

    >>> known = Parameter("c", "int"), Parameter("k", "spatial")
    >>> list(bind([None, None], known))
    ['c', 'k']
    >>> list(bind([None, "c", "width"], known, given=["c"]))
    ['k', Stray(why='twice', name='c'), Stray(why='unknown', name='width')]
    """
    names, taken = [p.name for p in known], {*given}
    for argument in arguments:
        name = argument or next((n for n in names if n not in taken), None)
        if name is None:
            yield Stray("many")
        elif name not in names and not extra:
            yield Stray("unknown", name)
        elif name in taken:
            yield Stray("twice", name)
        else:
            taken.add(name)
            yield name


def missing(known: Sequence[Parameter], given: Collection[str]) -> list[Parameter]:
    """The parameters that have neither a value nor a default."""
    return [p for p in known if p.required and p.name not in given]


# --- whether a value fits ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Misfit:
    """Why a value does not fit: its `kind`, a number that is not `whole`, out of `range`, or none of the `word`s.

    value: what is to blame, the value or one of its parts. others: further parts that do not fit. `wanted` and
    `bounds` say what would fit.
    """

    why: Literal["kind", "whole", "range", "word"]
    value: object
    others: tuple[Misfit, ...] = ()


def fit(p: Parameter, value: object) -> Any:
    """`value` as a field keeps it, or a Misfit. Numbers may be Dims or plain ones.

    >>> fit(Parameter("k", "spatial", low=1), 3)
    3
    >>> fit(Parameter("k", "spatial", low=1), (3, 0))
    Misfit(why='range', value=0, others=())
    >>> fit(Parameter("mode", "word", words=("zero", "reflect")), "mirror")
    Misfit(why='word', value='mirror', others=())
    """
    part = _PARTS.get(p.kind)
    if p.kind == "numbers":
        return Misfit("kind", value) if not isinstance(value, tuple) or _shape(value) is None else value
    if isinstance(value, str) and p.words and p.kind != "words":
        return _one(p, "word", value)
    if part is None:
        return _one(p, p.kind, value)
    if not isinstance(value, tuple):
        return _one(p, part, value) if p.kind in ("spatial", "ints") else Misfit("kind", value)
    if (p.kind == "range" and len(value) != 2) or (p.kind == "spatial" and not 1 <= len(value) <= _MOST_SPATIAL):
        return Misfit("kind", value)
    found = tuple(_one(p, part, v) for v in value)
    if wrong := [v for v in found if isinstance(v, Misfit)]:
        return replace(wrong[0], others=tuple(wrong[1:]))
    return Misfit("kind", value) if p.kind == "range" and found[0] > found[1] else found


def _shape(value: object) -> tuple[int, ...] | None:
    """The lengths of lists in lists of numbers; None where they differ, or where there is something else in them."""
    if not isinstance(value, tuple):
        is_number = isinstance(value.value if isinstance(value, Dim) else value, int | float | Fraction)
        return () if is_number and not isinstance(getattr(value, "value", value), bool) else None
    shapes = {_shape(part) for part in value}
    inner = shapes.pop() if len(shapes) == 1 else None
    return None if inner is None else (len(value), *inner)


def _one(p: Parameter, kind: Kind, value: object) -> Any:
    """`fit` for one value of that kind, which is the parameter's own or of its parts."""
    n = value.value if isinstance(value, Dim) else value
    match kind:
        case "int" | "number" | "float":
            return _number(p, kind, value, n)
        case "count":
            return _count(p, Count(n) if isinstance(n, int) and not isinstance(n, bool) else value)
        case "word":
            return value if value in p.words else Misfit("word", value)
        case "bool" if isinstance(n, bool):
            return value
        case "text" if isinstance(n, str):
            return value
        case "axis" if isinstance(n, str | int) and not isinstance(n, bool):
            return value
        case "any":
            return value
    return Misfit("kind", value)


def _number(p: Parameter, kind: Kind, value: object, n: object) -> Any:
    if isinstance(n, bool) or not isinstance(n, int | float | Fraction):
        return Misfit("kind", value)
    if kind == "int" and not isinstance(n, int):
        return value.whole if isinstance(value, Dim) and value.is_int else Misfit("whole", value)
    size = float(n) if isinstance(n, Fraction) else n
    if not _within(p, size) or (kind == "float" and _too_small(size)):
        return Misfit("range", value)
    return float(n) if kind == "float" else value


def _count(p: Parameter, value: object) -> Any:
    if not isinstance(value, Count) or value.unit not in UNITS:
        return Misfit("kind", value)
    if not _within(p, value.n) or _too_small(value.n):
        return Misfit("range", value)
    if value.unit == "steps" and value.n % 1:
        return Misfit("whole", value)
    return Count(int(value.n) if isinstance(value.n, int) else float(value.n), value.unit)


def _within(p: Parameter, n: float | Fraction) -> bool:
    low, high = _limits(p)
    return low <= n <= high and n > p.above


def _too_small(n: float | Fraction) -> bool:
    """Whether it is not 0 and cannot be written."""
    return 0 < abs(float(n)) < _SMALLEST


def _limits(p: Parameter) -> tuple[float, float]:
    low, high = _LIMITS.get(p.kind, (-inf, inf))
    return max(p.low, low), min(p.high, high)


# --- what to say of it -------------------------------------------------------------------------------


def wanted(p: Parameter) -> str:
    """What kind of value a parameter takes, for a sentence.

    >>> wanted(Parameter("init", "number", words=("zeros", "ones", "normal")))
    'a number, or "zeros", "ones" or "normal"'
    """
    *others, last = [written(w) for w in p.words] or [""]
    words = f"{', '.join(others)} or {last}" if others else last
    if p.kind in ("word", "words"):
        return words if p.kind == "word" else f"a list out of {words}"
    return _WANTED[p.kind] + (f", or {words}" if words else "")


def bounds(p: Parameter) -> str:
    """What numbers a parameter takes, for a sentence.

    >>> bounds(Parameter("p", "float", low=0, high=1))
    'between 0 and 1'
    """
    low, high = _limits(p)
    if p.above > -inf:
        return f"above {_figure(p.above)}" + (f" and at most {_figure(high)}" if high < _LARGEST else "")
    if high < _LARGEST or low <= -_LARGEST:
        return f"between {_figure(low)} and {_figure(high)}"
    return f"at least {_figure(low)}"


def _figure(number: float) -> str:
    return f"{int(number):,}" if abs(number) < _LARGEST and number == int(number) else written(number)


def written(value: object) -> str:
    """A value as the language writes it.

    >>> written((0.5, 2.0, True, "a\\n"))
    '[0.5, 2, true, "a\\\\u000a"]'
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, str):
        return '"' + "".join(map(_character, value)) + '"'
    if isinstance(value, Fraction):
        return str(Dim(value))
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e16 else repr(value)
    return str(value)


def _character(char: str) -> str:
    """As it stands in a text of the language; what cannot be seen is escaped."""
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() or ord(char) > 0xFFFF else escaped(char)
