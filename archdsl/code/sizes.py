"""Sizes of inputs that are a parameter as well, wherever a class is built: they need no argument of their own."""

from collections.abc import Iterable, Iterator, Mapping

from archdsl.code.bodies import BodyCode, CallCode, ChainCode, calls
from archdsl.code.classes import Class, Partition
from archdsl.language.expr import Expr, symbol
from archdsl.language.ops.merge import Elementwise
from archdsl.language.types import Dim, axis_names

__all__ = ["one_name"]

Pair = tuple[str, str]


def one_name(found: Partition) -> Mapping[Class, Mapping[str, str]]:
    """For every class, the sizes of its inputs that are a parameter: `in.c` -> `c`.

    They are where what the class does needs it, as a sum of both, or every caller writes both alike. Where they are
    equal by chance, another argument would part them.

    >>> from archdsl.code.classes import by_origin, partition
    >>> [dict(names) for names in one_name(made.partition).values()]
    [{}, {}]
    """
    same = {cls: set(_candidates(cls)) for cls in found.classes}
    needed = _needed(found)
    count = -1
    while count != (count := sum(map(len, same.values()))):  # what a caller holds for one may turn out to be two
        for cls in found.classes:
            known = dict(same[cls])
            for call in (call for body in cls.bodies for call in calls(body)):
                callee = found.of[call.body]
                same[callee] -= {p for p in same[callee] - needed[callee] if not _are_alike(call, p, known)}
    return {cls: dict(sorted(pairs)) for cls, pairs in same.items()}


def _needed(found: Partition) -> Mapping[Class, set[Pair]]:
    """The sizes and parameters that must be equal for a class to be legal at all."""
    needed = {cls: set.intersection(*({*_summed(b)} for b in cls.bodies)) for cls in found.classes}
    count = -1
    while count != (count := sum(map(len, needed.values()))):
        for cls in found.classes:
            needed[cls] |= set.intersection(*({*_passed(b, found, needed)} for b in cls.bodies))
    return needed


def _summed(body: BodyCode) -> Iterator[Pair]:
    """What is equal because tensors meet in an operation."""
    for name, placed in body.nodes.items():
        if isinstance(placed.node.op, Elementwise) and not placed.node.guards:
            for sizes in zip(*(type.shape for type in body.graph.input_types(name)), strict=False):
                yield from _pairs(size.written for size in sizes)


def _passed(body: BodyCode, found: Partition, needed: Mapping[Class, set[Pair]]) -> Iterator[Pair]:
    """What is equal because it is in a class that is always built."""
    for placed in body.nodes.values():
        code = placed.code.steps[0][0] if isinstance(placed.code, ChainCode) else placed.code
        if isinstance(code, CallCode) and not code.body.is_flow and not placed.node.guards:
            for pair in needed[found.of[code.body]]:
                yield from _pairs(_given(code, name) for name in pair)


def _pairs(texts: Iterable[Expr]) -> Iterator[Pair]:
    names = [str(text.args[0]) for text in texts if text.op == "name"]
    yield from ((size, name) for size in names for name in names if "." in size and "." not in name)


def _are_alike(call: CallCode, pair: Pair, known: Mapping[str, str]) -> bool:
    """Whether a call gives one thing for a size and a parameter."""
    size, parameter = (_given(call, name) for name in pair)
    names = {n: symbol(known.get(n, n)) for n in size.names() | parameter.names()}
    return size.substitute(names) == parameter.substitute(names)


def _candidates(cls: Class) -> Iterator[Pair]:
    """Sizes that equal a parameter in every body, where some tensor is that parameter long."""
    if cls.is_flow or cls.graph.kind == "model":
        return
    params = [name for name, value in cls.graph.params.items() if isinstance(value, Dim) and value.is_int]
    for entry in cls.graph.entries:
        for i, axis in enumerate(axis_names(entry.types[0].rank)):
            name = f"{entry.name}.{axis}"
            for p in params:
                if all(b.env.get(name) == b.env.get(p) for b in cls.bodies) and _is_size(cls, p, i):
                    yield name, p
                    break


def _is_size(cls: Class, param: str, axis: int) -> bool:
    """Whether some tensor of the class is `param` long along `axis`, as written."""
    wanted = symbol(param)
    return any(
        len(t.shape) > axis and t.shape[axis].expr == wanted
        for b in cls.bodies
        for p in b.nodes.values()
        for t in p.node.types
    )


def _given(call: CallCode, name: str) -> Expr:
    """What a call gives for a parameter or a size, in the caller's names."""
    value = call.given(name)
    assert isinstance(value, Dim)
    return value.written
