"""What a class is made of: members as a tree of names, and the values of its forward pass.

What stands in a leaf or an instruction is first what each body has there (`archdsl.code.merge`), then the one way in
which all of them are written (`archdsl.code.resolve`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from archdsl.graph.graph import Ref

__all__ = ["Guard", "Instruction", "Leaf", "Tree", "common", "is_list", "leaves", "mapped"]

Guard = tuple[str, bool]  # a conditional by its key, and how it must have gone
T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Leaf(Generic[T]):
    """A member: what is constructed under its name, where all `guards` hold."""

    name: str
    content: T
    guards: tuple[Guard, ...]


@dataclass(frozen=True)
class Tree(Generic[T]):
    """Members under one name, because a statement applies several things."""

    name: str
    children: tuple[Tree[T] | Leaf[T], ...]


@dataclass(frozen=True)
class Instruction(Generic[T]):
    """One value of the forward pass: `node`'s outputs from `inputs`.

    statement: the author's name where this is what it is bound to, or that of the statement it is part of.
    code: how an op is applied; a call of `member` (path of names) or a `choice` (conditional, then, else) has none.
    ranks: of the outputs.  ordered: it uses a shared flow that has running statistics, which move with each use: such
    values are computed in the order of the graph.
    """

    node: str
    statement: str
    is_value: bool
    inputs: tuple[Ref, ...]
    ranks: tuple[int, ...]
    guards: tuple[Guard, ...]
    code: T
    member: tuple[str, ...] | None = None
    choice: str | None = None
    ordered: bool = False

    def coded(self, code: U) -> Instruction[U]:
        """The same with other code."""
        return Instruction(self.node, self.statement, self.is_value, self.inputs, self.ranks, self.guards, code,
                           self.member, self.choice, self.ordered)  # fmt: skip


def common(*guards: tuple[Guard, ...]) -> tuple[Guard, ...]:
    """The guards that all begin with.

    >>> common((("a", True), ("b", True)), (("a", True), ("b", False)))
    (('a', True),)
    """
    first, *others = guards
    for other in others:
        first = tuple(a for a, b in zip(first, other, strict=False) if a == b)
    return first


def leaves(node: Tree[T] | Leaf[T]) -> Iterator[Leaf[T]]:
    """The members of a tree, in order.

    >>> [leaf.name for member in made.classes[-1].members for leaf in leaves(member)]
    ['stem', 'body', 'head']
    """
    if isinstance(node, Leaf):
        yield node
    else:
        for child in node.children:
            yield from leaves(child)


def is_list(nodes: Sequence[Tree[T] | Leaf[T]]) -> bool:
    """Whether members of a group are numbered, and all there or none.

    >>> is_list([Leaf("0", None, ()), Leaf("1", None, ())]), is_list([Leaf("conv", None, ())])
    (True, False)
    """
    return [n.name for n in nodes] == [str(i) for i in range(len(nodes))] and not any(
        leaf.guards != first.guards for n in nodes for leaf in leaves(n) for first in leaves(nodes[0])
    )


def mapped(node: Tree[T] | Leaf[T], change: Callable[[Leaf[T]], U]) -> Tree[U] | Leaf[U]:
    """The same tree with other contents.

    >>> mapped(Tree("f", (Leaf("conv", 3, ()),)), lambda leaf: f"{leaf.name} {leaf.content}").children
    (Leaf(name='conv', content='conv 3', guards=()),)
    """
    if isinstance(node, Leaf):
        return Leaf(node.name, change(node), node.guards)
    return Tree(node.name, tuple(mapped(child, change) for child in node.children))
