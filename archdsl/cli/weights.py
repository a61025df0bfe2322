"""`archdsl convert` and `archdsl export`: from one file of weights to what other programs read."""

from argparse import ArgumentTypeError
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from archdsl import api
from archdsl.cli.flags import SPEC_FLAGS, Command, flag, positive
from archdsl.cli.specs import open_spec, parse_settings
from archdsl.cli.terminal import WrongCommand, check_ours, replace_file, say
from archdsl.code.backend import Export
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import SpecError, nearest, refuse
from archdsl.language.errors.training import RunUnusable
from archdsl.language.errors.weights import WeightsUnusable
from archdsl.language.later import Array
from archdsl.language.source import Source
from archdsl.train.abilities import ABOUT, READ, WRITE, WRITE_FORM
from archdsl.train.folder import BEST
from archdsl.train.form import AXES, Form, at_other_sizes, calibration
from archdsl.weights import Origin, Stored, WeightFile, describe, fit, keys, load

__all__ = ["COMMANDS"]

Tensors = Mapping[str, Array]


def convert(
    weights: str,
    spec: str | None,
    settings: Sequence[str],
    input: str | None,
    model: str | None,
    to: str,
    output: str,
    force: bool,
    **form: Any,
) -> int:
    """Write weights for another framework. Without `spec` the file says whose they are."""
    if spec is None and (settings or input or model):
        raise WrongCommand("--set, --input and --model say how --spec is read: give --spec too")
    path = Path(weights).expanduser()
    asked = None if spec is None else _origin(spec, settings, input, model)
    return _write(_best_of(path) if path.is_dir() else path, asked, to, output, force, form)


def export(run: str, to: str, output: str, force: bool, **form: Any) -> int:
    """Write the best weights of a run as a network that other programs run."""
    return _write(_best_of(Path(run).expanduser()), None, to, output, force, form)


def _origin(spec: str, settings: Sequence[str], input: str | None, model: str | None) -> Origin:
    program, name = api.open_model(*open_spec(spec, model))
    refuse(program.diagnostics)
    return Origin.of(program, name, parse_settings(settings), input)


def _best_of(run: Path) -> Path:
    path = run / BEST
    if not path.is_file():
        why = f"it has no {BEST}" if run.is_dir() else "there is no such folder"
        error = RunUnusable(str(run), why, "name the folder that `archdsl train` made")
        raise SpecError([error.at(Source("run", str(run)).span())])
    return path


def _write(weights: Path, asked: Origin | None, to: str, output: str, force: bool, given: Mapping[str, Any]) -> int:
    """Everything that can be refused is refused before the work begins; the file is written whole or not at all.

    given: the flags of `_FORM`.
    """
    path, target = Path(output).expanduser(), _target(to)
    if not target.forms and (flags := [name for name, value in given.items() if value is not None]):
        raise WrongCommand(f"--{flags[0]} says how an ONNX file is to be, and this is --to {to}")
    if given["calibrate"] is not None and given["int8"] is None:
        raise WrongCommand("--calibrate says how many images --int8 looks at: give --int8 DATA too")
    if not path.name.endswith(target.suffixes):
        raise WrongCommand(f"`{output}` is no name for --to {to}: end it in {' or '.join(target.suffixes)}")
    check_ours(path, force)
    with api.needs(target.extra):
        origin, tensors, known = _read(weights, asked)
        about = describe(origin, known)
        form = _form(origin, known, weights, **given) if target.forms else None
        with TemporaryDirectory() as folder:
            part = Path(folder) / path.name
            if form is None:
                said = WRITE.of(target.write)(origin.graph, tensors, part, about)
            else:
                said = WRITE_FORM.of(target.write)(origin.graph, tensors, part, about, form)
            replace_file(path, part.read_bytes())
    first, *more = said.split("\n")
    for line in (f"{output}: {origin.model}, {first}", *more):
        say(line)
    return 0


def _read(weights: Path, asked: Origin | None) -> tuple[Origin, Tensors, Mapping[str, str]]:
    """Whose the weights in a file are, they themselves by key, and what else the file says."""
    for export in api.exports().values():
        if export.read and weights.name.endswith(export.suffixes):
            with api.needs(export.extra):
                return _read_by(export.read, weights, asked)
    file = load(weights)
    origin = asked or file.origin
    found = _by_key(file, origin.graph)
    fit(origin.graph, found, weights)
    return origin, file.read({key: found[key].name for key in keys(origin.graph)}), file.metadata


def _read_by(module: str, weights: Path, asked: Origin | None) -> tuple[Origin, Tensors, Mapping[str, str]]:
    """The same of a file that only its framework can read."""
    try:
        about = ABOUT.of(module)(weights)
        origin = asked or WeightFile(weights, about, {}).origin
        tensors = READ.of(module)(origin.graph, weights)
    except (OSError, ValueError) as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else str(error).split("\n")[0]
        hint = "name the spec that they are of, with `--set` and `--input` as it was trained"
        raise SpecError(
            [WeightsUnusable(str(weights), why, hint).at(Source("weights", str(weights)).span())]
        ) from error
    fit(origin.graph, tensors, weights)
    return origin, tensors, about


def _form(
    origin: Origin,
    known: Mapping[str, str],
    weights: Path,
    opset: int | None,
    dynamic: tuple[str, ...] | None,
    int8: str | None,
    calibrate: int | None,
) -> Form:
    axes = Form.open if dynamic is None else dynamic
    images = None
    if int8 is not None:
        with api.needs("onnx,data"):
            images = calibration(int8, calibrate or _IMAGES, origin, known, weights, say)
    return Form(opset, axes, at_other_sizes(origin, axes), images)


def _target(name: str) -> Export:
    known = api.exports()
    if name not in known:
        raise WrongCommand(f"--to cannot be `{name}`; " + (nearest(name, known) or f"there are {', '.join(known)}"))
    return known[name]


def _by_key(file: WeightFile, graph: Graph) -> dict[str, Stored]:
    """What a file has, by the keys of the graph: the state dict of a generated network calls some otherwise."""
    if file.stored.keys() == keys(graph).keys():
        return dict(file.stored)
    names: dict[str, str | None] = {}
    for known in api.exports().values():
        names.update(known.names(graph) if known.names else {})
    found = {names.get(name, name): stored for name, stored in file.stored.items()}
    return {key: stored for key, stored in found.items() if key is not None}


def _axes(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if text != "none" and ({*names} - {*AXES} or len({*names}) < len(names)):
        raise ArgumentTypeError(f"{text!r} is no list of {', '.join(AXES)}; `none` leaves no size open")
    return () if text == "none" else names


_IMAGES = 512
_FORM = (
    flag("--opset", type=positive, metavar="N", help="of ONNX; 18, if not given"),
    flag("--dynamic", type=_axes, metavar="AXES",
         help="the sizes of the input that stay open: batch,height,width or some, or none; batch, if not given"),
    flag("--int8", metavar="DATA", help="quantise an ONNX file by images of this data, as `train --data` names it"),
    flag("--calibrate", type=positive, metavar="N", help=f"how many images --int8 looks at; {_IMAGES}, if not given"),
)  # fmt: skip
_OUTPUT = (
    flag("-o", "--output", metavar="FILE", required=True, help="where to put it"),
    flag("--force", action="store_true", help="replace FILE even where archdsl did not write it"),
)

COMMANDS = {
    "convert": Command(
        convert,
        flag("weights", metavar="WEIGHTS", help="a safetensors file, a file of Keras, or the folder of a run"),
        flag("--to", required=True, metavar="torch|keras|onnx", help="what to write"),
        flag("--spec", metavar="SPEC[:MODEL]", help="whose weights they are; as the file says, if not given"),
        *SPEC_FLAGS,
        *_FORM,
        *_OUTPUT,
        examples=("archdsl convert runs/one --to keras -o one.weights.h5",),
    ),
    "export": Command(
        export,
        flag("run", metavar="RUN", help="the folder of a run"),
        flag("--to", default="onnx", metavar="onnx", help="what to write"),
        *_FORM,
        *_OUTPUT,
        examples=("archdsl export runs/one -o one.onnx", "archdsl export runs/one --int8 digits -o one.onnx"),
    ),
}
