"""config.json of a run: read as it is written, and what is wrong with one is said in a sentence."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mistakes import mistake

from archdsl.train.config import Resumed, RunConfig
from archdsl.train.engine import open_run

DATA = Path(__file__).parent / "data"
TEXT = (DATA / "run_0_1_0_torch/config.json").read_text("utf-8")


def changed(place: str, value: object) -> str:
    """The text with another value at `data.images.train`; with none where it is `...`."""
    whole = json.loads(TEXT)
    *path, last = place.split(".")
    inside = whole
    for name in path:
        inside = inside[name]
    inside[last] = value
    if value is ...:
        del inside[last]
    return json.dumps(whole)


@pytest.mark.parametrize("name", ["run_0_1_0_torch", "run_0_1_0_keras"])
def test_it_is_written_as_it_was_read(name: str) -> None:
    text = (DATA / name / "config.json").read_text("utf-8")
    config = RunConfig.parse(text)
    assert config.text == text
    again = Resumed(after=2, epochs=3, budget="epochs(3)", command=("archdsl",), device="cpu", versions={"torch": "2"})
    longer = replace(config, resumed=(again,))
    assert RunConfig.parse(longer.text) == longer
    assert list(json.loads(longer.text)["resumed"][0]) == ["after", "epochs", "budget", "command", "device", "versions"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "config.json is damaged"),
        ("[" * 100_000, "config.json is damaged"),
        ("[]", "what stands in config.json is [], not an object"),
        (changed("data.images.test", ...), "config.json has no `data.images.test`"),
        (changed("files", {}), "config.json has no `files.model.py`"),
        (changed("params", "many"), '`params` in config.json is "many", not a whole number'),
        (changed("params", -1), "`params` in config.json is -1, not between 0 and 9223372036854775808"),
        (changed("macs", 2**63), "`macs` in config.json is 9223372036854775808, not between 0 and 9223372036854775808"),
        (changed("data.ratio", 1e999), "`data.ratio` in config.json is Infinity, not a number"),
        (changed("data.ratio", 0), "`data.ratio` in config.json is 0, not a part of an image"),
        (changed("model", "m" * 70_000), f'`model` in config.json is "{"m" * 39}, longer than 65,536 characters'),
        (changed("params", True), "`params` in config.json is true, not a whole number"),
        (changed("data.classes", "cat"), '`data.classes` in config.json is "cat", not a list'),
        (changed("data.classes", ["cat", 1]), "`data.classes[1]` in config.json is 1, not a text"),
        (changed("settings", {"t": 4}), "`settings.t` in config.json is 4, not a text"),
        (changed("data.images", 7), "`data.images` in config.json is 7, not an object"),
        (changed("input", [4, 4]), "the `input` in config.json is [4, 4], which is not the size of an image"),
        (changed("started", "noon"), '`started` in config.json is "noon", not a time'),
        (changed("machine.device", "gpu"), "of the settings in config.json, `--device gpu` cannot be used"),
        (changed("machine.speed", 9),
         "`machine.speed` in config.json is a setting that this version of archdsl does not have"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_it(text: str, says: str, tmp_path: Path, run: Callable[..., Any]) -> None:
    """Whoever reads it."""
    folder = Path(shutil.copytree(DATA / "run_0_1_0_torch", tmp_path / "run"))
    (folder / "config.json").write_text(text)
    found = mistake(lambda: open_run(str(folder)))
    assert (found.code, found.label) == ("E0832", says)
    assert json.loads(run("runs", tmp_path, "--format", "json").out)["broken"] == {"run": says}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=2) | st.dictionaries(st.text(max_size=2), v, max_size=2))
PLACES = [*json.loads(TEXT), *(f"{part}.{name}" for part in ("data", "machine") for name in json.loads(TEXT)[part])]


@given(st.sampled_from(PLACES), VALUES)
def test_any_value_is_taken_or_named(place: str, value: object) -> None:
    try:
        config = RunConfig.parse(changed(place, value))
    except ValueError as wrong:
        assert place.partition(".")[0] in str(wrong) or "settings" in str(wrong)
    else:
        assert RunConfig.parse(config.text).text == config.text


def test_what_earlier_versions_did_not_say_has_its_default() -> None:
    text = json.loads(TEXT)
    for name in ("archdsl", "params", "macs", "device", "precision", "versions"):
        del text[name]
    del text["data"]["ratio"], text["machine"]["strategy"]
    config = RunConfig.parse(json.dumps(text))
    assert (config.params, config.device, config.data.ratio, config.machine.strategy) == (None, None, 1.0, "ddp")
    assert "params" not in json.loads(config.text)
