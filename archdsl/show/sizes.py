"""Which sizes a model takes, and its figures as formulas of them, for people and for programs."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from archdsl.graph.sizes import FIGURES, LOOKED_AT, Accepted, Family
from archdsl.language.diagnostics import listed
from archdsl.language.traced import Polynomial
from archdsl.show.table import Column, Facts, Table, short_count

__all__ = ["as_json", "sentences", "table"]

_WORDS = {"h": "height", "w": "width", "n": "length", "d": "depth"}
_HEADS = {"params": "params", "macs": "MACs", "train_bytes": "bytes to train", "infer_bytes": "bytes to infer"}
_MOST_RUNS = 6


def table(found: Family, dtype: str, limits: Mapping[str, int], batch: int) -> RenderableType:
    """Sentences, then a row for each output and figure. limits: what figures may be at most, for the largest size."""
    formulas = found.formulas(found.home, dtype)
    rows = [(name, "", _shape(found, shape)) for name, shape in formulas.outputs.items()]
    notes: list[str] = []
    for name in FIGURES:
        made = getattr(formulas, name)
        value = made.at({**found.declared, "b": batch}) if _is_at_home(found) else None
        mark = _mark(found, name, made, dtype)
        if mark and mark not in notes:
            notes.append(mark)
        star = "*" * (notes.index(mark) + 1) if mark else ""
        rows.append((f"{_HEADS[name]}{star}", "" if value is None else f"{value:,}", str(found.written(made))))
    size = "x".join(map(str, found.declared.values()))
    columns = Column(""), Column(f"at {size}" if size else "figure", right=True, rank=1, short=short_count)
    grid = Table([*columns, Column("formula", breaks=" ")], rows)
    letters = ", ".join([*(f"{axis} {_word(axis)}" for axis in found.declared), "b batch"])
    facts = [f"{letters}; memory in {dtype}", *(f"{'*' * (i + 1)} {note}" for i, note in enumerate(notes))]
    return Group(
        Text(found.model, style="bold"), *map(Text, sentences(found)), grid, *map(Facts, facts),
        *map(Text, _largest(found, dtype, limits, batch)),
    )  # fmt: skip


def as_json(found: Family, dtype: str, limits: Mapping[str, int], batch: int) -> dict[str, Any]:
    """The same for a program: formulas as texts, the sizes of each axis as stretches without a gap."""
    formulas = found.formulas(found.home, dtype)
    return {
        "model": found.model,
        "looked_at": LOOKED_AT,
        "axes": {
            axis: {"declared": size, "taken": [list(run) for run in found.accepted[axis].runs],
                   "multiple": found.accepted[axis].multiple}
            for axis, size in found.declared.items()
        },
        "apart": found.are_free,
        "says": list(sentences(found)),
        "outputs": {name: [_plain(found.written(p)) for p in shape] for name, shape in formulas.outputs.items()},
        "figures": {
            name: {"formula": str(found.written(getattr(formulas, name))), "from": found.holds_from(name, dtype)}
            for name in FIGURES
        },
        "dtype": dtype,
        "largest": {name: found.largest(name, most, batch, dtype) for name, most in limits.items()},
    }  # fmt: skip


def sentences(found: Family) -> Iterator[str]:
    """`height and width: multiples of 32, at least 32`; axes of which the same is true stand together."""
    if not found.declared:
        yield "no input has an axis whose size could be another: the figures are of every input"
    groups: dict[tuple[str, str], list[str]] = {}
    for axis, accepted in found.accepted.items():
        groups.setdefault((axis.rpartition(".")[0], _taken(accepted)), []).append(axis)
    for (input_name, text), axes in groups.items():
        names = " and ".join([", ".join(map(_word, axes[:-1])), _word(axes[-1])] if axes[1:] else map(_word, axes))
        yield f"{input_name + ': ' if input_name else ''}{names}: {text}"
    if not found.are_free:
        yield "not every combination of these is taken: each is of the other sizes as they are declared"


def _word(axis: str) -> str:
    return _WORDS[axis.rpartition(".")[2]]


def _taken(accepted: Accepted) -> str:
    if accepted.steps is None:
        runs = [f"{a} to {b}" if a != b else str(a) for a, b in accepted.runs]
        more = f" and others up to {LOOKED_AT}" if len(runs) > _MOST_RUNS else ""
        return (listed(runs) if not more else ", ".join(runs[:_MOST_RUNS]) + more).replace("`", "") or "none"
    period, first, others = accepted.steps
    if period == 1:
        text = "any" if first == 1 else f"at least {first}"
    elif first % period == 0:
        text = f"multiples of {period}, at least {first}"
    else:
        text = f"{first % period} more than a multiple of {period}, at least {first}"
    return text + (f"; {', '.join(map(str, others))} as well" if others else "")


def _is_at_home(found: Family) -> bool:
    return found.piece(found.declared) is found.home


def _mark(found: Family, name: str, made: Polynomial, dtype: str) -> str:
    """Where a formula is true, unless it is everywhere."""
    if not found.together:
        return ""
    least, first = found.holds_from(name, dtype), found.accepted[found.together[0]].sizes[0]
    axes = " and ".join(map(_word, found.together))
    if least is None:
        return "at the declared sizes; at some others it may be another"
    return "" if least == first else f"from {axes} {least} on"


def _shape(found: Family, shape: tuple[Polynomial, ...]) -> str:
    return "[" + ", ".join(str(_plain(found.written(p))) for p in shape) + "]"


def _plain(size: Polynomial) -> int | str:
    return int(size.constant) if size.is_constant else str(size)


def _largest(found: Family, dtype: str, limits: Mapping[str, int], batch: int) -> Iterator[str]:
    axes = " and ".join(map(_word, found.together)) or "size"
    for name, most in limits.items():
        at = found.largest(name, most, batch, dtype)
        if at is None:
            yield f"{_HEADS[name]} at most {most:,}: no {axes} is small enough"
            continue
        size = at[found.together[0]] if found.together else 0
        figure = found.figure(name, at, batch, dtype)
        yield f"{_HEADS[name]} at most {most:,}: {axes} {size}, {figure:,}"
