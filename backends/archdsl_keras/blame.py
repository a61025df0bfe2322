"""Where a number that is not finite arose first: the step is done once more, node by node. Imports Keras."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from archdsl.code.taps import TAP
from archdsl.graph.graph import Graph
from archdsl.weights import keys
from archdsl_keras.probe import gradients_of, named, network_of, taps_of
from archdsl_keras.weights import variables

__all__ = ["first_not_finite"]

Tensors = Mapping[str, NDArray[np.generic]]


def first_not_finite(graph: Graph, tensors: Tensors, images: Any, targets: Any) -> tuple[str | None, str]:
    """The node's path, and what is not finite there, as `archdsl.train.failures.diverged` takes them.

    tensors: the weights before the step. images, targets: what the network read, and was to meet. Dropout is left out.
    """
    for key, weight in keys(graph).items():
        if weight.trainable and not np.isfinite(tensors[key]).all():
            return key.rpartition(".")[0], "one of its weights is"
    network, names = network_of(graph, tensors, tapped=True)
    bad: list[str] = []
    names[TAP] = taps_of(graph, None, lambda path, value: None if _finite(value) else bad.append(path))
    outputs = named(graph, network(images, training=True))
    if bad:
        return bad[0], "its value is"
    return _first_gradient(graph, tensors, images, [_cotangent(y, targets) for y in outputs])


def _cotangent(output: Any, targets: Any) -> NDArray[np.float32]:
    """The gradient of the cross-entropy by an output, in its shape."""
    logits = ops.cast(ops.reshape(output, targets.shape), "float32")
    return np.asarray(ops.convert_to_numpy((ops.softmax(logits) - targets) / len(targets))).reshape(output.shape)


def _first_gradient(
    graph: Graph, tensors: Tensors, images: Any, cotangents: Sequence[NDArray[np.float32]]
) -> tuple[str | None, str]:
    """Backwards through the network, the first weight whose gradient is not finite: the last in its order."""
    network, _ = network_of(graph, tensors)
    _, gradients = gradients_of(partial(named, graph), network, ops.convert_to_numpy(images), cotangents)
    found = map(ops.convert_to_numpy, gradients)
    bad = {id(v) for v, gradient in zip(network.trainable_variables, found, strict=True) if not _finite(gradient)}
    paths = [key.rpartition(".")[0] for key, variable in variables(network, graph).items() if id(variable) in bad]
    return (paths[-1], "the gradient of its weights is") if paths else (None, "a gradient is")


def _finite(value: Any) -> bool:
    parts = value if isinstance(value, tuple) else (value,)
    return all(np.isfinite(np.asarray(part, np.float32)).all() for part in parts)
