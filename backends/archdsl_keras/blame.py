"""Where a number that is not finite arose first: the step is done once more, node by node. Imports Keras."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from archdsl.code.taps import TAP
from archdsl.graph.graph import Graph
from archdsl.weights import keys
from archdsl_keras.probe import gradients_of, network_of, taps_of
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
    logits = ops.reshape(network(images, training=True), targets.shape)
    if bad:
        return bad[0], "its value is"
    cotangent = (ops.softmax(ops.cast(logits, "float32")) - targets) / len(targets)
    return _first_gradient(graph, tensors, images, ops.convert_to_numpy(cotangent))


def _first_gradient(
    graph: Graph, tensors: Tensors, images: Any, cotangent: NDArray[np.float32]
) -> tuple[str | None, str]:
    """Backwards through the network, the first weight whose gradient is not finite: the last in its order."""
    network, _ = network_of(graph, tensors)
    shaped = cotangent.reshape(network.compute_output_spec(images).shape)
    found = map(ops.convert_to_numpy, gradients_of(network, ops.convert_to_numpy(images), [shaped])[1:])
    bad = {id(v) for v, gradient in zip(network.trainable_variables, found, strict=True) if not _finite(gradient)}
    paths = [key.rpartition(".")[0] for key, variable in variables(network, graph).items() if id(variable) in bad]
    return (paths[-1], "the gradient of its weights is") if paths else (None, "a gradient is")


def _finite(value: Any) -> bool:
    parts = value if isinstance(value, tuple) else (value,)
    return all(np.isfinite(np.asarray(part, np.float32)).all() for part in parts)
