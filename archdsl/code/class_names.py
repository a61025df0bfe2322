"""What each class is called: the model and its blocks as they are, the classes of one block by what decides."""

import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from archdsl.code.bodies import BodyCode
from archdsl.code.classes import Class, Partition, origin
from archdsl.code.names import Names, camel
from archdsl.graph.graph import Argument, BlockValue
from archdsl.language.expr import Number
from archdsl.language.types import Dim

__all__ = ["ClassNames", "Fixed", "name_classes"]

_SAID = 3  # a flow of so many applications is named by them
_LISTED = 4  # so many values of a parameter are named one by one

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
    fixed: dict[Class, Mapping[str, Number]] = {}
    model = camel(found.model.graph.block)
    called = {found.model: names.give(found.model, model, model + "Model")}
    by_block: dict[Hashable, list[Class]] = {}
    for cls in found.classes[:-1]:
        by_block.setdefault(origin(cls.bodies[0]), []).append(cls)
    for classes in by_block.values():
        base = _base(classes[0])
        alone = [(classes[0], "", dict[str, Number]())]
        for cls, suffix, values in _variants(classes) if len(classes) > 1 else alone:
            fixed[cls] = values
            called[cls] = names.give(cls, base + suffix, base + suffix + "Block")
    return ClassNames(called, fixed)


def _base(cls: Class) -> str:
    if cls.graph.block:
        return camel(cls.graph.block)
    body = cls.bodies[0]
    kinds = [re.sub(r"\d+$", "", n) for n, p in body.nodes.items() if p.code is not None]
    what = "_".join(kinds) if len(kinds) <= _SAID else body.place
    return camel(f"{body.home.block}_{what}")


def _variants(classes: list[Class]) -> list[tuple[Class, str, dict[str, Number]]]:
    """A suffix for each class of one block: the fewest parameters that tell them apart, input sizes last."""
    bodies = [b for c in classes for b in c.bodies]
    params = [p for p in bodies[0].params if len({_word(b, p) for b in bodies}) > 1]
    params.sort(key=lambda p: isinstance(bodies[0].params[p], Dim))  # what is built says more than how large it is
    sizes = [n for n in bodies[0].env if "." in n and len({b.env.get(n) for b in bodies}) > 1]
    for chosen in _choices(params, sizes):
        values = [[tuple(_word(b, n) for n in chosen) for b in c.bodies] for c in classes]
        seen = [set(v) for v in values]
        if sum(len(s) for s in seen) == len(set().union(*seen)):
            return _suffixes(classes, chosen)
    return _suffixes(classes, [*params, *sizes][:2])


def _choices(params: list[str], sizes: list[str]) -> Iterable[list[str]]:
    for n in params:
        yield [n]
    for i, a in enumerate(params):
        for b in params[i + 1 :]:
            yield [a, b]
    for n in sizes:
        yield [n]
    for a in params:
        for b in sizes:
            yield [a, b]
    yield params
    yield [*params, *sizes]


def _word(body: BodyCode, name: str) -> str:
    """The value of a parameter or size, as a word for a class name."""
    value = body.env.get(name) if name in body.env else body.params.get(name)
    if isinstance(value, BlockValue):
        text = value.text if value.text.isprintable() and len(value.text) <= 24 else value.name
        return camel(text) if re.search(r"\w", text) else "Id"
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


def _suffixes(classes: list[Class], chosen: list[str]) -> list[tuple[Class, str, dict[str, Number]]]:
    result = []
    plain_left = 1
    for cls in classes:
        words, fixed = [], {}
        for n in chosen:
            if _is_default(cls, n, classes):
                continue
            values = list(dict.fromkeys(_word(b, n) for b in cls.bodies))
            if len(values) == 1 and n in cls.bodies[0].graph.params and n in cls.bodies[0].env:
                fixed[n] = cls.bodies[0].env[n]
            words.append((n, values))
        if plain_left and any(len(v) > 1 for _, v in words):
            plain_left -= 1
            result.append((cls, "", fixed))
        else:
            result.append((cls, "".join(_part_name(cls, n, v) for n, v in words), fixed))
    return result


def _is_default(cls: Class, name: str, classes: list[Class]) -> bool:
    """Whether this class alone is the one that the parameter's default makes: it needs no word for it."""
    usual = [c for c in classes if name in c.graph.params and not any(name in b.given for b in c.bodies)]
    return usual == [cls] and isinstance(cls.graph.params[name], BlockValue)


def _part_name(cls: Class, name: str, values: list[str]) -> str:
    joined = "Or".join(values) if len(values) <= _LISTED else f"{values[0]}To{values[-1]}"
    value = cls.bodies[0].params.get(name)
    if isinstance(value, BlockValue | str):
        return camel(joined)
    if name.startswith("in."):
        return "In" + ("" if name == "in.c" else camel(name[3:])) + joined
    if values in (["Not"], [""]):
        return f"{'Without' if values == ['Not'] else 'With'}{camel(name)}"
    return camel(name.replace(".", "_")) + joined
