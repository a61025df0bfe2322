"""The weights of a built model in the layouts that archdsl keeps them in, and back.

Keras has the channels last: kernels are (height, width, in, out), matrices (in, out).
"""

from collections.abc import Mapping
from math import prod
from typing import Any

from archdsl.graph.graph import Graph
from archdsl.language.later import Array
from archdsl.language.ops import act, attend, conv, learned, linear, norm
from archdsl.language.ops.op import Op
from archdsl.weights import Weight, keys
from archdsl_keras.emit import rotated
from archdsl_keras.source import find

__all__ = ["VARIABLES", "get_weights", "set_weights", "variables"]

Axes = tuple[int, ...] | None

_NORM: dict[str, tuple[str, Axes]] = {"weight": ("gamma", None), "bias": ("beta", None)}
_TABLES: dict[str, tuple[str, Axes]] = {"rel_h": ("rel_h", None), "rel_w": ("rel_w", None)}

# What the layer of an op calls each of its weights, and our axes in Keras's order. What else differs is axes of size
# one and how axes are grouped: a depthwise kernel is (height, width, in, out/in), a slope a channel (1, 1, c).
VARIABLES: dict[type[Op], Mapping[str, tuple[str, Axes]]] = {
    conv.Conv: {"weight": ("kernel", (2, 3, 1, 0)), "bias": ("bias", None)},
    conv.ConvTranspose: {"weight": ("kernel", (2, 3, 1, 0)), "bias": ("bias", None)},
    linear.Dense: {"weight": ("kernel", (1, 0)), "bias": ("bias", None)},
    norm.BatchNorm: {**_NORM, "running_mean": ("moving_mean", None), "running_var": ("moving_variance", None)},
    norm.LayerNorm: _NORM,
    norm.GroupNorm: _NORM,
    act.PRelu: {"weight": ("alpha", None)},
    attend.RelAttention: _TABLES,
    attend.RelLogits: _TABLES,
    learned.Scale: {"weight": ("scale", None)},
}


def get_weights(model: Any, graph: Graph) -> dict[str, Array]:
    """A copy of every weight and running statistic by its key, in the layouts of `Op.weights`."""
    import keras

    found = {}
    for key, weight in keys(graph).items():
        variable, axes = _variable(model, key, weight)
        array = keras.ops.convert_to_numpy(variable).reshape([weight.shape[axis] for axis in axes])
        found[key] = array.transpose([axes.index(axis) for axis in range(len(axes))]).copy()
    return found


def set_weights(model: Any, graph: Graph, tensors: Mapping[str, Array]) -> None:
    """Give a model weights and running statistics; every key of the graph is in `tensors`, in its shape."""
    for key, weight in keys(graph).items():
        variable, axes = _variable(model, key, weight)
        assert tensors[key].shape == weight.shape, f"{key}: {tensors[key].shape} given, {weight.shape} wanted"
        variable.assign(tensors[key].transpose(axes).reshape(variable.shape))


def variables(model: Any, graph: Graph) -> dict[str, Any]:
    """The Keras variable that holds each weight and running statistic, by its key."""
    return {key: _variable(model, key, weight)[0] for key, weight in keys(graph).items()}


def _variable(model: Any, key: str, weight: Weight) -> tuple[Any, tuple[int, ...]]:
    """The variable of a key, and the axes of the weight in the order in which it has them."""
    plain = tuple(range(len(weight.shape)))
    path = key.split(".")
    if isinstance(weight.op, learned.Param):
        found, axes = find(model, path, ("learned", "assign")), rotated(plain)
        variable = getattr(found, "learned", found)
    else:
        name, order = VARIABLES[type(weight.op)][weight.name]
        variable, axes = getattr(find(model, path[:-1], (name,)), name), order or plain
    assert prod(variable.shape) == prod(weight.shape), f"{key}: {variable.path} is {variable.shape}"
    return variable, axes
