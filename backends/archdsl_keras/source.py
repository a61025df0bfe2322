"""A plan as Keras source: one layer a class, and the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archdsl.code.forward import ROOM
from archdsl.code.members import Node, is_list
from archdsl.code.names import member
from archdsl.code.python import Bracket, Doc, Text, layout, literal, prefixed
from archdsl.code.writer import ClassWriter
from archdsl_keras.layers import LAYERS

__all__ = ["MEMBERS", "RESERVED", "KerasClass", "find", "spell"]

# What a file uses, what a layer's constructor and `call` know already, and names that are easily read as a digit.
RESERVED = frozenset(
    """keras layers ops self kwargs register name dtype trainable autocast activity_regularizer input_dim input_shape
    training mask l I O""".split()  # noqa: SIM905
)


class _Members(frozenset[str]):
    """Names that layers and models have already; what begins with `_` is Keras's own, in every version."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and name.startswith("_"))


# With each of the frameworks that Keras runs on, and once a model is trained: no member may be called so.
MEMBERS = _Members(
    """T_destination activity_regularizer add_loss add_metric add_module add_variable add_weight apply autocast bfloat16
    buffers build build_from_config built call call_signature_parameters call_super_init children compile
    compile_from_config compiled compiled_loss compiled_metrics compute_dtype compute_loss compute_loss_and_updates
    compute_mask compute_metrics compute_output_shape compute_output_spec count_params cpu cuda
    distribute_reduction_method distribute_strategy double dtype dtype_policy dump_patches eval evaluate export
    extra_repr fit float forward from_config get_buffer get_build_config get_compile_config get_config get_extra_state
    get_layer get_metrics_result get_parameter get_quantization_layer_structure get_state_tree get_submodule
    get_weights half history input input_dtype input_spec ipu jax_state_sync jit_compile layers load_own_variables
    load_state_dict load_weights loss losses make_predict_function make_test_function make_train_function metrics
    metrics_names metrics_variables modules mtia name named_buffers named_children named_modules named_parameters
    non_trainable_variables non_trainable_weights optimizer output parameters path predict predict_function
    predict_on_batch predict_step quantization_mode quantize quantized_build quantized_call register_backward_hook
    register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
    register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook rematerialized_call
    requires_grad_ reset_metrics run_eagerly save save_own_variables save_weights set_extra_state set_state_tree
    set_submodule set_weights share_memory state_dict stateless_call stateless_compute_loss steps_per_execution
    stop_evaluating stop_predicting stop_training summary supports_jit supports_masking symbolic_call test_function
    test_on_batch test_step to to_empty to_json torch_params train train_function train_on_batch train_step trainable
    trainable_variables trainable_weights training type unrolled_steps_per_execution variable_dtype variables weights
    xpu zero_grad""".split()  # noqa: SIM905 (hundreds of words read better bare)
)


class KerasClass(ClassWriter):
    """Writes a block as a layer, the model as a `keras.Model`."""

    reserved = RESERVED | frozenset(LAYERS)
    taken = MEMBERS
    method = "call"
    passed_on = ("**kwargs",)
    numbered = True

    def lines(self, doc: str, ends_with: Sequence[str] = ()) -> list[str]:
        return ["@register", *super().lines(doc, ends_with)]

    @property
    def passed(self) -> str:  # type: ignore[override]
        """Keras tells a model alone whether it trains; what is inside of its layers hears it from them."""
        return ", training=training" if self.plan.is_model else ""

    def method_takes(self) -> Sequence[str]:
        return ("training=False",) if self.plan.is_model else ()

    def base(self) -> str:
        return "keras.Model" if self.plan.is_model else "Block"

    def stores(self) -> Iterator[str]:
        """Keras notes the arguments of layers by itself, those of models not."""
        yield from super().stores()
        if self.plan.is_model and self.plan.args:
            names = [self.names.give(spec.key, spec.name) for spec in self.plan.args]
            items = tuple(Text(f"{literal(name)}: {name}") for name in names)
            yield from layout(Bracket("{", items, "}"), ROOM, f"self.{self._arguments} = ")

    def methods(self) -> Iterator[str]:
        if not self.plan.is_model:
            return
        yield from (
            "def build(self, input_shape):",
            '    """Call every layer once, without data: that builds it."""',
            "    self.compute_output_spec(keras.KerasTensor(input_shape))",
            "",
        )
        if self.plan.args:
            kept = f"self.{self._arguments}"
            yield from ("def get_config(self):", f"    return {{**super().get_config(), **{kept}}}", "")

    @property
    def _arguments(self) -> str:
        return self.attributes.give("arguments", "arguments")

    def inside(self, part: str, nodes: Sequence[Node]) -> str:
        return f"[{part}]" if is_list(nodes) else f"[{literal(self.called(part))}]"

    def group(self, items: Sequence[tuple[str, Doc]], is_list: bool) -> Doc:
        if is_list:
            return Bracket("[", tuple(doc for _, doc in items), "]")
        return Bracket("{", tuple(prefixed(f"{literal(name)}: ", doc) for name, doc in items), "}")

    def line(self, items: Sequence[tuple[str, Doc]], name: str) -> Doc:
        return self.row(tuple(doc for _, doc in items), name)

    def row(self, items: tuple[Doc, ...], name: str) -> Doc:
        return Bracket("Chain(", (*items, Text(f"name={name}")))

    def named(self, args: Sequence[Doc], name: str) -> Sequence[Doc]:
        return [*args, Text(f"name={name}")]

    def label(self, name: str) -> str:
        return literal(_label(name))

    def size(self, entry: str, axis: int, rank: int) -> str:
        return f"{entry}.shape[{axis or -1}]"

    def batch(self, text: str, rank: int, like: str) -> str:
        return f"ops.repeat({text}[None], ops.shape({like})[0], axis=0)"

    def trailing(self, text: str, rank: int, axes: int) -> str:
        """Only vectors have fewer axes than what they meet; without a batch they fit as they are."""
        return f"{text}[:, {', '.join(['None'] * axes)}]" if rank > 1 else text


def _label(name: str) -> str:
    """The name of a layer; TensorFlow refuses those that begin with `_`, and no member begins with a digit."""
    return f"0{name}" if name.startswith("_") else name


def spell(part: str) -> str:
    """What the layer of one part of a path is named."""
    return _label(member(part, MEMBERS))


def find(model: Any, path: Sequence[str]) -> Any:
    """The layer at a path of the graph in a built model, or the variable of a learned tensor; `0` stands for `[0]`."""
    found = model
    for part in path:
        found = _part(found, member(part, MEMBERS))
    return found


def _part(whole: Any, name: str) -> Any:
    """One member of a group, of a row or line of layers, or of a block."""
    if isinstance(whole, dict):
        return whole[name]
    if name.isdigit():
        return (whole if isinstance(whole, list) else whole.layers)[int(name)]
    if hasattr(whole, name):
        return getattr(whole, name)
    return next(layer for layer in whole.layers if layer.name == _label(name))
