"""A plan as PyTorch source: one `nn.Module` a class."""

from collections.abc import Sequence

from archdsl.code.members import Node
from archdsl.code.python import dictionary
from archdsl.code.structure import Leaf, is_list
from archdsl.code.writer import ClassWriter
from archdsl.code.written import Built, New

__all__ = ["MEMBERS", "RESERVED", "TorchClass"]

# What a file uses, and names that are easily read as a digit, which linters refuse.
RESERVED = frozenset(("torch", "nn", "F", "OrderedDict", "math", "self", "init_weights", "l", "I", "O"))
# What a module has already, and what a `Sequential` or `ModuleDict` adds: no member may be called so.
MEMBERS = frozenset(
    """T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches
    eval extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict
    modules mtia named_buffers named_children named_modules named_parameters parameters register_backward_hook
    register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
    register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
    set_extra_state set_submodule share_memory state_dict to to_empty train training type xpu zero_grad
    append clear copy extend fromkeys get insert items keys pop popitem setdefault update values
    _apply _backward_hooks _backward_pre_hooks _buffers _call_impl _compiled_call_impl _forward_hooks
    _forward_hooks_always_called _forward_hooks_with_kwargs _forward_pre_hooks _forward_pre_hooks_with_kwargs
    _get_abs_string_index _get_backward_hooks _get_backward_pre_hooks _get_item_by_idx _get_name _is_full_backward_hook
    _load_from_state_dict _load_state_dict_post_hooks _load_state_dict_pre_hooks _maybe_warn_non_full_backward_hook
    _modules _named_members _non_persistent_buffers_set _parameters _register_load_state_dict_pre_hook
    _register_state_dict_hook _replicate_for_data_parallel _save_to_state_dict _slow_forward _state_dict_hooks
    _state_dict_pre_hooks _version _wrapped_call_impl""".split()  # noqa: SIM905 (a hundred words read better bare)
)


class TorchClass(ClassWriter):
    """Writes a class as an `nn.Module`."""

    reserved = RESERVED
    taken = MEMBERS
    method = "forward"
    idle = ".mT.mT"  # tokens turned for one layer and back, and turned again for the next

    def base(self) -> str:
        return "nn.Module"

    def inside(self, part: str, nodes: Sequence[Node]) -> str:
        if not part.isdigit():
            return f".{self.called(part)}"
        return f"[{part}]" if is_list(nodes) else f'["{part}"]'

    def group(self, items: Sequence[tuple[str, str]]) -> str:
        return f"nn.ModuleDict({dictionary(items)})" if items else "nn.ModuleDict()"

    def listed(self, items: str, nodes: Sequence[Node]) -> str:
        kind = "Parameter" if _are_parameters(nodes) else "Module"
        return f"nn.{kind}List({items})"

    def nests(self, built: Built, group: Sequence[Node]) -> bool:
        """Lists and dictionaries of modules take no parameters; a list of parameters does."""
        return not _is_parameter(built) or (is_list(group) and _are_parameters(group))

    def line(self, items: Sequence[tuple[str, str]], name: str) -> str:
        return f"nn.Sequential(OrderedDict({', '.join(f'{part}={text}' for part, text in items)}))"

    def row(self, items: Sequence[str], name: str) -> str:
        return f"nn.Sequential({', '.join(items)})"

    def size(self, entry: str, axis: int, rank: int) -> str:
        return f"{entry}.shape[{axis + 1}]"

    def batch(self, text: str, rank: int, like: str, batchless: bool) -> str:
        return f"{text}.expand({like}.shape[0], {', '.join(['-1'] * rank)})"

    def trailing(self, text: str, rank: int, axes: int) -> str:
        return f"{text}[{', '.join([':'] * rank + ['None'] * axes)}]"

    def leading(self, text: str, has_batch: bool, axes: int) -> str:
        """Without a batch it fits as it is."""
        return f"{text}[:, {', '.join(['None'] * axes)}]" if has_batch else text


def _is_parameter(built: Built) -> bool:
    return isinstance(built, New) and built.cls == "nn.Parameter"


def _are_parameters(nodes: Sequence[Node]) -> bool:
    return all(isinstance(node, Leaf) and _is_parameter(node.content) for node in nodes)
