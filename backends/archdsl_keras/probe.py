"""What the generated Keras network computes, for `archdsl verify` and `archdsl masks`. Imports Keras.

It works on whichever framework Keras runs.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import keras
import numpy as np
from keras import ops
from keras.src.backend.common import dtypes
from numpy.typing import NDArray

from archdsl.code.backend import Probe
from archdsl.code.load import execute
from archdsl.code.taps import TAP, NodeFailed, Spool, Taps, check_same, silent
from archdsl.graph.graph import Graph
from archdsl.graph.places import places
from archdsl.weights import keys
from archdsl_keras.source import spell
from archdsl_keras.weights import get_weights, set_weights
from archdsl_keras.write import emit

__all__ = ["gradients_of", "named", "network_of", "probe", "taps_of", "values"]

_NOISE = ("DropBlock", "DropPaths", "ShakeDrop", "ShakeShake")

Array = NDArray[np.generic]
Tensors = Mapping[str, Array]
Globals = dict[str, Any]
Inputs = tuple[Array, ...]
Given = Array | dict[str, Array]
Named = Callable[[Any], tuple[Any, ...]]


def probe(graph: Graph, tensors: Tensors, inputs: Inputs, cotangents: Sequence[Array] | None) -> Probe:
    """See `archdsl.code.backend.Probe`. Without cotangents only the statistics after a step are computed.

    Raises NodeFailed where a node cannot be computed, and what Keras raises where it is not known which.
    """
    with _floats(inputs[0].dtype.name):
        try:
            return _probe(graph, tensors, inputs, cotangents)
        except Exception as error:
            if (path := _failing(graph, tensors, inputs)) is None:
                raise
            raise NodeFailed(path) from error


def _probe(graph: Graph, tensors: Tensors, inputs: Inputs, cotangents: Sequence[Array] | None) -> Probe:
    network, _ = network_of(graph, tensors)
    given = _given(graph, inputs)
    if cotangents is None:
        network(given, training=True)
        return Probe((), state=_part(graph, network, trainable=False))
    outputs = named(graph, network(given, training=False))
    shown = tuple(_canonical(y, graph.type_of(ref).rank) for y, ref in zip(outputs, graph.outputs, strict=True))
    spool = _values(graph, tensors, given, shown)
    ends = [np.moveaxis(c, 1, -1) for c in cotangents]
    entering, found = gradients_of(partial(named, graph), network, given, ends)
    state = _part(graph, network, trainable=False)
    for variable, gradient in zip(network.trainable_variables, found, strict=True):
        variable.assign(gradient)
    given_to = entering if isinstance(entering, dict) else {graph.input_names[0]: entering}
    gradients = {n: _canonical(given_to[n], x.ndim - 1) for n, x in zip(graph.input_names, inputs, strict=True)}
    return Probe(shown, spool, gradients | dict(_part(graph, network, trainable=True)), state)


def _given(graph: Graph, inputs: Inputs) -> Given:
    """What the network is called with: an array, or one for each name."""
    last = [np.moveaxis(x, 1, -1) for x in inputs]
    return dict(zip(graph.input_names, last, strict=True)) if len(last) > 1 else last[0]


def _failing(graph: Graph, tensors: Tensors, inputs: Inputs) -> str | None:
    """The node that cannot be computed, where it is one."""
    try:
        network, names = network_of(graph, tensors, tapped=True)
    except Exception:
        return None
    taps = names[TAP] = taps_of(graph, None, lambda path, value: None)
    return taps.failed(partial(network, _given(graph, inputs), training=False))


def values(graph: Graph, tensors: Tensors, inputs: Inputs, paths: Sequence[str]) -> dict[str, Any]:
    """See `archdsl.code.backend.Backend`."""
    found: dict[str, Any] = {}
    with _floats(inputs[0].dtype.name):
        network, names = network_of(graph, tensors, tapped=True)
        names[TAP] = taps = taps_of(graph, paths, found.__setitem__)
        network(_given(graph, inputs), training=False)
    assert not taps.unseen, f"not shown: {taps.unseen}"
    return found


def taps_of(graph: Graph, paths: Collection[str] | None, keep: Callable[[str, Any], None]) -> Taps:
    """A tap that hands on the nodes of `paths`, or of all, in the spec's order of axes."""
    ranks = {p.path: [t.rank for t in p.types] for p in places(graph)}

    def see(path: str, value: Any) -> None:
        shown = tuple(map(_canonical, _tuple(value), ranks[path]))
        keep(path, shown if len(shown) > 1 else shown[0])

    return Taps(ranks if paths is None else paths, spell, see)


def network_of(graph: Graph, tensors: Tensors, tapped: bool = False) -> tuple[Any, Globals]:
    """Built from the text, with the weights in it and nothing random, and the globals of the text."""
    artifact = emit(graph, tapped)
    names = execute(artifact).__dict__
    calls: list[tuple[Any, str]] = []
    names[TAP] = _noting(calls)
    if tapped and "Chain" in names:
        names["Chain"].call = _shown_items(names)
    network = names[artifact.name]()
    for node, name in calls:
        node.operation = _Shown(node.operation, network, name, names)
    set_weights(network, graph, tensors)
    for layer in network._flatten_layers():
        if type(layer).__name__ == "Dropout":
            layer.rate = 0.0
        elif type(layer).__name__ in _NOISE:
            layer.call = partial(_at_rest, layer.call)
    return network, names


def _at_rest(call: Callable[..., Any], *inputs: Any, training: bool = False) -> Any:
    """A call as in evaluation, whatever goes on around it."""
    return call(*inputs, training=False)


def _noting(calls: list[tuple[Any, str]]) -> Callable[..., Callable[[Any], Any]]:
    """The tap for while a network is built: what it calls, as nodes of Keras with their names, is put into `calls`."""

    def tap(owner: Any, name: str, spelled: bool = False) -> Callable[[Any], Any]:
        def note(value: Any) -> Any:
            operation, at, _ = _tuple(value)[0]._keras_history
            calls.append((operation._inbound_nodes[at], name))
            return value

        return note if isinstance(owner, keras.Model) else silent(owner, name)

    return tap


@dataclass
class _Shown:
    """What a node of a functional model applies, shown under its name whenever it runs."""

    operation: Any
    network: Any
    name: str
    names: Globals

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.names[TAP](self.network, self.name)(self.operation(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.operation, name)


def _shown_items(names: Globals) -> Callable[[Any, Any], Any]:
    """The forward pass of a chain, each item shown under its name."""

    def call(chain: Any, x: Any) -> Any:
        for layer in chain.layers:
            x = names[TAP](chain, layer.name, spelled=True)(layer(x))
        return x

    return call


def _values(graph: Graph, tensors: Tensors, given: Given, outputs: Sequence[Array]) -> Spool:
    """Of every node. The text with taps computes what the delivered one does."""
    network, names = network_of(graph, tensors, tapped=True)
    spool = Spool()
    names[TAP] = taps = taps_of(graph, None, spool.add)
    again = named(graph, network(given, training=False))
    assert not taps.unseen, f"not shown: {taps.unseen}"
    for ref, out, value in zip(graph.outputs, outputs, again, strict=True):
        check_same(_canonical(value, graph.type_of(ref).rank), out)
    return spool


def _part(graph: Graph, network: Any, trainable: bool) -> Tensors:
    about = keys(graph)
    return {key: value for key, value in get_weights(network, graph).items() if about[key].trainable is trainable}


def _canonical(value: Any, rank: int) -> Array:
    """In the spec's order of axes: Keras has the channels last, and a learned tensor no batch."""
    array = np.asarray(ops.convert_to_numpy(value))
    return np.moveaxis(array, -1, array.ndim - rank)


def named(graph: Graph, outputs: Any) -> tuple[Any, ...]:
    """The outputs of a network in the order of the graph: what Keras gives by name it may sort."""
    return tuple(outputs[name] for name in graph.output_names) if isinstance(outputs, dict) else (outputs,)


def _tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


@contextmanager
def _floats(dtype: str) -> Iterator[None]:
    """Build and compute in this dtype, whatever the user's Keras is set to.

    On PyTorch and JAX Keras makes float32 of the float64 that its ops would give: a table of its own says so, which is
    put aside here. JAX has a switch as well.
    """
    config = keras.config
    before = config.floatx(), config.dtype_policy()
    config.set_floatx(dtype)
    config.set_dtype_policy(dtype)
    try:
        with patch.dict(dtypes.BIT64_TO_BIT32_DTYPE, float64="float64"), _jax_floats(dtype):
            yield
    finally:
        config.set_floatx(before[0])
        config.set_dtype_policy(before[1])


def _jax_floats(dtype: str) -> AbstractContextManager[None]:
    if dtype != "float64" or keras.backend.backend() != "jax":
        return nullcontext()
    import jax

    switched: AbstractContextManager[None] = jax.enable_x64(True)
    return switched


# --- gradients: what each framework does in its own way --------------------------------------------


def gradients_of(ordered: Named, network: Any, given: Given, cotangents: Sequence[Array]) -> tuple[Any, list[Any]]:
    """Of what is given, in its form, and of the trainable variables, in a training step, which moves the statistics.

    ordered: makes a tuple of what the network gives.
    """
    return _BY_FRAMEWORK[keras.backend.backend()](ordered, network, given, cotangents)


def _total(outputs: tuple[Any, ...], cotangents: Sequence[Array]) -> Any:
    pairs = zip(outputs, map(ops.convert_to_tensor, cotangents), strict=True)
    return sum(ops.sum(y * c) for y, c in pairs)


def _in_tensorflow(ordered: Named, network: Any, given: Given, cotangents: Sequence[Array]) -> tuple[Any, list[Any]]:
    import tensorflow as tf

    x = keras.tree.map_structure(tf.convert_to_tensor, given)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = _total(ordered(network(x, training=True)), cotangents)
    variables = [v.value for v in network.trainable_variables]
    found = tape.gradient(total, [x, variables], unconnected_gradients=tf.UnconnectedGradients.ZERO)
    entering, gradients = keras.tree.map_structure(tf.convert_to_tensor, found)
    return entering, gradients


def _in_torch(ordered: Named, network: Any, given: Given, cotangents: Sequence[Array]) -> tuple[Any, list[Any]]:
    import torch

    x = keras.tree.map_structure(lambda array: torch.from_numpy(array.copy()).requires_grad_(), given)
    flat = keras.tree.flatten(x)
    total = _total(ordered(network(x, training=True)), cotangents) + sum(0 * entry.sum() for entry in flat)
    variables = [v.value for v in network.trainable_variables]
    found = torch.autograd.grad(total, [*flat, *variables], allow_unused=True, materialize_grads=True)
    return keras.tree.pack_sequence_as(x, found[: len(flat)]), list(found[len(flat) :])


def _in_jax(ordered: Named, network: Any, given: Given, cotangents: Sequence[Array]) -> tuple[Any, list[Any]]:
    import jax

    def total(x: Any, trainable: list[Any], others: list[Any]) -> tuple[Any, list[Any]]:
        outputs, after = network.stateless_call(trainable, others, x, training=True)
        return _total(ordered(outputs), cotangents), after

    trainable, others = ([v.value for v in vs] for vs in (network.trainable_variables, network.non_trainable_variables))
    (_, after), found = jax.value_and_grad(total, (0, 1), has_aux=True)(given, trainable, others)
    for variable, value in zip(network.non_trainable_variables, after, strict=True):
        variable.assign(value)
    return found[0], found[1]


_BY_FRAMEWORK = {"tensorflow": _in_tensorflow, "torch": _in_torch, "jax": _in_jax}
