"""Whole numbers that know how they follow from the sizes of an input, and note what was decided by them.

A `Traced` is the number that it is at one size, so that everything computes with it as before. Beside it goes a
polynomial with whole coefficients over *atoms*: names of sizes, and floors of a polynomial over a whole number. What
is compared, and what is taken as a plain number, is noted in its `Trace`: at another size where all of these come out
alike, everything else comes out alike too (docs/decisions/0043).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import ceil, floor, gcd, inf, prod
from typing import Any, Final

__all__ = ["Floor", "Polynomial", "Trace", "Traced", "polynomial"]


@dataclass(frozen=True)
class Floor:
    """The floor of a polynomial over a whole number from 2."""

    over: Polynomial
    by: int

    @cached_property
    def key(self) -> str:
        return f"~{self.over.key}/{self.by}"


Atom = str | Floor
Monomial = tuple[Atom, ...]


def _key(atom: Atom) -> str:
    return atom if isinstance(atom, str) else atom.key


@dataclass(frozen=True)
class Polynomial:
    """Monomials, each a sorted tuple of atoms, with their coefficients, none of them 0; `()` is the constant.

    >>> h = Polynomial.of("h")
    >>> str((h * h + h).floor(2) + 1 - h), str(((h + 1).floor(2) + 1).floor(2))
    ('1 - h + ⌊(h + h²)/2⌋', '⌈h/4⌉')
    """

    terms: Mapping[Monomial, int | Fraction]

    @classmethod
    def of(cls, name: str) -> Polynomial:
        return cls({(name,): 1})

    @cached_property
    def key(self) -> str:
        """Equal for equal polynomials."""
        return "+".join(sorted(f"{n}*{'*'.join(map(_key, m))}" for m, n in self.terms.items()))

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self.key == other.key

    def __add__(self, other: Polynomial | int | Fraction) -> Polynomial:
        terms = dict(self.terms)
        for monomial, n in polynomial(other).terms.items():
            terms[monomial] = terms.get(monomial, 0) + n
        return Polynomial({m: n for m, n in terms.items() if n})

    def __mul__(self, other: Polynomial | int | Fraction) -> Polynomial:
        terms: dict[Monomial, int | Fraction] = {}
        for a, m in self.terms.items():
            for b, n in polynomial(other).terms.items():
                both = tuple(sorted((*a, *b), key=_key))
                terms[both] = terms.get(both, 0) + m * n
        return Polynomial({m: n for m, n in terms.items() if n})

    def __sub__(self, other: Polynomial | int | Fraction) -> Polynomial:
        return self + polynomial(other) * -1

    def __neg__(self) -> Polynomial:
        return self * -1

    @property
    def constant(self) -> int | Fraction:
        return self.terms.get((), 0)

    @property
    def is_constant(self) -> bool:
        return not self.terms.keys() - {()}

    def floor(self, by: int) -> Polynomial:
        """Of this over `by`, from 1: what divides goes outside, and a floor of a floor is one."""
        outside = Polynomial({m: n // by for m, n in self.terms.items() if n // by and (not m or n % by == 0)})
        rest = self - outside * by
        if rest.is_constant:
            return outside
        shared = gcd(by, *(int(n) for m, n in rest.terms.items() if m))
        if shared > 1:
            return outside + rest.divided(shared).floor(by // shared)
        inner = [m for m in rest.terms if m]
        if len(inner) == 1 and rest.terms[inner[0]] == 1 and len(inner[0]) == 1 and isinstance(inner[0][0], Floor):
            floor = inner[0][0]
            return outside + (floor.over + rest.constant * floor.by).floor(floor.by * by)
        return outside + Polynomial({(Floor(rest, by),): 1})

    def over(self, other: Polynomial) -> Polynomial | None:
        """This over one monomial, where that divides every term."""
        if len(other.terms) != 1:
            return None
        (divisor, by), terms = next(iter(other.terms.items())), dict[Monomial, int | Fraction]()
        for monomial, n in self.terms.items():
            rest = list(monomial)
            if n % by or any(monomial.count(atom) < divisor.count(atom) for atom in divisor):
                return None
            for atom in divisor:
                rest.remove(atom)
            terms[tuple(rest)] = n // by
        return Polynomial(terms)

    def divided(self, by: int) -> Polynomial:
        """The floor of this over `by`, which divides all but the constant."""
        return Polynomial({m: found for m, n in self.terms.items() if (found := int(n) // by)})

    def at(self, sizes: Mapping[str, int], known: dict[Floor, int] | None = None) -> int:
        """Its value where the names have these values. known: floors that are worked out already."""
        known = {} if known is None else known
        total: int | Fraction = 0
        for monomial, n in self.terms.items():
            total += n * prod(_atom_at(atom, sizes, known) for atom in monomial)
        return int(total)

    def with_(self, given: Mapping[str, Polynomial]) -> Polynomial:
        """The names replaced."""
        found = Polynomial({})
        for monomial, n in self.terms.items():
            part = Polynomial({(): n})
            for atom in monomial:
                if isinstance(atom, str):
                    part = part * given.get(atom, Polynomial.of(atom))
                else:
                    part = part * atom.over.with_(given).floor(atom.by)
            found = found + part
        return found

    def names(self) -> set[str]:
        """Every size that it depends on."""
        return {n for m in self.terms for a in m for n in ({a} if isinstance(a, str) else a.over.names())}

    def __str__(self) -> str:
        return _text(self)


def polynomial(value: Polynomial | int | Fraction) -> Polynomial:
    """A number as a polynomial."""
    if isinstance(value, Polynomial):
        return value
    if isinstance(value, Traced):
        return value.made
    return Polynomial({(): value} if value else {})


def _atom_at(atom: Atom, sizes: Mapping[str, int], known: dict[Floor, int]) -> int:
    if isinstance(atom, str):
        return sizes[atom]
    if atom not in known:
        known[atom] = atom.over.at(sizes, known) // atom.by
    return known[atom]


# --- as text ---------------------------------------------------------------------------------------

_RAISED: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def _text(p: Polynomial) -> str:
    if not p.terms:
        return "0"
    parts: list[str] = []
    for monomial in sorted(p.terms, key=_order):
        n = p.terms[monomial]
        sign = "-" if n < 0 else "+"
        parts += [sign, _term(monomial, n if n > 0 else -n)]
    first = parts[1] if parts[0] == "+" else f"-{parts[1]}"
    return " ".join([first, *parts[2:]])


def _order(term: Monomial) -> tuple[int, list[int], list[str]]:
    return len(term), [1 if isinstance(a, str) else a.by for a in term], [_key(a) for a in term]


def _term(monomial: Monomial, n: int | Fraction) -> str:
    atoms = dict.fromkeys(monomial)
    powers = [(_atom_text(a), monomial.count(a)) for a in atoms]
    factors = "·".join(text + (str(k).translate(_RAISED) if k > 1 else "") for text, k in powers)
    if not monomial:
        return f"{n:,}" if isinstance(n, int) else str(n)
    return factors if n == 1 else f"{n:,}·{factors}" if isinstance(n, int) else f"{n}·{factors}"


def _atom_text(atom: Atom) -> str:
    """`⌈h/32⌉` where it is a size rounded up; other floors as they are."""
    if isinstance(atom, str):
        return atom
    rest = atom.over - atom.over.constant
    inner = str(rest) if len(rest.terms) == 1 else f"({rest})"
    if atom.over.constant == atom.by - 1:
        return f"⌈{inner}/{atom.by}⌉"
    whole = str(atom.over) if len(atom.over.terms) == 1 else f"({_turned(atom.over)})"
    return f"⌊{whole}/{atom.by}⌋"


def _turned(p: Polynomial) -> str:
    """With the constant last: `h + 3`."""
    if not p.constant:
        return str(p)
    sign = "-" if p.constant < 0 else "+"
    return f"{p - p.constant} {sign} {abs(p.constant):,}"


# --- numbers ---------------------------------------------------------------------------------------


@dataclass
class Trace:
    """What was decided by sizes: of each polynomial without its constant, and each kind, the tightest.

    A noted decision is (kind, what came out) and says `p < 0` or `p == 0` of a polynomial p.
    """

    below: dict[Polynomial, Fraction | int] = field(default_factory=dict)  # p + c < 0, the largest c
    above: dict[Polynomial, Fraction | int] = field(default_factory=dict)  # p + c >= 0, the least c
    equal: set[Polynomial] = field(default_factory=set)
    unequal: set[Polynomial] = field(default_factory=set)

    def is_below(self, p: Polynomial, outcome: bool) -> None:
        """Note whether p < 0."""
        constant = p.constant
        rest = p - constant
        if outcome:
            self.below[rest] = max(self.below.get(rest, constant), constant)
        else:
            self.above[rest] = min(self.above.get(rest, constant), constant)

    def is_zero(self, p: Polynomial, outcome: bool) -> None:
        """Note whether p == 0."""
        (self.equal if outcome else self.unequal).add(p)

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether all that was decided comes out alike at these sizes; nothing may be noted from then on."""
        return bool(self._test(sizes))

    @cached_property
    def _test(self) -> Callable[[Mapping[str, int]], object]:
        """`holds` as Python code: it is asked for thousands of sizes."""
        program = _Program()
        tests = [
            *(f"{program.text(p)} == 0" for p in self.equal),
            *(f"{program.text(p)} < {-c}" for p, c in self.below.items()),
            *(f"{program.text(p)} >= {-c}" for p, c in self.above.items()),
            *(f"{program.text(p)} != 0" for p in self.unequal),
        ]
        lines = ["def test(s):", *(f"    {line}" for line in program.lines)]
        lines += [f"    if not {test}: return False" for test in tests]
        found: dict[str, Any] = {}
        exec("\n".join([*lines, "    return True"]), found)  # of numbers and names of axes alone
        return found["test"]  # type: ignore[no-any-return]

    def copy(self) -> Trace:
        return Trace(dict(self.below), dict(self.above), set(self.equal), set(self.unequal))


class _Program:
    """Lines of Python that work floors out, each once, for a dictionary `s` of sizes."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._names: dict[Atom, str] = {}

    def text(self, p: Polynomial) -> str:
        """The value of a polynomial with whole coefficients."""
        return " + ".join("*".join([f"({n})", *map(self._name, m)]) for m, n in p.terms.items()) or "0"

    def _name(self, atom: Atom) -> str:
        if atom not in self._names:
            value = f"s[{atom!r}]" if isinstance(atom, str) else f"({self.text(atom.over)}) // {atom.by}"
            self._names[atom] = f"a{len(self._names)}"
            self.lines.append(f"{self._names[atom]} = {value}")
        return self._names[atom]


class Traced(int):
    """A whole number with the polynomial that it comes from. Its arithmetic with plain numbers and its like is
    followed; whatever else is asked of it pins it to its value, which is noted."""

    made: Polynomial
    trace: Trace

    @classmethod
    def of(cls, value: int, made: Polynomial, trace: Trace) -> int:
        """A plain number, where it depends on nothing."""
        if made.is_constant:
            return int(value)
        found = int.__new__(cls, value)
        found.made, found.trace = made, trace
        return found

    def pinned(self) -> int:
        """The plain number; that it is this one is noted."""
        self.trace.is_zero(self.made - int.__int__(self), True)
        return int.__int__(self)

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return self.pinned() + other
        return Traced.of(int.__add__(self, other), self.made + other, self.trace)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __neg__(self) -> Any:
        return Traced.of(int.__neg__(self), -self.made, self.trace)

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return self.pinned() * other
        return Traced.of(int.__mul__(self, other), self.made * other, self.trace)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        if isinstance(other, Traced) and other != 0 and (whole := self.made.over(other.made)) is not None:
            return Traced.of(int.__floordiv__(self, other), whole, self.trace)
        by = other.pinned() if isinstance(other, Traced) else other
        if not isinstance(by, int) or by == 0:
            return self.pinned() // by
        if by < 0:
            return -self // -by
        return Traced.of(int.__floordiv__(self, by), self.made.floor(by), self.trace)

    def __rfloordiv__(self, other: Any) -> Any:
        return other // self.pinned()

    def __mod__(self, other: Any) -> Any:
        if isinstance(other, Traced) and other != 0 and self.made.over(other.made) is not None:
            return 0
        by = other.pinned() if isinstance(other, Traced) else other
        return self.pinned() % by if not isinstance(by, int) or by == 0 else self - self // by * by

    def __rmod__(self, other: Any) -> Any:
        return other % self.pinned()

    def __truediv__(self, other: Any) -> Any:
        return self.pinned() / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / self.pinned()

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        if isinstance(other, int) and not isinstance(other, Traced) and 0 <= other <= 8 and modulus is None:
            return prod([self] * other) if other else 1
        return pow(self.pinned(), other, modulus)

    def __abs__(self) -> Any:
        return -self if self < 0 else self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, int):
            return self.pinned() == other
        return self._zero(self.made - other, int.__eq__(self, other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: Any) -> bool:
        if not isinstance(other, int):
            return bool(other == inf) or (other != -inf and self < ceil(other))
        return self._below(self.made - other, int.__lt__(self, other))

    def __ge__(self, other: Any) -> bool:
        return not self < other

    def __gt__(self, other: Any) -> bool:
        if not isinstance(other, int):
            return bool(other == -inf) or (other != inf and self > floor(other))
        return self._below(-self.made + other, int.__gt__(self, other))

    def __le__(self, other: Any) -> bool:
        return not self > other

    def _below(self, p: Polynomial, outcome: bool) -> bool:
        if not p.is_constant:
            self.trace.is_below(p, outcome)
        return outcome

    def _zero(self, p: Polynomial, outcome: bool) -> bool:
        if not p.is_constant:
            self.trace.is_zero(p, outcome)
        return outcome

    def __hash__(self) -> int:
        return int.__hash__(self)

    def __bool__(self) -> bool:
        return self != 0

    def __int__(self) -> int:
        return self.pinned()

    def __float__(self) -> float:
        return float(self.pinned())

    def __floor__(self) -> Any:
        return self

    __ceil__ = __floor__

    @property
    def numerator(self) -> int:
        return self.pinned()
