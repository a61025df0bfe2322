"""Each step of code generation as text for people: `python tests/stages.py SPEC [STEP …]` prints them.

The steps are those of `archdsl.code.plan`: survey, partition, names, structure, plan, text. A number that has a name in
the spec is written with it: `16{c/4}`.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from archdsl.code.bodies import Applied, BodyCode, CallCode, FlowCode, OpCode
from archdsl.code.classes import Class
from archdsl.code.code import REQUIRED, Layer, Value
from archdsl.code.file import emitter
from archdsl.code.merge import Uses
from archdsl.code.plan import Module, plan
from archdsl.code.structure import Guard, Leaf, Tree
from archdsl.code.written import ArgSpec, Built, Column, Const, Many, Named, New, Val, Written, shown
from archdsl.graph.elaborate import elaborate, load
from archdsl.graph.graph import Choice, Graph, Ref, Select
from archdsl.graph.text import ref_text, value_text
from archdsl.language.expr import number_text
from archdsl.language.source import Source
from archdsl.language.types import Dim
from archdsl_torch import emit
from archdsl_torch.emit import EMIT
from archdsl_torch.source import RESERVED

__all__ = ["STAGES", "stages"]


def stages(graph: Graph) -> dict[str, str]:
    """What each step came to on the way from a model to PyTorch, by the step's name."""
    module = plan(graph, emitter(EMIT, "PyTorch"), RESERVED)
    called = _Called(module)
    return {name: "\n".join(step(module, called)) + "\n" for name, step in STAGES.items()} | {"text": emit(graph).text}


class _Called:
    """What bodies, conditionals and classes are called here: `unit#2`, `?1`, the class's own name."""

    def __init__(self, module: Module) -> None:
        count: dict[str, int] = {}
        self.body: dict[BodyCode, str] = {}
        self.choice: dict[str, str] = {}
        self.cls = module.names.of
        for body in module.bodies:
            block = body.graph.block or f"{body.home.block}.flow"
            count[block] = count.get(block, 0) + 1
            self.body[body] = block if body.graph.kind == "model" else f"{block}#{count[block]}"
            for key in body.choices:
                self.choice.setdefault(key, f"?{len(self.choice) + 1}")

    def bodies(self, cls: Class) -> str:
        return " ".join(self.body[b] for b in cls.bodies)

    def guards(self, guards: Iterable[Guard]) -> str:
        said = [("" if taken else "not ") + self.choice[key] for key, taken in guards]
        return f"  if {' and '.join(said)}" if said else ""


# --- survey ---


def survey(module: Module, called: _Called) -> Iterator[str]:
    """Every body, with what its ops are written like."""
    for body in module.bodies:
        yield f"{called.body[body]}  with {_numbers(body.env)}"
        for name, placed in body.nodes.items():
            op = placed.node.op
            how = applied(placed.code, called) if placed.code else ""
            if isinstance(op, Select):
                how = f"the value of {_decision(op.choice, called)}"
            under = [_decision(choice, called) for choice in placed.node.guards]
            yield f"  {name}{_from(placed.inputs.values())}{how}{'  where ' if under else ''}{', '.join(under)}"
        yield f"  out {', '.join(map(ref_text, body.graph.outputs))}"


def _numbers(env: Mapping[str, object]) -> str:
    return " ".join(f"{name}={_plain(value)}" for name, value in env.items()) or "no numbers"


def _decision(choice: Choice, called: _Called) -> str:
    said = choice.cond or "what no name says"
    return f"{called.choice[choice.key]} ({said}: {'yes' if choice.taken else 'no'})"


def _from(inputs: Iterable[Ref]) -> str:
    """What a node reads; inputs of a body read nothing."""
    text = ", ".join(map(ref_text, inputs))
    return f" <- {text}: " if text else ""


def applied(code: Applied, called: _Called) -> str:
    if isinstance(code, OpCode):
        layer = code.code.member or code.code.layer
        return f"{code.code.text} of {_layer(layer)}" if code.code.stateful and layer else code.code.text
    if isinstance(code, CallCode):
        return f"call of {called.body[code.body]}"
    if isinstance(code, FlowCode):
        return f"line of {', '.join(f'{name}: {applied(item, called)}' for name, item in code.items)}"
    items = [applied(item, called) + (f" * {count}" if count > 1 else "") for item, count in code.steps]
    return f"[{', '.join(items)}]"


def _layer(layer: Layer) -> str:
    args = [
        f"{f'{a.name}=' if a.name else ''}{_value(a.value)}" for a in layer.args if not _is_default(a.value, a.default)
    ]
    return f"{layer.cls}({', '.join(args)})"


def _is_default(value: Value, default: object) -> bool:
    return default is not REQUIRED and isinstance(value, Dim) and value == default


def _value(value: Value) -> str:
    if isinstance(value, Layer):
        return _layer(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(_value, value))})"
    return value_text(value) if isinstance(value, Dim) else repr(value)


# --- partition, names ---


def partition(module: Module, called: _Called) -> Iterator[str]:
    """Which bodies are one class, and the conditionals that it must decide."""
    for cls in module.partition.classes:
        yield f"class of {called.bodies(cls)}"
        for key, cond in cls.mixed.items():
            yield f"  {called.choice[key]} {cond}, whose value is {cls.selects[key]}"
        for other in module.partition.builds[cls]:
            yield f"  builds the class of {called.body[other.bodies[0]]}"


def names(module: Module, called: _Called) -> Iterator[str]:
    """What each class is called, and the parameters whose value its name says."""
    for cls, name in module.names.of.items():
        fixed = _numbers(module.names.fixed.get(cls, {}))
        yield f"{name}: {called.bodies(cls)}{'' if fixed == 'no numbers' else f'  fixed {fixed}'}"


# --- structure ---


def structure(module: Module, called: _Called) -> Iterator[str]:
    """All bodies of a class as one: what must be constructed, and the values of the forward pass."""
    for cls, found in module.structures.items():
        yield called.cls[cls]
        for node in found.members:
            yield from _tree(node, called, lambda uses: _uses(uses, called), "  member ")
        for i in found.instructions:
            bound = f" as {i.statement}" if i.is_value and i.statement else ""
            of = f"self.{'.'.join(i.member)}" if i.member else f"choice {called.choice[i.choice]}" if i.choice else ""
            of = of or applied(i.code[0][1], called)
            yield f"  {i.node}{_from(i.inputs)}{of}{bound}{called.guards(i.guards)}"
        yield f"  out {', '.join(map(ref_text, found.outputs))}"


def _tree(node: Tree | Leaf, called: _Called, say: Callable[..., str], start: str) -> Iterator[str]:  # type: ignore[type-arg]
    if isinstance(node, Leaf):
        yield f"{start}{node.name}: {say(node.content)}{called.guards(node.guards)}"
        return
    yield f"{start}{node.name}"
    for child in node.children:
        yield from _tree(child, called, say, "  " + start)


def _uses(uses: Uses, called: _Called) -> str:
    if uses.line:
        return f"line of {', '.join(name for name, _ in uses.line)}"
    each = dict.fromkeys(applied(code, called) for _, code in uses.items)
    again = f", used {1 + len(uses.again)} times" if uses.again else ""
    return " | ".join(each) + again


# --- plan ---


def written(module: Module, called: _Called) -> Iterator[str]:
    """The one way in which all bodies of a class are written."""
    for made in module.classes:
        yield f"{made.name}({', '.join(_argument(spec) for spec in made.args)})"
        if made.fixed:
            yield f"  fixed {_numbers(made.fixed)}"
        for key, told in made.constructor.hoists.items():
            yield f"  {key} is {', '.join(f'{_value(v)} in {called.body[b]}' for b, v in told.items())}"
        for size, known in made.same.items():
            yield f"  {size} is {known}"
        for local in made.locals:
            yield f"  {local.key} = {_val(local.value)}"
        for node in made.members:
            yield from _tree(node, called, _built, "  self.")
        for i in made.instructions:
            if i.code and not i.member:
                values = "".join(f", {name} is {_val(v)}" for name, v in i.code.values.items())
                args = f", args are {_args(i.code.args)}" if i.code.args else ""
                yield f"  {i.node}{_from(i.inputs)}{i.code.code.text}{values}{args}"


def _argument(spec: ArgSpec) -> str:
    default = f"={_plain(spec.default.value)}" if spec.default else ""
    return spec.name + default + (f" for {spec.key}" if spec.key != spec.name else "")


def _built(built: Built | Many) -> str:
    if isinstance(built, New):
        return f"{built.cls}({_args(built.args)})"
    if isinstance(built, Many):
        columns = [f"{c.hint} in {_val(v)}" for c, v in built.columns]
        return (
            f"{_built(built.item)} for {', '.join(columns)}"
            if columns
            else f"{_built(built.item)} * {_val(built.times)}"
        )
    if isinstance(built, Named):
        return "line of" + "".join(f"\n      {name}: {_built(item)}" for name, item in built.items)
    return f"[{', '.join(map(_built, built.items))}]"


def _args(args: Sequence[Written]) -> str:
    return ", ".join(f"{name}={_val(arg.value)}" if name else _val(arg.value) for arg, name in shown(args))


def _val(value: Val) -> str:
    if isinstance(value, New):
        return _built(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(_val, value))})"
    if isinstance(value, Column):
        return value.hint
    return _plain(value.value) if isinstance(value, Const) else str(value)


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_plain, value))})"
    return number_text(value) if isinstance(value, int | Fraction) else repr(value)


STAGES: dict[str, Callable[[Module, _Called], Iterator[str]]] = {
    "survey": survey,
    "partition": partition,
    "names": names,
    "structure": structure,
    "plan": written,
}


def main(path: str, *wanted: str) -> None:
    program = load(Source(Path(path).name, Path(path).read_text(encoding="utf-8")))
    graph = elaborate(program, next(iter(program.models))).graph
    assert graph is not None, "the spec has errors: see `archdsl check`"
    for name, text in stages(graph).items():
        if not wanted or name in wanted:
            print(f"--- {name}\n{text}")


if __name__ == "__main__":
    main(*sys.argv[1:])
