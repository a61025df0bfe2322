"""Values beside one another that differ by an index alone, as a loop over what they index."""

import re
from collections.abc import Collection, Mapping, Sequence

from archdsl.code.names import identifier

__all__ = ["looped"]

_FEWEST = 3  # a loop over fewer reads worse than they do
_INDEXED = re.compile(r"(?<![\w.\]])([A-Za-z_]\w*(?:\.\w+|\[\"\w+\"\])*)\[(\d+)\]")  # as what, which of it


def looped(texts: Sequence[str], lengths: Mapping[str, int], taken: Collection[str]) -> list[str]:
    """Texts beside one another, in which those that differ by an index alone are one loop.

    lengths: of what can be indexed.  taken: what no variable of a loop may be called.

    >>> texts = [f"act(self.unit[{i}](parts[{i}]))" for i in range(4)]
    >>> looped([*texts, "x"], {"self.unit": 4, "parts": 5}, ())
    ['*[act(unit(part)) for unit, part in zip(self.unit, parts[:4])]', 'x']
    """
    found: list[str] = []
    at = 0
    while at < len(texts):
        size = 1
        while at + size < len(texts) and _loop(texts[at : at + size + 1], lengths, taken):
            size += 1
        size = size if size >= _FEWEST else 1
        found.append(_loop(texts[at : at + size], lengths, taken) if size > 1 else texts[at])
        at += size
    return found


def _loop(texts: Sequence[str], lengths: Mapping[str, int], taken: Collection[str]) -> str:
    """Texts as one loop; empty where they are none."""
    first, *others = (_INDEXED.split(text) for text in texts)
    if any(len(o) != len(first) or [*o[::3], *o[1::3]] != [*first[::3], *first[1::3]] for o in others):
        return ""
    text = first[0]
    variables: dict[str, str] = {}  # by what they run over
    for at in range(1, len(first), 3):
        source, start = first[at], int(first[at + 1])
        steps = {int(other[at + 1]) - start - i for i, other in enumerate(others)}
        if steps != {1} or source not in lengths:
            return ""
        stop = start + len(texts)
        part = f"[{start or ''}:{'' if stop == lengths[source] else stop}]"
        over = source + (part if part != "[:]" else "")
        if over not in variables:
            variables[over] = _variable(source, {*taken, *variables.values()})
        text += variables[over] + first[at + 2]
    if not variables:
        return ""
    lists = ", ".join(variables)
    return f"*[{text} for {', '.join(variables.values())} in {lists if len(variables) == 1 else f'zip({lists})'}]"


def _variable(source: str, taken: Collection[str]) -> str:
    """What an item of `source` is called: after it, in the singular."""
    plain: str = re.findall(r"\w+", source)[-1].rstrip("_")
    single = plain[:-1] if len(plain) > 3 and plain.endswith("s") and not plain.endswith("ss") else plain
    further = (f"item{n}" for n in range(len(taken) + 1))
    return next(name for name in (identifier(single), f"one_{single}", *further) if name not in taken)
