"""Bodies of one block laid over one another, by the names of their nodes."""

from collections.abc import Iterable, Sequence

__all__ = ["overlay"]


def overlay(bodies: Iterable[Sequence[str]]) -> list[str]:
    """Every name once: the order of the first body, what others have beside it right behind what it follows there.

    >>> overlay([["in", "conv", "out"], ["in", "shortcut", "out"]])
    ['in', 'shortcut', 'conv', 'out']
    """
    order: list[str] = []
    known: set[str] = set()
    for names in bodies:
        after: dict[str | None, list[str]] = {}
        last: str | None = None
        for name in names:
            if name in known:
                last = name
            else:
                after.setdefault(last, []).append(name)
        if after:
            order = after.get(None, []) + [n for name in order for n in (name, *after.get(name, ()))]
            known.update(names)
    return order
