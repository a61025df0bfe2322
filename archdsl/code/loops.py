"""Values beside one another that differ by an index alone, as a loop over what they index."""

import re
from collections.abc import Collection, Mapping, Sequence

from archdsl.code.names import identifier

__all__ = ["looped"]

_FEWEST = 3  # a loop over fewer reads worse than they do
_INDEXED = re.compile(r"(?<![\w.\]])([A-Za-z_]\w*(?:\.\w+|\[\"\w+\"\])*)\[(\d+)\]")  # as what, which of it


def looped(texts: Sequence[str], lengths: Mapping[str, int], *taken: Collection[str]) -> list[str]:
    """Texts beside one another, in which those that differ by an index alone are one loop.

    lengths: of what can be indexed.  taken: what no variable of a loop may be called.

    >>> texts = [f"act(self.unit[{i}](parts[{i}]))" for i in range(4)]
    >>> looped([*texts, "x"], {"self.unit": 4, "parts": 5})
    ['*[act(unit(part)) for unit, part in zip(self.unit, parts[:4])]', 'x']
    """
    parted = [_INDEXED.split(text) for text in texts]
    found: list[str] = []
    at = 0
    while at < len(texts):
        first, size = parted[at], 1
        if first[1::3] and lengths.keys() >= set(first[1::3]):
            while at + size < len(texts) and _follows(first, parted[at + size], size):
                size += 1
        size = size if size >= _FEWEST else 1
        found.append(_loop(first, size, lengths, taken) if size > 1 else texts[at])
        at += size
    return found


def _follows(first: Sequence[str], other: Sequence[str], by: int) -> bool:
    """Whether a text, parted at its indices, is the first one with all of them larger by so many."""
    same = len(other) == len(first) and other[::3] == first[::3] and other[1::3] == first[1::3]
    return same and all(int(later) - int(index) == by for index, later in zip(first[2::3], other[2::3], strict=True))


def _loop(first: Sequence[str], size: int, lengths: Mapping[str, int], taken: Sequence[Collection[str]]) -> str:
    """The loop for so many texts, the first of which is given, parted at its indices."""
    text = first[0]
    variables: dict[str, str] = {}  # by what they run over
    for at in range(1, len(first), 3):
        source, start = first[at], int(first[at + 1])
        stop = start + size
        part = f"[{start or ''}:{'' if stop == lengths[source] else stop}]"
        over = source + (part if part != "[:]" else "")
        if over not in variables:
            variables[over] = _variable(source, set(variables.values()).union(*taken))
        text += variables[over] + first[at + 2]
    lists = ", ".join(variables)
    return f"*[{text} for {', '.join(variables.values())} in {lists if len(variables) == 1 else f'zip({lists})'}]"


def _variable(source: str, taken: Collection[str]) -> str:
    """What an item of `source` is called: after it, in the singular."""
    plain: str = re.findall(r"\w+", source)[-1].rstrip("_")
    single = plain[:-1] if len(plain) > 3 and plain.endswith("s") and not plain.endswith("ss") else plain
    further = (f"item{n}" for n in range(len(taken) + 1))
    return next(name for name in (identifier(single), f"one_{single}", *further) if name not in taken)
