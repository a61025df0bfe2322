"""Python names for the names of a spec: never a keyword, never one that something else already has."""

import keyword
import re
import unicodedata
from collections.abc import Collection, Container, Iterator

__all__ = ["LONGEST", "Names", "camel", "identifier", "member", "others", "own_name", "shortened", "size_name"]

LONGEST = 40  # letters of a class's name, and of an argument's that is not the author's
# What generated code calls, functions of expressions among it.
_BUILTINS = frozenset(
    ["super", "range", "zip", "enumerate", "dict", "min", "max", "sum", "abs", "round", "float", "Fraction"]
)
_PRIVATE = re.compile(r"^_(0*)_")  # and what such names become
_AXES = {"c": "channels", "d": "depth", "h": "height", "w": "width", "n": "length"}


def identifier(text: str) -> str:
    """`text` as a Python identifier; a name that is one already stays as it is, unless Python reserves it.

    >>> identifier("unit"), identifier("class"), identifier("T[0]"), identifier("3x3")
    ('unit', 'class_', 'T_0', '_3x3')
    """
    plain = unicodedata.normalize("NFKC", re.sub(r"\[(\d+)\]", r"_\1", text))  # as Python reads names
    name = "".join(c if f"_{c}".isidentifier() else "_" for c in plain) or "_"
    name = name if name.isidentifier() else f"_{name}"
    if _is_pythons(name):
        name += "_"
    if name.startswith("__") and not name.endswith("___"):  # a hook of Python's, or private to a class
        name = name.rstrip("_") + "___"
    return name


def _is_pythons(name: str) -> bool:
    return keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in _BUILTINS


def member(part: str, reserved: Collection[str]) -> str:
    """What a member of a class is called, from one part of a path; `reserved` is what its framework has already.

    It depends on nothing beside it and no two parts are called alike, so that paths can be followed into a built
    model. Python keeps `__x` private to a class.

    >>> [member(part, {"train"}) for part in ("conv", "train", "train_", "__x")]
    ['conv', 'train_', 'train__', '_0_x']
    """
    stem = part.rstrip("_")
    name = f"{part}_" if stem in reserved or _is_pythons(stem) else part
    return _PRIVATE.sub(r"_0\1_", name)


def camel(text: str) -> str:
    """A class name; digits keep the `_` between them.

    >>> camel("aa_resnet50"), camel("wrn28_10")
    ('AaResnet50', 'Wrn28_10')
    """
    parts = [p for p in re.split(r"\W|_", text) if p]
    name = ""
    for part in parts:
        joint = "_" if name[-1:].isdigit() and part[0].isdigit() else ""
        name += joint + part[0].upper() + part[1:]
    return identifier(name or "Block")


def shortened(name: str, end: str = "") -> str:
    """A name with `end` behind it, of so many of its words as there is room for.

    >>> shortened("Unit", "2"), shortened("Res2", "3")
    ('Unit2', 'Res2_3')
    >>> shortened("BottleneckWithSqueezeAndExcitationAndMore", "2")
    'BottleneckWithSqueezeAndExcitationAnd2'
    """
    end = f"_{end}" if end and name[-1].isdigit() else end
    room = LONGEST - len(end)
    if len(name) > room:
        words = [m.start() for m in re.finditer(r"[A-Z_]", name[: room + 1]) if m.start() > room // 2]
        name = name[: max(words, default=room)].rstrip("_")
    return name + end


def others(name: str, place: str) -> Iterator[str]:
    """What else to call something that stands at `place` of a spec, where its name is taken.

    >>> list(others("channels", "conv"))[:3], next(others("conv_channels", "conv"))
    (['conv_channels', 'channels2', 'channels3'], 'conv_channels2')
    """
    if place.isidentifier() and not name.startswith(place) and len(f"{place}_{name}") <= LONGEST:
        yield f"{place}_{name}"
    yield from (shortened(name, str(n)) for n in range(2, 1000))


def size_name(entry: str, axis: str) -> str:
    """What a constructor calls a size of an input.

    >>> size_name("in", "c"), size_name("g", "h")
    ('in_channels', 'g_height')
    """
    return f"{entry}_{_AXES.get(axis, axis)}"


def own_name(node: str) -> str:
    """What a value is called after what makes it, not after its statement; an item of a list with its numbers.

    >>> own_name("split.unit2"), own_name("deep.0")
    ('unit2', 'deep_0')
    """
    found = re.search(r"[^.]+((\.\d+)*)$", node if not node[0].isdigit() else f"out.{node}")
    assert found is not None
    return found[0].replace(".", "_")


class Names:
    """Names given in one scope. What stands in one of `reserved` is taken.

    >>> names = Names({"x"})
    >>> names.give("in", "x", "inputs"), names.give("skip", "x"), names.give("in", "whatever")
    ('inputs', 'x_', 'inputs')
    """

    def __init__(self, *reserved: Container[str]) -> None:
        self._reserved = reserved
        self._given: set[str] = set()
        self._of: dict[object, str] = {}
        self._last: dict[str, int] = {}

    def give(self, key: object, wanted: str, *more: str) -> str:
        """The name of `key`: the first of the wanted ones that is free, else the last with `_` appended."""
        if key in self._of:
            return self._of[key]
        for candidate in (wanted, *more):
            name = identifier(candidate)
            if name not in self:
                break
        while name in self:
            name += "_"
        return self._give(key, name)

    def number(self, key: object, wanted: str) -> str:
        """The name of `key`: `wanted`, `wanted2`, `wanted3`, …, the first that is free; at most so long.

        >>> names = Names({"Unit"})
        >>> names.number("a", "Unit"), names.number("b", "Unit"), names.number("c", "Unit")
        ('Unit2', 'Unit3', 'Unit4')
        """
        if key in self._of:
            return self._of[key]
        n = self._last.get(wanted, 1)  # those before it are taken
        while (name := identifier(shortened(wanted, str(n) if n > 1 else ""))) in self:
            n += 1
        self._last[wanted] = n
        return self._give(key, name)

    def _give(self, key: object, name: str) -> str:
        self._given.add(name)
        self._of[key] = name
        return name

    def __contains__(self, name: str) -> bool:
        return name in self._given or any(name in some for some in self._reserved)
