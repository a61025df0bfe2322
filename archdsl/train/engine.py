"""`archdsl train`: from a spec, data and a recipe to a run, and on from it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from math import prod
from pathlib import Path
from typing import Any

from archdsl.code.backend import Artifact, Backend, find_backend
from archdsl.data import ARRAYS, Data, Normalise, Size, Split, check_classes, open_data
from archdsl.graph.cost import Cost, cost
from archdsl.graph.elaborate import Program
from archdsl.graph.elaborate.recipes import check_values, resolve_recipe
from archdsl.graph.graph import Graph
from archdsl.graph.places import places
from archdsl.graph.text import to_text
from archdsl.language.diagnostics import Diagnostic, Label, SpecError, listed, nearest, refuse, render
from archdsl.language.errors import training as errors
from archdsl.language.errors.recipes import Contradiction, NoData, NothingToTrain
from archdsl.language.ops.norm import BatchNorm
from archdsl.language.recipe import Recipe
from archdsl.language.recipe.contradictions import Training, contradictions, notes
from archdsl.language.recipe.words import Grey, LabelNoise, ResizedCrop, StandardizeImages, Subset, Word
from archdsl.language.source import Source, Span, flag
from archdsl.language.version import __version__
from archdsl.train.abilities import MEMORY, TRAIN, ability, unknown_words
from archdsl.train.config import CONFIG, ImageCounts, RunConfig, UsedData
from archdsl.train.failures import check_memory, image_size
from archdsl.train.folder import BEST, PROGRAM, RECIPE, RunFolder
from archdsl.train.ranks import leads
from archdsl.train.recipes import RecipeText, declared_recipe, with_budget
from archdsl.train.record import Result, Run
from archdsl.train.settings import Settings
from archdsl.train.voice import Pulse
from archdsl.weights import Origin, WeightFile, about

__all__ = ["FIXED", "Trained", "check_same", "open_run", "refuse_lone_values", "resume", "train"]

FIXED = ("seed",)  # settings that a training which goes on cannot have anew

Say = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A run that was written before, with what is needed to use its weights, or to go on with it."""

    run: Run
    artifact: Artifact
    recipe: Recipe
    settings: Settings
    normalise: Normalise
    size: Size
    backend: Backend


def train(
    program: Program,
    model: str,
    recipe: Recipe,
    settings: Settings | None = None,
    *,
    values: Mapping[str, str] | None = None,
    input: str | None = None,
    to: str = "torch",
    output: str = "runs",
    name: str | None = None,
    command: Sequence[str] = (),
    say: Say = lambda line: None,
    progress: bool = False,
) -> tuple[Run, Result]:
    """Train a model of `program` and leave a run in `output`.

    recipe: with a line `data`. values: of the model's parameters, as `--set` has them; `classes` follows the data
    unless it is among them. command: what the user typed, for the record. say: hears notes and a line after each epoch.
    progress: whether to show a bar on the terminal (standard error).
    Raises SpecError for what is wrong with spec, data, recipe or device, ModuleNotFoundError where an extra is missing,
    KeyboardInterrupt where the user stops it: the run is then complete up to its last state.
    """
    settings = settings or Settings()
    refuse(program.diagnostics)
    refuse([*settings.problems(), *(error.at(recipe.place(place)) for place, error in check_values(recipe))])
    refuse(_contradictions(recipe))
    backend = find_backend(to)
    _data_of(recipe)
    free = _free_memory(backend, recipe, settings)
    found = _open(recipe, say)
    recipe = replace(recipe, data=found.source)
    chosen = _with_classes(program, model, values or {}, len(found.classes))
    origin = Origin.of(program, model, chosen, input)
    graph, costs = origin.graph, cost(origin.graph)
    size = image_size(graph, flag("input", input) if input else None)
    _check_outputs(graph, found, "classes" in (values or {}))
    refuse(_unmatched(graph, recipe))
    if not costs.params:
        raise SpecError([NothingToTrain().at(graph[graph.outputs[0].node].span)])
    artifact = backend.emit(graph)
    with Pulse(say, lambda: "reading the images"):
        images, held_out = _load(found, size, recipe, settings, graph, free)
        normalise = images.statistics((recipe.find(StandardizeImages) or StandardizeImages()).by)
    config = _config(origin, artifact, costs, settings, found, normalise, size, command)
    texts: dict[str, str | bytes] = {
        "resolved.txt": to_text(graph),
        PROGRAM: artifact.text,
        "splits.json": json.dumps({**found.split, **images.record}, indent=None) + "\n",
    }
    if normalise.content is not None:
        texts[ARRAYS] = normalise.content
    run = Run.new(output, name, f"{model}-{found.stem}", origin, recipe, texts, config, say)
    for line in "\n".join(map(render, origin.warnings)).splitlines():
        run.say(line)
    ready = Trained(run, artifact, recipe, settings, normalise, size, backend)
    with run.begun():
        return run, _train(ready, images, held_out, progress)


def resume(
    folder: str,
    *,
    budget: Mapping[str, str] | None = None,
    changes: Mapping[str, Any] | None = None,
    command: Sequence[str] = (),
    say: Say = lambda line: None,
    progress: bool = False,
) -> tuple[Run, Result]:
    """Go on with a run after its last state, with its own spec, data and recipe.

    budget: what makes it longer, as the flags have it: `{"epochs": "20"}`. changes: settings that are others now, all
    but those of `FIXED`.
    Raises as `train` does, and SpecError where the run cannot be used or has nothing left to do.
    """
    with RunFolder(Path(folder).expanduser()).held() if leads() else nullcontext():
        return _resume(open_run(folder, changes, say), budget, command, say, progress)


def _resume(
    found: Trained, budget: Mapping[str, str] | None, command: Sequence[str], say: Say, progress: bool
) -> tuple[Run, Result]:
    run, before = found.run, found.recipe
    free = _free_memory(found.backend, before, found.settings)
    recipe = with_budget(before, budget) if budget else before
    data = _open(before, say)
    check_same(run, data, "a training goes on with its own data: put them back as they were, or train anew")
    with Pulse(say, lambda: "reading the images"):
        images, held_out = _load(data, found.size, recipe, found.settings, run.origin.graph, free)
    per_epoch = recipe.batches_of(len(images), whole=True)
    if recipe.steps(per_epoch) < before.steps(per_epoch):
        (name, text), *_ = (budget or {}).items()
        why, fix = f"the run is to have {before.budget}, and can only be made longer", "say more"
        raise SpecError([errors.SettingValue(name, text, why, fix).at(flag(name, text))])
    run.resume(recipe, per_epoch, command)
    run.config = replace(run.config, machine=found.settings)
    return run, _train(replace(found, recipe=recipe), images, held_out, progress)


def open_run(folder: str, changes: Mapping[str, Any] | None = None, say: Say = lambda line: None) -> Trained:
    """A run that was written before. changes: settings that are others now.

    Raises SpecError where it is no run, was changed, or where the settings are out of bounds.
    """
    run = Run.open(folder, say)
    config, place = run.config, str(run.folder)
    backend = _backend_of(run)
    _check_network(run)
    artifact = backend.emit(run.origin.graph)
    run.compare_program(artifact.text)
    longer = {"budget": config.resumed[-1].budget} if config.resumed else None
    declared = declared_recipe(Source(f"{place}/{RECIPE}", run.read_unchanged(RECIPE, config)))
    run.recipe = RecipeText.at(declared.node)
    recipe = resolve_recipe(declared, None, longer)
    settings = replace(config.machine, **(changes or {}))
    refuse(settings.problems())
    return Trained(run, artifact, recipe, settings, _normalise(run), config.size, backend)


def _backend_of(run: Run) -> Backend:
    try:
        return find_backend(run.config.backend)
    except KeyError:
        run.unusable(f"its backend `{run.config.backend}` is not installed", "install it, or name another run")


def _normalise(run: Run) -> Normalise:
    """What its images are normalised by, from config.json and, where it is more than that, the file `ARRAYS`."""
    config = run.config
    content = run.read_bytes(ARRAYS, Normalise.most(config.size)) if run.has(ARRAYS) else None
    try:
        return Normalise.from_json(config.data.normalise, content, config.size)
    except ValueError as error:
        run.unusable(f"{ARRAYS} is damaged" if ARRAYS in str(error) else f"`data.normalise` in {CONFIG} is damaged")


def _check_network(run: Run) -> None:
    """What config.json says of the network has to be so. Raises SpecError."""
    config, graph = run.config, run.origin.graph
    size, outputs = image_size(graph), int(graph.type_of(graph.outputs[0]).c)
    if config.size != size:
        run.disagree(f"`input` in {CONFIG} is {list(config.size)}, and the spec reads {list(size)}")
    if len(config.data.classes) != outputs:
        run.disagree(f"{CONFIG} has {len(config.data.classes)} classes, and the spec tells {outputs} apart")
    if run.has(BEST):
        run.check_origin(WeightFile(run.weights, about(run.weights), {}))


def check_same(run: Run, data: Data, fix: str) -> None:
    """Data need the run's classes; unless `fix` is empty, they have to be its own as they were, or do as it says."""
    record = run.config.data
    if data.classes != record.classes:
        raise SpecError([errors.NoClasses.of(data.name, data.classes, record.classes).at(data.at)])
    if fix and data.digest != record.digest:
        raise SpecError([errors.DataChanged(data.name, "names or sizes of files differ", fix).at(data.at)])


def refuse_lone_values(graph: Graph, batch: int, at: Span) -> None:
    """Batch norm over one value for each channel has no variance: some frameworks refuse it, others go on with 0.

    at: where the batch was said. Raises SpecError.
    """
    lone = (p for p in places(graph) if isinstance(p.op, BatchNorm) and prod(p.types[0].sizes[1:]) == 1)
    if batch == 1 and (place := next(lone, None)):
        raise SpecError([errors.BatchOfOne().at(at, [Label(place.span, f"normalises {place.types[0]}")])])


def _free_memory(backend: Backend, recipe: Recipe, settings: Settings) -> int | None:
    """Of the GPU; None on the processor. What a backend or a machine cannot do is said before data are read."""
    ability(backend, TRAIN)
    refuse(unknown_words(recipe, backend))
    return ability(backend, MEMORY)(settings) if backend.memory else None


def _train(ready: Trained, images: Split, held_out: Split, progress: bool) -> Result:
    """Everything that can be known before it starts is looked at; then the backend trains."""
    run, recipe, settings = ready.run, ready.recipe, ready.settings
    graph = run.origin.graph
    training = Training(ready.size, len(images))
    refuse(_contradictions(recipe, training))
    refuse_lone_values(graph, recipe.batch_of(len(images)), recipe.place("batch"))
    for note in notes(recipe, training):
        run.say(f"note: {note}")
    work = ability(ready.backend, TRAIN)
    result = work(ready.artifact, images, held_out, ready.normalise, recipe, settings, run, progress=progress)
    for split in (images, held_out):
        if split.damaged:
            run.say(f"note: damaged and left out: {', '.join(split.damaged)}")
    if recipe.stop and result.epochs < recipe.epochs(training.per_epoch(recipe)):
        count = recipe.stop.patience
        run.say(f"ended early: no better top-1 in {count} epoch{'s' * (count != 1)}")
    return result


def _contradictions(recipe: Recipe, training: Training | None = None) -> Iterator[Diagnostic]:
    return (error.at(recipe.place(place)) for place, error in contradictions(recipe, training))


def _data_of(recipe: Recipe) -> Word:
    if recipe.data is None:
        raise SpecError([NoData().at(flag("recipe", recipe.name))])
    return recipe.data


def _open(recipe: Recipe, say: Say) -> Data:
    found = open_data(_data_of(recipe), recipe.place("data"), say)
    for note in found.notes:
        say(f"note: {note}")
    return replace(found, grey=recipe.find(Grey) is not None)


def _load(
    data: Data, size: Size, recipe: Recipe, settings: Settings, graph: Graph, free: int | None
) -> tuple[Split, Split]:
    """The training images with what the recipe does to them as a whole, and the held-out ones.

    Raises SpecError where memory is too small for the training, before an image is decoded.
    """
    windows, subset, count = recipe.find(ResizedCrop) is not None, recipe.find(Subset), len(data.train)
    if subset:
        count = min(count, subset.per_class * len(data.classes))
    kept = data.train.bytes_kept(size, windows, count=count) + data.test.bytes_kept(size)
    check_memory(graph, recipe, settings, free, count, kept)
    images = data.load("train", size, windows=windows, max_corrupt=settings.max_corrupt)
    if subset:
        place = recipe.place(f"augment.{recipe.augment.index(subset)}")
        images = images.subset(subset.per_class, settings.seed, place)
    if noise := recipe.find(LabelNoise):
        images = images.noisy(noise.p, settings.seed)
    return images, data.load("test", size, max_corrupt=settings.max_corrupt)


def _with_classes(program: Program, model: str, values: Mapping[str, str], count: int) -> dict[str, str]:
    """The values, with `classes` from the data where the model has that parameter and nobody gave it."""
    block = program.models.get(model)
    has = block is not None and any(param.name == "classes" for param in block.params)
    return {**({"classes": str(count)} if has else {}), **values}


def _check_outputs(graph: Graph, data: Data, given: bool) -> None:
    """Every output of the model has to be one number for each class of the data."""
    for ref in graph.outputs:
        kind, end = graph.type_of(ref), graph[ref.node].span
        if any(size != 1 for size in kind.sizes[1:]):
            raise SpecError([errors.OutputNotClasses(str(kind)).at(end)])
        if error := check_classes(data, int(kind.c), given):
            raise SpecError([error.at(data.at, [Label(end, f"gives {kind}")])])


def _unmatched(graph: Graph, recipe: Recipe) -> Iterator[Diagnostic]:
    """Losses of no output, or of one twice; where there are none, outputs without a loss."""
    main, *sides = graph.results
    said = {term.output or main: f"loss.{i}" for i, term in enumerate(recipe.loss)}
    if len(said) < len(recipe.loss):  # as the main one, and by its name
        why = f"`cross_entropy` alone is that of `{main}`"
        yield Contradiction(f"`{main}` has two losses", why, "leave one of them out").at(recipe.place(said[main]))
    for name, place in said.items():
        if name not in graph.results:
            hint = nearest(name, graph.results) or f"its outputs: {listed(graph.results)}"
            yield errors.LossOfNoOutput(name, hint).at(recipe.place(place))
    for name in graph.results if said.keys() <= set(graph.results) else ():
        if name not in said:
            side = name if name != main else sides[0] if sides else "aux"
            error = errors.OutputWithoutLoss(name, listed(graph.results), side)
            yield error.at(recipe.place("loss"))


def _config(origin: Origin, artifact: Artifact, costs: Cost, settings: Settings, data: Data, normalise: Normalise,
            size: Size, command: Sequence[str]) -> RunConfig:  # fmt: skip
    """What config.json holds; `Run` adds the digests of files, the backend its device and versions."""
    counts = ImageCounts(train=len(data.train), test=len(data.test))
    return RunConfig(
        archdsl=__version__,
        command=tuple(command),
        input=size,
        backend=artifact.backend,
        class_=artifact.name,
        params=costs.params,
        macs=costs.macs,
        machine=settings,
        data=UsedData(
            name=data.name, source=str(data.source), location=data.location, classes=data.classes, images=counts,
            digest=data.digest, ratio=data.ratio, grey=data.grey or None, normalise=normalise.as_json(),
        ),
        started=datetime.now(),
        spec=origin.bundle.name,
        model=origin.model,
        settings=origin.settings,
        set_input=origin.input,
        files={},
        loss_decides=True,
    )  # fmt: skip
