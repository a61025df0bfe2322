"""Names for every application, from the text alone: the same whatever the parameters and branches are.

See "Names and paths" in docs/architecture.md. A `Names` is made once a declaration. It knows, for the
place of the text where an op or block is applied, its name within its statement (its `site`), and
for each conditional a number.
"""

from collections import ChainMap, Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

from archdsl.language.ops import OPS
from archdsl.language.syntax import ast

__all__ = ["FUNCTIONS", "VOCABULARY", "name_applications", "name_expression", "statement_name"]

FUNCTIONS = frozenset(
    [
        "range", "zip", "enumerate", "len", "min", "max", "sum", "abs", "round", "floor", "ceil", "sqrt", "exp", "log",
        "log2", "sin", "cos",
    ]
)  # fmt: skip
# Words of the language, where no name of the author's hides them; an op may be added at any time.
VOCABULARY = ChainMap[str, object](OPS, dict.fromkeys((*FUNCTIONS, "share")))  # type: ignore[arg-type]
# What is applied and can hold no weights is marked by a dot: it does not count as an application.
_OPERATORS = {"+": ".add", "-": ".sub", "*": ".mul", "/": ".div", "**": ".pow"}
_CHOICE = ".choice"


def statement_name(statement: ast.Bind | ast.Stage) -> str:
    """What a statement's applications are named under; nothing for `out`, which is the block itself."""
    if isinstance(statement, ast.Stage):
        return statement.label.name
    name = "_".join(n.name for n in statement.names)
    return "" if name == "out" else name


def name_applications(declaration: ast.Block, blocks: Collection[str], names: dict[int, str]) -> None:
    """Add the names of all applications of a declaration to `names`; `blocks` are those in scope.

    >>> from archdsl.language.source import Source
    >>> from archdsl.language.syntax.parse import parse
    >>> spec, _ = parse(Source("b.arch", "block b(c) { h = in -> bn -> relu; out = h + (h -> conv(c, 3) -> conv(c)) }"))
    >>> names = {}
    >>> name_applications(spec.items[0], {}, names)
    >>> list(names.values())
    ['bn', 'relu', 'conv1', 'conv2', 'add']
    """
    namer = _Namer(blocks, names)
    namer.parameters(declaration)
    namer.bind((s.name.name for s in declaration.body if isinstance(s, ast.InputDecl) and s.name), False)
    statements = [s for s in declaration.body if isinstance(s, ast.Bind | ast.Stage)]
    taken = {n for s in statements if (n := statement_name(s))} | {"in", "out"} | namer.values()
    for s in statements:
        name = statement_name(s)
        namer.group(s.value, collapse=bool(name), taken=() if name else taken)
        namer.share(s.value, "")
        namer.bind((n.name for n in ast.bound(s)), isinstance(s, ast.Bind) and namer.is_op(s.value))


def name_expression(value: ast.Expr, blocks: Collection[str], names: dict[int, str]) -> None:
    """The same for an expression that stands alone."""
    _Namer(blocks, names).group(value, collapse=True)


class _Namer:
    """Walks one declaration. Names that it binds hide those of blocks, and these the words of the language."""

    def __init__(self, blocks: Collection[str], names: dict[int, str]) -> None:
        self._names = names
        self._blocks = blocks
        self._bound: dict[str, bool] = {}  # what is bound so far, and whether it holds an op, as far as the text tells

    def parameters(self, declaration: ast.Block) -> None:
        """Name what defaults apply, which see the parameters before them."""
        used = _names_used_as_ops(declaration)
        for param in declaration.params:
            if param.default is not None:
                self.group(param.default, collapse=True)
                self.share(param.default, param.name)
            self._bound[param.name] = param.name in used or (param.default is not None and self.is_op(param.default))

    def share(self, value: ast.Expr, name: str) -> None:
        """Name a `share` that is all of a value: `enc = share(…)`."""
        match value:
            case ast.IfElse():
                self.share(value.then, name)
                self.share(value.orelse, name)
            case ast.Call(func=ast.Name(name="share")) if self._is_word("share"):
                self._name(value, name)

    def bind(self, names: Iterable[str], is_op: bool) -> None:
        self._bound |= dict.fromkeys(names, is_op)

    def values(self) -> set[str]:
        """What is bound to anything but an op."""
        return {name for name, is_op in self._bound.items() if not is_op}

    @contextmanager
    def _inside(self, comprehension: ast.ListComp) -> Iterator[None]:
        before = dict(self._bound)
        self.bind((n.name for clause in comprehension.clauses for n in ast.names(clause.targets)), is_op=False)
        yield
        self._bound = before

    def _is_word(self, name: str) -> bool:
        """Whether a name is the language's own here."""
        return name in VOCABULARY and name not in self._bound and name not in self._blocks

    def group(self, value: ast.Expr, collapse: bool, taken: Collection[str] = ()) -> None:
        """Name the applications of one statement, argument or repeated flow."""
        sites = list(self._sites(value))
        operators = [(s, n[1:]) for s, n in sites if n.startswith(".")]
        applied = [(s, n) for s, n in sites if not n.startswith(".")]
        if collapse and len(applied) == 1:  # `h = in -> bn` is `h`, not `h.bn`
            self._name(applied[0][0], "")
            applied = []
        for found in (applied, operators):
            total, seen = Counter(n for _, n in found), Counter[str]()
            for site, kind in found:
                seen[kind] += 1
                name = f"{kind}{seen[kind]}" if total[kind] > 1 or kind in taken else kind
                while name in taken:
                    seen[kind] += 1
                    name = f"{kind}{seen[kind]}"
                self._name(site, name)

    def _name(self, site: ast.Node, name: str) -> None:
        self._names[id(site)] = name

    def is_op(self, value: ast.Expr) -> bool:
        """Whether an expression gives an op: it would be applied where it stands in a flow."""
        match value:
            case ast.Flow():
                return self.is_op(value.items[0])
            case ast.IfElse():
                return self.is_op(value.then) or self.is_op(value.orelse)
            case ast.Binary(op="*"):
                return self.is_op(value.left)
            case ast.Binary(op="+"):
                return self._is_op_list(value.left) and self._is_op_list(value.right)
            case ast.Call(func=ast.Name(name=name)):
                gives = self._is_word(name) and name in OPS and (OPS[name].gives or (name in FUNCTIONS and value.args))
                return not gives and self.is_op(value.func)
            case ast.Name(name=name):
                return self._bound.get(name, name in OPS or name in self._blocks)
            case ast.ListExpr():
                return bool(value.items) and all(self.is_op(v) for v in value.items)
            case ast.ListComp():
                with self._inside(value):
                    return self.is_op(value.item)
        return False

    def _is_op_list(self, value: ast.Expr) -> bool:
        """Whether an expression gives a list of ops, as far as the text tells."""
        if isinstance(value, ast.Binary) and value.op == "+":
            return self._is_op_list(value.left) and self._is_op_list(value.right)
        return isinstance(value, ast.ListExpr | ast.ListComp) and self.is_op(value)

    def _sites(self, value: ast.Expr, applied: bool = False) -> Iterator[tuple[ast.Node, str]]:
        """(place, kind) of what a statement applies, in the order of the text."""
        match value:
            case ast.Flow():
                yield from self._sites(value.items[0], applied)
                for item in value.items[1:]:
                    yield from self._sites(item, True)
            case ast.IfElse():
                yield from self._sites(value.then, applied)
                yield from self._sites(value.orelse, applied)
                yield value, _CHOICE
            case ast.Binary(op="*") if self.is_op(value.left) or applied:
                yield from self._repeated(value.left)
            case ast.Binary(op="+") if self.is_op(value):
                yield from self._repeated(value)
            case ast.Binary():
                yield from self._sites(value.left)
                yield from self._sites(value.right)
                yield value, _OPERATORS.get(value.op, ".value")
            case ast.Unary():
                yield from self._sites(value.value)
                yield value, _OPERATORS["*"]
            case ast.Call():
                yield from self._call(value, applied)
            case ast.Name():
                if applied or self.is_op(value):
                    yield value, value.name
            case ast.ListExpr() | ast.ListComp() if applied or self.is_op(value):
                yield from self._repeated(value)
                yield from self._runs_over(value)
            case ast.ListExpr():
                for item in value.items:
                    yield from self._sites(item)
            case ast.ListComp():
                with self._inside(value):
                    yield from self._sites(value.item)
                yield from self._runs_over(value)
            case ast.Index() | ast.Slicing():
                yield from ((value, "item") for _ in range(applied))
                yield from self._sites(value.value)

    def _runs_over(self, value: ast.Expr) -> Iterator[tuple[ast.Node, str]]:
        """What a comprehension applies to get at its items: `[x -> bn for x in [in -> relu, in]]`."""
        for clause in value.clauses if isinstance(value, ast.ListComp) else ():
            if not self.is_op(clause.values):
                yield from self._sites(clause.values)

    def _repeated(self, value: ast.Expr) -> Iterator[tuple[ast.Node, str]]:
        """A repeat or list is one application, named after what it repeats."""
        match value:
            case ast.Flow():
                self.group(value, collapse=False)
                yield value, "group"
            case ast.ListExpr():
                kinds = []
                for item in value.items:
                    kinds += [k for _, k in self._item(item)]
                yield value, kinds[0] if len(set(kinds)) == 1 else "group"
            case ast.Binary(op="+"):
                kinds = [k for side in (value.left, value.right) for _, k in self._repeated(side)]
                yield value, kinds[0] if len(set(kinds)) == 1 else "group"
            case ast.ListComp():
                with self._inside(value):
                    yield value, next((k for _, k in self._item(value.item)), "group")
            case ast.Binary(op="*"):
                yield from self._repeated(value.left)
            case _:
                yield from self._sites(value, True)

    def _item(self, value: ast.Expr) -> list[tuple[ast.Node, str]]:
        """One item of a list: named inside by itself, since `[i]` tells it apart."""
        found = list(self._repeated(value)) if not isinstance(value, ast.IfElse) else list(self._sites(value, True))
        real = [f for f in found if f[1] != _CHOICE]
        for site, _ in real:
            self._name(site, "")
        return real

    def _call(self, value: ast.Call, applied: bool) -> Iterator[tuple[ast.Node, str]]:
        name = value.func.name if isinstance(value.func, ast.Name) else ""
        if name == "share" and self._is_word(name):
            for arg in value.args:
                self.group(arg.value, collapse=True)
            yield from ((value, "share") for _ in range(applied))
            return
        for arg in value.args:
            if self.is_op(arg.value):
                self.group(arg.value, collapse=True)
            else:
                sites = list(self._sites(arg.value))
                if not all(kind.startswith(".") for _, kind in sites):
                    yield from sites  # else it calculates with numbers
        if name and name in FUNCTIONS and self._is_word(name):
            yield value, f".{name}"
        elif name:
            yield value, name
        elif not name:
            yield from self._sites(value.func, applied)


def _names_used_as_ops(declaration: ast.Block) -> set[str]:
    """Parameters that hold ops, as far as their use tells: called, repeated, or flowed through."""
    found: set[str] = set()

    def visit(value: object, applied: bool) -> None:
        match value:
            case ast.Name():
                if applied:
                    found.add(value.name)
            case ast.Flow():
                visit(value.items[0], applied)
                for item in value.items[1:]:
                    visit(item, True)
            case ast.Call():
                visit(value.func, True)
                for arg in value.args:
                    visit(arg.value, False)
            case ast.Binary():
                visit(value.left, applied)
                visit(value.right, False)
            case ast.IfElse():
                visit(value.then, applied)
                visit(value.orelse, applied)
            case ast.ListExpr():
                for item in value.items:
                    visit(item, applied)
            case ast.ListComp():
                visit(value.item, applied)
            case ast.Unary() | ast.Index() | ast.Slicing():
                visit(value.value, False)

    for s in declaration.body:
        if isinstance(s, ast.Bind | ast.Stage):
            visit(s.value, False)
    return found & {p.name for p in declaration.params}
