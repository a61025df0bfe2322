"""One spec against itself: what the language says, in NumPy and float64, and what the generated programs compute.

Random weights by the paths of the graph go into each. A spec is held at its defaults and for other values of each
parameter of its model, which are set from outside (`--set p=v`) and given to the class of the file that was made
without them (`Model(p=v)`).
"""

import inspect
import linecache
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from interpreter import interpret, weight_shapes
from programs import without_default

from archdsl.code.backend import Artifact, find_backend
from archdsl.code.load import execute
from archdsl.graph.cost import cost
from archdsl.graph.elaborate import Program, elaborate, load
from archdsl.graph.graph import Graph
from archdsl.graph.spec import verify
from archdsl.language.source import Source
from archdsl.language.syntax import ast
from archdsl.weights import random_weights

__all__ = ["BACKENDS", "Fault", "Rejected", "faults_of", "frameworks"]

find = cache(find_backend)
Array = np.ndarray[Any, Any]
BACKENDS = ("torch", "keras")
TOLERANCE = 1e-5  # Keras rounds some constants to float32
BATCH = 2
VALUES = 2  # of each parameter, besides its default


@dataclass(frozen=True)
class Fault:
    """What went wrong, and where: the same `kind` in a smaller spec is the same fault."""

    kind: str
    says: str


class Rejected(Exception):
    """The spec has a mistake of its own."""


class Meant:
    """What a spec means with these settings: its graph, weights for it, and what they make of its inputs."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @cached_property
    def weights(self) -> Mapping[str, Array]:
        return random_weights(self.graph, dtype="float64")

    @cached_property
    def inputs(self) -> tuple[Array, ...]:
        draw = np.random.default_rng(0)
        return tuple(draw.standard_normal((BATCH, *entry.types[0].sizes)) for entry in self.graph.entries)

    @cached_property
    def outputs(self) -> tuple[Array, ...]:
        return interpret(self.graph, self.weights, *self.inputs)

    @cached_property
    def params(self) -> tuple[int, int]:
        """(trainable numbers, running statistics), counted weight by weight."""
        weights, state = (sum(int(np.prod(s)) for s in shapes.values()) for shapes in weight_shapes(self.graph))
        return weights, state

    def trusted(self) -> bool:
        """Whether the outputs say something: those of a network that squares its values again and again do not."""
        with np.errstate(all="ignore"):
            moved = interpret(self.graph, self.weights, *(x * (1 + 1e-9) for x in self.inputs))
            pairs = zip(moved, self.outputs, strict=True)
            return all(np.isfinite(y).all() and not _apart(near, y, TOLERANCE / 10) for near, y in pairs)


def faults_of(text: str, backends: tuple[str, ...] = BACKENDS) -> list[Fault]:
    """Everything in which a spec's programs differ from it, the first of each kind. Raises Rejected."""
    frameworks()
    program = load(Source("spec.arch", text))
    usual = _meant(program, {})
    if usual is None:
        raise Rejected
    found: dict[str, Fault] = {}
    for fault in (*_checked("language", lambda: _self(usual)), *_against(program, usual, backends)):
        found.setdefault(fault.kind, fault)
    linecache.clearcache()
    return list(found.values())


def _meant(program: Program, settings: Mapping[str, str]) -> Meant | None:
    (model,) = program.models
    graph = elaborate(program, model, settings).graph
    return None if graph is None else Meant(graph)


def _self(meant: Meant) -> str | None:
    """The graph is sound, is priced as it is, and gives what it says."""
    verify(meant.graph)
    costs = cost(meant.graph)
    if (costs.params, costs.state) != meant.params:
        return f"count: {costs.params}, {costs.state} for {meant.params}"
    sizes = [meant.graph.type_of(ref).sizes for ref in meant.graph.outputs]
    found = [y.shape[1:] for y in meant.outputs]
    return None if found == sizes else f"shape: {found} for {sizes}"


def _against(program: Program, usual: Meant, backends: tuple[str, ...]) -> Iterator[Fault]:
    cases = [(name, text, meant) for name, texts in settings_of(program).items()
             for text, meant in _accepted(program, name, texts)]  # fmt: skip
    for name in backends:
        written: dict[str, Artifact] = {}
        yield from _checked(f"{name}: emit", lambda: written.update(usual=_emitted(name, usual.graph)))  # noqa: B023
        if not written:
            continue
        artifact = written["usual"]
        failed = [*_checked(f"{name}: default", lambda: _computes(name, usual, _class(artifact)))]  # noqa: B023
        yield from failed
        if failed:
            continue  # so would all that follows
        for param, text, meant in cases:
            yield from _set(name, artifact, param, text, meant)


def _set(backend: str, usual: Artifact, param: str, text: str, meant: Meant) -> Iterator[Fault]:
    """`--set param=text`, and the constructor of what was written without."""
    written: list[Artifact] = []
    yield from _checked(f"{backend}: emit set", lambda: written.append(_emitted(backend, meant.graph)))
    taken = _argument(usual, param)
    value = _python(text)
    given = taken is not None and value is not None
    for artifact in written:
        if given and without_default(usual.text, str(taken)) == without_default(artifact.text, str(taken)):
            continue  # one program: what it is given is tried below
        yield from _checked(f"{backend}: set", lambda: _computes(backend, meant, _class(artifact)), f"{param}={text}")  # noqa: B023
    if given:
        made = {str(taken): value}
        yield from _checked(
            f"{backend}: constructor", lambda: _computes(backend, meant, _class(usual), made), f"{param}={text}"
        )


def _checked(kind: str, work: Callable[[], object], about: str = "") -> Iterator[Fault]:
    """What `work` says is wrong, or how it fails."""
    try:
        said = work()
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = "generated" if "<" in at.filename else Path(at.filename).name
        yield Fault(f"{kind}: {type(error).__name__} in {where}", f"{about} {type(error).__name__}: {error}".strip())
        return
    if isinstance(said, str):
        yield Fault(f"{kind}: {said.partition(':')[0]}", f"{about} {said}".strip())


# --- what may be set from outside --------------------------------------------------------------------


def settings_of(program: Program) -> dict[str, list[str]]:
    """Other values that each parameter of the model might take, most wanted first."""
    (model,) = program.models
    return {p.name: _others(p.default) for p in program.main.own[model].node.params if p.default is not None}


def _others(default: ast.Expr) -> list[str]:
    text = default.span.text
    match default:
        case ast.Bool(value=value):
            return ["false" if value else "true"]
        case ast.String():
            return [word for word in ('"mean"', '"max"', '"sum"') if word != text]
        case ast.Number(value=int(n)):
            return [str(v) for v in (2 * n, n + 1, n + 4, n - 1, n // 2, n + 2) if v >= 0 and v != n]
        case ast.Number(value=n) | ast.Binary(left=ast.Number(value=n)):
            return [v for v in ("0.5", "1", "0.3", "2", "0.75", "0.1") if float(v) != float(n)]
        case ast.ListExpr(items=items):
            parts = [i.span.text for i in items]
            return [f"[{', '.join(p)}]" for p in ((*parts, *parts[:1]), parts[:1], parts[::-1]) if list(p) != parts]
        case ast.Name():
            return [v for v in ("tanh", "bn", "conv(k=3)") if v != text]
    return [f"{text} + 1", "4"] if isinstance(default, ast.Call) else []


def _accepted(program: Program, name: str, texts: list[str]) -> Iterator[tuple[str, Meant]]:
    found = 0
    for text in texts:
        meant = _meant(program, {name: text}) if found < VALUES else None
        if meant is not None:
            found += 1
            yield text, meant


def _python(text: str) -> Any:
    """A value of the language for a caller in Python; None for an op."""
    try:
        return eval(text, {"true": True, "false": False})
    except (NameError, SyntaxError):
        return None


# --- programs ----------------------------------------------------------------------------------------


def _emitted(backend: str, graph: Graph) -> Artifact:
    return find(backend).emit(graph)


@cache
def _class(artifact: Artifact) -> Any:
    return getattr(execute(artifact), artifact.name)


def _argument(artifact: Artifact, param: str) -> str | None:
    """What the model's constructor calls a parameter, if it takes it."""
    known = inspect.signature(_class(artifact).__init__).parameters.keys() - {"self", "input_shape", "kwargs"}
    return next((n for n in (param, f"{param}_") if n in known), None)


def _computes(backend: str, meant: Meant, cls: Any, given: Mapping[str, Any] | None = None) -> str | None:
    """Whether a class, with these arguments, is what a spec means: None, or what differs."""
    run = {"torch": _in_torch, "keras": _in_keras}[backend]
    params, out = run(meant, cls, given or {})
    if params != meant.params:
        return f"count: {params} for {meant.params}"
    for y, wanted in zip(out or (), meant.outputs, strict=out is not None):
        if y.shape != wanted.shape:
            return f"shape: {y.shape} for {wanted.shape}"
        if _apart(y, wanted, TOLERANCE) and meant.trusted():
            return f"values: {np.abs(y - wanted).max():.1e} apart, of {np.abs(wanted).max():.1e}"
    return None


def _apart(found: Array, wanted: Array, tolerance: float) -> bool:
    with np.errstate(all="ignore"):
        size = np.abs(wanted[np.isfinite(wanted)]).max(initial=0)
        return not np.allclose(found, wanted, rtol=tolerance, atol=tolerance * size + 1e-9, equal_nan=True)


Ran = tuple[tuple[int, int], list[Array] | None]


def _in_torch(meant: Meant, cls: Any, given: Mapping[str, Any]) -> Ran:
    torch, _ = frameworks()
    backend = find("torch")
    model = cls(**given).double().eval()
    if (params := backend.count_params(model)) != meant.params:
        return params, None
    backend.set_weights(model, meant.graph, meant.weights)
    with torch.no_grad():
        found = model(*map(torch.from_numpy, meant.inputs))
    named = found if isinstance(found, dict) else {"output": found}
    assert tuple(named) == meant.graph.output_names
    return params, [y.numpy() for y in named.values()]


def _in_keras(meant: Meant, cls: Any, given: Mapping[str, Any]) -> Ran:
    backend, (_, keras) = find("keras"), frameworks()
    model = cls(**given)
    if (params := backend.count_params(model)) != meant.params:
        return params, None
    backend.set_weights(model, meant.graph, meant.weights)
    inputs = dict(zip(meant.graph.input_names, (np.moveaxis(x, 1, -1) for x in meant.inputs), strict=True))
    found = model(inputs if len(inputs) > 1 else inputs["input"], training=False)
    named = found if isinstance(found, dict) else {"output": found}
    arrays = [np.asarray(keras.ops.convert_to_numpy(named[name])) for name in meant.graph.output_names]
    return params, [np.moveaxis(y, -1, y.ndim - len(w.shape[1:])) for y, w in zip(arrays, meant.outputs, strict=True)]


@cache
def frameworks() -> tuple[Any, Any]:
    """PyTorch and Keras, for a process of its own: Keras is in float64 from then on, and its images come in twos."""
    os.environ.setdefault("KERAS_BACKEND", "torch")  # builds and calls a small network several times as fast
    import torch

    find("keras").prepare()
    import keras
    from keras.src.backend.common import dtypes

    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"  # on PyTorch, Keras makes float32 of what many ops give
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    keras.config.disable_traceback_filtering()
    keras.Input = partial(keras.Input, batch_size=BATCH)  # a size that is not known is tried twice with each layer
    return torch, keras
