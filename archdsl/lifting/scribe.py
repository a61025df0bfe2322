"""`Scribe`: a backend tells it what a model computes, function by function; it keeps nodes in ops of the language.

Tensors are `Laid`, and axes those of the framework, the batch among them. A method raises NoEqual where the language
cannot say what it is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from archdsl.language.later import np
from archdsl.lifting.layout import Atom, Group, Laid, atoms, flat, pattern, refined, size
from archdsl.lifting.net import Node, NoEqual, Port, Region, Weight

__all__ = ["Scribe"]

MOST_GIVEN = 4096  # numbers that a spec writes down


@dataclass(frozen=True)
class _Free:
    """A learned tensor that is not read yet: how it lies in the language is settled then."""

    name: str


@dataclass(frozen=True, eq=False)
class _Known:
    """Given numbers."""

    values: Any


class Scribe:
    """What has been said of a model so far.

    batch: how many examples the traced input has, a prime number that no other size has as a factor.
    """

    def __init__(self, batch: int) -> None:
        self.batch = Atom(batch)
        self.root = self.region = Region("", "")
        self.inputs: list[Node] = []
        self.module = ""
        self.channels: dict[Port, int] = {}
        self._params: dict[str, Laid] = {}
        self._settled: dict[str, tuple[Weight, Port]] = {}
        self._laid: dict[tuple[Port, tuple[Group, ...]], tuple[Region, Port]] = {}

    # --- modules ---

    @contextmanager
    def within(self, path: str, cls: str, doc: str = "", given: Mapping[str, Any] | None = None) -> Iterator[Region]:
        """What is computed inside of a module."""
        before, region = (self.region, self.module), Region(path, cls, doc, given or {}, self.region)
        self.region.items.append(region)
        self.region, self.module = region, path
        try:
            yield region
        finally:
            self.region, self.module = before

    def refuse(self, what: str) -> NoReturn:
        raise NoEqual(self.module, what)

    # --- leaves ---

    def input(self, shape: Sequence[int]) -> Laid:
        dims = ((self.batch,), *map(atoms, shape[1:]))
        node = Node("input", "input", (), {"shape": tuple(shape[1:])}, self.root)
        self.root.items.append(node)
        self.inputs.append(node)
        return Laid(Port(node), dims[1:], dims, tuple(shape))

    def param(self, name: str, shape: Sequence[int]) -> Laid:
        """A learned tensor."""
        dims = tuple(map(atoms, shape))
        return self._params.setdefault(name, Laid(_Free(name), dims, dims, tuple(shape)))

    def given(self, values: Any) -> Laid:
        """A tensor of known numbers. values: an array."""
        dims = tuple(map(atoms, values.shape))
        return Laid(_Known(values), dims, dims, tuple(values.shape))

    # --- putting down ---

    def _node(self, op: str, kind: str, inputs: Sequence[Laid], settings: Mapping[str, Any], **more: Any) -> Port:
        ports = tuple(x.port for x in inputs)
        assert all(isinstance(port, Port) for port in ports), "a free tensor is laid before it is read"
        node = Node(op, kind, ports, settings, self.region, **more)
        self.region.items.append(node)
        return Port(node)

    def _batchless(self, group: Group) -> Group:
        return tuple(atom for atom in group if atom is not self.batch)

    def lay(self, x: Laid, wanted: Sequence[Group]) -> Laid:
        """The same tensor with these axes in the language."""
        goal = tuple(wanted) or ((),)
        if {*flat(x.axes)} != {*flat(goal)}:
            self.refuse("axes are put together in a way that the language cannot say")
        if isinstance(x.port, _Free):
            return replace(x, port=self._settle(x, x.port.name, goal), axes=goal)
        if isinstance(x.port, _Known):
            return replace(x, port=self._put_known(x, x.port.values, goal), axes=goal)
        if x.axes == goal:
            return x
        known = self._laid.get((x.port, goal))
        if known is None or not _inside(self.region, known[0]):
            self._laid[x.port, goal] = known = self.region, self._regroup(x, goal)
            self.channels[known[1]] = size(goal[0])
        return replace(x, port=known[1], axes=goal)

    def _regroup(self, x: Laid, goal: tuple[Group, ...]) -> Port:
        same = flat(x.axes) == flat(goal)
        if same and len(goal) == 1:
            return self._node("flatten", "op", [x], {})
        text, sizes = pattern(x.axes, goal)
        return self._node("reshape" if same else "permute", "op", [x], {"pattern": text, **sizes})

    def _settle(self, x: Laid, name: str, goal: tuple[Group, ...]) -> Port:
        source = flat(x.axes)
        order = tuple(source.index(atom) for atom in flat(goal))
        shape = tuple(map(size, goal))
        weight = Weight(name, shape, tuple(atom.size for atom in source), order)
        if name in self._settled:
            before, port = self._settled[name]
            if before != weight:
                self.refuse(f"the parameter `{name}` is read in several forms")
            if not _inside(self.region, port.node.region):
                self.refuse(f"the parameter `{name}` is read in several modules")
            return port
        port = self._node("param", "call", [], {"shape": list(shape)}, weights=(weight,), name=name.rpartition(".")[2])
        self._settled[name] = weight, port
        return port

    def _put_known(self, x: Laid, values: Any, goal: tuple[Group, ...]) -> Port:
        source, shape = flat(x.axes), tuple(map(size, goal))
        split = values.reshape(tuple(atom.size for atom in source))
        values = split.transpose(tuple(source.index(atom) for atom in flat(goal))).reshape(shape)
        first = values.flat[0]
        if (values == first).all():
            port = self._node("zeros" if first == 0 else "ones", "call", [], {"shape": list(shape)})
            if first in (0, 1):
                return port
            laid = replace(x, port=port, axes=goal)
            return self._node("*", "number", [laid], {"number": _number(first)})
        if values.size > MOST_GIVEN:
            self.refuse(f"a tensor of {values.size} given numbers, more than {MOST_GIVEN}")
        if not np.isfinite(values).all():
            self.refuse("a given tensor that is not finite")
        return self._node("const", "call", [], {"values": [[*map(_number, row)] for row in values] if values.ndim == 2
                                                else _listed(values)})  # fmt: skip

    def _made(self, port: Port, axes: Sequence[Group], dims: Sequence[Group], shape: Sequence[int]) -> Laid:
        return Laid(port, tuple(axes), tuple(dims), tuple(shape))

    def whole(self, x: Laid) -> Laid:
        """The same with nothing stretched but over the batch."""
        short = [
            i for i, (g, n) in enumerate(zip(x.dims, x.shape, strict=True)) if not g and n not in (1, self.batch.size)
        ]
        if not short:
            return x
        parts = {i: Atom(x.shape[i]) for i in short}
        dims = tuple((parts[i],) if i in parts else group for i, group in enumerate(x.dims))
        goal = [self._batchless(group) for group in dims]
        goal = [g for g, d in zip(goal, dims, strict=True) if g or not d]
        thin = self.lay(x, [tuple(a for a in g if a not in parts.values()) for g in goal])
        ones = self._node("ones", "call", [], {"shape": [size(g) for g in goal]})
        port = self._node("*", "sign", [thin, replace(x, port=ones)], {})
        return Laid(port, tuple(goal), dims, x.shape)

    # --- forms ---

    def planes(self, x: Laid) -> Laid:
        """As [c, h, w], [c, n] or [c, d, h, w]: the framework's axes without the batch, which stands first."""
        x = self.whole(x)
        if x.dims[0] not in ((self.batch,), ()):
            self.refuse("the batch is merged with another axis")
        return self.lay(x, x.dims[1:])

    def _channels(self, x: Laid, most: int) -> Laid:
        """With the framework's last axis as axis 0, and at most `most` axes."""
        x = self.whole(x)
        last = x.dims[-1]
        rest = self._batchless(flat(x.dims[:-1]))
        if not isinstance(x.port, Port):
            return self.lay(x, [last, rest] if rest else [last])
        if x.axes[0] == last and 0 < len(x.axes) <= most:
            return x
        inner = {*rest}
        kept = tuple(g for axis in x.axes if (g := tuple(a for a in axis if a in inner)))
        return self.lay(x, [last, *([flat(kept)] if kept else [])])

    def natural(self, x: Laid) -> Laid:
        """With each of the framework's axes as an axis, in any order if they already are."""
        x = self.whole(x)
        groups = [self._batchless(group) for group in x.dims]
        groups = [g for g, d in zip(groups, x.dims, strict=True) if g or self.batch not in d]
        filled = [g for g in groups if g]
        same = sorted(map(id, flat(filled))) == sorted(map(id, flat(x.axes)))
        if isinstance(x.port, Port) and same and all(axis in filled for axis in x.axes):
            return x
        order = {atom: place for place, atom in enumerate(flat(x.axes))}
        return self.lay(x, sorted(filled, key=lambda g: order[g[0]]) or [()])

    def _fresh(self, x: Laid) -> Laid:
        """The same with atoms of its own: two readers of one tensor may have its axes in different places."""
        return x.swapped({a: (Atom(a.size),) for a in flat(x.axes)})

    # --- layers ---

    def _weight(self, name: str, shape: Sequence[int]) -> Weight:
        return Weight(name, tuple(shape))

    def layer(self, op: str, x: Laid, settings: Mapping[str, Any], weights: Sequence[tuple[str, Sequence[int]]],
              shape: Sequence[int]) -> Laid:  # fmt: skip
        """An op on planes whose result has new axes: a convolution, a pool, a resize.

        weights: what the source calls them, and their shapes in the language. shape: of the result.
        """
        x = self.planes(x)
        port = self._node(op, "op", [x], settings, weights=tuple(self._weight(*w) for w in weights))
        axes = tuple(map(atoms, shape[1:]))
        return self._made(port, axes, (x.dims[0], *axes), shape)

    def convolved(self, x: Laid, kernel: Laid, settings: Mapping[str, Any], shape: Sequence[int]) -> Laid:
        """A convolution with a kernel that is computed, the same for all examples."""
        x, kernel = self.planes(x), self.whole(kernel)
        if self.batch in flat(kernel.dims):
            self.refuse("a convolution with a kernel for each example")
        port = self._node("conv", "op", [x, self.lay(kernel, kernel.dims)], settings)
        axes = tuple(map(atoms, shape[1:]))
        return self._made(port, axes, (x.dims[0], *axes), shape)

    def same(self, op: str, x: Laid, settings: Mapping[str, Any] | None = None) -> Laid:
        """An op on each number alone."""
        if not isinstance(x.port, Port):
            x = self.lay(x, [g for g in x.axes if g])
        return replace(x, port=self._node(op, "op", [x], settings or {}))

    def normed(
        self, op: str, x: Laid, settings: Mapping[str, Any], weights: Sequence[tuple[str, Sequence[int]]]
    ) -> Laid:
        """A norm, or a factor a channel, over planes; a batch norm over whatever is merged with the batch, too."""
        x = self.whole(x)
        rest = self._batchless(flat(g for i, g in enumerate(x.dims) if i != 1))
        merged = op == "bn" and self.batch in x.dims[0] and len(x.dims[0]) > 1
        x = self.lay(x, [x.dims[1], rest]) if merged else self.planes(x)
        return replace(x, port=self._node(op, "op", [x], settings, weights=tuple(self._weight(*w) for w in weights)))

    def last_axis(self, op: str, x: Laid, settings: Mapping[str, Any],
                  weights: Sequence[tuple[str, Sequence[int]]]) -> Laid:  # fmt: skip
        """The same over the framework's last axis."""
        x = self._channels(x, 4)
        return replace(x, port=self._node(op, "op", [x], settings, weights=tuple(self._weight(*w) for w in weights)))

    def dense(self, x: Laid, units: int, weight: str, bias: str | None) -> Laid:
        """A matrix over the framework's last axis."""
        x = self._channels(x, 3)
        filled = [g for g in x.axes[1:] if g]
        channels, out = size(x.axes[0]), atoms(units)
        matrix = [(weight, (units, channels)), *([(bias, (units,))] if bias else [])]
        if len(x.axes) == 3 and filled:
            matrix[0] = weight, (units, channels, 1, 1)
            settings = {"c": units, "k": 1, "bias": bias is not None}
            port = self._node("conv", "op", [x], settings, weights=tuple(self._weight(*w) for w in matrix))
            axes: tuple[Group, ...] = (out, *x.axes[1:])
        else:
            settings = {"units": units, "bias": bias is not None}
            port = self._node("dense", "op", [x], settings, weights=tuple(self._weight(*w) for w in matrix))
            axes = (out, *x.axes[1:]) if len(x.axes) == 2 else (out,)
        return self._made(port, axes, (*x.dims[:-1], out), (*x.shape[:-1], units))

    # --- along an axis ---

    def along(self, op: str, x: Laid, dim: int | Sequence[int], settings: Mapping[str, Any]) -> Laid:
        """An op along some of the framework's axes that keeps the shape: softmax, l2norm, standardize, roll."""
        dims = [d % len(x.dims) for d in ([dim] if isinstance(dim, int) else dim)]
        x = self.whole(x)
        if any(self.batch in x.dims[d] for d in dims):
            self.refuse(f"`{op}` along the batch")
        wanted = [x.dims[d] for d in dims if x.dims[d]]
        if not all(g in x.axes for g in wanted) or not isinstance(x.port, Port):
            x = self.natural(x)
        if not all(g in x.axes for g in wanted):
            x = self.lay(x, [g for d in x.dims if (g := self._batchless(d))])
        if not wanted:
            self.refuse(f"`{op}` along an axis of size 1")
        places = [x.axes.index(g) for g in wanted]
        names = " ".join(_axis_name(p, len(x.axes)) for p in places)
        axis: Any = places[0] if len(places) == 1 else names
        return replace(x, port=self._node(op, "op", [x], {"axis": axis, **settings}))

    def reduce(self, how: str, x: Laid, dims: Sequence[int], keep: bool, shape: Sequence[int]) -> Laid:
        """One number over some of the framework's axes."""
        x = self.whole(x)
        gone = {d % len(x.dims) for d in dims}
        dropped = {*flat(x.dims[d] for d in gone)}
        if self.batch in dropped:
            self.refuse(f"`{how}` over the batch")
        left = tuple(() if i in gone else g for i, g in enumerate(x.dims))
        new = tuple(g for i, g in enumerate(left) if keep or i not in gone)
        if not isinstance(x.port, Port):
            x = self.natural(x)
        if not dropped:
            if how in ("var", "std"):
                self.refuse("a variance of one number")
            return self._made(x.port, x.axes, new, shape)
        inside = [all(a in dropped for a in axis) and bool(axis) for axis in x.axes]
        rest = [() if whole else axis for axis, whole in zip(x.axes, inside, strict=True)]
        if 2 <= len(x.axes) <= 4 and inside == [False, *[True] * (len(x.axes) - 1)] and how in ("mean", "max"):
            port = self._node("gap" if how == "mean" else "gmp", "op", [x], {})
            axes = tuple(rest) if len(x.axes) > 2 else (x.axes[0],)
            return self._made(port, axes, new, shape)
        rest = [tuple(a for a in axis if a not in dropped) for axis in x.axes]
        names, sizes = pattern(x.axes, rest)
        kept = tuple(g for g, before in zip(rest, x.axes, strict=True) if g or not before or keep)
        if not keep:
            names = pattern(x.axes, kept)[0]
        return self._made(
            self._node("reduce", "op", [x], {"pattern": names, "how": how, **sizes}), kept or ((),), new, shape
        )

    def part(self, x: Laid, dim: int, start: int, stop: int, step: int = 1) -> Laid:
        """`x[start:stop:step]` along an axis of the framework."""
        x = self.whole(x)
        n = x.shape[dim]
        if (start, stop, step) == (0, n, 1):
            return x
        index = list(range(start, stop, step))
        return self.taken(x, dim, index)

    def taken(self, x: Laid, dim: int, index: Sequence[int]) -> Laid:
        """What stands at these places along an axis of the framework."""
        x, at, inner = self._prefix(x, dim)
        run = list(index) == list(range(index[0], index[0] + len(index)))
        if run:
            settings: dict[str, Any] = {"a": index[0] * inner, "b": (index[-1] + 1) * inner, "axis": at}
            op = "slice"
        else:
            if inner != 1:
                x, at, inner = self._alone(x, dim)
            op, settings = "take", {"index": list(index), "axis": at}
        new = atoms(len(index))
        return self._cut(x, dim, at, new, self._node(op, "op", [x], settings), len(index))

    def _cut(self, x: Laid, dim: int, at: int, new: Group, port: Port, n: int) -> Laid:
        """x with another axis in the place of one, which stands first in an axis of the language."""
        old = x.dims[dim]
        axes = [new + axis[len(old) :] if i == at else axis for i, axis in enumerate(x.axes)]
        dims = [new if i == dim else group for i, group in enumerate(x.dims)]
        shape = [n if i == dim else m for i, m in enumerate(x.shape)]
        return self._made(port, axes, dims, shape)

    def _prefix(self, x: Laid, dim: int) -> tuple[Laid, int, int]:
        """x so that an axis of the framework varies slowest in one of the language, which that is, and how many
        numbers of it each index has."""
        group = x.dims[dim]
        if self.batch in group:
            self.refuse("a part of the batch")
        if isinstance(x.port, Port) and group:
            for at, axis in enumerate(x.axes):
                if axis[: len(group)] == group:
                    return x, at, size(axis[len(group) :])
        return self._alone(x, dim)

    def _alone(self, x: Laid, dim: int) -> tuple[Laid, int, int]:
        """The same as an axis of its own."""
        group = x.dims[dim]
        laid = self.natural(x)
        if group and group not in laid.axes:
            laid = self.lay(x, [g for d in x.dims if (g := self._batchless(d))])
        if not group:
            goal = [g for g in laid.axes if g]
            laid = self.lay(laid, [*goal, ()])
            return laid, len(goal), 1
        return laid, laid.axes.index(group), 1

    def parts(self, x: Laid, dim: int, sizes: Sequence[int]) -> list[Laid]:
        """An axis of the framework cut into pieces."""
        if len(sizes) == 1:
            return [x]
        x, at, inner = self._prefix(self.whole(x), dim)
        equal = len({*sizes}) == 1
        settings = {"n": len(sizes) if equal else [n * inner for n in sizes], "axis": at}
        port = self._node("split", "op", [x], settings, outputs=len(sizes))
        return [self._cut(x, dim, at, atoms(n), Port(port.node, i), n) for i, n in enumerate(sizes)]

    # --- together ---

    def number(self, sign: str, x: Laid, number: Any, first: bool = False) -> Laid:
        """`x * 2`, or with `first` `2 * x`."""
        if not isinstance(x.port, Port):
            x = self.lay(x, [g for g in x.axes if g])
        if (sign in "+-" and number == 0 and not (first and sign == "-")) or (sign in "*/" and number == 1 and not (
            first and sign == "/")):  # fmt: skip
            return x
        return replace(x, port=self._node(sign, "number", [x], {"number": _number(number), "first": first}))

    def binary(self, sign: str, a: Laid, b: Laid) -> Laid:
        """`a + b`, each stretched to the other; also "maximum" and "minimum"."""
        for x, y, first in ((a, b, False), (b, a, True)):
            one = isinstance(y.port, _Known) and y.port.values.size == 1 and len(y.shape) <= len(x.shape)
            if one and sign not in ("maximum", "minimum") and not isinstance(x.port, _Known):
                return self.number(sign, x, y.port.values.reshape(-1)[0], first)
        a, b, dims, shape = self._met(a, b)
        order = [a, b] if isinstance(a.port, Port) else [b, a]
        led = max(order, key=lambda x: len({*flat(x.axes)}))
        every = {*flat(a.axes), *flat(b.axes)}
        goal = list(led.axes)
        if {*flat(led.axes)} != every or not isinstance(led.port, Port):
            goal = [g for d in dims if (g := self._batchless(d))]
        for x in (a, b):  # an axis of which one side has a part alone is taken apart
            own = {*flat(x.axes)}
            if any(0 < len([m for m in axis if m in own]) < len(axis) for axis in goal):
                goal = [(m,) for m in flat(goal)]
        a, b = (self._thin(x, goal, sign) for x in (a, b))
        kind = "call" if sign in ("maximum", "minimum") else "sign"
        return self._made(self._node(sign, kind, [a, b], {}), goal or [()], dims, shape)

    def _met(self, a: Laid, b: Laid) -> tuple[Laid, Laid, list[Group], list[int]]:
        """Both with the same atoms where they meet, and the axes of what comes out."""
        b = self._fresh(b)
        rank = max(len(a.dims), len(b.dims))
        for i in range(1, rank + 1):
            if i <= min(len(a.dims), len(b.dims)) and a.dims[-i] and b.dims[-i]:
                p, q = refined(a.dims[-i], b.dims[-i])
                a, b = a.swapped(p), b.swapped(q)
                b = b.swapped({y: (x,) for x, y in zip(a.dims[-i], b.dims[-i], strict=True) if x is not y})
        dims, shape = [], []
        for i in range(rank, 0, -1):
            here = [(x.dims[-i], x.shape[-i]) for x in (a, b) if i <= len(x.dims)]
            n = max(m for _, m in here)
            group = next((g for g, m in here if g), ())
            if n != 1 and n != self.batch.size and not group:
                a = self.whole(a)
                return self._met(a, self.whole(b))
            dims.append(group)
            shape.append(n)
        return a, b, dims, shape

    def _thin(self, x: Laid, goal: Sequence[Group], sign: str) -> Laid:
        """x laid for an operation whose result has the axes `goal`, with ones where it is stretched."""
        own = {*flat(x.axes)}
        wanted = [tuple(m for m in axis if m in own) for axis in goal]
        while (
            len(wanted) > 1 and not wanted[-1] and len(goal) <= 3 and len([w for w in wanted if w]) <= 1 and wanted[0]
        ):
            wanted.pop()  # [c] counts as [c, 1, 1]
        if x.axes == tuple(goal) and isinstance(x.port, Port):
            return x
        if (
            isinstance(x.port, Port)
            and len(wanted) == 1
            and len(goal) > 1
            and x.axes == (wanted[0], *[()] * (len(goal) - 1))
        ):
            return x
        if not wanted[0] and goal and goal[0] and sign not in "*/**":
            laid = self.lay(x, wanted)
            shape = [size(goal[0]), *[1] * (len(goal) - 1)]
            ones = replace(laid, port=self._node("ones", "call", [], {"shape": shape}))
            return replace(laid, port=self._node("*", "sign", [laid, ones], {}), axes=(goal[0], *wanted[1:]))
        return self.lay(x, wanted)

    def concat(self, xs: Sequence[Laid], dim: int) -> Laid:
        """Tensors one after another along an axis of the framework."""
        if len(xs) == 1:
            return xs[0]
        dim %= len(xs[0].dims)
        led = next((x for x in xs if isinstance(x.port, Port)), xs[0])
        if any(self.batch in x.dims[dim] for x in xs):
            self.refuse("examples put together into one batch")
        laid = self.natural(led)
        order = [i for axis in laid.axes for i, d in enumerate(laid.dims) if axis and self._batchless(d) == axis]
        order += [i for i, d in enumerate(laid.dims) if i not in order and self.batch not in d and not d
                  and any(x.shape[i] != self.batch.size for x in xs)]  # fmt: skip
        if dim not in order:
            order.append(dim)
        ready = []
        for x in xs:
            x = self.whole(x)
            ready.append(self.lay(x, [self._batchless(x.dims[i]) for i in order]))
        total = sum(x.shape[dim] for x in xs)
        new = atoms(total)
        port = self._node("concat", "call", ready, {"axis": order.index(dim)})
        dims = [
            new if i == dim else led.dims[i] or max((x.dims[i] for x in ready), key=len) for i in range(len(led.dims))
        ]
        shape = [total if i == dim else max(x.shape[i] for x in xs) for i in range(len(dims))]
        axes = [new if i == dim else self._batchless(dims[i]) for i in order]
        return self._made(port, axes, dims, shape)

    def matmul(self, a: Laid, b: Laid) -> Laid:
        """Over the last axis of a and the last but one of b, the axes before them alike."""
        if len(a.dims) < 2 or len(b.dims) < 2:
            self.refuse("a product of a matrix and a vector")
        letters = "ABDEFGHIJKL"
        lead = max(len(a.dims), len(b.dims)) - 2
        names = letters[:lead]
        left = names[lead - (len(a.dims) - 2) :] + "ik"
        right = names[lead - (len(b.dims) - 2) :] + "kj"
        return self.einsum(f"{left},{right}->{names}ij", [a, b])

    def einsum(self, text: str, xs: Sequence[Laid]) -> Laid:
        """Products summed over named axes of the framework, a letter each."""
        inputs, _, out = text.replace(" ", "").partition("->")
        sides = inputs.split(",")
        xs = [self._fresh(self.whole(x)) for x in xs]
        groups: dict[str, Group] = {}
        for _ in range(2):  # the second time all are split alike
            for i, side in enumerate(sides):
                for letter, _group in zip(side, xs[i].dims, strict=True):
                    here = xs[i].dims[side.index(letter)]
                    if not here:
                        groups.setdefault(letter, ())
                        continue
                    if not groups.get(letter):
                        groups[letter] = here
                        continue
                    p, q = refined(groups[letter], here)
                    groups = {name: flat(p.get(a, (a,)) for a in g) for name, g in groups.items()}
                    xs = [x.swapped(p) for x in xs]
                    xs[i] = xs[i].swapped(q)
                    here = xs[i].dims[side.index(letter)]
                    xs[i] = xs[i].swapped({y: (x,) for x, y in zip(groups[letter], here, strict=True) if x is not y})
        usual = iter("nijdmkpqrstuvwxyz")
        axis_names: dict[Group, str] = {}
        laid, texts = [], []
        for x in xs:
            x = self.natural(x)
            for g in x.axes:
                if g and g not in axis_names:
                    axis_names[g] = next(usual)
            if not all(x.axes):
                x = self.lay(x, [g for g in x.axes if g])
            laid.append(x)
            texts.append(" ".join(axis_names[g] for g in x.axes))
        dims = [groups[letter] for letter in out]
        sizes = [0] * len(out)
        for x, side in zip(xs, sides, strict=True):
            for place, letter in enumerate(out):
                if letter in side:
                    sizes[place] = max(sizes[place], x.shape[side.index(letter)])
        axes = [g for d in dims if (g := self._batchless(d))]
        if any(g not in axis_names for g in axes) or not axes:
            self.refuse("a product over axes that the language cannot name")
        text = f"{', '.join(texts)} -> {' '.join(axis_names[g] for g in axes)}"
        return self._made(self._node("einsum", "call", laid, {"pattern": text}), axes, dims, sizes)


def _inside(region: Region, outer: Region) -> bool:
    """Whether a module is another or within it."""
    here: Region | None = region
    while here is not None:
        if here is outer:
            return True
        here = here.parent
    return False


def _axis_name(place: int, rank: int) -> str:
    return {1: "c", 2: "cn", 3: "chw", 4: "cdhw"}.get(rank, "abcdefgh")[place]


def _number(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _listed(values: Any) -> list[Any]:
    return [_listed(v) if v.ndim else _number(v) for v in values]
