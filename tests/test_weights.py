"""Weights by graph path: the file, what refuses it, and what it is converted to.

Cases of E0901, E0902, E0903, E0904 and E0905 stand here, because a spec alone cannot show them.
"""

import ast
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from mistakes import mistake

pytest.importorskip("torch")
pytest.importorskip("safetensors")

import numpy as np
import torch

from archdsl import api
from archdsl.graph.cost import cost
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import SpecError
from archdsl.language.resources import zoo_names
from archdsl.weights import Origin, fit, keys, load, pack, random_weights, save
from archdsl_torch import BACKEND

NET = """# A network for tests.
model tiny(classes=10, width=8) {
  input [1, 8, 8]
  train: conv(width, 3) -> bn -> relu
  body: [conv(2*width, 3), bn, relu] * 2
  head: gap -> dense(classes)
}
"""
USES = """use "./lib/blocks.arch" (unit)

model tiny {
  input [1, 8, 8]
  body: unit(4) * 2
}
"""
FILES = {
    "lib/blocks.arch": 'use "../deep.arch"\nblock unit(c) { out = in -> deep(c) }\n',
    "deep.arch": "block deep(c) { out = in -> conv(c, 3) -> bn -> relu }\n",
}


def origin_of(spec: str | Path, **settings: str) -> Origin:
    program, model = api.open_model(spec)
    return Origin.of(program, model, settings)


def saved(path: Path, spec: str = NET, **settings: str) -> Origin:
    origin = origin_of(spec, **settings)
    save(path, origin, random_weights(origin.graph), {"classes": json.dumps(["cat", "dog"])})
    return origin


def network(graph: Graph) -> torch.nn.Module:
    built: torch.nn.Module = BACKEND.build(BACKEND.emit(graph))
    return built


# --- keys and random weights -----------------------------------------------------------------------


@pytest.mark.parametrize("name", zoo_names())
def test_keys_count_what_the_graph_costs(name: str) -> None:
    graph, _ = api.elaborated(name)
    numbers = {True: 0, False: 0}
    for weight in keys(graph).values():
        numbers[weight.trainable] += int(np.prod(weight.shape))
    assert (numbers[True], numbers[False]) == (cost(graph).params, cost(graph).state)


def test_random_weights_depend_on_their_key_alone() -> None:
    small, large = (
        random_weights(origin_of(NET).graph),
        random_weights(origin_of(NET, classes="3").graph, dtype="float64"),
    )
    assert all(np.array_equal(small[key], large[key]) for key in small if "dense" not in key)
    other = random_weights(origin_of(NET).graph, seed=1)
    assert not any(np.array_equal(small[key], other[key]) for key in small)
    assert not any(np.isin(value, (0, 1)).any() for value in small.values())
    variance = small["train.bn.running_var"]
    assert variance.min() >= 0.5 and variance.max() <= 1.5


# --- the file ----------------------------------------------------------------------------------------


def test_a_file_holds_its_spec_and_can_be_read_with_safetensors_alone(tmp_path: Path) -> None:
    from safetensors import safe_open

    path = tmp_path / "w.safetensors"
    origin = saved(path, classes="3")
    with safe_open(path, "numpy") as file:
        about = file.metadata()
        assert file.get_tensor("head.dense.weight").shape == (3, 16)
    assert about["spec"] == NET and about["model"] == "tiny" and json.loads(about["settings"]) == {"classes": "3"}
    assert json.loads(about["classes"]) == ["cat", "dog"]
    file, wanted = load(path), random_weights(origin.graph)
    assert list(file.stored) == list(wanted) and file.origin == origin
    assert all(np.array_equal(file.tensors[key], wanted[key]) for key in wanted)
    first = path.read_bytes()
    saved(path, classes="3")
    assert path.read_bytes() == first, "the same weights are the same file"


def test_a_file_holds_the_files_that_its_spec_uses(tmp_path: Path) -> None:
    for name, text in {"net.arch": USES, **FILES}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    origin = origin_of(tmp_path / "net.arch")
    save(tmp_path / "w.safetensors", origin, random_weights(origin.graph))
    for name in FILES:
        (tmp_path / name).unlink()
    found = load(tmp_path / "w.safetensors").origin
    assert found.bundle.files == FILES and found == origin
    assert list(keys(found.graph)) == list(keys(origin.graph))


def test_files_that_are_damaged_end_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    saved(path)
    whole, chance = path.read_bytes(), random.Random(0)
    for _ in range(300):
        data = bytearray(whole)
        if chance.random() < 0.5:
            del data[chance.randrange(len(data)) :]
        else:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        with pytest.raises(SpecError):
            file = load(path)
            fit(file.origin.graph, file.stored, path)
            assert not file.tensors


def test_files_of_other_kinds_are_named(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    assert mistake(lambda: load(path)).label == "there is no such file"
    assert mistake(lambda: load(tmp_path)).label == "it is a folder, not a file"
    torch.save({"a": torch.zeros(2)}, path)
    assert "torch.save" in mistake(lambda: load(path)).label
    for start, said in {
        b"": "it is empty",
        b"\x80\x04\x95": "it is a pickle, which archdsl never opens",
        b"version https://git-lfs.github.com/spec/v1": "it is a note of Git LFS, not the file itself",
        (2**40).to_bytes(8, "little") + b"{}": "its head claims more than 32 MiB",
        b"model tiny { input [1, 8, 8] }": "it is no safetensors file",
    }.items():
        path.write_bytes(start)
        found = mistake(lambda: load(path))
        assert (found.code, found.label) == ("E0901", said)


# --- weights that do not fit -----------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_head_whose_length_begins_as_a_pickle_does_is_read(tmp_path: Path, protocol: int) -> None:
    length = int.from_bytes(bytes([0x80, protocol]), "little")
    path, tensors = tmp_path / "net.safetensors", {"weight": np.ones(3, np.float32)}
    short = int.from_bytes(pack(tensors, {"text": ""})[:8], "little")
    path.write_bytes(pack(tensors, {"text": "x" * (length - short)}))
    assert path.read_bytes().startswith(bytes([0x80, protocol]))
    assert load(path).tensors["weight"].tolist() == [1, 1, 1]


def test_the_first_key_that_differs_is_named(tmp_path: Path, golden: Callable[[str, Path], None]) -> None:
    from archdsl.language.diagnostics import render
    from archdsl.language.source import Source

    graph = origin_of(Source("net.arch", NET)).graph
    good = random_weights(graph)
    cases = {
        "another length": random_weights(origin_of(NET, classes="7").graph),
        "another name": {key.replace("head.dense", "head.denser"): value for key, value in good.items()},
        "one too many": {**good, "head.scale.weight": good["head.dense.bias"]},
        "another dtype": {key: value.astype(np.float16) for key, value in good.items()},
        "another spec": random_weights(api.elaborated("lenet5")[0]),
    }
    said = [f"# {name}\n{render(mistake(lambda t=t: fit(graph, t, 'w.safetensors')))}" for name, t in cases.items()]
    golden("\n\n".join(said) + "\n", Path(__file__).parent / "golden" / "weights_differ.txt")


# --- convert and export --------------------------------------------------------------------------------


def outputs(graph: Graph, x: Any) -> Any:
    model = network(graph).eval()
    BACKEND.set_weights(model, graph, random_weights(graph))
    with torch.no_grad():
        return model(torch.from_numpy(x)).numpy()


IMAGES = np.random.default_rng(0).standard_normal((5, 1, 8, 8)).astype(np.float32)


def test_a_state_dict_goes_out_and_comes_back(tmp_path: Path, run: Callable[..., Any]) -> None:
    from safetensors.torch import load_file, save_file

    origin = saved(tmp_path / "w.safetensors")
    assert run("convert", tmp_path / "w.safetensors", "--to", "torch", "-o", tmp_path / "state.safetensors").code == 0
    model = network(origin.graph)
    model.load_state_dict(load_file(tmp_path / "state.safetensors"))
    assert "train_.bn.num_batches_tracked" in model.state_dict()
    save_file(model.state_dict(), tmp_path / "plain.safetensors")
    (tmp_path / "net.arch").write_text(NET)
    plain, back = tmp_path / "plain.safetensors", tmp_path / "back.safetensors"
    refused = run("convert", plain, "--to", "torch", "-o", back)
    assert refused.code == 1 and "[E0903]" in refused.err and not back.exists()
    assert run("convert", plain, "--spec", tmp_path / "net.arch", "--to", "torch", "-o", back).code == 0
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in load_file(back).items())
    wrong = run("convert", plain, "--spec", tmp_path / "net.arch", "--set", "classes=3", "--to", "torch", "-o", back)
    assert wrong.code == 1 and "`head.dense.weight` is [3, 16] here and [10, 16] in the file" in wrong.err


def test_keras_takes_what_is_converted(tmp_path: Path, run: Callable[..., Any]) -> None:
    keras = pytest.importorskip("keras")
    origin = saved(tmp_path / "w.safetensors")
    for name in ("net.weights.h5", "net.keras", "net.keras"):
        ended = run("convert", tmp_path / "w.safetensors", "--to", "keras", "-o", tmp_path / name)
        assert ended.code == 0, ended.err
    model = api.load(api.compile(NET, "keras"))
    model.load_weights(tmp_path / "net.weights.h5")
    wanted = outputs(origin.graph, IMAGES)
    for found in (model, keras.saving.load_model(tmp_path / "net.keras")):
        np.testing.assert_allclose(np.asarray(found(np.moveaxis(IMAGES, 1, -1))), wanted, rtol=1e-4, atol=1e-5)
    back = []
    for name in ("w.safetensors", "net.weights.h5", "net.keras"):
        ended = run("convert", tmp_path / name, "--to", "torch", "-o", tmp_path / f"{name}.safetensors")
        assert ended.code == 0, ended.err
        back.append((tmp_path / f"{name}.safetensors").read_bytes())
    assert back[0] == back[1] == back[2]


def test_weights_that_keras_saved_are_converted_where_the_spec_is_named(
    tmp_path: Path, run: Callable[..., Any]
) -> None:
    pytest.importorskip("keras")
    (tmp_path / "net.arch").write_text(NET)
    path, back = tmp_path / "own.weights.h5", tmp_path / "back.safetensors"
    api.load(api.compile(NET, "keras")).save_weights(path)
    refused = run("convert", path, "--to", "torch", "-o", back)
    assert refused.code == 1 and "[E0903]" in refused.err and not back.exists()
    assert run("convert", path, "--spec", tmp_path / "net.arch", "--to", "torch", "-o", back).code == 0
    other = ("--spec", tmp_path / "net.arch", "--set", "classes=3", "--to", "torch", "-o", back)
    path.with_name("torn.weights.h5").write_bytes(path.read_bytes()[:100])
    for name in ("own", "torn", "none"):
        ended = run("convert", tmp_path / f"{name}.weights.h5", *other)
        assert ended.code == 1 and "[E0901]" in ended.err and "Traceback" not in ended.err


def test_onnx_takes_any_batch(tmp_path: Path, run: Callable[..., Any]) -> None:
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    folder = tmp_path / "run"
    folder.mkdir()
    origin = saved(folder / "best.safetensors")
    ended = run("export", folder, "--to", "onnx", "-o", tmp_path / "net.onnx")
    assert ended.code == 0 and not ended.err and "opset 18" in ended.out
    model = onnx.load(tmp_path / "net.onnx")
    about = {p.key: p.value for p in model.metadata_props}
    assert (
        about["model"] == "tiny" and json.loads(about["classes"]) == ["cat", "dog"] and len(about["spec_sha256"]) == 64
    )
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    assert [i.name for i in session.get_inputs()] == ["input"] and [o.name for o in session.get_outputs()] == ["logits"]
    for batch in (1, 5):
        (found,) = session.run(None, {"input": IMAGES[:batch]})
        np.testing.assert_allclose(found, outputs(origin.graph, IMAGES[:batch]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("limit", "code"), [("TOLERANCE", "E0904"), ("LARGEST", "E0905")])
def test_an_export_beyond_a_limit_is_not_left(
    limit: str, code: str, tmp_path: Path, run: Callable[..., Any], monkeypatch: Any
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(f"archdsl_torch.onnx.{limit}", -1.0)
    saved(tmp_path / "w.safetensors")
    ended = run("convert", tmp_path / "w.safetensors", "--to", "onnx", "-o", tmp_path / "net.onnx")
    assert ended.code == 1 and f"[{code}]" in ended.err and not (tmp_path / "net.onnx").exists()


def test_a_missing_extra_says_what_to_install(tmp_path: Path, run: Callable[..., Any], monkeypatch: Any) -> None:
    saved(tmp_path / "w.safetensors")
    monkeypatch.delitem(sys.modules, "archdsl_torch.onnx", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    ended = run("convert", tmp_path / "w.safetensors", "--to", "onnx", "-o", tmp_path / "net.onnx")
    assert ended.code == 2 and 'pip install "archdsl[onnx]"' in ended.err


# --- programs that do not know archdsl -----------------------------------------------------------------

PAGE = (Path(__file__).parents[1] / "docs" / "weights.md").read_text(encoding="utf-8")
ALONE = dict(re.findall(r"^```python alone (\S+)\n(.*?)^```$", PAGE, re.M | re.S))
ROWS = PAGE.partition("| key | holds |")[2].partition("\n\n")[0].splitlines()
KEYS = {key for row in ROWS for key in re.findall(r"`([\w.]+)`", row.split("|")[1] if row else "")}
NOT_IN = {"torch": set(), "keras": {"sha256"}, "onnx": {"format", "made_by", "sha256", "spec", "spec_files"}}


@pytest.fixture(scope="module")
def lenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps: LeNet-5 on digits, with an image in the size that it reads."""
    pytest.importorskip("lightning")
    from PIL import Image

    from archdsl.train import Settings, open_recipe, train

    folder = tmp_path_factory.mktemp("alone")
    program, name = api.open_model("lenet5")
    recipe = open_recipe(None, {"data": "digits", "steps": "2"})
    run, _ = train(program, name, recipe, Settings(device="cpu"), output=str(folder), name="run")
    pixels = np.random.default_rng(0).integers(0, 256, run.config.size[1:], np.uint8)
    Image.fromarray(pixels).save(run.folder / "photo.png")
    return run.folder


@pytest.mark.parametrize(
    ("to", "file"),
    [
        ("torch", "net.safetensors"),
        pytest.param("keras", "net.weights.h5", marks=pytest.mark.more),
        ("onnx", "net.onnx"),
    ],
)
def test_the_programs_of_the_page_see_what_archdsl_sees(
    lenet: Path, tmp_path: Path, run: Callable[..., Any], to: str, file: str
) -> None:
    pytest.importorskip("onnxruntime" if to == "onnx" else to)
    ended = run("predict", lenet, lenet / "photo.png", "--format", "json", "--device", "cpu")
    best = json.loads(ended.out)[0]["classes"][0]
    assert run("convert", lenet, "--to", to, "-o", tmp_path / file).code == 0
    shutil.copy(lenet / "photo.png", tmp_path)
    (tmp_path / "model.py").write_text(api.compile("lenet5", to if to == "keras" else "torch").text)
    (tmp_path / "images.py").write_text(ALONE["images.py"])
    more = "import sys\nprint(json.dumps(about))\nassert not [name for name in sys.modules if 'archdsl' in name]\n"
    (tmp_path / "use.py").write_text(ALONE[to] + more)
    said = subprocess.run([sys.executable, "use.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert said.returncode == 0, said.stderr
    first, last = said.stdout.strip().splitlines()[-2:]
    share, name = ast.literal_eval(first)
    assert name == best["class"] and share == pytest.approx(best["probability"], rel=1e-4)
    _hold_keys(json.loads(last), NOT_IN[to], lenet)


@pytest.mark.parametrize("by", ["channel", "pixel", "image"])
def test_the_page_reads_images_as_archdsl_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    pytest.importorskip("simplejpeg")
    from images import paint

    from archdsl.data import open_data

    split = replace(open_data(str(paint(tmp_path / "flowers"))), grey=by == "image").load("train", (3, 10, 14))
    normalise = split.statistics(by)
    monkeypatch.chdir(tmp_path)
    Path("normalise.npz").write_bytes(normalise.content or b"")
    about = {"size": "[3, 10, 14]", "ratio": "1.0", "grey": json.dumps(by == "image")}
    space: dict[str, Any] = {}
    exec(compile(ALONE["images.py"], "images.py", "exec"), space)
    found = space["read"](split.part.items[0], {**about, "normalise": json.dumps(normalise.as_json())})
    assert split.pixels is not None and found.dtype == np.float32
    np.testing.assert_allclose(found, normalise.of(split.pixels[:1]), rtol=1e-4, atol=1e-5)


def _hold_keys(about: dict[str, str], lacking: set[str], folder: Path) -> None:
    """Every key that the page names is there, no other, and each holds what the page says."""
    assert {*about} == KEYS - lacking
    config, summary = (json.loads((folder / name).read_text()) for name in ("config.json", "summary.json"))
    spec = (folder / "spec.arch").read_bytes()
    wanted = {
        "spec": spec.decode(), "spec_name": "lenet5.arch", "spec_sha256": sha256(spec).hexdigest(), "spec_files": "",
        "model": "lenet5", "settings": {"classes": "10"}, "input": "", "classes": list("0123456789"),
        "size": config["input"], "ratio": 1.0, "grey": False, "normalise": config["data"]["normalise"],
        "epoch": summary["epoch"], "val_top1": summary["top1"],
        "model.py": sha256((folder / "model.py").read_bytes()).hexdigest(),
    }  # fmt: skip
    assert wanted.keys() == KEYS - {"format", "made_by", "sha256"}
    for key in wanted.keys() - lacking:
        assert (about[key] if isinstance(wanted[key], str) else json.loads(about[key])) == wanted[key], key


def test_commands_that_cannot_be_carried_out(tmp_path: Path, run: Callable[..., Any]) -> None:
    path, mine = tmp_path / "w.safetensors", tmp_path / "mine.safetensors"
    saved(path)
    mine.write_bytes(b"\0 my own work")
    for args, said in {
        ("--to", "onix", "-o", "net.onnx"): "did you mean `onnx`?",
        ("--to", "keras", "-o", "net.h5"): "end it in .weights.h5 or .keras",
        ("--to", "onnx", "-o", "net.onnx", "--set", "classes=3"): "give --spec too",
        ("--to", "torch", "-o", mine): "[E0608]",
        ("--to", "keras", "-o", "net.keras", "--opset", "17"): "--opset says how an ONNX file is to be",
        ("--to", "onnx", "-o", "net.onnx", "--dynamic", "batch,depth"): "no list of batch, height, width",
        ("--to", "onnx", "-o", "net.onnx", "--calibrate", "9"): "give --int8 DATA too",
    }.items():
        ended = run("convert", path, *args)
        assert ended.code == 2 and said in ended.err
    assert run("export", tmp_path, "--to", "onnx", "-o", tmp_path / "net.onnx").code == 1
    assert run("convert", path, "--to", "torch", "-o", mine, "--force").code == 0
    assert run("convert", path, "--to", "torch", "-o", mine).code == 0, "now it is ours"
