"""Values that the bodies of a class write in many ways, as the one way that its constructor writes them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice

from archdsl.code.bodies import BodyCode
from archdsl.code.classes import Class, fractions
from archdsl.code.code import REQUIRED, Arg, Code, Layer, Lent, Value, constant, literal
from archdsl.code.exact import as_any_number, is_any_number, spelled
from archdsl.code.names import Names, others, size_name
from archdsl.code.written import ArgSpec, Column, Const, Constructor, Local, New, Val, Written, WrittenCode
from archdsl.language.expr import Expr, Number, numeral, symbol
from archdsl.language.types import Dim, axis_names, dim

__all__ = ["Columns", "Values", "Wording", "differ"]

# A value beginning with `#` is one that the block's names do not give: its constructor must be told.
_CHANNELS = frozenset(
    f"{mark}{name}" for mark in ("", "#") for name in ("in_channels", "channels", "in_features", "features")
)
_OWN_SIZES = frozenset(f"#{size_name('in', axis)}" for axis in "chwn")  # of a flow's input

Values = Sequence[tuple[BodyCode, Value]]


@dataclass
class Columns:
    """The columns of the list that is being written.

    counts: (body, count) of each of its items. places: which of them have what is written now.
    values: of each column, by the item's place.
    """

    counts: Sequence[tuple[BodyCode, int]]
    places: Sequence[int]
    found: list[Column] = field(default_factory=list)
    values: list[dict[int, Value]] = field(default_factory=list)


class Wording:
    """Words the values of one class, and notes what that takes: names it reads, loses, or has to be given.

    fixed: names that are written as their value. same: sizes of inputs that are a parameter as well.
    A value goes through the following, and the first that says it in every body is what is written: the size of a
    flow's own input; an expression of the author's, or the number that is the same in all; inside a list, a column;
    a parameter that equals it; at last an argument of its own.
    """

    def __init__(self, cls: Class, fixed: Mapping[str, Number], same: Mapping[str, str]) -> None:
        self.cls = cls
        self.bodies = cls.bodies
        self.fixed = fixed
        self._fractions = fractions(cls.bodies)
        self.same = {size: name for size, name in same.items() if name not in fixed}
        self._place = ""
        self._in_list = False  # an item's fraction depends on its place in the list, which no name says
        self._at_hand: frozenset[str] = frozenset()  # names that need no argument where a value is written now
        self._places: dict[str, str] = {}
        self._reads: dict[str, None] = {}
        self._lost: set[str] = set()
        self._any: set[str] = set()  # names that are read where any number is taken
        self._whole: set[str] = set()  # and where only a whole one is
        self._hoists: dict[str, dict[BodyCode, Value]] = {}
        self._defaults: dict[str, Const] = {}  # of hoisted values
        self._hints: dict[str, str] = {}  # what those who build the class may call a hoisted value, before all else
        self._columns: Columns | None = None

    # --- where values stand ---

    def begin(self, place: str) -> None:
        """What is asked for from now on is part of `place`, a member or node: arguments may be called after it."""
        self._place = place

    @contextmanager
    def items(self, is_list: bool) -> Iterator[None]:
        """Within, values are those of items of a chain."""
        outer, self._in_list = self._in_list, self._in_list or is_list
        yield
        self._in_list = outer

    @contextmanager
    def columns(self, counts: Sequence[tuple[BodyCode, int]]) -> Iterator[Columns]:
        """Within, values that differ between the items of a list become columns."""
        self._columns = Columns(counts, range(len(counts)))
        yield self._columns
        self._columns = None

    @contextmanager
    def only(self, which: Sequence[int]) -> Iterator[None]:
        """Within, only some of the items of a list have what is written."""
        columns = self._columns
        if columns is not None:
            self._columns = replace(columns, places=[columns.places[i] for i in which])
        yield
        self._columns = columns

    # --- values ---

    def code(self, codes: Sequence[tuple[BodyCode, Code]]) -> WrittenCode:
        """How an op is applied: in a forward pass, where the inputs tell their sizes."""
        first = codes[0][1]
        self._at_hand = frozenset() if self.cls.is_flow else self._sizes()
        values = {n: self.value([(b, c.values[n]) for b, c in codes], n) for n in first.values}
        written = WrittenCode(first, values, self.arguments([(b, c.args) for b, c in codes]))
        self._at_hand = frozenset()
        return written

    def _sizes(self) -> frozenset[str]:
        """What sizes of inputs are called."""
        entries = ((entry.name, entry.types[0].rank) for entry in self.cls.graph.entries)
        return frozenset(f"{name}.{axis}" for name, rank in entries for axis in axis_names(rank))

    def layer(self, layers: Sequence[tuple[BodyCode, Layer]], *more: Arg) -> New:
        return New(layers[0][1].cls, self.arguments([(b, (*layer.args, *more)) for b, layer in layers]))

    def arguments(self, args: Sequence[tuple[BodyCode, tuple[Arg, ...]]]) -> tuple[Written, ...]:
        return tuple(self._argument([(b, given[i]) for b, given in args]) for i in range(len(args[0][1])))

    def _argument(self, found: Sequence[tuple[BodyCode, Arg]]) -> Written:
        first = found[0][1]
        default, values = first.default, [(b, arg.value) for b, arg in found]
        if any(constant(arg.default) != constant(default) for _, arg in found):  # as a stride's, which is the window
            usual = all(constant(arg.value) == constant(arg.default) for _, arg in found)
            default = default if usual else REQUIRED
        value = self.value(values, first.hint or first.name or "value", default)
        return Written(value, first.name, default, first.positional, hint=first.hint)

    def value(self, values: Values, hint: str, default: object = REQUIRED) -> Val:
        """One way to write what each body wants; `default` is what it is where nobody says it."""
        first = values[0][1]
        if isinstance(first, Lent):
            return self.read(symbol(first.name))
        if isinstance(first, Layer):
            return self.layer([(b, v) for b, v in values if isinstance(v, Layer)])
        if isinstance(first, tuple) and all(isinstance(v, tuple) and len(v) == len(first) for _, v in values):
            items = [[(b, v[i]) for b, v in values if isinstance(v, tuple)] for i in range(len(first))]
            # A list of sizes that the block's names do not say is one argument, not one for each of them.
            if len(first) > 3 and not all(map(self._is_plain, items)):
                self.lose(values)
                return self._hoist(values, hint, default)
            return tuple(self.value(item, hint) for item in items)
        if (own := self._own_size(values, hint)) is not None:
            return own
        plain = self._plain(values)
        if plain is None or isinstance(plain, Const):
            self.lose(values)
        if plain is not None:
            return plain
        if self._columns is not None:
            return self._column(values, hint)
        return self._named(values) or self._hoist(values, hint, default)

    def lose(self, values: Values) -> None:
        """Note the names that numbers depend on which are not written as they were."""
        for _, value in values:
            if isinstance(value, Dim) and value.formula is not None:
                self._lost |= value.formula.all_names()
            elif isinstance(value, tuple):
                self.lose([(self.bodies[0], v) for v in value])

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
            # `2*a` here and `2*b` there are not one thing because they are equal now; a plain name may be read so.
            if (len(found) == 1 or expr.op == "name") and (text := self._spelled(expr, values)) is not None:
                if expr.names() and expr.names() <= set(self.fixed):  # nothing in it can change
                    return Const(constant(values[0][1]))
                if is_any_number(expr):
                    self._any |= expr.names()
                elif expr.op == "name":
                    self._whole.add(str(expr.args[0]))
                return self.read(text)
        return None if differ(values) else Const(constant(values[0][1]))

    def _is_plain(self, values: Values) -> bool:
        """Whether one text of the author's, or one number, is right in every body."""
        texts = {v.expr for _, v in values if isinstance(v, Dim)}
        said = texts.pop() if len(texts) == 1 else None
        return not differ(values) or (said is not None and self._spelled(said, values) is not None)

    def _spelled(self, expr: Expr, values: Values) -> Expr | None:
        """An expression as Python computes it, if it is the value in every body."""
        if not all(isinstance(v, Dim) for _, v in values):
            return None
        numbers = [v.value for _, v in values if isinstance(v, Dim)]
        fixed = {n: numeral(v) for n, v in self.fixed.items() if isinstance(v, Fraction)}
        if fixed.keys() & expr.names():
            expr = expr.substitute({n: fixed.get(n, symbol(n)) for n in expr.names()}) or expr
        return spelled(expr, [b.env for b, _ in values], numbers, self._fractions)

    def _named(self, values: Values) -> Expr | None:
        """A parameter or size that happens to be the value in every body; one that may be a fraction is no size."""
        if self.cls.is_flow:
            return None
        if isinstance(constant(values[0][1]), bool | None):
            return None  # two values: too easily equal by chance
        whole = (n for n in self.cls.graph.params if not _is_fraction(self._default(n)))
        for name in (*whole, *(n for n in self.bodies[0].env if "." in n)):
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

    def column(self, columns: Columns, index: int) -> Val:
        """A column for all items: what an item never reads stands as its neighbour's."""
        known = columns.values[index]
        last = known[min(known)]
        whole: dict[BodyCode, tuple[Value, ...]] = {}
        for place, (body, count) in enumerate(columns.counts):
            last = known.get(place, last)
            whole[body] = whole.get(body, ()) + (last,) * count
        if len(set(map(constant, whole.values()))) == 1:
            return Const(constant(next(iter(whole.values()))))
        return self._hoist(list(whole.items()), columns.found[index].hint)

    def _hoist(self, found: Values, hint: str, default: object = REQUIRED) -> Expr:
        """A constructor argument for a value that the block's names do not give, with its default if that occurs."""
        values = dict(found)
        assert all(constant(values[b]) == constant(v) for b, v in found)
        # Bodies that do not have it never read the argument, but must give one.
        every = {b: values.get(b, next(iter(values.values()))) for b in self.bodies}
        if not self.cls.is_flow:  # a flow speaks the names of those who build it
            every = {b: literal(v) for b, v in every.items()}
        # What one layer gives is what the next one takes: both are told by one argument.
        for known, of in self._hoists.items():
            if of == every and known in _CHANNELS and hint in _CHANNELS:
                return self.read(symbol(known))
        keys = (f"#{name}" for name in (hint, *others(hint, self._place)))
        name = next(key for key in keys if self._hoists.get(key, every) == every)
        self._hints[name] = hint
        self._places.setdefault(name, self._place)
        self._hoists[name] = every
        usual = default.value if isinstance(default, Dim) else default
        if any(constant(v) == usual and type(constant(v)) is type(usual) for v in every.values()):
            self._defaults[name] = Const(usual)
        return self.read(symbol(name))

    def read(self, expr: Expr) -> Expr:
        """Note that the text reads the names of `expr`."""
        self._reads |= dict.fromkeys(sorted(expr.names() - self._at_hand))
        return expr

    # --- what the constructor takes ---

    def constructor(self, reserved: frozenset[str]) -> tuple[Constructor, tuple[Local, ...]]:
        """Its arguments, and the lines that name expressions, after all values were worded."""
        args: set[str] = set()
        local: dict[str, Local] = {}
        pending = list(self._reads)
        done: set[str] = set()
        while pending:
            name = pending.pop()
            if name in done or name in self.fixed:
                continue
            done.add(name)
            before = len(self._reads)  # what a local line reads has to be known as well
            if (value := self._local(name)) is not None:
                local[name] = Local(name, value)
            elif name in self.same:
                pending.append(self.same[name])
            else:
                args.add(name)
            pending += islice(self._reads, before, None)
            if isinstance(value, Expr):
                pending += sorted(value.names() & self._reads.keys())
        order = [*self.cls.graph.params, *self.cls.graph.bound]
        hoists = {key: values for key, values in self._hoists.items() if key in args}
        specs = self._arguments(args, reserved)
        any_numbers = frozenset(name for name in args if self._is_any(name))
        return Constructor(specs, hoists, any_numbers), tuple(local[n] for n in order if n in local)

    def _is_any(self, name: str) -> bool:
        """Whether what a name stands for need not be whole."""
        return name in self._any and name not in self._whole

    @property
    def lost(self) -> frozenset[str]:
        """Names that a literal was made of, because the bodies or the items of a list write it differently."""
        return frozenset(self._lost - self.fixed.keys())

    def _local(self, name: str) -> Val | None:
        """The expression that a name stands for, where it is bound in the text or left to its default."""
        graph = self.cls.graph
        if self.cls.is_flow:
            return None
        if name in graph.bound:
            mark = as_any_number if self._is_any(name) else lambda number: number
            return self.value([(b, mark(b.graph.bound[name])) for b in self.bodies], name)
        default = graph.defaults.get(name)
        if default is None or not default.names() or any(name in b.given for b in self.bodies):
            return None
        text = self._spelled(default, [(b, dim(b.env[name])) for b in self.bodies])
        return None if text is None else self.read(text)

    def _arguments(self, args: set[str], reserved: frozenset[str]) -> tuple[ArgSpec, ...]:
        """Sizes of inputs first, then parameters as declared, then what no name gives; defaults last."""
        params = self.bodies[0].params
        sizes = [n for n in self.bodies[0].env if "." in n and n in args]
        named = [n for n in params if n in args]
        rest = sorted(args - set(sizes) - set(named) - set(self._hoists))
        hoists = [h for h in self._hoists if h in args]
        own = [h for h in hoists if h in _OWN_SIZES]
        first = list(params)[:1]
        names = Names(reserved)
        given: list[tuple[str, str, Const | None, bool]] = []
        given += [(n, size_name(*n.rsplit(".", 1)), None, True) for n in sizes]
        given += [(n, n.strip("#"), None, True) for n in own]
        given += [(n, n, self._default(n), n in first and self._default(n) is None) for n in named]
        given += [(n, n.strip("#"), self._defaults.get(n), n in _CHANNELS) for n in (*rest, *hoists) if n not in own]
        specs = [
            ArgSpec(key, self._hints.get(key, name), names.give(key, name, *self._others(key)), default, lead)
            for key, name, default, lead in given
        ]
        return (*(s for s in specs if s.default is None), *(s for s in specs if s.default is not None))

    def _others(self, key: str) -> Iterator[str]:
        """What else an argument may be called whose name nobody wrote."""
        return others(self._hints[key], self._places[key]) if key in self._hints else iter(())

    def _default(self, name: str) -> Const | None:
        if self.cls.is_flow:
            return None
        if self.cls.graph.kind == "model":
            return Const(constant(self.cls.graph.params[name]))  # type: ignore[arg-type]
        default = self.cls.graph.defaults.get(name)
        return Const(default.value({})) if default is not None and not default.names() else None


def differ(values: Values) -> bool:
    """Whether the values are not one and the same; `1` is not `true`.

    >>> unit = made.bodies[0]
    >>> differ([(unit, Dim(1)), (unit, Dim(1))]), differ([(unit, Dim(1)), (unit, True)])
    (False, True)
    """
    first = constant(values[0][1])
    return any(constant(v) != first or type(constant(v)) is not type(first) for _, v in values[1:])


def _is_fraction(default: Const | None) -> bool:
    return default is not None and isinstance(default.value, Fraction)


def _same_text(value: Value, size: Dim, hint: str) -> bool:
    """Whether a value is a size not by chance: it is written like it, or it is a number of channels as well."""
    if not isinstance(value, Dim) or value.value != size.value or value.expr != size.expr:
        return False
    return value.expr is not None or hint in _CHANNELS
