"""How a framework's tensor lies in a tensor of the language: other orders, splits and merges of axes cost nothing here.

A framework writes tokens as [batch, n, c] where the language has [c, n], and takes them apart by views and transposes.
A `Laid` is a tensor of the language together with the axes that the framework sees. Both are made of the same atoms:
views and transposes only change how these are listed, and one `permute` is written where an op needs a certain form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

__all__ = ["Atom", "Group", "Laid", "LayoutFails", "atoms", "flat", "pattern", "refined", "size"]


class LayoutFails(Exception):
    """Axes are put together in a way that the language cannot say; the message is a clause of a sentence."""


class Atom:
    """A part of an axis that is never taken apart further, as far as is known. Two are the same only if identical."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size


Group = tuple[Atom, ...]  # an axis: its atoms, the first varying slowest; () is an axis of size 1


def atoms(size: int) -> Group:
    """A new axis."""
    return (Atom(size),) if size != 1 else ()


def size(group: Iterable[Atom]) -> int:
    """How long an axis is."""
    return prod(atom.size for atom in group)


def flat(groups: Iterable[Group]) -> Group:
    """All atoms of several axes, in order."""
    return tuple(atom for group in groups for atom in group)


@dataclass(frozen=True)
class Laid:
    """port: the tensor of the language, whose axes are `axes`, without the batch.

    dims: the axes of the framework's tensor, whose sizes are `shape`; `batch`, an atom, stands in one of them, or in
    none where a tensor is the same for all examples. A dim of no atoms whose size is not 1 is stretched.
    """

    port: Any
    axes: tuple[Group, ...]
    dims: tuple[Group, ...]
    shape: tuple[int, ...]

    def swapped(self, parts: Mapping[Atom, Group]) -> Laid:
        """The same with atoms taken apart into others."""

        def new(groups: tuple[Group, ...]) -> tuple[Group, ...]:
            return tuple(flat(parts.get(atom, (atom,)) for atom in group) for group in groups)

        return replace(self, axes=new(self.axes), dims=new(self.dims)) if parts else self

    def permuted(self, order: Sequence[int]) -> Laid:
        """The framework's axes in another order."""
        return replace(self, dims=tuple(self.dims[i] for i in order), shape=tuple(self.shape[i] for i in order))

    def viewed(self, shape: Sequence[int]) -> Laid:
        """The framework's axes split and merged. Raises LayoutFails."""
        if any(not group and n != 1 for group, n in zip(self.dims, self.shape, strict=True)):
            raise LayoutFails("what was stretched is taken apart")
        rest, parts, dims = list(flat(self.dims)), dict[Atom, Group](), list[list[Atom]]()
        for wanted in shape:
            group: list[Atom] = []
            while (left := wanted // size(group)) > 1:
                atom = rest.pop(0)
                if left % atom.size == 0:
                    group.append(atom)
                elif atom.size % left == 0:
                    first, second = Atom(left), Atom(atom.size // left)
                    parts[atom] = (first, second)
                    group.append(first)
                    rest.insert(0, second)
                else:
                    raise LayoutFails(f"an axis of {atom.size} is taken apart into {left} and more")
            dims.append(group)
        return replace(self.swapped(_unfolded(parts)), dims=tuple(map(tuple, dims)), shape=tuple(shape))


def _unfolded(parts: Mapping[Atom, Group]) -> dict[Atom, Group]:
    """Splits of splits as one."""

    def whole(atom: Atom) -> Group:
        return flat(whole(a) for a in parts[atom]) if atom in parts else (atom,)

    return {atom: whole(atom) for atom in parts}


def refined(a: Group, b: Group) -> tuple[dict[Atom, Group], dict[Atom, Group]]:
    """How the atoms of two equally long axes are to be split so that both have the same sizes. Raises LayoutFails."""
    left, right = list(a), list(b)
    parts_a: dict[Atom, Group] = {}
    parts_b: dict[Atom, Group] = {}
    while left and right:
        p, q = left.pop(0), right.pop(0)
        if p.size == q.size:
            continue
        more, parts, rest = (p, parts_a, left) if p.size > q.size else (q, parts_b, right)
        small = min(p.size, q.size)
        if more.size % small:
            raise LayoutFails(f"axes are split as {size(a)} in two ways that do not go together")
        first, second = Atom(small), Atom(more.size // small)
        parts[more] = (first, second)
        rest.insert(0, second)
    return _unfolded(parts_a), _unfolded(parts_b)


_NAMES = {1: "c", 2: "cn", 3: "chw", 4: "cdhw"}
_MORE = "gkmpqrstuvxyzabefijlo"


def pattern(axes: Sequence[Group], wanted: Sequence[Group]) -> tuple[str, dict[str, int]]:
    """`"(g c) h w -> c g h w"`, and the sizes that it does not tell: from axes to others of the same atoms."""
    usual = _NAMES.get(len(axes), "")
    names: dict[Atom, str] = {}
    spare = iter(name for name in _MORE if name not in usual)
    sizes: dict[str, int] = {}
    for place, group in enumerate(axes):
        largest = max(group, key=lambda atom: atom.size, default=None)
        for atom in group:
            own = atom is largest and place < len(usual)
            names[atom] = usual[place] if own else next(spare)
        sizes |= {names[atom]: atom.size for atom in group if atom is not largest}
    sides = (" ".join(_axis(group, names) for group in side) for side in (axes, wanted))
    return " -> ".join(sides), sizes


def _axis(group: Group, names: Mapping[Atom, str]) -> str:
    if len(group) == 1:
        return names[group[0]]
    return f"({' '.join(names[atom] for atom in group)})" if group else "1"
