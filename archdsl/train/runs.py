"""Runs beside each other: read off their folders, grouped by all but the seed, compared line by line.

Nothing is elaborated and no framework is imported: a folder of a thousand runs is read in a second.
"""

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import unified_diff
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePath
from statistics import mean, stdev
from typing import Any

from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.evaluation import NoRuns
from archdsl.language.printable import one_line
from archdsl.language.source import flag
from archdsl.train.config import CONFIG, FINISHED, RunConfig
from archdsl.train.epoch import Epoch
from archdsl.train.files import digest
from archdsl.train.folder import BEST, PROGRAM, RunFolder
from archdsl.train.recipes import RecipeText
from archdsl.weights import about

__all__ = ["PastRun", "SeedGroup", "differences", "grouped", "latex", "read_run", "read_runs", "report", "spec_changes"]

_KNOWN = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet": "ImageNet"}
_BESIDE = frozenset({"seed", "workers", "save_minutes", "log"})  # settings that are no part of an experiment
_SET, _BELOW_DOCSTRING = "--set ", '\n"""\n'
_SECONDS_AN_HOUR = 3600
UNFINISHED = "unfinished"  # it still goes on, or was killed


@dataclass(frozen=True)
class PastRun:
    """A run, as its folder tells.

    status: of summary.json; `unfinished` where there is none.
    """

    folder: Path
    config: RunConfig = field(repr=False)
    recipe: RecipeText = field(repr=False)
    rows: tuple[Epoch, ...] = field(repr=False)
    status: str

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def data(self) -> str:
        """The data's name, as papers write it."""
        name = self.config.data.name
        return _KNOWN.get(name, PurePath(name).name or name)

    @property
    def best(self) -> Epoch | None:
        """The epoch whose weights the run keeps."""
        return self.config.best(self.rows)

    @property
    def top1(self) -> float | None:
        """Percent, of the best epoch; None where not one ended."""
        return self.best.val_top1 if self.best else None

    @property
    def seconds(self) -> float:
        """Of all epochs; set-up is left out."""
        return sum(row.seconds for row in self.rows)

    @property
    def rate(self) -> float | None:
        """Training images a second, validation and saving included."""
        said = self.recipe.lines.get("batch", "")
        batch = min(int(said), self.config.data.images.train) if re.fullmatch("[0-9]{1,12}", said) else 0
        done = self.rows[-1].step * batch if self.rows else 0
        return done / self.seconds if done and self.seconds else None

    @property
    def device(self) -> str:
        """`1x NVIDIA H200`, `cpu, 2 threads`."""
        name = self.config.device or ""
        return name if re.match(r"cpu|\d+x |$", name) else f"1x {name}"

    @cached_property
    def program(self) -> str:
        """A digest of model.py without what it says of itself: its flags may give what is so without them.

        Of the whole where it is gone, or not as it was written.
        """
        try:
            text = RunFolder(self.folder).read_unchanged(PROGRAM, self.config)
        except SpecError:
            return self.config.files[PROGRAM]
        return digest(text.partition(_BELOW_DOCSTRING)[2] or text)

    @cached_property
    def key(self) -> str:
        """The same for runs that differ in nothing but the seed and what does not change the result."""
        config = self.config
        settings = {k: v for k, v in config.machine.as_json().items() if k not in _BESIDE}
        network = [self.program, config.backend, config.input]
        same = [settings, network, self.recipe.lines, config.data.digest, self.device]
        return sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """For programs: percent, seconds, images a second."""
        return {
            "name": self.name, "folder": str(self.folder), "model": self.config.model, "data": self.data,
            "recipe": self.recipe.name, "backend": self.config.backend, "seed": self.config.machine.seed,
            "epochs": len(self.rows), "top1": self.top1, "best_epoch": self.best.epoch if self.best else None,
            "params": self.config.params, "images_per_second": self.rate, "seconds": round(self.seconds, 2),
            "device": self.device, "status": self.status, "started": self.config.started.isoformat(timespec="seconds"),
        }  # fmt: skip


@dataclass(frozen=True)
class SeedGroup:
    """Finished runs that differ in their seeds alone, at least one."""

    runs: tuple[PastRun, ...]

    @property
    def top1(self) -> float:
        """Mean of their best, in percent."""
        return mean(self._best)

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the runs' top-1 (with n - 1); None of a single run."""
        return stdev(self._best) if len(self.runs) > 1 else None

    @property
    def _best(self) -> list[float]:
        return [run.top1 for run in self.runs if run.top1 is not None]

    @property
    def accuracy(self) -> str:
        """`94.12 ± 0.20 %`, and of one run `94.12 %`."""
        spread = "" if self.deviation is None else f" ± {self.deviation:.2f}"
        return f"{self.top1:.2f}{spread} %"

    @property
    def seconds(self) -> float:
        """Mean time of a run."""
        return mean(run.seconds for run in self.runs)

    @property
    def sentence(self) -> str:
        """`attention56, CIFAR-10, 5 runs: 94.12 ± 0.20 %, 41 min, 1x NVIDIA H200`."""
        first, count = self.runs[0], len(self.runs)
        runs = "one run" if count == 1 else f"{count} runs"
        facts = [self.accuracy, duration(self.seconds), *([first.device] if first.device else [])]
        return f"{first.config.model}, {first.data}, {runs}: {', '.join(facts)}"

    def as_json(self) -> dict[str, Any]:
        names = [run.name for run in self.runs]
        return {"sentence": self.sentence, "runs": names, "top1": self.top1, "deviation": self.deviation}


def duration(seconds: float) -> str:
    """For people, in two figures or so.

    >>> duration(12.4), duration(2460), duration(12_000)
    ('12 s', '41 min', '3 h 20 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < _SECONDS_AN_HOUR:
        return f"{seconds / 60:.0f} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


# --- reading ---------------------------------------------------------------------------------------


def read_runs(folder: str) -> tuple[list[PastRun], dict[str, str]]:
    """The runs in a folder, the newest first; and the folders that are none, each with the reason.

    Raises SpecError where there is not one of either.
    """
    root = Path(folder).expanduser()
    found, broken = [], {}
    if not root.is_dir():
        raise SpecError([NoRuns(folder, "there is no such folder").at(flag("runs", folder))])
    if (root / CONFIG).is_file():
        raise SpecError([NoRuns(folder, "it is a run itself").at(flag("runs", folder))])
    for place in _folders(root, folder):
        try:
            found.append(read_run(place))
        except SpecError as error:
            first = error.diagnostics[0]
            broken[place.name] = first.label or first.message
    if not found and not broken:
        raise SpecError([NoRuns(folder, "it has no folders").at(flag("runs", folder))])
    return sorted(found, key=lambda run: run.config.started, reverse=True), broken


def _folders(root: Path, name: str) -> list[Path]:
    try:
        return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError as error:
        raise SpecError([NoRuns(name, f"it cannot be read: {error.strerror}").at(flag("runs", name))]) from None


def read_run(folder: Path) -> PastRun:
    """A run, whatever became of it. Raises SpecError where the folder is none, is damaged, or its files disagree."""
    found = RunFolder(folder)
    summary = found.read_summary()
    config = found.read_config(summary)
    recipe, rows = found.read_recipe(config), found.read_rows(config, summary)
    if found.has(BEST):  # weights are often removed, to save room
        found.check_best(config, rows, about(folder / BEST))
    return PastRun(folder, config, recipe, tuple(rows), summary.status if summary else UNFINISHED)


def grouped(runs: Iterable[PastRun]) -> list[SeedGroup]:
    """Finished runs by what they have in common, in the order of the first of each."""
    found: dict[str, list[PastRun]] = {}
    for run in runs:
        if run.status == FINISHED and run.rows:
            found.setdefault(run.key, []).append(run)
    return [SeedGroup(tuple(some)) for some in found.values()]


# --- comparing -------------------------------------------------------------------------------------


def differences(runs: Sequence[PastRun]) -> dict[str, list[str]]:
    """What is not the same in all runs: by fact, its value in each; empty where a run has none."""
    facts = [dict(_facts(run)) for run in runs]
    names = list(dict.fromkeys(name for some in facts for name in some))
    rows = {name: [some.get(name, "") for some in facts] for name in names}
    same = len({run.program for run in runs}) == 1  # then what was set is so without it
    found = {name: values for name, values in rows.items() if len(set(values)) > 1}
    return {name: values for name, values in found.items() if not (same and name.startswith(_SET))}


def _facts(run: PastRun) -> Iterator[tuple[str, str]]:
    config = run.config
    yield "model", run.config.model
    yield "spec", digest(json.dumps(_spec(run)))[:12]
    yield "backend", config.backend
    yield "input", str(list(config.input))
    yield "archdsl", config.archdsl or ""
    yield "data", f"{run.data} {config.data.digest[:12]}"
    yield from ((f"recipe {label}", value) for label, value in run.recipe.lines.items())
    yield from ((name, str(value)) for name, value in config.machine.as_json().items())
    yield from ((f"{_SET}{name}", value) for name, value in config.settings.items())
    yield "device used", run.device
    yield from ((f"version of {name}", version) for name, version in (config.versions or {}).items())


def spec_changes(one: PastRun, other: PastRun) -> str:
    """What differs between the specs of two runs, the files that they use among them, as a unified diff.

    Empty where nothing does.
    """
    before, after = _spec(one), _spec(other)
    changed: list[str] = []
    for file in {**before, **after}:
        old, new = (one_line(f"{run.name}/{file}") for run in (one, other))
        was, now = (files.get(file, "").split("\n") for files in (before, after))
        changed += unified_diff(was, now, old, new, lineterm="")
    return "\n".join(changed)


def _spec(run: PastRun) -> Mapping[str, str]:
    """The texts of a run's spec and of the files that it uses, by their names. Raises SpecError."""
    bundle = RunFolder(run.folder).read_bundle(run.config)
    return {"spec.arch": bundle.text, **bundle.files}


# --- for papers ------------------------------------------------------------------------------------

_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_SPECIAL |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}"}
_SPECIAL |= {c: f"\\{c}" for c in "&%$#_{}"}


def latex(groups: Sequence[SeedGroup]) -> str:
    """A row of a LaTeX table for each group, under a comment that says the columns."""
    rows = ["% model & data & parameters & top-1 in % & runs & time & device \\\\"]
    for group in groups:
        run = group.runs[0]
        params = "" if run.config.params is None else f"{run.config.params:,}"
        spread = "" if group.deviation is None else f" \\pm {group.deviation:.2f}"
        model, data, device = map(_escaped, (run.config.model, run.data, run.device))
        figures = [params, f"${group.top1:.2f}{spread}$", str(len(group.runs)), duration(group.seconds)]
        rows.append(" & ".join([model, data, *figures, device]) + r" \\")
    return "\n".join(rows) + "\n"


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(c, c) for c in one_line(text))


def report(run: PastRun) -> str:
    """summary.md: what a paper or a note says of a run that has ended with at least one epoch, to be pasted."""
    group = SeedGroup((run,))
    table = "".join(f"| {name} | {_cell(value)} |\n" for name, value in _rows(run))
    return (
        f"{group.sentence}.\n\n| | |\n|---|---|\n{table}\n"
        f"```text\n{run.recipe.text}```\n\nAs a row of a LaTeX table:\n\n```text\n{latex([group])}```\n"
    )


def _rows(run: PastRun) -> Iterator[tuple[str, str]]:
    config, best = run.config, run.best
    assert best is not None, "the run has an epoch"
    asked = "".join(f" --set {name}={value}" for name, value in config.settings.items())
    size = "x".join(map(str, config.input))
    yield "model", f"`{run.config.model}{asked}`, reads {size}{_cost(run)}"
    data = config.data
    images = f"{data.images.train:,} images to train and {data.images.test:,} held out"
    digest = f"SHA-256 `{data.digest[:16]}`, split in splits.json"
    yield "data", f"{run.data}, {len(data.classes)} classes, {images}; {digest}"
    yield "top-1", f"{best.val_top1:.2f} % (loss {best.val_loss:.4f}) on the held-out images"
    yield "chosen", f"epoch {best.epoch} of {len(run.rows)}, the best on the held-out images; training {run.status}"
    rate = f", {run.rate:,.0f} images/s" if run.rate else ""
    yield "time", f"{duration(run.seconds)} without set-up{rate} with validation"
    yield "hardware", f"{run.device}; precision {config.precision or config.machine.precision}"
    versions = {"archdsl": config.archdsl or "", **(config.versions or {})}
    yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())
    yield "seed", str(config.machine.seed)
    yield "command", f"`{shlex.join(['archdsl', *config.command[1:]])}`"


def _cell(text: str) -> str:
    """As it stands in a table of Markdown."""
    return one_line(text.replace("|", r"\|"))


def _cost(run: PastRun) -> str:
    found = [(run.config.params, "parameters"), (run.config.macs, "multiply-adds")]
    return "".join(f", {count:,} {what}" for count, what in found if count is not None)
