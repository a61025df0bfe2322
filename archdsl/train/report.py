"""summary.md: what a paper or a note says of a run, to be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from archdsl.train.runs import PastRun, SeedGroup, duration, latex

__all__ = ["report"]


def report(run: PastRun) -> str:
    """The page of a run that has ended with at least one epoch."""
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
    yield "model", f"`{run.model}{asked}`, reads {size}{_cost(run)}"
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
    return text.replace("|", r"\|").replace("\n", " ")


def _cost(run: PastRun) -> str:
    found = [(run.params, "parameters"), (run.config.macs, "multiply-adds")]
    return "".join(f", {count:,} {what}" for count, what in found if count is not None)
