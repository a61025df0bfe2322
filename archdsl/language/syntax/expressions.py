"""Expressions -> documents for the pretty printer: parentheses, spaces, places to break, comments kept."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from archdsl.language.expr import ATOM, CHOICE, COMPARE, FLOW, NOT, OPERATORS, OR, POWER, UNARY
from archdsl.language.syntax import ast
from archdsl.language.syntax.layout import BREAK, HARD, LINE, SOFT, Doc, Group, Nest, Note, forced

__all__ = ["Comments", "Writer", "written"]

N = TypeVar("N", bound=ast.Node)


class Comments:
    """The comments not yet written, in the order of the text."""

    def __init__(self, comments: Iterable[ast.Comment]) -> None:
        self._left = deque(comments)

    def before(self, offset: int) -> list[ast.Comment]:
        """Take those that stand before an offset of the text."""
        taken = []
        while self._left and self._left[0].span.start < offset:
            taken.append(self._left.popleft())
        return taken

    def next(self) -> ast.Comment | None:
        return self._left[0] if self._left else None

    def take(self, comment: ast.Comment) -> bool:
        """Take one out of turn; False where it has been taken."""
        left = comment in self._left
        if left:
            self._left.remove(comment)
        return left


def _target(target: ast.Target) -> str:
    return target.name if isinstance(target, ast.Name) else f"({', '.join(map(_target, target))})"


def _level(node: ast.Expr) -> int:
    """How tightly an expression holds together."""
    match node:
        case ast.IfElse():
            return CHOICE
        case ast.Flow():
            return FLOW
        case ast.BoolOp(op=op) | ast.Compare(op=op) | ast.Binary(op=op):
            return OPERATORS[op].level
        case ast.Unary(op=op):
            return NOT if op == "not" else UNARY
        case _:
            return ATOM


def _simple(node: ast.Expr) -> bool:
    """Whether it is arithmetic on names, numbers and sizes alone."""
    waiting = [node]
    while waiting:
        part = waiting.pop()
        match part:
            case ast.Name() | ast.Number():
                pass
            case ast.Attr(value=value):
                waiting.append(value)
            case ast.Unary(op=op, value=value) if op != "not":
                waiting.append(value)
            case ast.Binary(left=left, right=right):
                waiting += [left, right]
            case _:
                return False
    return True


class Writer:
    """Writes one text's expressions, in order, each comment where it stood: behind or above the same part."""

    def __init__(self, comments: Comments) -> None:
        self.comments = comments

    def expr(self, node: ast.Expr, least: int = CHOICE, tight: bool = False) -> Doc:
        """`least` is the level that needs no parentheses; `tight` leaves spaces out of simple arithmetic."""
        notes = self.notes(node.span.start)
        doc = self.bare(node, tight)
        if _level(node) < least:
            doc = ("(", doc, ")")
        return Nest(4, (*notes, HARD, doc)) if notes else doc

    def notes(self, offset: int) -> list[Doc]:
        """The comments before an offset: the first behind what stands on its line, the others on lines of their own."""
        notes: list[Doc] = []
        for comment in self.comments.before(offset):
            own = comment.own_line or notes
            notes.append((HARD, Note(written(comment))) if own else Note(f"  {written(comment)}"))
        return notes

    def bare(self, node: ast.Expr, tight: bool) -> Doc:
        match node:
            case ast.Number() | ast.String() | ast.Missing():
                return node.span.text
            case ast.Bool(value=value):
                return "true" if value else "false"
            case ast.Name(name=name):
                return name
            case ast.Attr(value=inner, name=name):
                return (self.expr(inner, ATOM), ".", name)
            case ast.Index(value=inner, index=index):
                return (self.expr(inner, ATOM), "[", self.expr(index, tight=True), "]")
            case ast.Slicing(value=inner, start=start, stop=stop):
                ends = [self.expr(end, tight=True) if end else "" for end in (start, stop)]
                return (self.expr(inner, ATOM), "[", ends[0], ":", ends[1], "]")
            case ast.Call(func=func, args=args):
                return (self.expr(func, ATOM), self.arguments(args, node.span.end - 1))
            case ast.ListExpr(items=items):
                return self.bracket("[]", items, self.item, node.span.end - 1)
            case ast.ListComp():
                return self.comprehension(node)
            case ast.Unary(op="not", value=inner):
                return ("not ", self.expr(inner, NOT, tight))
            case ast.Unary(op=op, value=inner):
                return (op, self.expr(inner, UNARY, tight))
            case ast.Compare(op=op, left=left, right=right):
                first = self.expr(left, COMPARE + 1, tight)
                return (first, f" {op} ", self.expr(right, COMPARE + 1, tight))
            case ast.Binary():
                return self.binary(node, tight)
            case ast.BoolOp(op=op, values=values):
                return self.chain([(f"{op} ", v) for v in values], NOT, tight)
            case ast.Flow(items=items):
                return self.flow(items)
            case ast.IfElse():
                return self.conditional(node, tight)

    # --- operators ---

    def binary(self, node: ast.Binary, tight: bool) -> Doc:
        level = _level(node)
        if node.op == "**":
            space = "" if _simple(node) else " "
            left = self.expr(node.left, POWER + 1, tight)
            return (left, f"{space}**{space}", self.expr(node.right, UNARY, tight))
        pairs: list[tuple[str, ast.Expr]] = []
        first: ast.Expr = node
        while isinstance(first, ast.Binary) and _level(first) == level:
            pairs.append((first.op, first.right))
            first = first.left
        pairs.reverse()
        if tight and _simple(node):
            return (self.expr(first, level, True), *((op, self.expr(v, level + 1, True)) for op, v in pairs))
        return self.chain([("", first), *((f"{op} ", v) for op, v in pairs)], level + 1, tight, level)

    def chain(self, parts: Sequence[tuple[str, ast.Expr]], least: int, tight: bool, first_least: int = 0) -> Doc:
        """Operands in a row, broken before each operator (given with its space) or not at all."""
        (_, first), *rest = parts
        docs = [self.expr(first, first_least or least, tight)]
        lines: list[Doc] = []
        for (op, value), (_, before) in zip(rest, parts, strict=False):
            notes = self.notes(value.span.start)
            counted = op == "* " and not _simple(before) and _simple(value)
            lines.append((*notes, HARD if notes else LINE, op, self.expr(value, least, tight or counted)))
        return Group(*docs, Nest(4, tuple(lines)))

    def flow(self, items: Sequence[ast.Expr]) -> Doc:
        """As much on a line as fits, broken before `->`."""
        first, *rest = items
        docs: list[Doc] = []
        head = self.expr(first, FLOW + 1)
        for item in rest:
            notes = self.notes(item.span.start)
            doc = self.expr(item, FLOW + 1)
            if notes:
                docs.append((*notes, HARD, "-> ", doc))
            else:
                docs.append((" -> ", doc) if forced(doc) else Group(LINE, "-> ", doc))
        return (head, Nest(4, tuple(docs)))

    def conditional(self, node: ast.IfElse, tight: bool) -> Doc:
        head = self.expr(node.then, OR, tight)
        lines: list[Doc] = []
        orelse: ast.Expr = node
        while isinstance(orelse, ast.IfElse):
            if lines:
                lines.append(self.expr(orelse.then, OR, tight))
            notes = self.notes(orelse.cond.span.start)
            lines.append((*notes, HARD if notes else LINE, "if ", self.expr(orelse.cond, OR, tight)))
            orelse = orelse.orelse
            inner = orelse.then if isinstance(orelse, ast.IfElse) else orelse
            notes = self.notes(inner.span.start)
            lines.append((*notes, HARD if notes else LINE, "else "))
        return Group(head, Nest(4, (*lines, self.expr(orelse, FLOW, tight))))

    # --- brackets ---

    def item(self, node: ast.Expr) -> Doc:
        return self.expr(node, tight=True)

    def arg(self, arg: ast.CallArg) -> Doc:
        return (f"{arg.name}=", self.item(arg.value)) if arg.name else self.item(arg.value)

    def arguments(self, args: Sequence[ast.CallArg], end: int) -> Doc:
        """`end` is where the closing parenthesis stands. A list alone shares its lines with the parentheses."""
        after = self.comments.next()
        if len(args) == 1 and args[0].name is None and isinstance(args[0].value, ast.ListExpr | ast.ListComp):
            value = args[0].value
            if not after or value.span.start < after.span.start < value.span.end or after.span.start > end:
                return ("(", self.item(value), ")")
        return self.bracket("()", args, self.arg, end)

    def bracket(self, pair: str, nodes: Sequence[N], write: Callable[[N], Doc], end: int) -> Doc:
        """Things with commas between, one a line where they do not fit; plain values fill the lines."""
        opened, closed = pair[0], pair[1]
        plain = pair == "[]" and all(isinstance(n, ast.Number | ast.Name | ast.String | ast.Bool) for n in nodes)
        docs: list[Doc] = []
        for i, node in enumerate(nodes):
            notes = self.notes(node.span.start)
            first = i == 0
            docs += [*notes, HARD] if notes else [SOFT if first else Group(LINE) if plain else LINE]
            docs.append(write(node))
            docs.append("," if i + 1 < len(nodes) else "")
        notes = self.notes(end)
        if notes:
            docs[-1:] = ["," if nodes else "", *notes, HARD]
        elif nodes:
            docs[-1:] = [BREAK]
        return Group(opened, Nest(2, tuple(docs[:-1])), docs[-1] if docs else "", closed)

    def comprehension(self, node: ast.ListComp) -> Doc:
        docs: list[Doc] = [SOFT, self.item(node.item)]
        for clause in node.clauses:
            names = ", ".join(map(_target, clause.targets))
            docs += [*self.notes(clause.span.start), LINE, f"for {names} in "]
            docs.append(self.expr(clause.values, FLOW, tight=True))
            for cond in clause.conds:
                docs += [LINE, "if ", self.expr(cond, FLOW, tight=True)]
        docs += self.notes(node.span.end - 1)
        return Group("[", Nest(2, tuple(docs)), SOFT, "]")


def written(comment: ast.Comment) -> str:
    """A comment with its mark, and a space behind that where there was none."""
    text = comment.span.text.rstrip()
    return text if text[1:2] in {"", " ", "#", "!"} else f"# {text[1:]}"
