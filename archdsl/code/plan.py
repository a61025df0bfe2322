"""Graph -> classes, step by step: what each is called and takes, what it is made of, and its forward pass.

Nothing here knows a framework. A plan says everything in the names of the spec; a backend writes it down.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from archdsl.code.bodies import BodyCode, EmitOp, survey
from archdsl.code.class_names import ClassNames, name_classes
from archdsl.code.classes import Class, Parting, Partition, by_origin, partition
from archdsl.code.fixed import fix_names
from archdsl.code.merge import Structure, structure
from archdsl.code.resolve import Known, resolve
from archdsl.code.sizes import one_name
from archdsl.code.unread import without_unread
from archdsl.code.written import ClassPlan, Constructor
from archdsl.graph.graph import Graph

__all__ = ["Module", "plan"]


@dataclass(frozen=True)
class Module:
    """A file: its classes, children first, the model last. Before them, what each step came to."""

    model: Graph
    bodies: tuple[BodyCode, ...]
    partition: Partition
    names: ClassNames
    structures: Mapping[Class, Structure]
    classes: tuple[ClassPlan, ...]


def plan(model: Graph, emit: EmitOp, reserved: frozenset[str] = frozenset()) -> Module:
    """The classes that `model` is written as. `reserved` are names that the file already uses.

    Each step takes what those before it made, and changes nothing in it. Only the last can find that bodies which were
    taken to be one class are not: then it says how they part, and the steps behind the survey are taken again.

    A class says what it takes in the names of the spec; how it says an op is up to `emit`:

    >>> from archdsl.code.code import Code
    >>> made = plan(tiny, lambda op, types, node: Code(f"{op.name}({{0}})"))
    >>> [(cls.name, [arg.key for arg in cls.args]) for cls in made.classes]
    [('Unit', ['in.c', 'c', 'stride']), ('Tiny', [])]
    """
    bodies = survey(model, emit)
    groups = by_origin(bodies)
    while True:
        found = partition(groups)
        names = name_classes(found, reserved)
        structures = without_unread(found, {cls: structure(cls) for cls in found.classes})
        plans = _settled(found, names, structures, reserved)
        if isinstance(plans, Parting):
            groups = found.parted(plans)
            continue
        return Module(model, bodies, found, names, structures, tuple(plans[c] for c in found.children_first()))


Plans = Mapping[Class, ClassPlan]
Structures = Mapping[Class, Structure]


def _settled(found: Partition, names: ClassNames, structures: Structures, reserved: frozenset[str]) -> Plans | Parting:
    """The plan of every class, once no name must be fixed any more that one of them made a literal of."""
    taken = reserved | set(names.of.values())
    same = one_name(found)
    fixed = fix_names(found, names.fixed, {})
    while True:
        known = Known(found, names.of, same, fixed, dict.fromkeys(found.classes, Constructor()), taken)
        plans = _passed_on(known, structures)
        if isinstance(plans, Parting):
            return plans
        more = fix_names(found, fixed, {cls: made.lost for cls, made in plans.items()})
        if more == fixed:
            return plans
        fixed = more


def _passed_on(known: Known, structures: Structures) -> Plans | Parting:
    """The plan of every class, once each is written with what those that it builds take; recursion takes rounds."""
    builds = known.found.builds
    classes = stale = known.found.classes
    plans: dict[Class, ClassPlan] = {}
    seen: dict[Class, list[Constructor]] = {}  # what a plan was made with
    for _ in range(4 * len(classes) + 16):  # more than any known spec takes: a defect shall not run for ever
        for cls in stale:
            seen[cls] = [known.constructors[c] for c in builds[cls]]
            made = resolve(cls, structures[cls], known)
            if isinstance(made, Parting):
                return made
            plans[cls] = made
            if made.constructor != known.constructors[cls]:
                known = known.learning(cls, made.constructor)
        stale = tuple(c for c in classes if seen[c] != [known.constructors[b] for b in builds[c]])
        if not stale:
            return plans
    raise AssertionError(f"what {', '.join(known.names[c] for c in stale)} take does not settle")
