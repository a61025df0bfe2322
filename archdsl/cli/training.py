"""`archdsl train` and `archdsl eval`. Flags are named as in timm where it has them; defaults are the recipe's."""

from __future__ import annotations

import json
import sys
from argparse import SUPPRESS
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from archdsl import api
from archdsl.cli.flags import FORMAT, SPEC, SPEC_FLAGS, Command, Flag, flag
from archdsl.cli.specs import find_backend, open_spec, parse_settings
from archdsl.cli.terminal import WrongCommand, say
from archdsl.train.recipe import DEVICES, OPTIMIZERS, PRECISIONS, SCHEDULES, Recipe

if TYPE_CHECKING:
    from archdsl.train import Result, Run

__all__ = ["COMMANDS"]


RESUMED = ("device", "workers", "epochs")  # what a training that is resumed may be given anew


def train(
    spec: str | None,
    settings: Sequence[str],
    input: str | None,
    model: str | None,
    backend: str | None,
    data: str | None,
    output: str | None,
    name: str | None,
    amp: bool,
    resume: str | None,
    **recipe: object,
) -> int:
    if resume is not None:
        others = {"SPEC": spec, "--set": settings, "--input": input, "--model": model, "--backend": backend,
                  "--data": data, "--output": output, "--name": name, "--amp": amp}  # fmt: skip
        given = [flag for flag, value in others.items() if value] + [_flag(n) for n in recipe if n not in RESUMED]
        run, result = _resume(resume, given, recipe)
    elif spec is None or data is None:
        raise WrongCommand("say what to train, and on what: `archdsl train SPEC --data digits`, or `--resume RUN`")
    else:
        if amp and recipe.setdefault("precision", "bfloat16") != "bfloat16":
            raise WrongCommand("--amp and --precision both say the precision: give one of them")
        framework = find_backend(backend or "torch")
        program, block = api.open_model(*open_spec(spec, model))
        with api.needs(f"{framework.extra},data"):
            from archdsl.train import train as run_training

            run, result = run_training(
                program,
                block,
                data,
                Recipe(**recipe),  # type: ignore[arg-type]  # flags are its fields
                settings=parse_settings(settings),
                input=input,
                to=framework.name,
                output=output or "runs",
                name=name,
                command=sys.argv,
                say=_line,
                progress=sys.stderr.isatty(),
            )
    of = f"of {result.count} held-out images"
    say(f"best {result.top1:.2f} % {of}, epoch {result.epoch} of {result.epochs}, {result.seconds:.0f} s")
    say(f"run {run.folder}: `archdsl eval {run.folder}` measures its weights again")
    return 0


def _resume(folder: str, given: Sequence[str], changes: Mapping[str, object]) -> tuple[Run, Result]:
    if given:
        can = ", ".join(map(_flag, RESUMED))
        raise WrongCommand(f"--resume goes on as the run began: leave out {', '.join(given)} (only {can} can be given)")
    with api.needs(_extras(folder)):
        from archdsl.train import resume

        return resume(folder, changes=changes, command=sys.argv, say=_line, progress=sys.stderr.isatty())


def _extras(folder: str) -> str:
    """What a run needs to be installed. Raises SpecError where there is none."""
    from archdsl.train import Run

    return f"{find_backend(str(Run.open(folder).config.get('backend'))).extra},data"


def evaluate(run: str, data: str | None, device: str | None, format: str) -> int:
    with api.needs(_extras(run)):
        from archdsl.train import evaluate as measure

        note = _note if format == "json" else _line
        found, result = measure(run, data=data, device=device, say=note, progress=sys.stderr.isatty())
    if format == "json":
        figures = {name: asdict(result)[name] for name in ("top1", "loss", "count")}
        say(json.dumps({"run": str(found.folder), **figures}, indent=2))
    else:
        say(f"top-1 {result.top1:.2f} %, loss {result.loss:.4f}, on {result.count} held-out images of {found.folder}")
    return 0


def _line(text: str) -> None:
    """One line of a log, at once."""
    print(text, flush=True)


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _number(name: str, help: str, *short: str, metavar: str = "N") -> Flag:
    return _setting(name, help, *short, type=type(getattr(Recipe, name)), metavar=metavar)


def _word(name: str, words: Sequence[str], help: str) -> Flag:
    return _setting(name, help, metavar="|".join(words))


def _setting(name: str, help: str, *short: str, **about: Any) -> Flag:
    """A field of the recipe; absent where it is not given, so that `--resume` knows what was."""
    default = getattr(Recipe, name)
    return flag(*short, _flag(name), default=SUPPRESS, help=f"{help} (default: {default})", **about)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


_RECIPE = (
    _number("epochs", "passes over the training images"),
    _number("patience", "end after so many epochs without a better top-1; 0 for never"),
    _number("batch_size", "images in one step", "-b"),
    _word("opt", OPTIMIZERS, "optimizer"),
    _number("lr", "peak learning rate of one step", metavar="X"),
    _number("momentum", "of sgd; beta1 of adam and adamw", metavar="X"),
    _number("weight_decay", "of convolutions and dense layers", metavar="X"),
    _word("sched", SCHEDULES, "what the learning rate does after its warm-up"),
    _number("warmup_epochs", "epochs in which the learning rate rises", metavar="X"),
    _number("smoothing", "of labels", metavar="X"),
    _number("hflip", "probability that an image is mirrored", metavar="P"),
    _number("crop_pad", "pixels of padding before a random crop"),
    _number("seed", "of initialisation, order and augmentation"),
    _word("device", DEVICES, "auto takes a GPU where there is one"),
    _word("precision", PRECISIONS, "of activations and products"),
    _number("workers", "processes that decode images", "-j"),
)
assert len(_RECIPE) == len(fields(Recipe))

COMMANDS = {
    "train": Command(
        train,
        (
            replace(SPEC, about={**SPEC.about, "nargs": "?"}),
            *SPEC_FLAGS,
            flag("--backend", "--to", dest="backend", metavar="BACKEND", help="the framework (default: torch)"),
            flag("--data", metavar="digits|FOLDER", help="a folder has train/CLASS/FILE and test/CLASS/FILE"),
            flag("--output", metavar="DIR", help="where the folders of runs are (default: runs)"),
            flag("--name", metavar="NAME", help="of the run's folder; model, data and time, if not given"),
            flag("--resume", metavar="RUN", help="go on with the run in this folder after its last finished epoch"),
            *_RECIPE,
            flag("--amp", action="store_true", help="the same as --precision bfloat16"),
        ),
    ),
    "eval": Command(
        evaluate,
        (
            flag("run", metavar="RUN", help="the folder of a run"),
            flag("--data", metavar="digits|FOLDER", help="other data of the same classes"),
            flag("--device", metavar="|".join(DEVICES), help="the training's, if not given"),
            FORMAT,
        ),
    ),
}
