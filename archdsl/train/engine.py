"""`archdsl train` and `archdsl eval`: from a spec, data and a recipe to a run, on from it, and back to its accuracy."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from archdsl import __version__
from archdsl.codegen.backend import Artifact, ability, find_backend
from archdsl.diagnostics import Label, SpecError
from archdsl.elaborate import Program, elaborate
from archdsl.elaborate.bundle import Bundle
from archdsl.errors.training import (
    BatchOfOne,
    DataChanged,
    InputNotImages,
    NoClasses,
    OutputNotClasses,
    RecipeValue,
    RunUnusable,
)
from archdsl.ir.graph import Graph
from archdsl.ir.places import places
from archdsl.ir.text import to_text
from archdsl.ops.norm import BatchNorm
from archdsl.passes import run as run_passes
from archdsl.train.data import Data, Normalise, Size, Split, check_classes, is_image
from archdsl.train.recipe import Recipe, flag
from archdsl.train.record import Result, Run
from archdsl.train.sources import open_data
from archdsl.weights import Origin

if TYPE_CHECKING:
    from archdsl.codegen.backend import Backend

__all__ = ["evaluate", "refuse_lone_values", "resume", "train"]


def train(
    program: Program,
    model: str,
    data: str,
    recipe: Recipe,
    *,
    settings: Mapping[str, str] | None = None,
    input: str | None = None,
    to: str = "torch",
    output: str = "runs",
    name: str | None = None,
    command: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
    progress: bool = False,
) -> tuple[Run, Result]:
    """Train a model of `program` and leave a run in `output`.

    data: `digits`, or a folder of images. The model's parameter `classes` follows the data unless `settings` has it.
    command: what the user typed, for the record. say: hears notes and a line after each epoch.
    progress: whether to show a bar on the terminal (standard error).
    Raises SpecError for what is wrong with spec, data, recipe or device, ModuleNotFoundError where an extra is missing,
    KeyboardInterrupt where the user stops it: the run is then complete up to its last epoch.
    """
    _refuse(program.diagnostics)
    _refuse(recipe.problems())
    backend = find_backend(to)
    ability(backend, "train")  # what it cannot do is said before data are read
    found = open_data(data)
    for note in found.notes:
        say(f"note: {note}")
    chosen = _with_classes(program, model, settings or {}, len(found.classes))
    graph = _graph(program, model, chosen, input)
    size = _input_size(graph, input)
    _check_outputs(graph, found, "classes" in (settings or {}))
    artifact = backend.emit(graph)
    pixels, held_out = found.load("train", size), found.load("test", size)
    config = _config(artifact, recipe, found, pixels.statistics, size, command)
    texts = {
        "resolved.txt": to_text(graph),
        "model.py": artifact.text,
        "splits.json": json.dumps(found.split, indent=None) + "\n",
    }
    origin = Origin(Bundle.of(program), model, chosen, input)
    run = Run.new(output, name, f"{model}-{found.stem}", origin, texts, config, say)
    return run, _train(backend, artifact, pixels, held_out, recipe, run, progress)


def resume(
    folder: str,
    *,
    changes: Mapping[str, object] | None = None,
    command: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
    progress: bool = False,
) -> tuple[Run, Result]:
    """Go on with a run after its last finished epoch, with its own spec, data and recipe.

    changes: fields of the recipe that may be others now: `device`, `workers`, and `epochs`, of which there can be more.
    Raises as `train` does, and SpecError where the run cannot be used or has nothing left to do.
    """
    run = Run.open(folder, say)
    artifact, recipe, _, size, backend = _read_config(run)
    changed = replace(recipe, **(changes or {}))  # type: ignore[arg-type]  # they are its fields
    _refuse(changed.problems())
    if changed.epochs < recipe.epochs:
        text, why = str(changed.epochs), f"the run is to have {recipe.epochs}, and can only be made longer"
        raise SpecError([RecipeValue("epochs", text, why, f"say more than {recipe.epochs}").at(flag("epochs", text))])
    recipe = changed
    run.resume(recipe, command)
    found = open_data(run.config["data"]["location"])
    _check_same(run, found, "a training goes on with its own data: put them back as they were, or train anew")
    pixels, held_out = found.load("train", size), found.load("test", size)
    return run, _train(backend, artifact, pixels, held_out, recipe, run, progress)


def _train(backend: Backend, artifact: Artifact, images: Split, held_out: Split, recipe: Recipe, run: Run,
           progress: bool) -> Result:  # fmt: skip
    refuse_lone_values(run.origin.graph, recipe.batch_of(len(images)))
    result: Result = ability(backend, "train")(artifact, images, held_out, recipe, run, progress=progress)
    if result.epochs < recipe.epochs:
        run.say(f"ended early: no better top-1 in {recipe.patience} epochs")
    return result


def evaluate(
    folder: str,
    *,
    data: str | None = None,
    device: str | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: bool = False,
) -> tuple[Run, Result]:
    """The accuracy of a run's best weights on its held-out images, or on those of `data`.

    On the data and device of the training, it is the accuracy that the run reports.
    Raises SpecError where the run, its data or the device cannot be used, ModuleNotFoundError where an extra is
    missing.
    """
    run = Run.open(folder)
    artifact, recipe, normalise, size, backend = _read_config(run)
    recipe = replace(recipe, device=device) if device else recipe
    _refuse(recipe.problems())
    found = open_data(data or run.config["data"]["location"])
    _check_same(run, found, "" if data else f"say `--data {found.name}` to evaluate on them as they are now")
    for note in found.notes:
        say(f"note: {note}")
    held_out = found.load("test", size)
    return run, ability(backend, "evaluate")(artifact, held_out, normalise, recipe, run, progress=progress)


def _refuse(found: Sequence[Any]) -> None:
    if any(d.severity == "error" for d in found):
        raise SpecError(found)


def _with_classes(program: Program, model: str, settings: Mapping[str, str], count: int) -> dict[str, str]:
    """The settings, with `classes` from the data where the model has that parameter and nobody gave it."""
    block = program.models.get(model)
    has = block is not None and any(param.name == "classes" for param in block.params)
    return {**({"classes": str(count)} if has else {}), **settings}


def _graph(program: Program, model: str, settings: Mapping[str, str], input: str | None) -> Graph:
    result = elaborate(program, model, settings, input)
    _refuse(result.diagnostics)
    assert result.graph is not None, "elaboration gives a graph or says why not"
    return run_passes(result.graph)


def _input_size(graph: Graph, input: str | None) -> Size:
    entry = graph.entries[0]
    size = entry.types[0].sizes
    if not is_image(size):
        raise SpecError([InputNotImages(str(entry.types[0])).at(flag("input", input) if input else entry.span)])
    return size


def _check_outputs(graph: Graph, data: Data, given: bool) -> None:
    """The model has to end in one number for each class of the data."""
    kinds = [graph.type_of(ref) for ref in graph.outputs]
    end = graph[graph.outputs[0].node].span
    if len(kinds) > 1 or any(size != 1 for size in kinds[0].sizes[1:]):
        raise SpecError([OutputNotClasses(", ".join(map(str, kinds))).at(end)])
    if error := check_classes(data, int(kinds[0].c), given):
        raise SpecError([error.at(flag("data", data.name), [Label(end, f"gives {kinds[0]}")])])


def refuse_lone_values(graph: Graph, batch: int, said: str = "batch-size") -> None:
    """Batch norm over one value for each channel has no variance: some frameworks refuse it, others go on with 0.

    said: the flag that gave the batch. Raises SpecError.
    """
    lone = (p for p in places(graph) if isinstance(p.op, BatchNorm) and prod(p.types[0].sizes[1:]) == 1)
    if batch == 1 and (place := next(lone, None)):
        raise SpecError([BatchOfOne().at(flag(said, "1"), [Label(place.span, f"normalises {place.types[0]}")])])


def _config(
    artifact: Artifact, recipe: Recipe, data: Data, normalise: Normalise, size: Size, command: Sequence[str]
) -> dict[str, Any]:
    """What config.json holds; `Run` adds the spec and the digests of files, the backend its device and versions."""
    return {
        "archdsl": __version__,
        "command": list(command),
        "input": list(size),
        "backend": artifact.backend,
        "class": artifact.name,
        "recipe": recipe.as_json(),
        "data": {**data.as_json(), "mean": list(normalise.mean), "std": list(normalise.std)},
    }


def _read_config(run: Run) -> tuple[Artifact, Recipe, Normalise, Size, Backend]:
    """What an evaluation needs of config.json. Raises SpecError where it is not as it was written."""
    config = run.config
    try:
        backend = find_backend(config["backend"])
        artifact = Artifact(run.read("model.py"), config["class"], config["backend"])
        recipe = Recipe.from_json(config["recipe"])
        size = tuple(int(n) for n in config["input"])
        normalise = Normalise(tuple(map(float, config["data"]["mean"])), tuple(map(float, config["data"]["std"])))
        recipe.problems()  # raises TypeError for a text where a number should stand
        [str(config["data"][key]) for key in ("location", "classes", "digest", "images")]
    except (KeyError, TypeError, ValueError):
        run.refuse(RunUnusable(str(run.folder), "config.json is damaged", "name another run"))
    if not is_image(size):
        run.refuse(RunUnusable(str(run.folder), "config.json is damaged", "name another run"))
    return artifact, recipe, normalise, size, backend


def _check_same(run: Run, data: Data, fix: str) -> None:
    """Data need the run's classes; unless `fix` is empty, they have to be its own as they were, or do as it says."""
    record = run.config["data"]
    if list(data.classes) != record["classes"]:
        only = sorted(set(data.classes) ^ set(record["classes"]))
        raise SpecError([NoClasses(data.name, f"not in both: {', '.join(only[:5])}").at(flag("data", data.name))])
    if fix and data.digest != record["digest"]:
        raise SpecError([DataChanged(data.name, "names or sizes of files differ", fix).at(flag("data", data.name))])
