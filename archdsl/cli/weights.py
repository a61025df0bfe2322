"""`archdsl convert` and `archdsl export`: from one file of weights to what other programs read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from archdsl import api
from archdsl.cli.flags import SPEC_FLAGS, Command, flag
from archdsl.cli.specs import open_spec, parse_settings
from archdsl.cli.terminal import WrongCommand, check_ours, replace_file, say
from archdsl.code.backend import Export
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import SpecError, nearest, refuse
from archdsl.language.errors.training import RunUnusable
from archdsl.language.source import Source
from archdsl.train.abilities import WRITE
from archdsl.train.folder import BEST
from archdsl.weights import Origin, Stored, WeightFile, describe, fit, keys, load

__all__ = ["COMMANDS"]


def convert(
    weights: str,
    spec: str | None,
    settings: Sequence[str],
    input: str | None,
    model: str | None,
    to: str,
    output: str,
    force: bool,
) -> int:
    """Write weights for another framework. Without `spec` the file says whose they are."""
    if spec is None and (settings or input or model):
        raise WrongCommand("--set, --input and --model say how --spec is read: give --spec too")
    path = Path(weights).expanduser()
    asked = None if spec is None else _origin(spec, settings, input, model)
    return _write(_best_of(path) if path.is_dir() else path, asked, to, output, force)


def export(run: str, to: str, output: str, force: bool) -> int:
    """Write the best weights of a run as a network that other programs run."""
    return _write(_best_of(Path(run).expanduser()), None, to, output, force)


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


def _write(weights: Path, asked: Origin | None, to: str, output: str, force: bool) -> int:
    """Everything that can be refused is refused before the work begins; the file is written whole or not at all."""
    path, target = Path(output).expanduser(), _target(to)
    if not path.name.endswith(target.suffixes):
        raise WrongCommand(f"`{output}` is no name for --to {to}: end it in {' or '.join(target.suffixes)}")
    check_ours(path, force)
    with api.needs(target.extra):
        file = load(weights)
        origin = asked or file.origin
        found = _by_key(file, origin.graph)
        fit(origin.graph, found, weights)
        tensors = file.read({key: found[key].name for key in keys(origin.graph)})
        with TemporaryDirectory() as folder:
            part = Path(folder) / path.name
            said = WRITE.of(target.write)(origin.graph, tensors, part, describe(origin, file.metadata))
            replace_file(path, part.read_bytes())
    say(f"{output}: {origin.model}, {said}")
    return 0


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


_OUTPUT = (
    flag("-o", "--output", metavar="FILE", required=True, help="where to put it"),
    flag("--force", action="store_true", help="replace FILE even where archdsl did not write it"),
)

COMMANDS = {
    "convert": Command(
        convert,
        flag("weights", metavar="WEIGHTS", help="a safetensors file, or the folder of a run"),
        flag("--to", required=True, metavar="torch|keras|onnx", help="what to write"),
        flag("--spec", metavar="SPEC[:MODEL]", help="whose weights they are; as the file says, if not given"),
        *SPEC_FLAGS,
        *_OUTPUT,
    ),
    "export": Command(
        export,
        flag("run", metavar="RUN", help="the folder of a run"),
        flag("--to", default="onnx", metavar="onnx", help="what to write"),
        *_OUTPUT,
    ),
}
