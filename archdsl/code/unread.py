"""Inputs that a class never reads: it does not take them, and nobody hands them to it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from archdsl.code.bodies import Applied, CallCode, OpCode
from archdsl.code.classes import Class, Partition
from archdsl.code.code import Value
from archdsl.code.merge import Items, Structure
from archdsl.code.structure import Instruction
from archdsl.graph.graph import Ref
from archdsl.language.types import Dim

__all__ = ["without_unread"]

Structures = Mapping[Class, Structure]
Entries = Mapping[Class, set[str]]


def without_unread(found: Partition, structures: Structures) -> dict[Class, Structure]:
    """The structures of classes without what none of the bodies of a class reads.

    A block that builds itself may have its input from a list, or read a part of that list alone. What is computed for
    nothing else than such an input stays one: its weights are there.

    >>> kept = without_unread(made.partition, made.structures)
    >>> [kept[cls].entries == made.structures[cls].entries for cls in made.partition.classes]
    [True, True]
    """
    read: dict[Class, set[str]] = {cls: set() for cls in structures}
    while True:
        before = {cls: set(names) for cls, names in read.items()}
        for cls, structure in structures.items():
            read[cls] |= _read(structure, found, read)
        if read == before and not _keep_computed(structures, found, read):
            break
    return {cls: _without(structure, found, read, read[cls]) for cls, structure in structures.items()}


def _read(structure: Structure, found: Partition, read: Entries) -> set[str]:
    """The entries of a class that it reads, as far as it is known what those that it builds read."""
    refs = [*structure.outputs]
    names: set[str] = set()
    for step in structure.instructions:
        refs += _inputs(step, found, read)
        names |= {name.rpartition(".")[0] for _, code in step.code for name in _sizes(code)}
    names |= {ref.node for ref in refs}
    entries = structure.entries
    return {entry for entry in entries if entry in names} or set(entries[:1])


def _keep_computed(structures: Structures, found: Partition, read: Entries) -> bool:
    """Have read what nobody else reads and is no entry; whether there was such a thing."""
    for structure in structures.values():
        kept = {ref for step in structure.instructions for ref in _inputs(step, found, read)}
        kept |= {*structure.outputs, *map(Ref, structure.entries)}
        for step in structure.instructions:
            callee = _callee(step, found)
            for place, ref in enumerate(step.inputs):
                if callee is not None and ref not in kept:
                    read[callee].add(callee.graph.entries[place].name)
                    return True
    return False


def _inputs(step: Instruction[Items], found: Partition, read: Entries) -> tuple[Ref, ...]:
    """What a step reads of its inputs."""
    callee = _callee(step, found)
    if callee is None:
        return step.inputs
    entries = [entry.name for entry in callee.graph.entries]
    return tuple(ref for ref, name in zip(step.inputs, entries, strict=True) if name in read[callee])


def _callee(step: Instruction[Items], found: Partition) -> Class | None:
    """The class that a step calls with several inputs."""
    codes = [code for _, code in step.code if isinstance(code, CallCode)]
    return found.of[codes[0].body] if codes and len(step.inputs) > 1 else None


def _sizes(code: Applied) -> Iterator[str]:
    """The names that are read where an op is applied."""
    if isinstance(code, OpCode):
        yield from _names((*code.code.values.values(), *(arg.value for arg in code.code.args)))


def _names(value: Value) -> Iterator[str]:
    if isinstance(value, tuple):
        for item in value:
            yield from _names(item)
    elif isinstance(value, Dim):
        yield from value.written.names()


def _without(structure: Structure, found: Partition, read: Entries, kept: set[str]) -> Structure:
    steps = tuple(replace(step, inputs=_inputs(step, found, read)) for step in structure.instructions)
    return replace(structure, instructions=steps, entries=tuple(e for e in structure.entries if e in kept))
