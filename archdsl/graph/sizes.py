"""Which sizes of its inputs a model takes, and what it costs as formulas of them (docs/decisions/0043).

A model is elaborated at one size, with numbers that note what is decided by them; where all of that comes out alike,
the same graph stands, or the same mistake. Sizes are so sorted into pieces, and only a new piece is elaborated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from random import Random
from typing import Final

from archdsl.graph.cost import Cost, cost
from archdsl.graph.elaborate import Program, elaborate
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import Diagnostic, SpecError
from archdsl.language.traced import Polynomial, Trace, Traced, polynomial
from archdsl.language.types import Dim, TensorType, axis_names

__all__ = ["FIGURES", "LOOKED_AT", "Accepted", "Family", "Formulas", "Piece", "TooManyPieces", "family"]

LOOKED_AT: Final = 320  # sizes of an axis, from 1, that are classified one by one
FIGURES: Final = ("params", "macs", "train_bytes", "infer_bytes")
_LARGEST: Final = 4096  # of the sizes among which a limit looks for the largest
_MOST_PIECES: Final = 400
_MOST_OTHERS: Final = 4
_RECTANGLES: Final = 100  # with sizes drawn for each axis, to see whether they may be chosen apart

At = Mapping[str, int]


class TooManyPieces(Exception):
    """The model decides by its size so often that no few graphs stand for all of them."""


@dataclass(frozen=True)
class Formulas:
    """What a graph costs at the sizes of its piece, `b` being the batch. where: what must hold as well for a figure."""

    params: Polynomial
    macs: Polynomial
    train_bytes: Polynomial
    infer_bytes: Polynomial
    outputs: Mapping[str, tuple[Polynomial, ...]]
    where: Mapping[str, Trace]


@dataclass(frozen=True)
class Piece:
    """Sizes at which the same is decided. graph: None where they are refused, for `diagnostics`."""

    trace: Trace
    all_decisions: Trace
    graph: Graph | None
    diagnostics: tuple[Diagnostic, ...]

    def formulas(self, dtype: str = "float32") -> Formulas:
        """Of the graph, which there is."""
        assert self.graph is not None
        lasting = cost(self.graph, 1, dtype, peaks=False)
        counted = self.all_decisions.copy()
        train, decided = _of_batch(lasting, dtype, "train_bytes"), self.all_decisions.copy()
        found = cost(self.graph, 1, dtype)
        infer = _of_batch(found, dtype, "infer_bytes")
        where = {"params": counted, "macs": counted, "train_bytes": decided, "infer_bytes": self.all_decisions}
        types = [self.graph.type_of(ref) for ref in self.graph.outputs]
        shapes = [tuple(map(polynomial, t.sizes)) for t in types]
        outputs = dict(zip(self.graph.output_names, shapes, strict=True))
        return Formulas(polynomial(found.params), polynomial(found.macs), train, infer, outputs, where)


def _of_batch(found: Cost, dtype: str, name: str) -> Polynomial:
    """Bytes as a polynomial of the batch too: what each example adds, and the rest."""
    one, two = (polynomial(getattr(found.of(n, dtype), name)) for n in (1, 2))
    return Polynomial.of("b") * (two - one) + one * 2 - two


@dataclass(frozen=True)
class Accepted:
    """Which sizes of an axis are taken, the others being as declared: each of 1 to `LOOKED_AT`, looked at."""

    sizes: tuple[int, ...]

    @cached_property
    def steps(self) -> tuple[int, int, tuple[int, ...]] | None:
        """Period, first, others: every `period`th size from `first` on is taken, and few others below it."""
        for period in range(1, 65):
            first = next((n for n in self.sizes if self.sizes[-1] + period > LOOKED_AT and self._on(n, period)), None)
            if first is not None and first <= LOOKED_AT // 2:
                below = tuple(n for n in self.sizes if n < first)
                return (period, first, below) if len(below) <= _MOST_OTHERS else None
        return None

    def _on(self, first: int, period: int) -> bool:
        """Whether it is every `period`th from `first` on."""
        return self.sizes[self.sizes.index(first) :] == tuple(range(first, LOOKED_AT + 1, period))

    @property
    def multiple(self) -> int:
        """What every size that is taken is a multiple of, where that and a least size say all; 1 for nothing."""
        if self.steps is None:
            return 1
        period, first, others = self.steps
        return period if first % period == 0 and not others else 1

    @cached_property
    def runs(self) -> tuple[tuple[int, int], ...]:
        """The sizes as stretches without a gap: first and last of each."""
        known = set(self.sizes)
        starts = [n for n in self.sizes if n - 1 not in known]
        return tuple(zip(starts, [n for n in self.sizes if n + 1 not in known], strict=True))

    def near(self, size: int) -> tuple[int, ...]:
        """The next smaller and the next larger size that is taken, as far as there are any."""
        below = [n for n in self.sizes if n < size][-1:]
        return (*below, *[n for n in self.sizes if n > size][:1])


@dataclass
class Family:
    """A model at all sizes of its inputs. declared: the sizes that it gives, by their names in formulas."""

    program: Program
    model: str
    settings: Mapping[str, str]
    features: str | None
    types: Mapping[str, TensorType]
    pieces: list[Piece] = field(default_factory=list)
    _formulas: dict[tuple[int, str], Formulas] = field(default_factory=dict)

    @cached_property
    def axes(self) -> dict[str, dict[str, int]]:
        """By input, the names of its spatial axes in formulas and their declared sizes."""
        several = len(self.types) > 1
        return {
            name: {
                (f"{name}.{axis}" if several else axis): int(size)
                for axis, size in zip(axis_names(t.rank)[1:], t.spatial, strict=True)
            }
            for name, t in self.types.items()
        }

    @cached_property
    def declared(self) -> dict[str, int]:
        return {axis: size for axes in self.axes.values() for axis, size in axes.items()}

    @cached_property
    def home(self) -> Piece:
        """The piece of the declared sizes, or of the largest that are taken and were looked at.

        Raises SpecError where none is.
        """
        found = self.piece(self.declared)
        if found.graph is None:
            sizes = self.accepted.items()
            if not sizes or not all(a.sizes for _, a in sizes):
                raise SpecError(found.diagnostics)
            found = self.piece({axis: a.sizes[-1] for axis, a in sizes})
        if found.graph is None:
            raise SpecError(found.diagnostics)
        return found

    def piece(self, at: At) -> Piece:
        """What is decided at these sizes. Raises TooManyPieces."""
        for number, piece in enumerate(self.pieces):
            if piece.trace.holds(at):
                if number:
                    self.pieces.insert(0, self.pieces.pop(number))
                return piece
        if len(self.pieces) >= _MOST_PIECES:
            raise TooManyPieces
        self.pieces.insert(0, self._elaborated(at))
        return self.pieces[0]

    def takes(self, at: At) -> bool:
        return self.piece(at).graph is not None

    def formulas(self, piece: Piece, dtype: str = "float32") -> Formulas:
        key = id(piece), dtype
        if key not in self._formulas:
            self._formulas[key] = piece.formulas(dtype)
        return self._formulas[key]

    def figure(self, name: str, at: At, batch: int = 1, dtype: str = "float32") -> int:
        """One of `FIGURES` at sizes that are taken."""
        formulas = self.formulas(self.piece(at), dtype)
        if formulas.where[name].holds(at):
            made: Polynomial = getattr(formulas, name)
            return made.at({**at, "b": batch})
        graph = elaborate(self.program, self.model, self.settings, None, self.features, opened=self._plain(at)).graph
        assert graph is not None
        return int(getattr(cost(graph, batch, dtype), name))

    @cached_property
    def accepted(self) -> dict[str, Accepted]:
        """By axis. Raises TooManyPieces."""
        home = self.declared
        return {
            axis: Accepted(tuple(n for n in range(1, LOOKED_AT + 1) if self.takes({**home, axis: n})))
            for axis in self.declared
        }

    @cached_property
    def are_free(self) -> bool:
        """Whether sizes of the axes may be chosen apart, as far as rectangles drawn show."""
        drawn = Random(0)
        for _ in range(_RECTANGLES if len(self.declared) > 1 else 0):
            at = {axis: drawn.randint(1, LOOKED_AT) for axis in self.declared}
            for axis in at:  # half of them sizes that are taken, which may be few
                if drawn.random() < 0.5 and self.accepted[axis].sizes:
                    at[axis] = drawn.choice(self.accepted[axis].sizes)
            if self.takes(at) != all(n in self.accepted[axis].sizes for axis, n in at.items()):
                return False
        return True

    def largest(self, name: str, most: int, batch: int = 1, dtype: str = "float32") -> dict[str, int] | None:
        """The largest sizes at which a figure is at most `most`: height and width alike, other axes as declared."""
        formulas = self.formulas(self.home, dtype)
        guess: Polynomial = getattr(formulas, name)
        together = self.together
        is_one = formulas.where[name] == self.home.trace and sum(p.graph is not None for p in self.pieces) == 1
        for size in range(_LARGEST if together else 1, 0, -1):
            at = {**self.declared, **dict.fromkeys(together, size)}
            if (
                (not is_one or guess.at({**at, "b": batch}) <= most)
                and self.takes(at)
                and self.figure(name, at, batch, dtype) <= most
            ):
                return at
        return None

    def written(self, made: Polynomial) -> Polynomial:
        """A formula in the simplest form that the sizes allow: no rounding where all are multiples of what divides."""
        for axis, accepted in self.accepted.items():
            whole = made.with_({axis: Polynomial.of(axis) * accepted.multiple})
            if accepted.multiple > 1 and all(
                isinstance(a, str) or axis not in a.over.names() for m in whole.terms for a in m
            ):
                made = Polynomial({m: _exact(n, accepted.multiple ** m.count(axis)) for m, n in whole.terms.items()})
        return made

    def holds_from(self, name: str, dtype: str = "float32") -> int | None:
        """From which size of all axes on a figure is the formula of `home`, as far as was looked; None for nowhere.

        Looked at are all sizes that are taken, height and width alike, and rectangles drawn. What holds only near the
        end of what was looked at may be one of several that take turns: nothing is said from there on.
        """
        found: int | None = None
        for n in reversed(self.accepted[self.together[0]].sizes if self.together else ()):
            at = {**self.declared, **dict.fromkeys(self.together, n)}
            if not self.takes(at) or not self._is_home(name, at, dtype):
                break
            found = n
        if found is None or found > LOOKED_AT // 2:
            return None
        drawn = Random(1)
        for _ in range(_RECTANGLES // 5):
            at = self.declared | {
                a: drawn.choice([n for n in self.accepted[a].sizes if n >= found]) for a in self.together
            }
            if self.takes(at) and not self._is_home(name, at, dtype):
                return None
        return found

    def _is_home(self, name: str, at: At, dtype: str) -> bool:
        """Whether a figure is what `home` says, at sizes that are taken."""
        formulas = self.formulas(self.home, dtype)
        if formulas.where[name].holds(at):
            return True
        made: Polynomial = getattr(formulas, name)
        return name in ("params", "macs") and self.figure(name, at, 1, dtype) == made.at({**at, "b": 1})

    @cached_property
    def together(self) -> list[str]:
        """The axes that grow together: height and width of the first input that has any, else its only axis."""
        axes = next((list(axes) for axes in self.axes.values() if axes), [])
        return [a for a in axes if a.rpartition(".")[2] in "hw"] or axes

    def _plain(self, at: At) -> dict[str, TensorType]:
        return {name: t.with_shape(t.c, *(at[axis] for axis in self.axes[name])) for name, t in self.types.items()}

    def _elaborated(self, at: At) -> Piece:
        trace = Trace()
        opened = {
            name: TensorType(
                (t.c, *(Dim(Traced.of(at[axis], Polynomial.of(axis), trace)) for axis in self.axes[name])), t.dtype
            )
            for name, t in self.types.items()
        }
        result = elaborate(self.program, self.model, self.settings, None, self.features, opened=opened)
        return Piece(trace.copy(), trace, result.graph, result.diagnostics)


def _exact(n: int | Fraction, by: int) -> int | Fraction:
    found = Fraction(n, by)
    return int(found) if found.denominator == 1 else found


def family(program: Program, model: str, types: Mapping[str, TensorType], settings: Mapping[str, str] | None = None,
           features: str | None = None) -> Family:  # fmt: skip
    """A model at all sizes of inputs of these types.

    Raises SpecError where it takes none that was looked at, TooManyPieces where that cannot be said.

    >>> from archdsl.graph.elaborate import load
    >>> from archdsl.language.resources import read_spec
    >>> image = TensorType((Dim(1), Dim(28), Dim(28)))
    >>> found = family(load(read_spec("lenet5")[0]), "lenet5", {"in": image})
    >>> found.accepted["h"].sizes[0], found.figure("params", {"h": 28, "w": 28})
    (16, 44426)
    """
    found = Family(program, model, settings or {}, features, types)
    assert found.home.graph is not None
    return found
