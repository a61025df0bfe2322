"""The weights of a built model in the layouts that archdsl keeps them in, and back.

Keras has the channels last: kernels are (height, width, in, out), with other axes alike, matrices (in, out).
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

_NORM = {"weight": ("gamma", False), "bias": ("beta", False)}
_TABLES = {"rel_h": ("rel_h", False), "rel_w": ("rel_w", False)}

# What the layer of an op calls each of its weights, and whether its first two axes are the last ones there, turned
# around. What else differs is axes of size one and how axes are grouped: a depthwise kernel is
# (height, width, in, out/in), a slope a channel (1, 1, c).
VARIABLES: dict[type[Op], Mapping[str, tuple[str, bool]]] = {
    conv.Conv: {"weight": ("kernel", True), "bias": ("bias", False)},
    conv.ConvTranspose: {"weight": ("kernel", True), "bias": ("bias", False)},
    linear.Dense: {"weight": ("kernel", True), "bias": ("bias", False)},
    norm.BatchNorm: {**_NORM, "running_mean": ("moving_mean", False), "running_var": ("moving_variance", False)},
    norm.LayerNorm: _NORM,
    norm.GroupNorm: _NORM,
    act.PRelu: {"weight": ("alpha", False)},
    attend.RelAttention: _TABLES,
    attend.RelLogits: _TABLES,
    learned.Scale: {"weight": ("scale", False)},
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
        name, is_turned = VARIABLES[type(weight.op)][weight.name]
        variable = getattr(find(model, path[:-1], (name,)), name)
        axes = (*plain[2:], 1, 0) if is_turned else plain
    assert prod(variable.shape) == prod(weight.shape), f"{key}: {variable.path} is {variable.shape}"
    return variable, axes
