"""`archdsl train`: a model, data, a recipe and where to run it."""

import sys
from argparse import SUPPRESS
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from archdsl import api
from archdsl.cli.flags import SPEC, SPEC_FLAGS, Command, Flag, flag, flag_of, grouped
from archdsl.cli.specs import extras_of, find_backend, open_spec, parse_settings
from archdsl.cli.terminal import WrongCommand, ending_in_order, print_text, say
from archdsl.language.diagnostics import refuse
from archdsl.language.recipe import Recipe
from archdsl.language.schema import parameters
from archdsl.language.source import flag as given_to
from archdsl.train import Result, Run
from archdsl.train import resume as go_on
from archdsl.train import train as run_training
from archdsl.train.engine import FIXED
from archdsl.train.ranks import in_turn, leads
from archdsl.train.recipes import data_line, open_recipe
from archdsl.train.settings import Settings

__all__ = ["COMMANDS"]

_LINES = {
    "data": ("digits|FOLDER|WORD", "what to train on: a word of the language, or a folder of images"),
    "augment": ("FLOW", "what is done to images, such as 'pad_crop(4) -> hflip'; none for nothing"),
    "optimizer": ("WORD", "such as 'sgd(lr=0.1, momentum=0.9) -> clip(1)'"),
    "schedule": ("WORD", "of the learning rate, such as 'cosine(warmup=epochs(5))'"),
    "loss": ("WORD", "such as 'cross_entropy(smoothing=0.1)'"),
    "batch": ("N", "images in one step, on all devices together"),
    "budget": ("COUNT", "how long: 'epochs(90)' or 'steps(64K)'"),
    "average": ("WORD", "of the weights, such as 'ema(0.999)'; none for no average"),
    "stop": ("WORD", "when to stop early, such as 'early(10)'; none for never"),
}  # by line of a recipe
_PARTS = {
    "epochs": ("N", "the budget in epochs"),
    "steps": ("N", "the budget in steps"),
    "lr": ("X", "the optimizer's"),
    "weight-decay": ("X", "the optimizer's"),
    "batch-size": ("N", "the same as --batch"),
}  # shortcuts to parts of lines
_BUDGET = ("budget", "epochs", "steps")
_SAME = (_BUDGET, ("batch", "batch-size"))
_HELP = {
    "seed": "of initialisation, order and augmentation",
    "device": "auto takes a GPU where there is one",
    "precision": "of activations and products; auto is bfloat16 on a GPU that has it",
    "channels_last": "the memory layout of images and convolutions (PyTorch)",
    "compile": "torch.compile of repeated blocks, XLA in Keras; auto on a GPU",
    "fused": "one kernel for the optimizer's step (PyTorch)",
    "deterministic": "only algorithms that give the same bits again",
    "workers": "threads that decode images that are not kept in memory; 0 for one a core",
    "max_corrupt": "damaged images that are left out before the training is refused",
    "save_minutes": "write the state inside an epoch as well, this often; 0 for never",
    "devices": "processes on this machine, each with one device; 0 for all GPUs",
    "strategy": "ddp keeps all weights on every device, fsdp a part of them (PyTorch)",
    "sync_batch_norm": "statistics of batch norm over all devices",
    "log": "further places for metrics; repeatable",
}  # by field of Settings


def train(
    spec: str | None,
    values: Sequence[str],
    input: str | None,
    model: str | None,
    backend: str | None,
    recipe: str | None,
    output: str | None,
    name: str | None,
    amp: bool,
    print_config: bool,
    resume: str | None,
    **given: Any,
) -> int:
    settings = {p.field: given.pop(p.field) for p in parameters(Settings) if p.field in given}
    settings |= {n: tuple(v) for n, v in settings.items() if isinstance(v, list)}
    changes = {_word(n): text for n, text in given.items()}
    _refuse_doubles(changes)
    if amp and settings.setdefault("precision", "bfloat16") != "bfloat16":
        raise WrongCommand("--amp and --precision both say the precision: give one of them")
    if resume is not None:
        others = {"SPEC": spec, "--set": values, "--input": input, "--model": model, "--backend": backend,
                  "--recipe": recipe, "--output": output, "--name": name, "--print-config": print_config}  # fmt: skip
        run, result = _resume(resume, [f for f, value in others.items() if value], changes, settings)
    elif spec is None:
        raise WrongCommand("say what to train: `archdsl train SPEC --data digits`, or `--resume RUN`")
    else:
        program, block = api.open_model(*open_spec(spec, model))
        refuse(program.diagnostics)
        chosen, how = _recipe(recipe, changes, program), _settings(settings)
        if print_config:
            print_text(_config(chosen, how), exact=True)
            return 0
        framework, place = find_backend(backend or "torch"), {"output": output or "runs", "name": name}
        what = {"values": parse_settings(values), "input": input, "to": framework.name, **place, **_speaking()}
        with api.needs(f"{framework.extra},data"), _stopping("began: nothing is left of it"):
            run, result = in_turn()(run_training)(program, block, chosen, how, **what)
    _tell(run, result)
    return 0


@contextmanager
def _stopping(before: str) -> Iterator[None]:
    """End in order on SIGTERM; what is stopped `before` its first step says so, as it does on Ctrl-C."""
    with ending_in_order():
        try:
            yield
        except KeyboardInterrupt as stop:
            if not hasattr(stop, "__notes__"):  # else the training has said how far it came
                with suppress(OSError):
                    say(f"stopped before the training {before}")
            raise


def _speaking() -> dict[str, Any]:
    return {"command": sys.argv, "say": say, "progress": sys.stderr.isatty()}


def _refuse_doubles(changes: Mapping[str, str]) -> None:
    for same in _SAME:
        both = [f"--{name}" for name in same if name in changes]
        if len(both) > 1:
            raise WrongCommand(f"{' and '.join(both)} say the same thing: give one of them")


def _recipe(text: str | None, changes: Mapping[str, str], program: Any) -> Recipe:
    lines = {flag: data_line(text) if flag == "data" else text for flag, text in changes.items()}
    found = open_recipe(text, lines, program)
    typed = {"data": given_to("data", changes["data"])} if "data" in changes else {}
    return replace(found, places={**found.places, **typed})


def _settings(given: Mapping[str, Any]) -> Settings:
    found = replace(Settings(), **given)
    refuse(found.problems())
    return found


def _config(recipe: Recipe, settings: Settings) -> str:
    """The recipe in the language, and the settings as a comment in it: all of it can be read as a recipe again."""
    rows = "".join(f"#   --{_word(n)} {_shown(v)}\n" for n, v in settings.as_json().items())
    return f"# Where and how it runs, which is no part of the recipe:\n{rows}\n{recipe.text}"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value) or "(none)"
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _resume(
    folder: str, others: Sequence[str], changes: Mapping[str, str], settings: Mapping[str, Any]
) -> tuple[Run, Result]:
    fixed = [*(n for n in changes if n not in _BUDGET), *(_word(n) for n in settings if n in FIXED)]
    given = [*others, *(f"--{n}" for n in fixed)]
    if given:
        can = f"the budget ({', '.join(f'--{n}' for n in _BUDGET)}), and where and how it runs"
        raise WrongCommand(f"--resume goes on as the run began: leave out {', '.join(given)} (only {can} can change)")
    with api.needs(extras_of(folder)), _stopping("went on: the run is as it was"):
        return in_turn()(go_on)(folder, budget=changes, changes=settings, **_speaking())


def _tell(run: Run, result: Result) -> None:
    if leads():
        of = f"of {result.count} held-out images"
        say(f"best {result.top1:.2f} % {of}, epoch {result.epoch} of {result.epochs}, {result.seconds:.0f} s")
        say(f"run {run.folder}: `archdsl eval {run.folder}` measures its weights again")


def _word(name: str) -> str:
    """A field as a flag has it."""
    return name.replace("_", "-")


def _text(name: str, metavar: str, help: str, *short: str) -> Flag:
    """A line of the recipe, or a part of one; absent where it is not given."""
    return flag(*short, f"--{name}", default=SUPPRESS, metavar=metavar, help=help)


_WHICH = [replace(f, about={**f.about, "dest": "values"}) if "--set" in f.names else f for f in SPEC_FLAGS]
_CHANGES = [_text(n, metavar, help) for n, (metavar, help) in _LINES.items()]
_SHORT = [_text(n, metavar, help, *(["-b"] if n == "batch-size" else [])) for n, (metavar, help) in _PARTS.items()]
_HOW = [  # absent where they are not typed, so that `--resume` knows which were
    flag_of(p, _HELP[p.name], *(["-j"] if p.name == "workers" else []), absent=True) for p in parameters(Settings)
]

COMMANDS = {
    "train": Command(
        train,
        replace(SPEC, about={**SPEC.about, "nargs": "?"}),
        *grouped("the model", *_WHICH),
        *grouped(
            "how it is trained: lines of the recipe",
            flag("--recipe", metavar="RECIPE", help="a name or a file, with parameters: 'ran_cifar(noise=0.3)'"),
            *_CHANGES,
            *_SHORT,
        ),
        *grouped(
            "where and how it runs",
            flag("--backend", "--to", dest="backend", metavar="BACKEND", help="the framework (default: torch)"),
            *_HOW,
            flag("--amp", action="store_true", help="the same as --precision bfloat16"),
        ),
        *grouped(
            "the run",
            flag("--output", metavar="DIR", help="where the folders of runs are (default: runs)"),
            flag("--name", metavar="NAME", help="of the run's folder; model, data and time, if not given"),
            flag("--resume", metavar="RUN", help="go on with the run in this folder after its last state"),
            flag(
                "--print-config", action="store_true", help="only say the recipe with all its values, and the settings"
            ),
        ),
        examples=(
            "archdsl train lenet5 --data digits --epochs 3",
            "archdsl train net.arch --data ~/flowers --batch 32 --lr 0.01",
            "archdsl train attention92_cifar --recipe 'ran_cifar(noise=0.3)'",
            "archdsl train --resume runs/one --epochs 20",
        ),
    )
}
