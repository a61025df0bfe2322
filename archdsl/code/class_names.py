"""What each class is called: the model and its blocks as they are, the classes of one block by what decides."""

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from archdsl.code.bodies import BodyCode
from archdsl.code.classes import Class, Partition, origin
from archdsl.code.names import LONGEST, Names, camel
from archdsl.graph.graph import Argument, BlockValue
from archdsl.language.expr import Number
from archdsl.language.types import Dim

__all__ = ["ClassNames", "Fixed", "name_classes"]

_SAID = 3  # a flow of so many applications is named by them
_WORD = 24  # a longer word is no part of a name

Fixed = Mapping[Class, Mapping[str, Number]]


@dataclass(frozen=True)
class ClassNames:
    """What each class is called. fixed: parameters that a name says the value of: no argument, but written out."""

    of: Mapping[Class, str]
    fixed: Fixed


def name_classes(found: Partition, reserved: frozenset[str]) -> ClassNames:
    """The model first, so that it gets its name; then blocks; the classes of one block by what tells them apart.

    >>> list(name_classes(made.partition, frozenset({"Unit"})).of.values())
    ['Tiny', 'UnitBlock']
    """
    names = Names(reserved)
    called: dict[Class, str] = {}
    fixed: dict[Class, Mapping[str, Number]] = {}

    def call(cls: Class, name: str, kind: str) -> None:
        wanted = name + kind if name in reserved or name == called.get(found.model) else name
        called[cls] = names.number(cls, wanted)

    call(found.model, camel(found.model.graph.block), "Model")
    by_block: dict[Hashable, list[Class]] = {}
    for cls in found.classes[:-1]:
        by_block.setdefault(origin(cls.bodies[0]), []).append(cls)
    for classes in by_block.values():
        base, chosen = _base(classes[0]), _deciding(classes) if len(classes) > 1 else []
        # The first that has several values of what decides is the usual one: it has the block's name alone.
        usual = next((c for c in classes if any(len({_word(b, n) for b in c.bodies}) > 1 for n in chosen)), None)
        for cls in classes:
            words = _words(cls, chosen, classes)
            fixed[cls] = _fixed(cls, words)
            call(cls, base if cls is usual else _fitting(base, words.values()), "Block")
    return ClassNames(called, fixed)


def _fitting(name: str, words: Iterable[str]) -> str:
    """A name with those words that it has room for."""
    for word in words:
        if len(word) <= _WORD and len(name + word) <= LONGEST:
            name += word
    return name


def _base(cls: Class) -> str:
    if cls.graph.block:
        return camel(cls.graph.block)
    body = cls.bodies[0]
    kinds = [re.sub(r"\d+$", "", n) for n, p in body.nodes.items() if p.code is not None]
    what = "_".join(kinds) if len(kinds) <= _SAID else body.place
    return camel(f"{body.home.block}_{what}")


def _words(cls: Class, chosen: Sequence[str], classes: Sequence[Class]) -> dict[str, str]:
    """What can be said of one of the classes of a block, by what it is the only value of."""
    values = {n: {_word(b, n) for b in cls.bodies} for n in chosen if not _is_default(cls, n, classes)}
    return {n: _part_name(cls, n, *found) for n, found in values.items() if len(found) == 1}


def _deciding(classes: Sequence[Class]) -> Sequence[str]:
    """The fewest parameters that tell classes apart, how many tensors a list holds after them, input sizes last."""
    bodies = [b for c in classes for b in c.bodies]
    lists = list(dict.fromkeys(name for b in bodies for name in _lists(b)))
    named = [p for p in bodies[0].params if p not in lists]
    named.sort(key=lambda p: isinstance(bodies[0].params[p], Dim))  # what is built says more than how large it is
    params, sizes = (
        [n for n in names if len({_word(b, n) for b in bodies}) > 1]
        for names in ([*named, *(f"{name}[]" for name in lists)], [n for n in bodies[0].env if "." in n])
    )
    for chosen in _choices(params, sizes):
        seen = [{tuple(_word(b, n) for n in chosen) for b in c.bodies} for c in classes]
        if sum(map(len, seen)) == len(set().union(*seen)):
            return chosen
    return [*params, *sizes][:2]


def _lists(body: BodyCode) -> dict[str, int]:
    """How many tensors each list holds that a block is given."""
    return dict(Counter(entry.name.partition("[")[0] for entry in body.home.entries if "[" in entry.name))


def _choices(params: Sequence[str], sizes: Sequence[str]) -> Iterable[Sequence[str]]:
    yield from combinations(params, 1)
    yield from combinations(params, 2)
    yield from combinations(sizes, 1)
    yield from product(params, sizes)
    yield params
    yield [*params, *sizes]


def _word(body: BodyCode, name: str) -> str:
    """The value of a parameter or size, or how many tensors a list holds, as a word for a class name."""
    if name.endswith("[]"):
        return str(_lists(body).get(name[:-2], 0))
    value: object = body.params.get(name)
    if isinstance(value, BlockValue):
        text = value.text if value.text.isprintable() and len(value.text) <= 24 else value.name
        return camel(text) if re.search(r"\w", text) else "Id"
    value = body.env.get(name, value)
    if isinstance(value, tuple):
        return camel(_said(value)).lstrip("_") if value else "None"
    if isinstance(value, bool) or (isinstance(value, Dim) and isinstance(value.value, bool)):
        return "" if value else "Not"
    return camel(str(value)).lstrip("_") if value is not None else "None"


def _said(value: Argument) -> str:
    """A list's values one after another."""
    if isinstance(value, tuple):
        return " ".join(map(_said, value))
    return value.name if isinstance(value, BlockValue) else str(value)


def _fixed(cls: Class, said: Iterable[str]) -> dict[str, Number]:
    """The numbers that a class's name says."""
    body = cls.bodies[0]
    return {n: body.env[n] for n in said if isinstance(body.graph.params.get(n), Dim | bool)}


def _is_default(cls: Class, name: str, classes: Sequence[Class]) -> bool:
    """Whether this class alone is the one that the parameter's default makes: it needs no word for it."""
    usual = [c for c in classes if name in c.graph.params and not any(name in b.given for b in c.bodies)]
    return usual == [cls] and isinstance(cls.graph.params[name], BlockValue)


def _part_name(cls: Class, name: str, value: str) -> str:
    if isinstance(cls.bodies[0].params.get(name), BlockValue | str):
        return camel(value)
    if name.startswith("in."):
        return "In" + ("" if name == "in.c" else camel(name[3:])) + value
    if value in ("Not", ""):
        return f"{'Without' if value else 'With'}{camel(name)}"
    return camel(name.replace(".", "_")) + value
