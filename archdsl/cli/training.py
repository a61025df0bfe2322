"""`archdsl train` and `archdsl eval`. Flags are named as in timm where it has them; defaults are the recipe's."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields

from archdsl import api
from archdsl.cli.flags import FORMAT, SPEC, SPEC_FLAGS, TO, Command, Flag, flag
from archdsl.cli.specs import find_backend, open_spec, parse_settings
from archdsl.cli.terminal import WrongCommand, say
from archdsl.train.recipe import DEVICES, OPTIMIZERS, PRECISIONS, SCHEDULES, Recipe

__all__ = ["COMMANDS"]


def train(
    spec: str,
    settings: Sequence[str],
    input: str | None,
    model: str | None,
    to: str,
    data: str,
    output: str,
    name: str | None,
    amp: bool,
    **recipe: object,
) -> int:
    if amp and recipe["precision"] != Recipe.precision:
        raise WrongCommand("--amp and --precision both say the precision: give one of them")
    chosen = Recipe(**recipe | ({"precision": "bfloat16"} if amp else {}))  # type: ignore[arg-type]  # flags are its fields
    backend = find_backend(to)
    program, block = api.open_model(*open_spec(spec, model))
    with api.needs(f"{backend.extra},data"):
        from archdsl.train import train as run_training

        run, result = run_training(
            program,
            block,
            data,
            chosen,
            settings=parse_settings(settings),
            input=input,
            to=to,
            output=output,
            name=name,
            command=sys.argv,
            say=_line,
            progress=sys.stderr.isatty(),
        )
    of = f"of {result.count} held-out images"
    say(f"best {result.top1:.2f} % {of}, epoch {result.epoch} of {result.epochs}, {result.seconds:.0f} s")
    say(f"run {run.folder}: `archdsl eval {run.folder}` measures its weights again")
    return 0


def evaluate(run: str, data: str | None, device: str | None, format: str) -> int:
    with api.needs("torch,data"):
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
    kind = type(getattr(Recipe, name))
    return flag(*short, _flag(name), type=kind, default=getattr(Recipe, name), metavar=metavar, help=help)


def _word(name: str, words: Sequence[str], help: str) -> Flag:
    return flag(_flag(name), default=getattr(Recipe, name), metavar="|".join(words), help=help)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


_RECIPE = (
    _number("epochs", "passes over the training images"),
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
            SPEC,
            *SPEC_FLAGS,
            TO,
            flag(
                "--data",
                required=True,
                metavar="digits|FOLDER",
                help="a folder has train/CLASS/FILE and test/CLASS/FILE",
            ),
            flag("--output", default="runs", metavar="DIR", help="where the folders of runs are"),
            flag("--name", metavar="NAME", help="of the run's folder; model, data and time, if not given"),
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
