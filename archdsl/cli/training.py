"""`archdsl train` and `archdsl eval`. Flags are named as in timm where it has them; defaults are the recipe's."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from typer import Argument, Option

from archdsl import api
from archdsl.cli.options import Form, Input, Model, Set, Spec, To
from archdsl.cli.specs import find_backend, open_spec, parse_settings
from archdsl.cli.terminal import fail, say
from archdsl.train.recipe import DEVICES, OPTIMIZERS, PRECISIONS, SCHEDULES, Recipe

__all__ = ["training"]

training = typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})
usual = Recipe()

Data = Annotated[
    str, Option("--data", metavar="digits|FOLDER", help="A folder holds train/CLASS/FILE and test/CLASS/FILE.")
]
OtherData = Annotated[str | None, Option("--data", metavar="digits|FOLDER", help="Other data of the same classes.")]
Folder = Annotated[str, Option("--output", metavar="DIR", help="Where the folders of runs are.")]
RunName = Annotated[str | None, Option("--name", help="Of the run's folder; model, data and time without.")]
Epochs = Annotated[int, Option("--epochs", metavar="N", help="Passes over the training images.")]
BatchSize = Annotated[int, Option("-b", "--batch-size", metavar="N", help="Images in one step.")]
Opt = Annotated[str, Option("--opt", metavar="|".join(OPTIMIZERS), help="Optimizer.")]
Lr = Annotated[float, Option("--lr", metavar="X", help="Peak learning rate of one step.")]
Momentum = Annotated[float, Option("--momentum", metavar="X", help="Of sgd; beta1 of adam and adamw.")]
WeightDecay = Annotated[float, Option("--weight-decay", metavar="X", help="Of convolutions and dense layers.")]
Sched = Annotated[
    str, Option("--sched", metavar="|".join(SCHEDULES), help="What the learning rate does after its warm-up.")
]
Warmup = Annotated[float, Option("--warmup-epochs", metavar="X", help="Epochs in which the learning rate rises.")]
Smoothing = Annotated[float, Option("--smoothing", metavar="X", help="Label smoothing.")]
Hflip = Annotated[float, Option("--hflip", metavar="P", help="Probability of mirroring an image.")]
CropPad = Annotated[int, Option("--crop-pad", metavar="N", help="Pixels of padding before a random crop.")]
Seed = Annotated[int, Option("--seed", metavar="N", help="Of initialisation, order and augmentation.")]
Device = Annotated[str, Option("--device", metavar="|".join(DEVICES), help="auto takes a GPU where there is one.")]
OtherDevice = Annotated[str | None, Option("--device", metavar="|".join(DEVICES), help="The training's, if not given.")]
Precision = Annotated[str, Option("--precision", metavar="|".join(PRECISIONS), help="Of activations and products.")]
Amp = Annotated[bool, Option("--amp", help="The same as --precision bfloat16.")]
Workers = Annotated[int, Option("-j", "--workers", metavar="N", help="Processes that decode images.")]
RunFolder = Annotated[str, Argument(metavar="RUN", help="The folder of a run.")]


@training.command()
def train(
    spec: Spec,
    data: Data,
    settings: Set = None,
    input: Input = None,
    model: Model = None,
    to: To = "torch",
    output: Folder = "runs",
    name: RunName = None,
    epochs: Epochs = usual.epochs,
    batch_size: BatchSize = usual.batch_size,
    opt: Opt = usual.opt,
    lr: Lr = usual.lr,
    momentum: Momentum = usual.momentum,
    weight_decay: WeightDecay = usual.weight_decay,
    sched: Sched = usual.sched,
    warmup_epochs: Warmup = usual.warmup_epochs,
    smoothing: Smoothing = usual.smoothing,
    hflip: Hflip = usual.hflip,
    crop_pad: CropPad = usual.crop_pad,
    seed: Seed = usual.seed,
    device: Device = usual.device,
    precision: Precision = usual.precision,
    amp: Amp = False,
    workers: Workers = usual.workers,
) -> None:
    """Train a model on images; leave weights, metrics and all that made them in a folder."""
    if amp and precision != usual.precision:
        fail("--amp and --precision both say the precision: give one of them")
    recipe = Recipe(
        epochs=epochs,
        batch_size=batch_size,
        opt=opt,
        lr=lr,
        momentum=momentum,
        weight_decay=weight_decay,
        sched=sched,
        warmup_epochs=warmup_epochs,
        smoothing=smoothing,
        hflip=hflip,
        crop_pad=crop_pad,
        seed=seed,
        device=device,
        precision="bfloat16" if amp else precision,
        workers=workers,
    )
    backend = find_backend(to)
    source, named = open_spec(spec, model)
    program, chosen = api.open_model(source, named)
    with api.needs(f"{backend.extra},data"):
        from archdsl.train import train as run_training

        run, result = run_training(
            program,
            chosen,
            data,
            recipe,
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


@training.command("eval")
def evaluate(run: RunFolder, data: OtherData = None, device: OtherDevice = None, format: Form = "text") -> None:
    """Measure the best weights of a run on its held-out images."""
    with api.needs("torch,data"):
        from archdsl.train import evaluate as measure

        quiet = format == "json"
        found, result = measure(
            run, data=data, device=device, say=_note if quiet else _line, progress=sys.stderr.isatty()
        )
    if quiet:
        say(
            json.dumps(
                {"run": str(found.folder), **{k: asdict(result)[k] for k in ("top1", "loss", "count")}}, indent=2
            )
        )
    else:
        say(f"top-1 {result.top1:.2f} %, loss {result.loss:.4f}, on {result.count} held-out images of {found.folder}")


def _line(text: str) -> None:
    """One line of a log, at once."""
    print(text, flush=True)


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
