"""Trainings that end before their time and go on: to the last bit as if nothing had been, whenever that is."""

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mistakes import mistake

pytest.importorskip("lightning")
pytest.importorskip("sklearn")

import torch
from training import CPU, QUICK, RANDOM, figures, one_thread, trained  # noqa: F401  (a fixture)

from archdsl.language.recipe import Count
from archdsl.language.recipe.recipe import learning_rate
from archdsl.language.recipe.words import Ema, Mixup, PadCrop, Plateau, RandomErasing
from archdsl.train import Run, evaluate, resume

RECIPE = replace(
    QUICK, augment=(PadCrop(1), RandomErasing(), Mixup()), schedule=Plateau(0.5, 1), average=Ema(0.9), budget=Count(100)
)  # fmt: skip
OFTEN = replace(CPU, save_minutes=1e-6)  # before every step but an epoch's first


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A run as it was at each moment at which one of its files was about to change; the last is the whole run."""
    output, found = tmp_path_factory.mktemp("runs"), []
    write = Run.write

    def write_and_look(self: Run, name: str, content: str | bytes) -> None:
        if (self.folder / "config.json").exists():
            found.append(output / f"at {len(found)}, before {name}")
            shutil.copytree(self.folder, found[-1], ignore=shutil.ignore_patterns("tensorboard"))
        write(self, name, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "write", write_and_look)
        run, _ = trained(output, RECIPE, RANDOM, OFTEN, name="whole")
    return [*found, run.folder]


def test_a_kill_between_the_first_row_and_its_state_loses_nothing(moments: list[Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(moments[-1], tmp_path / "run"))
    for name in ("last.ckpt", "last.previous.ckpt", "best.safetensors", "summary.json"):
        (folder / name).unlink()
    head, first, *_ = (folder / "metrics.csv").read_text().splitlines()
    (folder / "metrics.csv").write_text(f"{head}\n{first}\n")
    resume(str(folder))
    assert_same(folder, moments[-1])


@pytest.mark.parametrize("call", ["add", "close"])
def test_a_disk_that_is_full_for_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    pytest.importorskip("tensorboardX")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(f"archdsl.train.logs._TensorBoard.{call}", full)
    assert mistake(lambda: trained(tmp_path, replace(QUICK, budget=Count(1)), name="run")).code == "E0831"
    monkeypatch.undo()
    resume(str(tmp_path / "run"), budget={"steps": "2"})


def test_one_process_at_a_time_trains_into_a_folder(tmp_path: Path) -> None:
    """Whether the one that is there began the run or goes on with it."""
    found: list[str] = []

    def busy(line: str) -> None:
        if line.startswith("epoch"):
            found.append(mistake(lambda: resume(str(tmp_path / "run"))).code)

    trained(tmp_path, replace(QUICK, budget=Count(1, "epochs")), name="run", say=busy)
    resume(str(tmp_path / "run"), budget={"epochs": "2"}, say=busy)
    assert found == ["E0838", "E0838"] and len(figures(tmp_path / "run")) == 3


def test_a_training_that_cannot_begin_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("archdsl.train.files.write", full)
    assert mistake(lambda: trained(tmp_path / "new/runs", name="run")).code == "E0831"
    assert not (tmp_path / "new").exists()


def test_names_that_others_take_meanwhile_are_left_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = tmp_path / "tiny-digits-now"
    monkeypatch.setattr("archdsl.train.record.strftime", lambda form: "now")
    made = Run.begun
    monkeypatch.setattr(Run, "begun", lambda run: taken.mkdir(exist_ok=True) or made(run))
    run, _ = trained(tmp_path, replace(QUICK, budget=Count(1)))
    assert run.folder.name == "tiny-digits-now-2" and not [*taken.iterdir()]
    (tmp_path / "named").mkdir()
    monkeypatch.setattr("archdsl.train.record._free_folders", lambda *_: [tmp_path / "named"])
    assert mistake(lambda: trained(tmp_path, name="named")).code == "E0830"


def state(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]  # type: ignore[no-any-return]


def assert_same(folder: Path, whole: Path) -> None:
    assert figures(folder) == figures(whole)
    for key, tensor in state(whole).items():
        assert torch.equal(state(folder)[key], tensor), key
    assert evaluate(str(folder))[1].loss == evaluate(str(whole))[1].loss


def go_on(moment: Path, to: Path) -> Path:
    shutil.copytree(moment, to)
    resume(str(to))
    return to


def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(moments: list[Path], tmp_path: Path) -> None:
    *others, whole = moments
    names = [moment.name.split(" before ")[1] for moment in others]
    inside = [n for n, name in enumerate(names) if name == "last.ckpt.next"]
    after_rows = [n + 1 for n, name in enumerate(names) if name == "metrics.csv"]
    assert len(inside) > 90 and len(after_rows) == 3
    for n in (0, inside[20], after_rows[0], after_rows[0] + 1, inside[70], after_rows[1], names.index("summary.json")):
        assert_same(go_on(others[n], tmp_path / str(n)), whole)


def test_a_torn_state_falls_back_to_the_one_before(moments: list[Path], tmp_path: Path) -> None:
    *others, whole = moments
    for number, damage in enumerate((cut, flip, lambda content: b"", lambda content: b"no state")):
        folder = tmp_path / str(number)
        shutil.copytree(others[70], folder)
        last = folder / "last.ckpt"
        last.write_bytes(damage(last.read_bytes()))
        said: list[str] = []
        resume(str(folder), say=said.append)
        assert said[0] == "note: last.ckpt is damaged; going on from last.previous.ckpt"
        assert_same(folder, whole)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    """One bit, in the middle of the weights."""
    at = content.index(b"data/0") + 500
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def test_runs_that_cannot_be_resumed(moments: list[Path], tmp_path: Path) -> None:
    def label(damage: Callable[[Path], object]) -> str | None:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        shutil.copytree(moments[70], folder)
        damage(folder)
        found = mistake(lambda: resume(str(folder)))
        assert found.code == "E0832"
        return found.label

    def ruin(folder: Path, *content: bytes) -> None:
        for name in ("last.ckpt", "last.previous.ckpt"):
            (folder / name).unlink()
            for text in content:
                (folder / name).write_bytes(text)

    assert label(lambda f: ruin(f, b"")) == "last.ckpt is damaged"
    assert label(pickled) == "last.ckpt is damaged"
    assert label(ruin) == "it has no last.ckpt"
    assert label(lambda f: (f / "metrics.csv").unlink()) == "its state is not that of its metrics.csv"
    assert label(lambda f: (f / "best.safetensors").unlink()) == "it has no best.safetensors"
    assert label(lambda f: (f / "config.json").write_bytes(b"\xff")) == "config.json is damaged"
    head = (moments[70] / "metrics.csv").read_text().splitlines()[0]
    for damaged in ("", "epoch\n1\n", f"{head}\n{'2,' * 7}1\n"):
        assert label(lambda f, t=damaged: (f / "metrics.csv").write_text(t)) == "metrics.csv is damaged"


def pickled(folder: Path) -> None:
    """A state whose reading would run code."""
    for name in ("last.ckpt", "last.previous.ckpt"):
        torch.save({"state_dict": open}, folder / name)


def test_a_changed_spec_is_told(moments: list[Path], tmp_path: Path) -> None:
    shutil.copytree(moments[70], tmp_path / "run")
    spec = tmp_path / "run/spec.arch"
    spec.write_text(spec.read_text().replace("width=8", "width=9"))
    found = mistake(lambda: resume(str(tmp_path / "run")))
    assert found.code == "E0833" and "spec.arch" in found.message


def test_a_full_disk_leaves_the_last_good_state(
    moments: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 60:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        found = mistake(lambda: trained(tmp_path, RECIPE, RANDOM, OFTEN, name="full"))
    assert found.code == "E0831" and "No space left on device" in found.message
    folder = tmp_path / "full"
    assert not list(folder.glob(".*.part"))
    resume(str(folder))
    assert_same(folder, moments[-1])


def test_a_finished_run_can_be_made_longer(moments: list[Path], tmp_path: Path) -> None:
    """Its last epoch was a part of one: the rest comes first."""
    shutil.copytree(moments[-1], tmp_path / "run")
    found = mistake(lambda: resume(str(tmp_path / "run")))
    assert (found.code, found.label) == ("E0836", "its budget of steps(100) is done")
    assert mistake(lambda: resume(str(tmp_path / "run"), budget={"steps": "50"})).code == "E0801"
    run, result = resume(str(tmp_path / "run"), budget={"steps": "150"}, command=["archdsl", "train"])
    assert [(row.epoch, row.step) for row in run.rows] == [(1, 44), (2, 88), (3, 100), (4, 132), (5, 150)]
    assert result.epochs == 5 and [r.after for r in run.config.resumed or ()] == [3]
    assert evaluate(str(run.folder))[1].loss == pytest.approx(result.loss, rel=1e-6)
    again = mistake(lambda: resume(str(tmp_path / "run")))
    assert (again.code, again.label) == ("E0836", "its budget of steps(150) is done")


def test_the_rate_follows_the_longer_budget(tmp_path: Path) -> None:
    run, _ = trained(tmp_path, replace(QUICK, budget=Count(1, "epochs")))
    run, _ = resume(str(run.folder), budget={"epochs": "3"})
    longer = replace(QUICK, budget=Count(3, "epochs"))
    assert [row.lr for row in run.rows[1:]] == [learning_rate(longer, step, 44) for step in (87, 131)]


def test_flags_that_a_resumed_training_cannot_have(run: Callable[..., Any], tmp_path: Path) -> None:
    ended = run("train", "lenet5", "--resume", tmp_path, "--lr", "0.1", "--device", "cpu")
    assert ended.code == 2 and "leave out SPEC, --lr (" in ended.err
    assert run("train", "--resume", tmp_path).code == 1
