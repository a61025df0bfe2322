"""Values that the bodies of a class write in many ways, as the one way that its constructor writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction

from archdsl.code.bodies import Applied, Body, CallCode, ChainCode, FlowCode, OpCode
from archdsl.code.classes import Class, Partition
from archdsl.code.code import Arg, Code, Layer, Value
from archdsl.code.names import Names, size_name
from archdsl.code.values import constant, constants, literal, writes
from archdsl.code.written import (
    ArgSpec,
    Built,
    Column,
    Const,
    Line,
    Local,
    Many,
    New,
    Row,
    Val,
    Written,
    WrittenCode,
)
from archdsl.language.expr import Expr, symbol
from archdsl.language.types import Dim, axis_names, dim

__all__ = ["MustSplitError", "Resolver"]


_CHANNELS = frozenset(
    f"{mark}{name}" for mark in ("", "#") for name in ("in_channels", "channels", "in_features", "features")
)
_OWN_SIZES = frozenset(f"#{size_name('in', axis)}" for axis in "chwn")  # of a flow's input


class MustSplitError(Exception):
    """Bodies that were taken to be one class cannot be written as one."""

    def __init__(self, cls: Class, groups: list[list[Body]]) -> None:
        super().__init__(cls.graph.block)
        self.cls = cls
        self.groups = groups


@dataclass
class _Columns:
    """The columns of the list that is being written.

    counts: (body, count) of each of its items. places: which of them have what is written now.
    values: of each column, by the item's place.
    """

    counts: list[tuple[Body, int]]
    places: Sequence[int]
    found: list[Column] = field(default_factory=list)
    values: list[dict[int, Value]] = field(default_factory=list)


Items = Sequence[tuple[Body, Applied]]
Chains = Sequence[tuple[Body, ChainCode]]
Values = Sequence[tuple[Body, Value]]


class Resolver:
    """Writes the values of one class, and notes which names that reads."""

    def __init__(
        self,
        cls: Class,
        found: Partition,
        args: Mapping[Class, tuple[ArgSpec, ...]],
        reaches: Callable[[Class, Class], bool],
        reserved: frozenset[str],
    ) -> None:
        self.cls = cls
        self.bodies = cls.bodies
        self._found = found
        self._of = found.of
        self._args = args
        self._reaches = reaches
        self._reserved = reserved
        self.place = ""
        self._in_list = False  # an item's fraction depends on its place in the list, which no name says
        self._places: dict[str, str] = {}
        self._reads: dict[str, None] = {}
        self._lost: set[str] = set()
        self._hoists: dict[str, dict[Body, Value]] = {}
        self._columns: _Columns | None = None
        self.same = {} if cls.is_flow else _unified(cls)

    # --- what is constructed ---

    def are_alike(self, codes: Sequence[Applied]) -> bool:
        """Whether codes differ in numbers alone."""
        return len({self._found.signature(code) for code in codes}) == 1

    def are_one(self, uses: Items) -> bool:
        """Whether all uses in a body build the same, however its sizes are written."""
        values: dict[Body, object] = {}
        alike = self.are_alike([code for _, code in uses])
        return alike and all(values.setdefault(b, v) == v for b, code in uses for v in (self._numbers(b, code),))

    def _numbers(self, body: Body, code: Applied) -> object:
        """What `code` is built with."""
        if isinstance(code, OpCode):
            return code.code.stateful and constants(_layer(code))
        if isinstance(code, FlowCode):
            return tuple(self._numbers(body, item) for _, item in code.items)
        if isinstance(code, ChainCode):
            return tuple((self._numbers(body, item), count) for item, count in code.steps)
        callee = self._of[code.body]
        return tuple(constant(_argument(callee, spec.key, code, body)) for spec in self._args[callee])

    def built(self, items: Items) -> Built:
        """What one member is, over the bodies that have it."""
        first = items[0][1]
        if isinstance(first, OpCode):
            return self.layer([(b, _layer(code)) for b, code in items])
        if isinstance(first, CallCode):
            return self._call([(b, code) for b, code in items if isinstance(code, CallCode)])
        if isinstance(first, FlowCode):
            flows = [(b, code) for b, code in items if isinstance(code, FlowCode)]
            return self.line([(n, [(b, f.items[i][1]) for b, f in flows]) for i, (n, _) in enumerate(first.items)])
        return self._chain([(b, code) for b, code in items if isinstance(code, ChainCode)])

    def layer(self, layers: Sequence[tuple[Body, Layer]], *more: Arg) -> New:
        return New(layers[0][1].cls, self.arguments([(b, (*layer.args, *more)) for b, layer in layers]))

    def arguments(self, args: Sequence[tuple[Body, tuple[Arg, ...]]]) -> tuple[Written, ...]:
        return tuple(
            Written(
                self.value([(b, a[i].value) for b, a in args], arg.hint or arg.name or "value"),
                arg.name,
                arg.default,
                arg.positional,
            )
            for i, arg in enumerate(args[0][1])
        )

    def line(self, named: Sequence[tuple[str, Items]]) -> Line:
        """Modules in a line; what can overwrite its input does so where nobody else could see it."""
        items: list[tuple[str, Built]] = []
        fresh = False
        for name, found in named:
            code = found[0][1]
            if isinstance(code, OpCode):
                for i, (before, _) in enumerate(code.code.before):
                    items.append(
                        (before, self.layer([(b, c.code.before[i][1]) for b, c in found if isinstance(c, OpCode)]))
                    )
                more = (code.code.inplace,) if code.code.inplace and fresh else ()
                items.append((name, self.layer([(b, _layer(c)) for b, c in found], *more)))
                fresh = code.code.fresh
            else:
                items.append((name, self.built(found)))
                fresh = False
        return Line(tuple(items))

    def _call(self, items: Sequence[tuple[Body, CallCode]]) -> New:
        callee = self._of[items[0][1].body]
        written = []
        for spec in self._args[callee]:
            values = [(b, _argument(callee, spec.key, code, b)) for b, code in items]
            if spec.key.startswith("#") and self._differ(values) and self._reaches(callee, self.cls):
                self._split(values)
            written.append(Written(self.value(values, spec.hint), spec=spec))
        return New(callee, tuple(written))

    def _chain(self, items: Chains) -> Row:
        outer = self._in_list
        self._in_list = outer or items[0][1].times is None
        row = self._row(items)
        self._in_list = outer
        return row

    def _row(self, items: Chains) -> Row:
        chains = [c for _, c in items]
        form = self._form(chains)
        if form == "repeat":
            return Row((self._many([(b, c.steps[0][0]) for b, c in items], [(b, c.length) for b, c in items]),))
        if form == "first and rest":
            return self._first_and_rest(items)
        if form == "columns" and self._fits_columns([code for c in chains for code, _ in c.steps]):
            return self._listed(items)
        lengths = {b: tuple(n for _, n in c.steps) for b, c in items}
        if len(set(lengths.values())) > 1:
            raise MustSplitError(self.cls, _parted(self.bodies, lambda b: lengths.get(b, lengths[items[0][0]])))
        return self._rows(items)

    def _form(self, chains: Sequence[ChainCode]) -> str:
        """How a chain is written that is one of `chains`, depending on the body or on its place in a list."""
        lengths = {len(c.steps) for c in chains}
        if not self.are_alike([code for c in chains for code, _ in c.steps]):
            return "rows"
        if lengths == {1}:
            return "repeat"
        if lengths <= {1, 2} and all(c.steps[0][1] == 1 or len(c.steps) == 1 for c in chains):
            return "first and rest"
        same = len({tuple(n for _, n in c.steps) for c in chains}) == 1
        return "rows" if same and lengths <= {1, 2, 3} else "columns"

    def _fits_columns(self, codes: Sequence[Applied]) -> bool:
        """Whether one text, with numbers out of columns, says all of `codes`: no list in it needs columns itself."""
        if isinstance(codes[0], FlowCode):
            flows = [c for c in codes if isinstance(c, FlowCode)]
            return all(self._fits_columns([f.items[i][1] for f in flows]) for i in range(len(codes[0].items)))
        if not isinstance(codes[0], ChainCode):
            return True
        chains = [c for c in codes if isinstance(c, ChainCode)]
        form = self._form(chains)
        if form == "rows":
            alike = len({tuple(n for _, n in c.steps) for c in chains}) == 1
            return alike and all(
                self._fits_columns([c.steps[i][0] for c in chains]) for i in range(len(chains[0].steps))
            )
        if form == "first and rest" and not self._fits_columns([c.steps[-1][0] for c in chains if c.is_longer]):
            return False
        return form != "columns" and self._fits_columns([c.steps[0][0] for c in chains])

    def _rows(self, items: Chains) -> Row:
        return Row(
            tuple(
                self._many([(b, c.steps[i][0]) for b, c in items], [(b, dim(c.steps[i][1])) for b, c in items])
                for i in range(len(items[0][1].steps))
            )
        )

    def _first_and_rest(self, items: Chains) -> Row:
        first = self.built([(b, c.steps[0][0]) for b, c in items])
        count = self.value([(b, c.length - 1) for b, c in items], "times")
        longer = [i for i, (_, c) in enumerate(items) if c.is_longer]
        with self._only(longer):
            rest = self.built([(items[i][0], items[i][1].steps[-1][0]) for i in longer])
        if rest == first:
            return Row((self._many([(b, c.steps[0][0]) for b, c in items], [(b, c.length) for b, c in items]),))
        return Row((first, rest if count == Const(1) else Many(rest, count)))

    @contextmanager
    def _only(self, which: Sequence[int]) -> Iterator[None]:
        """Within, only some of the items of a list have what is written."""
        columns = self._columns
        if columns is not None:
            self._columns = replace(columns, places=[columns.places[i] for i in which])
        yield
        self._columns = columns

    def _many(self, items: Items, times: Values) -> Built | Many:
        item = self.built(items)
        count = self.value(times, "times")
        return item if count == Const(1) else Many(item, count)

    def _listed(self, items: Chains) -> Row:
        """A list whose items differ in numbers: one line, and the numbers as columns."""
        counts = [(b, n) for b, c in items for _, n in c.steps]
        self._columns = columns = _Columns(counts, range(len(counts)))
        item = self.built([(b, code) for b, c in items for code, _ in c.steps])
        self._columns = None
        if not columns.found:
            return Row((self._many([(b, c.steps[0][0]) for b, c in items], [(b, c.length) for b, c in items]),))
        found = tuple((column, self._written_column(columns, at)) for at, column in enumerate(columns.found))
        return Row((Many(item, Const(None), found),))

    # --- values ---

    def code(self, codes: Sequence[tuple[Body, Code]]) -> WrittenCode:
        first = codes[0][1]
        values = {n: self.value([(b, c.values[n]) for b, c in codes], n) for n in first.values}
        return WrittenCode(first, values, self.arguments([(b, c.args) for b, c in codes]))

    def value(self, values: Values, hint: str) -> Val:
        """One way to write what each body wants."""
        first = values[0][1]
        if isinstance(first, Layer):
            return self.layer([(b, v) for b, v in values if isinstance(v, Layer)])
        if isinstance(first, tuple) and all(isinstance(v, tuple) and len(v) == len(first) for _, v in values):
            if self._differ(values) and len(first) > 3:
                self._lose(values)
                return self._hoist(values, hint)
            return tuple(
                self.value([(b, v[i]) for b, v in values if isinstance(v, tuple)], hint) for i in range(len(first))
            )
        if (own := self._own_size(values, hint)) is not None:
            return own
        plain = self._plain(values)
        if plain is None or isinstance(plain, Const):
            self._lose(values)
        if plain is not None:
            return plain
        if self._columns is not None:
            return self._column(values, hint)
        return self._named(values) or self._hoist(values, hint)

    def _lose(self, values: Values) -> None:
        """Note the names that numbers depend on which are not written as they were."""
        for _, value in values:
            if isinstance(value, Dim) and value.expr is not None:
                self._lost |= value.expr.names()
            elif isinstance(value, tuple):
                self._lose([(self.bodies[0], v) for v in value])

    def _own_size(self, values: Values, hint: str) -> Expr | None:
        """A size of a flow's input, where its bodies would have to write it in the block's names differently."""
        if not self.cls.is_flow:
            return None
        inputs = {b: b.graph.entries[0].types[0].shape for b in self.bodies}
        for axis in range(len(inputs[self.bodies[0]])):
            is_size = all(_same_text(v, inputs[b][axis], hint) for b, v in values)
            if is_size and len({shape[axis].expr for shape in inputs.values()}) > 1:
                name = axis_names(len(inputs[self.bodies[0]]))[axis]
                return self._hoist([(b, shape[axis]) for b, shape in inputs.items()], size_name("in", name))
        return None

    def _plain(self, values: Values) -> Val | None:
        """An expression that is right in every body, or the number where it is the same in all."""
        found = list(dict.fromkeys(v.expr for _, v in values if isinstance(v, Dim) and v.expr is not None))
        if not found and len(values) == 1:
            return Const(constant(values[0][1]))
        for expr in found:
            if self._in_list and isinstance(values[0][1], Dim) and isinstance(values[0][1].value, Fraction):
                break
            if (len(found) == 1 or expr.op == "name") and all(
                isinstance(v, Dim) and writes(expr, b, v.value) for b, v in values
            ):
                if expr.names() and expr.names() <= set(self.cls.fixed):
                    return Const(constant(values[0][1]))
                return self.read(expr)
        return None if self._differ(values) else Const(constant(values[0][1]))

    def _named(self, values: Values) -> Expr | None:
        """A parameter or size that happens to be the value in every body."""
        if self.cls.is_flow:
            return None
        if isinstance(constant(values[0][1]), bool | None):
            return None  # two values: too easily equal by chance
        names = [*self.cls.graph.params, *(n for n in self.bodies[0].env if "." in n)]
        for name in names:
            if all(constant(v) == constant(b.params.get(name, b.env.get(name))) for b, v in values):  # type: ignore[arg-type]
                return self.read(symbol(name))
        return None

    def _column(self, values: Values, hint: str) -> Column:
        """The column that holds `values`, where the items that have them stand; an old one if there is one."""
        columns = self._columns
        assert columns is not None
        wanted = {place: literal(value) for place, (_, value) in zip(columns.places, values, strict=True)}
        for column, known in zip(columns.found, columns.values, strict=True):
            alike = all(constant(known[at]) == constant(value) for at, value in wanted.items() if at in known)
            if alike and (column.hint == hint or (hint in _CHANNELS and known.keys() & wanted.keys())):
                known.update(wanted)
                return column
        columns.found.append(Column(len(columns.found), hint))
        columns.values.append(wanted)
        return columns.found[-1]

    def _written_column(self, columns: _Columns, index: int) -> Val:
        """A column for all items: what an item never reads stands as its neighbour's."""
        known = columns.values[index]
        last = known[min(known)]
        whole: dict[Body, tuple[Value, ...]] = {}
        for place, (body, count) in enumerate(columns.counts):
            last = known.get(place, last)
            whole[body] = whole.get(body, ()) + (last,) * count
        if len(set(map(constant, whole.values()))) == 1:
            return Const(constant(next(iter(whole.values()))))
        return self._hoist(list(whole.items()), columns.found[index].hint)

    def _hoist(self, found: Values, hint: str) -> Expr:
        """A constructor argument for a value that the block's names do not give."""
        values = dict(found)
        assert all(constant(values[b]) == constant(v) for b, v in found)
        every = {b: values.get(b, next(iter(values.values()))) for b in self.bodies}
        if not self.cls.is_flow:  # a flow speaks the names of those who build it
            every = {b: literal(v) for b, v in every.items()}
        for known, of in self._hoists.items():
            if of == every and known in _CHANNELS and hint in _CHANNELS:
                return self.read(symbol(known))
        name = f"#{hint}"
        self._places.setdefault(name, self.place)
        if name in self._hoists and self._hoists[name] != every:
            name = f"#{self.place}_{hint}"
        while name in self._hoists and self._hoists[name] != every:
            name += "_"
        self._hoists[name] = every
        return self.read(symbol(name))

    def read(self, expr: Expr) -> Expr:
        self._reads |= dict.fromkeys(sorted(expr.names()))
        return expr

    def _differ(self, values: Values) -> bool:
        first = constant(values[0][1])
        return any(constant(v) != first or type(constant(v)) is not type(first) for _, v in values[1:])

    def _split(self, values: Values) -> None:
        """Part the bodies of a recursive class by a value that it cannot pass on."""
        of = dict(values)
        groups = _parted(self.bodies, lambda b: constant(of[b]) if b in of else None)
        raise MustSplitError(self.cls, groups if len(groups) > 1 else [[b] for b in self.bodies])

    # --- what the constructor takes ---

    def finish(self) -> tuple[tuple[ArgSpec, ...], tuple[Local, ...]]:
        """The constructor's arguments in order, and the lines that name expressions."""
        args: set[str] = set()
        local: dict[str, Local] = {}
        pending = list(self._reads)
        done: set[str] = set()
        while pending:
            name = pending.pop()
            if name in done or name in self.cls.fixed:
                continue
            done.add(name)
            before = set(self._reads)
            if (value := self._local(name)) is not None:
                local[name] = Local(name, value)
            elif name in self.same:
                pending.append(self.same[name])
            else:
                args.add(name)
            pending += [n for n in self._reads if n not in before or (isinstance(value, Expr) and n in value.names())]
        self.cls.lost = frozenset(self._lost - self.cls.fixed.keys())
        self.cls.hoists = {k: v for k, v in self._hoists.items() if k in args}
        graph = self.cls.graph
        order = [*graph.params, *graph.bound]
        return self._arguments(args), tuple(local[n] for n in order if n in local)

    def _local(self, name: str) -> Val | None:
        """The expression that a name stands for, where it is bound in the text or left to its default."""
        graph = self.cls.graph
        if self.cls.is_flow:
            return None
        if name in graph.bound:
            return self.value([(b, b.graph.bound[name]) for b in self.bodies], name)
        default = graph.defaults.get(name)
        if default is None or not default.names() or any(name in b.given for b in self.bodies):
            return None
        if all(writes(default, b, b.env[name]) for b in self.bodies):
            return self.read(default)
        return None

    def _arguments(self, args: set[str]) -> tuple[ArgSpec, ...]:
        home = self.bodies[0].home
        sizes = [n for n in home.env if "." in n and n in args]
        params = [n for n in home.graph.params if n in args]
        rest = sorted(args - set(sizes) - set(params) - set(self._hoists))
        hoists = [h for h in self._hoists if h in args]
        own = [h for h in hoists if h in _OWN_SIZES]
        first = list(home.graph.params)[:1]
        names = Names(self._reserved)
        given: list[tuple[str, str, Const | None, bool]] = []
        given += [(n, size_name(*n.rsplit(".", 1)), None, True) for n in sizes]
        given += [(n, n.strip("#"), None, True) for n in own]
        given += [(n, n, self._default(n), n in first and self._default(n) is None) for n in params]
        given += [(n, n.strip("#"), None, n in _CHANNELS) for n in (*rest, *hoists) if n not in own]
        specs = [
            ArgSpec(key, hint, names.give(key, hint, f"{self._places.get(key, '')}_{hint}".strip("_")), default, lead)
            for key, hint, default, lead in given
        ]
        return (*(s for s in specs if s.default is None), *(s for s in specs if s.default is not None))

    def _default(self, name: str) -> Const | None:
        if self.cls.is_flow:
            return None
        if self.cls.graph.kind == "model":
            return Const(constant(self.cls.graph.params[name]))  # type: ignore[arg-type]
        default = self.cls.graph.defaults.get(name)
        return Const(default.value({})) if default is not None and not default.names() else None


def _argument(callee: Class, key: str, code: CallCode, caller: Body) -> Value:
    """What a call gives for one argument of its class, in the caller's names."""
    if key.startswith("#"):
        return callee.hoists.get(key, {}).get(code.body)
    if callee.is_flow:
        value = caller.params.get(key)
        return value if isinstance(value, str) else Dim(caller.home.env[key], symbol(key))
    entry, _, axis = key.rpartition(".")
    if entry:
        kind = code.inputs[entry]
        return kind.shape[axis_names(kind.rank).index(axis)]
    value = code.call.args.get(key, literal(code.body.graph.params.get(key)))  # type: ignore[arg-type]
    return dim(value) if isinstance(value, bool) else value  # type: ignore[return-value]


def _unified(cls: Class) -> dict[str, str]:
    """Sizes of inputs that equal a parameter in every body, where that parameter is such a size: `in.c` -> `c`."""
    params = [p for p, v in cls.graph.params.items() if isinstance(v, Dim) and v.is_int and p not in cls.fixed]
    same: dict[str, str] = {}
    for entry in cls.graph.entries:
        for i, axis in enumerate(axis_names(entry.types[0].rank)):
            name = f"{entry.name}.{axis}"
            for p in params:
                if all(b.env.get(name) == b.env.get(p) for b in cls.bodies) and _is_size(cls, p, i):
                    same.setdefault(name, p)
    return same


def _is_size(cls: Class, param: str, axis: int) -> bool:
    """Whether some tensor of the class is `param` long along `axis`, as written."""
    wanted = symbol(param)
    return any(
        len(t.shape) > axis and t.shape[axis].expr == wanted
        for b in cls.bodies
        for p in b.nodes.values()
        for t in p.node.types
    )


def _parted(bodies: Sequence[Body], key: Callable[[Body], object]) -> list[list[Body]]:
    groups: dict[object, list[Body]] = {}
    for body in bodies:
        groups.setdefault(key(body), []).append(body)
    return list(groups.values())


def _layer(code: Applied) -> Layer:
    assert isinstance(code, OpCode)
    layer = code.code.member or code.code.layer
    assert layer is not None
    return layer


def _same_text(value: Value, size: Dim, hint: str) -> bool:
    """Whether a value is a size not by chance: it is written like it, or it is a number of channels as well."""
    if not isinstance(value, Dim) or value.value != size.value or value.expr != size.expr:
        return False
    return value.expr is not None or hint in _CHANNELS
