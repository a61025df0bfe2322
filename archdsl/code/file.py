"""A generated file: its docstring, its imports, the layers it holds, its classes."""

import ast
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from functools import cache
from importlib.resources import files
from pathlib import PurePath

from archdsl.code.backend import MADE_BY, Artifact
from archdsl.code.bodies import EmitOp
from archdsl.code.code import Code, Emitter
from archdsl.code.plan import Module
from archdsl.code.python import docstring, literal
from archdsl.code.writer import ClassWriter
from archdsl.code.written import ClassPlan
from archdsl.graph.cost import params
from archdsl.graph.graph import Graph, Node
from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.outputs import NotExpressible
from archdsl.language.ops.op import Op
from archdsl.language.printable import one_line
from archdsl.language.types import TensorType

__all__ = ["artifact", "class_lines", "emitter", "held", "layer_source"]

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def emitter(table: Mapping[type[Op], Emitter], framework: str) -> EmitOp:
    """How ops are written by `table`; an op that it lacks is refused, where it stands.

    >>> emit = emitter({}, "NumPy")
    >>> emit(tiny["stem"].op, tiny.input_types("stem"), tiny["stem"])
    Traceback (most recent call last):
    archdsl.language.diagnostics.SpecError: <text>:8:13: error[E0701]: `conv` cannot be expressed in NumPy
    """

    def emit(op: Op, types: tuple[TensorType, ...], node: Node) -> Code:
        found = table.get(type(op))
        if found is None:
            raise SpecError([NotExpressible(op.name, framework).at(node.span)])
        return found(op, types)

    return emit


Writer = Callable[[ClassPlan, Set[str], bool], ClassWriter]


def class_lines(module: Module, writer: Writer, ends_with: Sequence[str], tapped: bool) -> Iterator[str]:
    """Every class, children first; `ends_with` closes the model's constructor.

    >>> [line.split("(")[0] for line in class_lines(made, writer, (), tapped=False) if line[:5] == "class"]
    ['class Unit', 'class Tiny']
    """
    names = {c.name for c in module.classes}
    for plan in module.classes:
        yield from ("", "")
        if plan.is_model:  # the rest of its documentation is the file's
            yield from writer(plan, names, tapped).lines(plan.cls.graph.doc.split("\n")[0], ends_with)
        else:
            yield from writer(plan, names, tapped).lines(plan.cls.graph.doc)


@cache
def layer_source(package: str, module: str, name: str) -> tuple[str, ...]:
    """The lines of the class or function `name`, as `module.py` of `package` has them. Nothing is imported.

    >>> layer_source("archdsl.code", "names", "size_name")[0]
    'def size_name(entry: str, axis: str) -> str:'
    """
    text = files(package).joinpath(f"{module}.py").read_text(encoding="utf-8")
    kinds = ast.ClassDef | ast.FunctionDef
    found = next(n for n in ast.parse(text).body if isinstance(n, kinds) and n.name == name)
    return tuple(text.split("\n")[found.lineno - 1 : found.end_lineno])


def held(code: Iterable[str], layers: Collection[str], source: Callable[[str], Sequence[str]]) -> Iterator[str]:
    """The source of those `layers` that `code` speaks of, and of those that they speak of, in the order of `layers`.

    >>> sources = {"Add": ["class Add: ..."], "Gate": ["class Gate(Add): ..."], "Mul": ["class Mul: ..."]}
    >>> [line for line in held(["x = Gate()"], list(sources), sources.__getitem__) if line]
    ['class Add: ...', 'class Gate(Add): ...']
    """
    found: set[str] = set()
    pending = _words(code) & set(layers)
    while pending:
        found |= pending
        pending = {word for name in pending for word in _words(source(name))} & set(layers) - found
    for name in layers:
        if name in found:
            yield from ("", "", *source(name))


def artifact(module: Module, backend: str, imports: Callable[[str], Iterable[str]], code: Sequence[str]) -> Artifact:
    """The file. imports: its lines, from the code without its comments and texts.

    >>> made.classes[-1].name, artifact(made, "none", lambda code: [], ["", "", "Tiny = None"]).text.splitlines()[2]
    ('Tiny', 'Input 3 x 8 x 8, 2,882 parameters.')
    """
    name = module.classes[-1].name
    start = [*_header(module), *imports("\n".join(_bare(code))), "", f"__all__ = [{literal(name)}]"]
    return Artifact("\n".join((*start, *code)) + "\n", name, backend)


def _header(module: Module) -> list[str]:
    """The file's docstring; its last line is how `compile` knows its own files."""
    graph = module.model
    doc = graph.doc.strip()
    facts = f"{_ports(graph)} {params(graph):,} parameters."
    asked = f" with {graph.asked}" if graph.asked else ""
    made = one_line(f"{MADE_BY} from {PurePath(graph.span.source.name).name}{asked}.")
    title = f"{graph.block}: {doc}" if doc else graph.block
    return [*docstring(f"{title}\n\n{facts}\n{made}"), ""]


def _ports(graph: Graph) -> str:
    """What goes in, and what comes out where that is more than one tensor."""
    sizes = [" x ".join(map(str, entry.types[0].sizes)) for entry in graph.entries]
    named = (f"{name} {size}" for name, size in zip(graph.input_names, sizes, strict=True))
    inputs = f"Inputs {' and '.join(named)}" if len(sizes) > 1 else f"Input {sizes[0]}"
    return f"{inputs}; outputs {', '.join(graph.results)};" if len(graph.results) > 1 else f"{inputs},"


def _words(code: Iterable[str]) -> set[str]:
    """The names that code speaks of, attributes left out."""
    return {word for line in _bare(code) for word in re.findall(r"(?<![\w.])[A-Za-z_]\w*", line)}


def _bare(code: Iterable[str]) -> Iterator[str]:
    """Code without docstrings, comments and strings, whose words mean nothing here."""
    inside = False
    for line in code:
        if not inside and line.lstrip().startswith("#"):
            continue
        quotes = line.count('"""')
        if not inside and not quotes:
            yield _STRING.sub('""', line) if '"' in line else line
        inside ^= quotes % 2 == 1
