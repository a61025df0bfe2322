"""A plan as Keras source: one layer a class, and the model."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence, Set
from itertools import chain
from typing import Any

from archdsl.code.forward import ROOM, forward
from archdsl.code.gather import statement
from archdsl.code.layout import indented, layout
from archdsl.code.members import Node
from archdsl.code.names import member
from archdsl.code.python import comment, dictionary, docstring, literal
from archdsl.code.structure import Leaf, Tree, is_list
from archdsl.code.writer import ClassWriter
from archdsl.code.written import ClassPlan
from archdsl_keras.emit import rotated
from archdsl_keras.layers import LAYERS

__all__ = ["MEMBERS", "RESERVED", "KerasClass", "find", "spell", "writer"]

# What a file uses, what a layer's constructor and `call` know already, and names that are easily read as a digit.
RESERVED = frozenset(
    """inspect math keras layers ops self kwargs PACKAGE name dtype trainable autocast activity_regularizer
    input_dim input_shape training mask l I O""".split()  # noqa: SIM905
)


class _Members(frozenset[str]):
    """Names that layers and models have already; what begins with `_` is Keras's own, in every version.

    `item0` is the first item of a stage that is a list.
    """

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and bool(re.match(r"_|item\d+$", name)))


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
    """Writes a block as a layer."""

    reserved = RESERVED | frozenset(LAYERS)
    taken = MEMBERS
    method = "call"
    passed_on = ("**kwargs",)
    numbered = True
    groups_first = True  # of a group that is put into another one later, Keras sees only what is in it by then

    def lines(self, doc: str, ends_with: Sequence[str] = ()) -> list[str]:
        return ["@register", *super().lines(doc, ends_with)]

    def base(self) -> str:
        return "Guest" if any(share.is_lent for share in self.plan.cls.graph.shares.values()) else "Block"

    def inside(self, part: str, nodes: Sequence[Node]) -> str:
        return f"[{part}]" if is_list(nodes) else f"[{literal(self.called(part))}]"

    def group(self, items: Sequence[tuple[str, str]]) -> str:
        return dictionary(items)

    def listed(self, items: str, nodes: Sequence[Node]) -> str:
        return items

    def line(self, items: Sequence[tuple[str, str]], name: str) -> str:
        return self.row([text for _, text in items], name)

    def row(self, items: Sequence[str], name: str) -> str:
        return f"Chain({', '.join((*items, f'name={name}'))})"

    def named(self, args: Sequence[str], name: str) -> Sequence[str]:
        return [*args, f"name={name}"]

    def attribute(self, part: str) -> str:
        return f"item{part}" if part.isdigit() else super().attribute(part)

    def label(self, name: str) -> str:
        return literal(_label(name))

    def size(self, entry: str, axis: int, rank: int) -> str:
        return f"ops.shape({entry})[{axis}]" if axis else f"{entry}.shape[-1]"

    def batch(self, text: str, rank: int, like: str, batchless: bool) -> str:
        one = f"{text}[None]" if batchless else text
        return f"ops.repeat({one}, ops.shape({like})[0], axis=0)"

    def trailing(self, text: str, rank: int, axes: int) -> str:
        """Only vectors have fewer axes than what they meet; without a batch they fit as they are."""
        return f"{text}[:, {', '.join(['None'] * axes)}]" if rank > 1 else text

    def leading(self, text: str, has_batch: bool, axes: int) -> str:
        """Its first axis is its last one here, and the second of what it meets, whose own first one is the last."""
        ones = "".join(["None, "] * (axes - 1))
        return f"ops.moveaxis({text}, -1, {int(has_batch)})[{':, ' * has_batch}{ones}..., None]"


class KerasModel(KerasClass):
    """Writes the model: its constructor calls each stage, a layer with its name, on the one before.

    again: what is called more than once, or handed to others, is made beforehand, as a variable; of these no stage
    is what is kept.
    """

    def __init__(self, plan: ClassPlan, classes: Set[str], tapped: bool) -> None:
        super().__init__(plan, classes, tapped)
        args = [self.names.give(spec.key, spec.name) for spec in plan.args]
        if len(plan.entries) == 1:
            self.shapes = dict.fromkeys(plan.entries, "input_shape")
        else:
            self.shapes = {entry: self.names.give(("shape", entry), f"{entry}_shape") for entry in plan.entries}
        self.args = [*args, *self.shapes.values()]
        self.inputs, self.outputs = (self.names.give(("model", name), name) for name in ("inputs", "outputs"))
        if len(plan.entries) == 1:
            self.entries = dict.fromkeys(plan.entries, self.inputs)
        else:
            self.entries = {entry: self.names.give(("entry", entry), entry) for entry in plan.entries}
            self.inputs = dictionary(self.entries.items())
        uses = Counter(step.member for step in plan.instructions if step.member)
        again = [*plan.handed, *(path for path, n in uses.items() if n > 1 and path not in plan.handed)]
        self.again = {path: self.names.give(path, self.called(path[-1])) for path in again}
        self.kept = [path for path in plan.handed if path not in uses]
        self.docs = dict(plan.cls.graph.stage_docs)
        self.reserved = self.reserved.union(
            classes, self.args, self.again.values(), (self._name(v.key) for v in self.locals)
        )

    def base(self) -> str:
        return "Network"

    def lines(self, doc: str, ends_with: Sequence[str] = ()) -> list[str]:
        again = (layout(self._made(path), ROOM, f"{name} = ") for path, name in self.again.items())
        body = [
            *self._locals(),
            *self._inputs(),
            *chain.from_iterable(again),
            *forward(self.plan, self, self.entries, pinned=False, passes="x", ends=f"{self.outputs} = "),
            *layout(f"super().__init__({self.inputs}, {self.outputs}, **kwargs)", ROOM),
            *(f"self.{self.called(path[-1])} = {self.again[path]}" for path in self.kept),
            *layout(dictionary((name, name) for name in self.args), ROOM, "self.arguments = "),
        ]
        head = ["@register", f"class {self.plan.name}({self.base()}):", *((*docstring(doc, 4), "") if doc else ())]
        types = {entry: self.plan.cls.graph[entry].types[0] for entry in self.shapes}
        shapes = (f"{name}={literal(rotated(types[entry].sizes))}" for entry, name in self.shapes.items())
        return [*head, *indented(self._signature(*shapes)), *indented(body, 8)]

    def _inputs(self) -> Iterator[str]:
        for entry, name in self.entries.items():
            called = f", name={self.label(entry)}" if len(self.entries) > 1 else ""
            yield from layout(f"keras.Input({self.shapes[entry]}{called})", ROOM, f"{name} = ")

    def applied(self, path: tuple[str, ...], args: str) -> str:
        if path in self.again:
            return f"{self.again[path]}({args})"
        return f"{self._made(path)}({args})"

    def member(self, path: tuple[str, ...]) -> str:
        return self.again[path] if path in self.again else super().member(path)

    def remarks(self, node: str) -> list[str]:
        return comment(doc) if (doc := self.docs.pop(statement(node), "")) else []

    def _made(self, path: tuple[str, ...]) -> str:
        """The constructor of a member."""
        found = self.top[path[0]]
        for name in path[1:]:
            assert isinstance(found, Tree)
            found = next(node for node in found.children if node.name == name)
        assert isinstance(found, Leaf)
        return self._leaf(found, path)

    def _attribute(self, key: str) -> str:
        """The constructor calls the stages: it knows its arguments as they are."""
        return super()._attribute(key) if key.rpartition(".")[0] in self.entries else self._name(key)


def writer(plan: ClassPlan, classes: Set[str], tapped: bool) -> KerasClass:
    """Who writes a class."""
    return (KerasModel if plan.is_model else KerasClass)(plan, classes, tapped)


def _label(name: str) -> str:
    """The name of a layer; TensorFlow refuses those that begin with `_`, and no member begins with a digit."""
    return f"0{name}" if name.startswith("_") else name


def spell(part: str) -> str:
    """What the layer of one part of a path is named."""
    return _label(member(part, MEMBERS))


def find(model: Any, path: Sequence[str], variables: Collection[str]) -> Any:
    """What is at a path of the graph in a built model and has one of these variables; `0` stands for `[0]`."""
    places = _places(model, [member(part, MEMBERS) for part in path])
    return next(found for found in places if any(hasattr(found, name) for name in variables))


def _places(whole: Any, path: list[str]) -> Iterator[Any]:
    """What could be at a path. A stage and what is built in it may have one name: `conv1: in + (in -> unit)`."""
    if not path:
        yield from (_gathered(whole), whole)
        return
    for found, rest in _steps(whole, path):
        yield from _places(found, rest)


def _steps(whole: Any, path: list[str]) -> Iterator[tuple[Any, list[str]]]:
    """The first step of a path in a group, a row or line of layers, a block or a model, and what is left of the path.

    A stage that uses shared weights is several layers of the model: `a-conv`.
    """
    name, *rest = path
    if isinstance(whole, dict):
        yield whole[name], rest
        return
    for holder in {id(holder): holder for holder in (whole, _gathered(whole))}.values():
        row = holder if isinstance(holder, list) else getattr(holder, "layers", [])
        if hasattr(holder, f"item{name}"):
            yield getattr(holder, f"item{name}"), rest
        elif name.isdigit() and int(name) < len(row):
            yield row[int(name)], rest
        by_name = {layer.name: layer for layer in row}
        for end in range(1, len(path) + 1):
            if (layer := by_name.get(_label("-".join(path[:end])))) is not None:
                yield layer, path[end:]
        if hasattr(holder, name):
            yield getattr(holder, name), rest


def _gathered(found: Any) -> Any:
    """What alone has a stage's name, in the layer of all that it applies: the conv of `a: in + (in -> conv(4))`."""
    own = getattr(found, found.name.removeprefix("0"), None) if hasattr(found, "call") else None
    return own if hasattr(own, "call") else found
