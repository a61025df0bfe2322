"""`archdsl eval`, `archdsl predict` and `archdsl masks`: what the best weights of a run say of images."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archdsl import api
from archdsl.cli.flags import FORMAT, Command, flag, positive
from archdsl.cli.specs import extras_of
from archdsl.cli.terminal import WRONG_SPEC, note, print_table, print_text, replace_file, report, say
from archdsl.show.summary import shape_text
from archdsl.show.table import Column, Table
from archdsl.train.epoch import csv_text
from archdsl.train.evaluation import CROPS, Evaluation, Seen, confusion_table, draw_confusion
from archdsl.train.evaluation import evaluate as measure
from archdsl.train.evaluation import predict as look
from archdsl.train.files import write
from archdsl.train.masks import show_masks

__all__ = ["COMMANDS"]

_MOST, _WORST = 60, 20  # classes that a table has, and of more of them


def evaluate(run: str, device: str | None, workers: int | None, output: str | None, format: str, **how: Any) -> int:
    """Measure a run's best weights; its confusion matrix goes into its folder, or to `output`.

    how: data, crops, flip and batch, as `archdsl.train.evaluate` takes them.
    """
    with api.needs(extras_of(run)):
        opened, found = measure(
            run,
            changes=_given(device=device, workers=workers),
            say=note if format == "json" else say,
            progress=sys.stderr.isatty(),
            **how,
        )
        folder = opened.folder if output is None else Path(output).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        put = write if output is None else replace_file  # a link in a run may be a stranger's, and is not followed
        put(folder / "confusion.csv", confusion_table(found).encode(errors="backslashreplace"))
        put(folder / "confusion.png", draw_confusion(found, opened.folder.name))
    if format == "json":
        print_text(json.dumps(_as_json(opened.folder, found), indent=2))
    else:
        print_table(_table(found))
        if len(found.classes) > _MOST:
            say(f"these {_WORST} classes of {len(found.classes):,} are least often right; confusion.csv has all")
        near = "" if found.top5 is None else f", top-5 {found.top5:.2f} %"
        of = f"on {found.count:,} held-out images of {opened.folder}"
        say(f"top-1 {found.top1:.2f} %{near}, loss {found.loss:.4f}, {of}")
        say(f"confusion matrix in {folder}")
    return 0


def _given(**settings: object) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def _as_json(folder: Path, found: Evaluation) -> dict[str, Any]:
    classes = [{"class": name, "count": count, "top1": share} for name, count, share in found.per_class]
    return {"run": str(folder), "top1": found.top1, "top5": found.top5, "loss": found.loss, "count": found.count,
            "classes": classes}  # fmt: skip


def _table(found: Evaluation) -> Table:
    """By class; of many classes, those that are least often right."""
    classes = list(found.per_class)
    if len(classes) > _MOST:
        classes = sorted(classes, key=lambda row: math.inf if row[2] is None else row[2])[:_WORST]
    rows = [(name, f"{count:,}", "" if share is None else f"{share:.2f}") for name, count, share in classes]
    return Table([Column("class"), Column("images", right=True, rank=1), Column("right, %", right=True)], rows)


# --- single images ---------------------------------------------------------------------------------


def predict(run: str, images: Sequence[str], top: int, device: str | None, format: str) -> int:
    """Say what images show; 1 where some cannot be read."""
    with api.needs(extras_of(run)):
        changes, progress = _given(device=device), sys.stderr.isatty()
        found, mistakes = look(run, images, top=top, changes=changes, say=note, progress=progress)
    if format == "json":
        print_text(json.dumps([_seen(one) for one in found], indent=2))
    elif format == "csv":
        print_text(_csv(found))
    elif found:
        rows = [(one.path, *(f"{name} {100 * share:.1f} %" for name, share in one.classes)) for one in found]
        others = (Column(f"{i}.", right=True, rank=i) for i in range(2, len(rows[0])))
        print_table(Table([Column("image"), Column("likeliest", right=True), *others], rows))
    report(mistakes)
    return WRONG_SPEC if mistakes else 0


def _seen(one: Seen) -> dict[str, Any]:
    return {"path": one.path, "classes": [{"class": name, "probability": share} for name, share in one.classes]}


def _csv(found: Sequence[Seen]) -> str:
    rows = ([one.path, i, name, f"{share:.6g}"] for one in found for i, (name, share) in enumerate(one.classes, 1))
    return csv_text([["path", "rank", "class", "probability"], *rows])


def masks(run: str, image: str, nodes: Sequence[str], output: str | None) -> int:
    with api.needs(extras_of(run)):
        found = show_masks(run, Path(image).expanduser(), nodes, note)
    path = Path(output).expanduser() if output else Path(run).expanduser() / f"masks-{Path(image).stem}.png"
    (replace_file if output else write)(path, found.picture)
    rows = [(mask.path, shape_text(mask.size), f"{mask.low:.3f}", f"{mask.high:.3f}") for mask in found.masks]
    print_table(Table([Column("mask"), *(Column(head, right=True) for head in ("size", "from", "to"))], rows))
    say(f"drawn over the image in {path}")
    return 0


_RUN = flag("run", metavar="RUN", help="the folder of a run")
_DEVICE = flag("--device", metavar="auto|cpu|cuda", help="the training's, if not given")

COMMANDS = {
    "eval": Command(
        evaluate,
        _RUN,
        flag("--data", metavar="digits|FOLDER|WORD", help="other data of the same classes"),
        flag("--crops", type=int, choices=CROPS, default=1, help="the middle; 4 corners too; mirrored too"),
        flag("--flip", action="store_true", help="mirror images too"),
        flag("-b", "--batch", type=positive, metavar="N", help="images at a time; the training's, if not given"),
        _DEVICE,
        flag("-j", "--workers", type=int, metavar="N", help="threads that decode images; the training's"),
        flag("-o", "--output", metavar="DIR", help="for the confusion matrix; the run's folder, if not given"),
        FORMAT,
        examples=("archdsl eval runs/one", "archdsl eval runs/one --data ~/more --crops 10"),
    ),
    "predict": Command(
        predict,
        _RUN,
        flag("images", nargs="+", metavar="IMAGE", help="files, or folders of which all images are taken"),
        flag("--top", type=positive, default=5, metavar="N", help="how many classes to say"),
        _DEVICE,
        flag("--format", choices=("text", "json", "csv"), default="text", help="for people, programs or tables"),
        examples=("archdsl predict runs/one cat.jpg", "archdsl predict runs/one ~/pictures --top 1 --format csv"),
    ),
    "masks": Command(
        masks,
        _RUN,
        flag("image", metavar="IMAGE", help="an image file"),
        flag(
            "--node",
            dest="nodes",
            action="append",
            default=[],
            metavar="PATH",
            help="draw this node's mean over channels instead; repeatable",
        ),
        flag("-o", "--output", metavar="FILE", help="a PNG; in the run's folder, if not given"),
        examples=("archdsl masks runs/one cat.jpg -o masks.png",),
    ),
}
