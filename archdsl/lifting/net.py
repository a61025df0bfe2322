"""What a model computes, in ops of the language: nodes in the modules of their author."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["NoEqual", "Node", "Port", "Region", "Weight", "reached"]


class NoEqual(Exception):
    """Something of the source has no equal in the language. path: of its module. what: the op, and why."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"`{path}`: {what}" if path else what)
        self.path, self.what = path, what


@dataclass(frozen=True)
class Weight:
    """Where the numbers of one weight of the spec are in the source.

    name: what the source calls the tensor. split, order, shape: how it is reshaped, permuted and reshaped again; None
    where it stays as it is but for ones among its sizes. count: of its numbers.
    """

    name: str
    shape: tuple[int, ...]
    split: tuple[int, ...] | None = None
    order: tuple[int, ...] | None = None

    def of(self, tensor: Any) -> Any:
        """The numbers as the spec has them, of an array."""
        if self.split is not None:
            tensor = tensor.reshape(self.split).transpose(self.order)
        return tensor.reshape(self.shape)


@dataclass(frozen=True)
class Port:
    """An output of a node."""

    node: Node
    index: int = 0


@dataclass(eq=False)
class Node:
    """One op. kind: how it is written, of `op` (`x -> op(…)`), `call` (`op(x, y, …)`), `sign` (`x + y`), `number`
    (`x * 2`) and `input`.

    settings: by the names of the op's parameters; None is left out. extra: texts of a keyword that is a tensor.
    weights: in the order in which the op names them.
    """

    op: str
    kind: str
    inputs: tuple[Port, ...]
    settings: Mapping[str, Any]
    region: Region
    outputs: int = 1
    weights: tuple[Weight, ...] = ()
    names: tuple[str, ...] = ()
    name: str = ""


@dataclass(eq=False)
class Region:
    """A module of the source, each time it is called.

    path: its own. cls: its class. given: what it was constructed with. parent: the module that calls it. first: what it
    is called with first. plain: whether it only holds others.
    """

    path: str
    cls: str
    doc: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    parent: Region | None = None
    items: list[Node | Region] = field(default_factory=list)
    first: Port | None = None
    plain: bool = False

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    def nodes(self) -> Iterator[Node]:
        """All of them, those of its modules too, in order."""
        stack: list[Node | Region] = [self]
        while stack:
            item = stack.pop()
            if isinstance(item, Node):
                yield item
            else:
                stack += reversed(item.items)


def reached(root: Region, ends: Sequence[Port]) -> set[Node]:
    """The nodes that the outputs depend on."""
    found: set[Node] = set()
    stack = [port.node for port in ends]
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack += [port.node for port in node.inputs]
    return found
