"""Whether backends compute the same: values of every node, gradients, and statistics after a step (docs/verify.md).

Framework-free: each backend has a `probe`; what they computed from the same numbers is compared here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, isfinite, prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from archdsl.code.backend import Backend, Probe, backends, find_backend
from archdsl.code.taps import NodeFailed
from archdsl.graph.graph import Graph
from archdsl.graph.places import Place, places
from archdsl.language.diagnostics import Diagnostic, SpecError
from archdsl.language.errors.outputs import BackendsDiffer, CannotRun
from archdsl.train.abilities import PROBE, Probes
from archdsl.weights import Weight, keys, random_weights

Array = NDArray[np.generic]

__all__ = ["KINDS", "TOLERANCE", "NotLoaded", "Report", "Row", "cannot_run", "columns", "smallest_batch", "verify"]

Kind = Literal["value", "output", "gradient", "statistic"]
KINDS: tuple[Kind, ...] = ("value", "output", "gradient", "statistic")
TOLERANCE = {"float32": 1e-4, "float64": 1e-7}  # TensorFlow's gelu and leaky_relu round constants to float32
_LOOSER = 10  # gradients sum over batch and positions what cancels there
_LONGEST = 240  # characters of what a framework says
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_SAMPLES = 8  # that a batch norm needs: the derivative of fewer is mostly rounding


def columns(dtype: str = "float32") -> dict[str, tuple[str, Probes]]:
    """What is there to compare, PyTorch first: by name, the extra that it needs and its probe.

    Beside backends these are files that they write for others, which compute in float32 alone.
    """
    found: dict[str, tuple[str, Probes]] = {}
    files: dict[str, tuple[str, Probes]] = {}
    for name in sorted(backends(), key=lambda name: (name != "torch", name)):
        try:
            backend = find_backend(name)
        except Exception as error:
            found[name] = "", _not_loaded(error)
            continue
        if backend.probe is not None:
            found[name] = backend.extra, _when_run(backend, backend.probe)
        for file, module in backend.probes.items():
            extra = backend.exports[file].extra if file in backend.exports else backend.extra
            files[file] = extra, _when_run(backend, module)
    return found | (files if dtype == "float32" else {})


def _when_run(backend: Backend, module: str) -> Probes:
    """The probe of a module that is imported only then."""

    def probe(*args: Any) -> Probe:
        backend.prepare()
        try:
            run = PROBE.of(module)
        except ModuleNotFoundError:
            raise
        except Exception as error:
            raise NotLoaded(f"{type(error).__name__}: {error}") from error
        return run(*args)

    return probe


class NotLoaded(Exception):
    """A backend's own modules fail while they are imported."""


def _not_loaded(reason: Exception) -> Probes:
    def probe(*args: Any) -> Probe:
        raise NotLoaded(f"{type(reason).__name__}: {reason}") from reason

    return probe


def cannot_run(graph: Graph, column: str, error: Exception, hint: str = "") -> SpecError:
    """What to raise where a probe has failed: at the node that it says, else at the model."""
    at = next((p for p in places(graph) if isinstance(error, NodeFailed) and p.path == error.path), None)
    cause = error.__cause__ if isinstance(error, NodeFailed) else error
    said = " ".join(_ANSI.sub("", str(cause)).split())
    reason = f"{type(cause).__name__}: {said}" if said else type(cause).__name__
    if "alloc" in said.lower() or "memory" in said.lower() or isinstance(cause, MemoryError):
        hint = "take less at once: a smaller `--batch`, or a smaller `--input`"
    found = CannotRun(column, graph.block, reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]}…", hint)
    return SpecError([found.at(graph.span) if at is None else found.at(at.span, trace=at.trace)])


@dataclass(frozen=True)
class Row:
    """One tensor: a node's value, an output, the gradient of a weight or of the input, a running statistic.

    size: its largest magnitude in the reference; of gradients, the largest of all weights of the op, since some have
    none but rounding (a bias before a batch norm).  differences: by column, the largest difference of any number,
    absolute; infinite where shapes differ or one side is not finite, absent where a column does not have it.
    place: where in the spec it is, None for what the model as a whole has.
    """

    kind: Kind
    path: str
    place: Place | None
    size: float
    differences: Mapping[str, float]


@dataclass(frozen=True)
class Report:
    """What was compared, in the order of the graph. `tolerance` is that of values; gradients have ten times as much.

    exact: the same in float64, where something differed in float32: deep networks round much, and a number at the kink
    of a relu has another slope after rounding; float64 tells that from a mistake.
    """

    graph: Graph
    reference: str
    columns: tuple[str, ...]
    dtype: str
    batch: int
    seed: int
    tolerance: float
    rows: tuple[Row, ...]
    exact: Report | None = None

    def allowed(self, kind: Kind) -> float:
        return self.tolerance * (_LOOSER if kind == "gradient" else 1)

    @cached_property
    def floors(self) -> Mapping[Kind, float]:
        """By kind, the size below which a tensor counts as that large."""
        sizes = {kind: sorted(row.size for row in self.rows if row.kind == kind) for kind in KINDS}
        return {kind: _floor(kind, sizes["value" if kind == "output" else kind]) for kind in KINDS}

    def relative(self, row: Row, column: str) -> float:
        """A difference by the size of the tensor, or of a small one by its kind's floor."""
        difference = row.differences.get(column, 0.0)
        size = max(row.size, self.floors[row.kind])
        return difference / size if difference and size else difference

    def worst(self, row: Row) -> float:
        return max((self.relative(row, column) for column in row.differences), default=0.0)

    def fails(self, row: Row) -> bool:
        return self.worst(row) > self.allowed(row.kind)

    @cached_property
    def first(self) -> Row | None:
        """The row to look at first: the first node that differs; of gradients the last, since errors flow backward."""
        ahead = [row for row in self.failed if row.kind != "gradient"]
        return next(iter(ahead or self.failed[::-1]), None)

    @cached_property
    def failed(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if self.fails(row))

    @property
    def frameworks(self) -> set[str]:
        """The columns that have gradients; they can compute in float64 too."""
        return {self.reference, *(c for row in self.rows if row.kind == "gradient" for c in row.differences)}

    @property
    def failing(self) -> set[str]:
        """The columns that differ."""
        return {c for row in self.failed for c in row.differences if self.relative(row, c) > self.allowed(row.kind)}

    @property
    def agrees(self) -> bool:
        """Whether nothing differs but what float64 shows to be rounding."""
        return not self.failed or (self.exact is not None and not self.exact.failed)

    @property
    def _hint(self) -> str:
        if self.dtype == "float32":
            return "`--dtype float64` tells rounding from a mistake"
        if self.tolerance < TOLERANCE[self.dtype]:
            return ""
        return "in float64 this is no rounding: it is a mistake of a backend, and worth a report"

    def diagnostic(self) -> Diagnostic | None:
        """The first row that differs, at its line of the spec."""
        if self.agrees or (row := self.first) is None:
            return None
        if self.exact is not None:
            return self.exact.diagnostic()
        column = max(row.differences, key=lambda c: self.relative(row, c))
        figures = f"{self.relative(row, column):.1e}", f"{self.allowed(row.kind):.0e}"
        error = BackendsDiffer(_WHAT[row.kind].format(path=row.path), column, self.reference, *figures, self._hint)
        if row.place is None:
            return error.at(self.graph.span)
        return error.at(row.place.span, trace=row.place.trace)


def _floor(kind: Kind, sizes: Sequence[float]) -> float:
    """Of gradients the median size, or a thousandth of the largest where most have none; else a hundredth of it."""
    if not sizes:
        return 0.0
    median = sizes[len(sizes) // 2]
    return max(median, sizes[-1] / 1000) if kind == "gradient" else median / 100


_WHAT = {
    "value": "the value of `{path}`",
    "output": "`{path}`",
    "gradient": "the gradient of `{path}`",
    "statistic": "`{path}` after a training step",
}


def smallest_batch(graph: Graph) -> int:
    """Examples that every batch norm of a model needs for a derivative that is not mostly rounding: 2 or more."""
    positions = [prod(p.given[0].sizes[1:]) for p in places(graph) if p.op.state(*p.given)]
    return max(2, -(-_SAMPLES // min(positions, default=_SAMPLES)))


def verify(
    graph: Graph,
    probes: Mapping[str, Probes],
    *,
    batch: int | None = None,
    seed: int = 0,
    dtype: str = "float32",
    tolerance: float | None = None,
) -> Report:
    """Run every probe on the same weights, inputs and gradients of the outputs, and compare with the first one.

    probes: by name, two or more.  batch: examples; `smallest_batch` if not given.  dtype: `float32` or `float64`.
    tolerance: relative, of values and statistics; gradients have ten times as much.
    Without a tolerance, frameworks that differ in float32 are compared in float64 too, and that decides.
    """
    batch = smallest_batch(graph) if batch is None else batch
    report = _compare(graph, probes, batch, seed, dtype, tolerance)
    decides = dtype == "float32" and tolerance is None and report.failing <= report.frameworks
    if not report.failed or not decides:
        return report
    able = {name: probe for name, probe in probes.items() if name in report.frameworks}
    return replace(report, exact=_compare(graph, able, batch, seed, "float64", None))


def _compare(
    graph: Graph, probes: Mapping[str, Probes], batch: int, seed: int, dtype: str, tolerance: float | None
) -> Report:
    reference, *others = probes
    given = _Given.draw(graph, probes[reference], batch, seed, dtype)
    wanted = probes[reference](graph, *given.arguments)
    found = {name: probes[name](graph, *given.arguments) for name in others}
    rows = tuple(_rows(graph, batch, wanted, found))
    limit = TOLERANCE[dtype] if tolerance is None else tolerance
    return Report(graph, reference, tuple(others), dtype, batch, seed, limit, rows)


@dataclass(frozen=True)
class _Given:
    """What every probe is given."""

    tensors: Mapping[str, Array]
    inputs: tuple[Array, ...]
    cotangents: tuple[Array, ...]

    @property
    def arguments(self) -> tuple[Any, ...]:
        return self.tensors, self.inputs, self.cotangents

    @classmethod
    def draw(cls, graph: Graph, probe: Probes, batch: int, seed: int, dtype: str) -> _Given:
        """All of it random, but for running statistics: those of this very batch, so that no depth explodes."""
        generator = np.random.default_rng(seed)

        def normal(sizes: Iterable[int]) -> Array:
            return generator.standard_normal((batch, *sizes), np.float32).astype(dtype)

        inputs = tuple(normal(entry.types[0].sizes) for entry in graph.entries)
        cotangents = tuple(normal(graph.type_of(ref).sizes) for ref in graph.outputs)
        weights, about = random_weights(graph, seed, dtype), keys(graph)
        fresh = {key: np.zeros_like(v) if not about[key].trainable else v for key, v in weights.items()}
        has_state = any(not weight.trainable for weight in about.values())
        state = probe(graph, fresh, inputs, None).state if has_state else {}
        calibrated = {key: value / np.dtype(dtype).type(_momentum(about[key])) for key, value in state.items()}
        return cls(weights | calibrated, inputs, cotangents)


def _momentum(weight: Weight) -> float:
    """The weight of the new batch in a running statistic; 1 where there is none."""
    return float(getattr(weight.op, "momentum", 0)) or 1.0


# --- comparison ------------------------------------------------------------------------------------


def _rows(graph: Graph, batch: int, wanted: Probe, found: Mapping[str, Probe]) -> Iterator[Row]:
    at = list(places(graph))
    shapes = [[(batch, *t.sizes) for t in p.types] for p in at]
    for place, expected in zip(at, shapes, strict=True):
        values = _tuple(wanted.values[place.path])
        others = {n: _tuple(p.values[place.path]) for n, p in found.items() if place.path in p.values}
        for i, shape in enumerate(expected):
            path = place.path if len(expected) == 1 else f"{place.path}:{i}"
            whole = {n: _with_batch(v[i], shape) for n, v in others.items()}
            yield _row("value", path, place, _with_batch(values[i], shape), whole)
    for i, (name, value) in enumerate(zip(graph.output_names, wanted.outputs, strict=True)):
        yield _row("output", name, None, value, {n: p.outputs[i] for n, p in found.items()})
    yield from _of_weights(graph, at, "gradient", wanted.gradients, {n: p.gradients for n, p in found.items()})
    yield from _of_weights(graph, at, "statistic", wanted.state, {n: p.state for n, p in found.items()})


def _of_weights(
    graph: Graph, at: Sequence[Place], kind: Kind, wanted: Mapping[str, Array], found: Mapping[str, Mapping[str, Array]]
) -> Iterator[Row]:
    """In the order of the graph, the inputs first."""
    homes = {p.home: p for p in reversed(at)}
    order = [key for key in (*graph.input_names, *keys(graph)) if key in wanted]
    home = {key: key if key in homes else key.rpartition(".")[0] for key in order}
    sizes: dict[str, float] = {}
    for key in order if kind == "gradient" else ():
        sizes[home[key]] = max(sizes.get(home[key], 0.0), _size(wanted[key]))
    for key in order:
        others = {n: tensors[key] for n, tensors in found.items() if tensors}
        yield _row(kind, key, homes.get(home[key]), wanted[key], others, sizes.get(home[key]))


def _row(
    kind: Kind, path: str, place: Place | None, wanted: Array, found: Mapping[str, Array], size: float | None = None
) -> Row:
    differences = {name: _difference(wanted, other) for name, other in found.items()}
    return Row(kind, path, place, _size(wanted) if size is None else size, differences)


def _size(value: Array) -> float:
    """The largest finite magnitude."""
    return float(np.abs(value, where=np.isfinite(value), out=np.zeros_like(value)).max(initial=0))


def _difference(a: Array, b: Array) -> float:
    """The largest difference of two numbers in the same place; infinite where one alone is not finite."""
    if a.shape != b.shape:
        return inf
    finite = np.isfinite(a)
    if not finite.all():
        if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
            return inf
        a, b = a[finite], b[finite]
    largest = float(np.abs(np.subtract(a, b)).max(initial=0))
    return largest if isfinite(largest) else inf


def _with_batch(value: Array, shape: tuple[int, ...]) -> Array:
    """A learned tensor has no batch axis, or one of length 1: it counts as one for each example."""
    return np.broadcast_to(value, shape) if value.shape in (shape[1:], (1, *shape[1:])) else value


def _tuple(value: Array | tuple[Array, ...]) -> tuple[Array, ...]:
    return value if isinstance(value, tuple) else (value,)
