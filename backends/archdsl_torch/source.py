"""A plan as PyTorch source: one `nn.Module` a class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from archdsl.codegen.code import REQUIRED
from archdsl.codegen.forward import ROOM, forward
from archdsl.codegen.names import Names
from archdsl.codegen.plan import ClassPlan, Guard, Leaf, Tree, leaves
from archdsl.codegen.python import (
    ATOM,
    COMPARE,
    NOT,
    WIDTH,
    Bracket,
    Doc,
    Word,
    comment,
    docstring,
    if_else,
    indented,
    layout,
    literal,
    prefixed,
    show,
    wrap,
)
from archdsl.codegen.written import Built, Column, Const, Line, Many, New, Row, Val, Written
from archdsl.ir.graph import Ref
from archdsl.types import Dim, Expr, axis_names

__all__ = ["RESERVED", "write_class"]

# What a file uses, and names that are easily read as a digit, which linters refuse.
RESERVED = frozenset(("torch", "nn", "F", "OrderedDict", "self", "init_weights", "l", "I", "O"))
# What a module has already, and what a `Sequential` or `ModuleDict` adds: no member may be called so.
_MODULE = frozenset(
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
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def write_class(plan: ClassPlan, classes: Iterable[str], doc: str, ends_with: Sequence[str] = ()) -> list[str]:
    """The lines of a class; `ends_with` closes its constructor."""
    writer = _Class(plan, frozenset(classes))
    return writer.lines(doc, ends_with)


@dataclass
class _Test:
    """How a conditional reads in the constructor and in the forward pass, and the same reversed."""

    inside: str
    inside_not: str
    forward: str


@dataclass
class _Class:
    plan: ClassPlan
    classes: frozenset[str]
    stored: dict[str, str] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    reserved: frozenset[str] = RESERVED

    def __post_init__(self) -> None:
        taken = RESERVED | self.classes
        self.names = Names(taken)
        for spec in self.plan.args:
            self.names.give(spec.key, spec.name)
        for local in self.plan.locals:
            if local.value != Expr("name", (f"#{local.key}",)):
                self.names.give(local.key, local.key)
        self.attributes = Names(_MODULE)
        self.scopes: dict[tuple[str, ...], Names] = {(): self.attributes}
        self.top = {node.name: node for node in self.plan.members}
        self.entries = _entry_names(self.plan)
        self.tests: dict[str, _Test] = {}
        for node in self.plan.members:
            self._member_name((node.name,))

    # --- the class ---

    def lines(self, doc: str, ends_with: Sequence[str]) -> list[str]:
        for key in self.plan.mixed:
            self.tests[key] = self._test(key)
        statements = forward(self.plan, self, self.entries, self._reads_sizes())
        members = list(self._members())
        body = [*self._locals(), *self._stores(), *members, *ends_with]
        out = [f"class {self.plan.cls.name}(nn.Module):"]
        if doc:
            out += [*docstring(doc, 4), ""]
        if body or self.plan.args:
            out += [*indented(self._signature()), *indented(["super().__init__()", *body], 8), ""]
        args = ", ".join(["self", *self.entries.values()])
        out += [f"    def forward({args}):", *indented(statements, 8)]
        return out

    def _signature(self) -> list[str]:
        items: list[Doc] = [Word("self")]
        for spec in self.plan.args:
            default = f"={literal(spec.default.value)}" if spec.default is not None else ""
            items.append(Word(self._name(spec.key) + default))
        return layout(Bracket("def __init__(", tuple(items)), WIDTH - 4, "", ":")

    def _locals(self) -> Iterator[str]:
        for local in self.plan.locals:
            if local.value != Expr("name", (f"#{local.key}",)):
                yield f"{self._name(local.key)} = {self._value(local.value)[0]}"

    def _stores(self) -> Iterator[str]:
        for key, attribute in self.stored.items():
            yield f"self.{attribute} = {self._name(key)}"
        for key, attribute in self.flags.items():
            yield f"self.{attribute} = {self._value(self.plan.mixed[key])[0]}"

    # --- names and values ---

    def _name(self, key: str) -> str:
        """What the constructor calls a name of the spec."""
        if key in self.plan.cls.fixed:
            return literal(self.plan.cls.fixed[key])
        if any(s.key == key for s in self.plan.args):
            return self.names.give(key, key)
        if key in self.plan.same:
            return self._name(self.plan.same[key])
        hoisted = f"#{key}"
        if any(s.key == hoisted for s in self.plan.args):
            return self.names.give(hoisted, key)
        return self.names.give(key, key)

    def _value(self, value: Val, columns: Mapping[Column, str] | None = None) -> tuple[str, int]:
        if isinstance(value, Const):
            return literal(value.value), ATOM
        if isinstance(value, Column):
            return (columns or {})[value], ATOM
        if isinstance(value, tuple):
            inner = ", ".join(self._value(v, columns)[0] for v in value)
            return f"({inner},)" if len(value) == 1 else f"({inner})", ATOM
        assert isinstance(value, Expr)
        return show(value, self._name, self.plan.envs)

    # --- what the forward pass asks for (see `Dialect`) ---

    def value(self, value: Val) -> tuple[str, int]:
        if isinstance(value, tuple):
            inner = ", ".join(self.value(v)[0] for v in value)
            return f"({inner},)" if len(value) == 1 else f"({inner})", ATOM
        if isinstance(value, Expr):
            return show(value, self._attribute, self.plan.envs)
        return self._value(value)

    def arguments(self, args: tuple[Written, ...]) -> str:
        return ", ".join(
            (f"{name}=" if name else "") + self.value(arg.value)[0]
            for arg, name in _written(args)
            if not isinstance(arg.value, New)
        )

    def member(self, path: tuple[str, ...]) -> str:
        text = "self"
        nodes: Mapping[str, Tree | Leaf] = self.top
        for depth, part in enumerate(path):
            if part.isdigit() and depth:
                text += f"[{part}]" if _is_list(tuple(nodes.values())) else f'["{part}"]'
            else:
                text += f".{self._member_name(path[: depth + 1])}"
            inner = nodes.get(part)
            nodes = {n.name: n for n in inner.children} if isinstance(inner, Tree) else {}
        return text

    def condition(self, key: str) -> str:
        return self.tests[key].forward

    def batch(self, text: str, rank: int, like: str) -> str:
        return f"{text}.expand({like}.shape[0], {', '.join(['-1'] * rank)})"

    def trailing(self, text: str, rank: int, axes: int) -> str:
        return f"{text}[{', '.join([':'] * rank + ['None'] * axes)}]"

    def _attribute(self, key: str) -> str:
        """What the forward pass calls a name of the spec: a size of the input, or what the constructor kept."""
        if key in self.plan.cls.fixed:
            return literal(self.plan.cls.fixed[key])
        entry, _, axis = key.rpartition(".")
        if entry in self.entries and not self.plan.cls.is_flow:
            rank = self.plan.cls.graph[entry].types[0].rank
            return f"{self.entries[entry]}.shape[{axis_names(rank).index(axis) + 1}]"
        if key not in self.stored:
            self.stored[key] = self.attributes.give(("kept", key), self._name(key))
        return f"self.{self.stored[key]}"

    def _reads_sizes(self) -> bool:
        """Whether the forward pass reads a size of the first input, or needs its batch."""
        values = [v for s in self.plan.steps if s.code for v in _parts(s.code.values.values(), s.code.args)]
        reads = any(n.rpartition(".")[0] in self.entries for v in values if isinstance(v, Expr) for n in v.names())
        return (not self.plan.cls.is_flow and reads) or any(s.code and s.code.code.batchless for s in self.plan.steps)

    # --- conditionals ---

    def _test(self, key: str) -> _Test:
        cond = self.plan.mixed[key]
        text = self._value(cond)[0]
        if self._is_plain(cond):
            inside_not = self._negated(cond)
            return _Test(text, inside_not, show(cond, self._attribute, self.plan.envs)[0])
        attribute = self.attributes.give(("flag", key), self._flag_name(key))
        self.flags[key] = attribute
        return _Test(f"self.{attribute}", f"not self.{attribute}", f"self.{attribute}")

    def _is_plain(self, cond: Expr) -> bool:
        """One name, or one compared with a number: short enough to be said where it is needed."""
        names = cond.names()
        return cond.size <= 2 and len(names) == 1 and all("." not in n and n not in self.plan.same for n in names)

    def _negated(self, cond: Expr) -> str:
        if cond.op in _OPPOSITE:
            return self._value(Expr(_OPPOSITE[cond.op], cond.args, cond.size))[0]
        if cond.op == "not" and isinstance(cond.args[0], Expr):
            return self._value(cond.args[0])[0]
        return f"not {wrap(*self._value(cond), COMPARE if cond.op != 'not' else NOT)}"

    def _flag_name(self, key: str) -> str:
        """`identity` where nothing is built if it holds, else `has_…` or `use_…` after what is."""
        sides: dict[bool, list[str]] = {True: [], False: []}
        for step in self.plan.steps:
            for guard, taken in step.guards:
                if guard == key:
                    sides[taken].append((step.member or (step.node,))[-1])
        if not sides[True]:
            return "identity"
        return f"{'use' if sides[False] else 'has'}_{sides[True][0]}"

    # --- members ---

    def _members(self) -> Iterator[str]:
        docs = self.plan.cls.graph.stage_docs
        built: list[tuple[tuple[Guard, ...], list[str]]] = []
        for node in self.plan.members:
            statements = list(self._statements(node, ()))
            if node.name in docs and statements:
                guards, lines = statements[0]
                statements[0] = guards, [*comment(docs[node.name]), *lines]
            built += statements
        yield from self._guarded(built, 0)

    def _guarded(self, built: list[tuple[tuple[Guard, ...], list[str]]], depth: int) -> Iterator[str]:
        """Statements under their conditionals; neighbours with the same one share an `if`."""
        for key, run in groupby(built, lambda b: b[0][depth][0] if len(b[0]) > depth else None):
            found = list(run)
            if key is None:
                yield from (line for _, lines in found for line in lines)
                continue
            sides = [list(self._guarded([b for b in found if b[0][depth][1] is t], depth + 1)) for t in (True, False)]
            test = self.tests[key]
            yield from if_else(test.inside, test.inside_not, *sides)

    def _statements(self, node: Tree | Leaf, path: tuple[str, ...]) -> Iterator[tuple[tuple[Guard, ...], list[str]]]:
        """Assignments that build one member."""
        target = self.member((*path, node.name))
        if isinstance(node, Leaf):
            yield node.guards, layout(self._built(node.built), ROOM - 4 * len(node.guards), f"{target} = ")
            return
        held = list(leaves(node))
        shared = _common_guards([leaf.guards for leaf in held])
        plain = [c for c in node.children if _inline(c, shared)]
        first = list(plain)
        if len(plain) < len(node.children):
            first = node.children[: next(i for i, c in enumerate(node.children) if c not in plain)]  # type: ignore[assignment]
        path = (*path, node.name)
        yield shared, layout(self._group(node, first, path), ROOM - 4 * len(shared), f"{target} = ")
        for child in node.children[len(first) :]:
            yield from self._statements(child, path)

    def _group(self, node: Tree, children: Sequence[Tree | Leaf], path: tuple[str, ...]) -> Doc:
        if not children:
            return Word("nn.ModuleDict()")
        if _is_list(node.children):
            return Bracket("nn.ModuleList(", (Bracket("[", tuple(self._child(c, path) for c in children), "]"),))
        names = [c.name if c.name.isdigit() else self._member_name((*path, c.name)) for c in children]
        items = tuple(prefixed(f'"{n}": ', self._child(c, path)) for n, c in zip(names, children, strict=True))
        return Bracket("nn.ModuleDict(", (Bracket("{", items, "}"),))

    def _child(self, node: Tree | Leaf, path: tuple[str, ...]) -> Doc:
        return (
            self._built(node.built) if isinstance(node, Leaf) else self._group(node, node.children, (*path, node.name))
        )

    def _member_name(self, path: tuple[str, ...]) -> str:
        """What the last part of a member's path is called: unlike its neighbours, and nothing that a module has."""
        return self.scopes.setdefault(path[:-1], Names(_MODULE)).give(path[-1], path[-1])

    def _built(self, built: Built | Many, columns: Mapping[Column, str] | None = None) -> Doc:
        if isinstance(built, New):
            return self._new(built, columns)
        if isinstance(built, Line):
            names = Names(_MODULE)
            items = tuple(
                prefixed(f"{names.give((i, n), n)}=", self._built(b, columns)) for i, (n, b) in enumerate(built.items)
            )
            return Bracket("nn.Sequential(", (Bracket("OrderedDict(", items),))
        if isinstance(built, Row):
            return Bracket("nn.Sequential(", tuple(self._built(i, columns) for i in built.items))
        return self._many(built, columns)

    def _many(self, many: Many, columns: Mapping[Column, str] | None) -> Doc:
        if not many.columns:
            text = f"for _ in range({self._value(many.times, columns)[0]})"
            return Bracket("*[", (self._built(many.item, columns), Word(text)), "]", "")
        names = Names(RESERVED | self.classes | {self._name(s.key) for s in self.plan.args})
        known = {c: names.give(c, c.hint) for c, _ in many.columns}
        targets = ", ".join(known.values())
        rows = [v.value for _, v in many.columns if isinstance(v, Const)]
        source: Doc
        if len(many.columns) == 1:
            source = prefixed(f"for {targets} in ", self._list(many.columns[0][1]))
        elif len(rows) == len(many.columns):
            table = tuple(Word(literal(row)) for row in zip(*rows, strict=True))
            source = Bracket(f"for {targets} in (", table)
        else:
            source = Bracket(f"for {targets} in zip(", tuple(self._list(v) for _, v in many.columns))
        return Bracket("*[", (self._built(many.item, {**(columns or {}), **known}), source), "]", "")

    def _list(self, value: Val) -> Doc:
        """What is iterated over; a column of equal steps is a range."""
        steps = _steps(value.value) if isinstance(value, Const) else None
        return Word(f"range({steps.start}, {steps.stop}, {steps.step})") if steps else self._argument(value, None)

    def _argument(self, value: Val, columns: Mapping[Column, str] | None) -> Doc:
        if isinstance(value, Const) and isinstance(value.value, tuple) and len(value.value) > 1:
            return Bracket("(", tuple(Word(literal(v)) for v in value.value))
        return Word(self._value(value, columns)[0])

    def _new(self, new: New, columns: Mapping[Column, str] | None) -> Doc:
        name = new.cls if isinstance(new.cls, str) else new.cls.name
        items = []
        for arg, keyword in _written(new.args):
            value = arg.value
            doc = self._new(value, columns) if isinstance(value, New) else self._argument(value, columns)
            items.append(prefixed(f"{keyword}=", doc) if keyword else doc)
        return Bracket(f"{name}(", tuple(items))


def _steps(values: object) -> range | None:
    """The range that gives four or more numbers, if one does."""
    if not isinstance(values, tuple) or len(values) < 4 or any(type(v) is not int for v in values):
        return None
    step = values[1] - values[0]
    steps = range(values[0], values[-1] + step, step) if step > 0 else None
    return steps if steps is not None and tuple(steps) == values else None


def _written(args: Sequence[Written]) -> Iterator[tuple[Written, str]]:
    """Arguments that are written, each with its keyword, or none where its place says it."""
    by_name = False
    for arg in args:
        spec = arg.spec
        default = spec.default.value if spec is not None and spec.default is not None else arg.default
        is_default = (
            (spec is None or spec.default is not None) and default is not REQUIRED and _equals(arg.value, default)
        )
        if spec is None:
            if is_default:
                by_name = True
            else:
                yield arg, arg.name if by_name or not arg.positional else ""
                by_name = by_name or (bool(arg.name) and not arg.positional)
        elif is_default:
            by_name = True
        else:
            by_name = by_name or (not spec.leading and isinstance(arg.value, Const))
            yield arg, spec.name if by_name else ""


def _equals(value: Val, default: object) -> bool:
    wanted = default.value if isinstance(default, Dim) else default
    return (
        isinstance(value, Const) and value.value == wanted and isinstance(value.value, bool) is isinstance(wanted, bool)
    )


def _parts(values: Iterable[Val], args: Iterable[Written]) -> Iterator[Val]:
    for value in (*values, *(a.value for a in args)):
        if isinstance(value, tuple):
            yield from _parts(value, ())
        else:
            yield value


def _entry_names(plan: ClassPlan) -> dict[str, str]:
    """What the inputs are called: `in` is `x`, unless the author binds an `x` while the input is still read."""
    uses = sum(r == Ref("in") for s in plan.steps for r in s.inputs) + plan.outputs.count(Ref("in"))
    taken = any(s.statement == "x" for s in plan.steps) and uses > 1
    names = Names(RESERVED)
    return {e: names.give(e, ("inputs" if taken else "x") if e == "in" else e) for e in plan.entries}


def _is_list(nodes: Sequence[Tree | Leaf]) -> bool:
    return [n.name for n in nodes] == [str(i) for i in range(len(nodes))] and not any(
        leaf.guards != first.guards for n in nodes for leaf in leaves(n) for first in leaves(nodes[0])
    )


def _common_guards(guards: Sequence[tuple[Guard, ...]]) -> tuple[Guard, ...]:
    common = guards[0]
    for other in guards[1:]:
        common = tuple(a for a, b in zip(common, other, strict=False) if a == b)
    return common


def _inline(node: Tree | Leaf, guards: tuple[Guard, ...]) -> bool:
    """Whether a member can stand inside its group's constructor."""
    return all(leaf.guards == guards and not _is_parameter(leaf.built) for leaf in leaves(node))


def _is_parameter(built: Built) -> bool:
    return isinstance(built, New) and built.cls == "nn.Parameter"
