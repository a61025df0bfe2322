"""Files of weights: safetensors, with the spec inside as metadata (docs/weights.md)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from archdsl.code.backend import MADE_BY
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import Error, SpecError, closest
from archdsl.language.errors.weights import NoSpecInside, WeightsDiffer, WeightsUnusable
from archdsl.language.later import Array, np
from archdsl.language.opening import fault, open_file
from archdsl.language.source import Source, Span
from archdsl.weights.inventory import DTYPE, keys
from archdsl.weights.origin import Origin

__all__ = ["FORMAT", "Stored", "WeightFile", "about", "describe", "fit", "load", "pack", "save"]

FORMAT = "archdsl 2"
MAX_HEADER = 32 * 2**20  # bytes: what 200,000 weights with their spec take
_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "I64": "int64", "I32": "int32",
           "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool"}  # fmt: skip
_CODES = {name: code for code, name in _DTYPES.items()}
_NO_SUM = b"0" * 64  # where a checksum is to stand
_SAY_WHOSE = "name the spec that they are of, with `--set` and `--input` as it was trained"
_ANOTHER_COPY = "take another copy of the file"


@dataclass(frozen=True)
class Stored:
    """A tensor of a file that is not read yet.

    name: what the file calls it. dtype: as numpy calls it, or as the file does where numpy has none. start: its first
    byte in the file.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    start: int


@dataclass(frozen=True)
class WeightFile:
    """A file of weights, of which the head was read. stored: its tensors by name."""

    path: Path
    metadata: Mapping[str, str]
    stored: Mapping[str, Stored]

    @cached_property
    def origin(self) -> Origin:
        """What the weights belong to. Raises SpecError where the file does not say it."""
        if "spec" not in self.metadata:
            _refuse(NoSpecInside(str(self.path)), self.path)
        try:
            return Origin.parse(self.metadata)
        except ValueError:
            hint = "name the spec with `--spec`, or take another file"
            _refuse(WeightsUnusable(str(self.path), "what it says of its spec is damaged", hint), self.path)

    @cached_property
    def tensors(self) -> dict[str, Array]:
        """All of it, read, by the names of the file. Raises as `read` does."""
        return self.read({name: name for name in self.stored})

    def read(self, names: Mapping[str, str]) -> dict[str, Array]:
        """Some tensors: by what they are to be called, what the file calls them.

        Raises SpecError where the file is not as it was written, or numpy has no such dtype.
        """
        found: dict[str, Array] = {}
        with open_file(self.path) as file:
            self._check_sum(file)
            for key, name in names.items():
                tensor = self.stored[name]
                if tensor.dtype not in _CODES:
                    why = f"`{name}` is in {tensor.dtype}"
                    _refuse(WeightsUnusable(str(self.path), why, "save it in float32"), self.path)
                file.seek(tensor.start)
                flat = np.fromfile(file, np.dtype(tensor.dtype).newbyteorder("<"), prod(tensor.shape))
                found[key] = flat.reshape(tensor.shape)
        return found

    def _check_sum(self, file: BinaryIO) -> None:
        """Refuse a file of ours that is not as it was written."""
        wanted = self.metadata.get("sha256")
        if wanted is None:
            return
        length = file.read(8)
        found = sha256(length + file.read(int.from_bytes(length, "little")).replace(wanted.encode(), _NO_SUM))
        while part := file.read(2**20):
            found.update(part)
        if found.hexdigest() != wanted:
            why = "its contents are not those that its checksum is of"
            _refuse(WeightsUnusable(str(self.path), why, _ANOTHER_COPY), self.path)


def fit(graph: Graph, tensors: Mapping[str, Stored | Array], path: str | Path) -> None:
    """Refuse weights that are not those of `graph`, with the first key that differs: missing, too much, or unlike.

    path: the file that they are of. Raises SpecError.
    """
    wanted = keys(graph)
    for key, weight in wanted.items():
        found = tensors.get(key)
        if found is None:
            hint = _alike(key, [k for k in tensors if k not in wanted])
            _differ(graph, path, f"`{key}` is missing", hint, weight.span)
        here, there = _described(weight.shape, DTYPE), _described(found.shape, str(found.dtype))
        if here != there:
            _differ(graph, path, f"`{key}` is {here} here and {there} in the file", _SAY_WHOSE, weight.span)
    if more := next((key for key in tensors if key not in wanted), None):
        _differ(graph, path, f"nothing here is called `{more}`", _SAY_WHOSE, graph.span)


def _alike(key: str, others: Iterable[str]) -> str:
    found = closest(key, others)
    return f"the file has `{found}`: is it of another version of the spec?" if found else _SAY_WHOSE


def _described(shape: tuple[int, ...], dtype: str) -> str:
    return f"[{', '.join(map(str, shape))}]" + (f" in {dtype}" if dtype != DTYPE else "")


def _differ(graph: Graph, path: str | Path, what: str, hint: str, span: Span) -> NoReturn:
    raise SpecError([WeightsDiffer(str(path), graph.block, what, hint).at(span)])


def pack(tensors: Mapping[str, Array], about: Mapping[str, str]) -> bytes:
    """A safetensors file: the tensors in their order, `about` and a checksum as its metadata.

    The library's own writer puts metadata in another order each time: the same weights would not be the same file.
    The checksum is the SHA-256 of the whole file with 64 zeros in its own place.
    """
    wide = sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize)  # so that each is aligned
    header: dict[str, Any] = {"__metadata__": {**about, "sha256": _NO_SUM.decode()}}
    parts, end = [], 0
    for name, value in wide:
        parts.append(np.ascontiguousarray(value, value.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data)
        start, end = end, end + value.nbytes
        header[name] = {"dtype": _CODES[value.dtype.name], "shape": list(value.shape), "data_offsets": [start, end]}
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    length = len(head).to_bytes(8, "little")
    digest = sha256(length + head)
    for part in parts:
        digest.update(part)
    return b"".join([length, head.replace(_NO_SUM, digest.hexdigest().encode(), 1), *parts])


def describe(origin: Origin, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The metadata of a file of ours; `more` is what else is known, of another file perhaps, whose checksum goes.

    `made_by` is how archdsl knows its files.
    """
    known = {key: text for key, text in (more or {}).items() if key != "sha256"}
    return {**known, "format": FORMAT, "made_by": MADE_BY, **origin.metadata()}


def save(path: str | Path, origin: Origin, tensors: Mapping[str, Array], more: Mapping[str, str] | None = None) -> None:
    """Write weights with what they belong to, and `more` metadata.

    Raises SpecError where they do not fit, OSError where the file cannot be written.
    """
    fit(origin.graph, tensors, path)
    ordered = {key: tensors[key] for key in keys(origin.graph)}
    Path(path).write_bytes(pack(ordered, describe(origin, more)))


def load(path: str | Path) -> WeightFile:
    """The head of a safetensors file: names, shapes and metadata; tensors are read when they are asked for.

    Raises SpecError where there is no such file or it is something else, damaged, or torn.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    head = _head(path)
    try:
        with safe_open(path, "numpy"):  # what it opens is whole, each tensor in its place
            header = json.loads(head)
    except (SafetensorError, OSError) as error:
        _refuse(WeightsUnusable(str(path), f"it is damaged: {error}", _ANOTHER_COPY), path)
    metadata = header.pop("__metadata__", None) or {}
    return WeightFile(path, metadata, {name: _stored(name, entry, 8 + len(head)) for name, entry in header.items()})


def about(path: str | Path) -> Mapping[str, str]:
    """The metadata of a safetensors file, without a look at its tensors. Raises SpecError as `load` does."""
    path = Path(path)
    try:
        found = json.loads(_head(path)).get("__metadata__", {})
        return {str(key): str(text) for key, text in found.items()}
    except (ValueError, AttributeError, RecursionError):
        _refuse(WeightsUnusable(str(path), "its head is damaged", _ANOTHER_COPY), path)


def _stored(name: str, entry: Mapping[str, Any], data: int) -> Stored:
    dtype = _DTYPES.get(entry["dtype"], entry["dtype"])
    return Stored(name, tuple(entry["shape"]), dtype, data + entry["data_offsets"][0])


_OTHER_FILES = {
    b"PK\x03\x04": "it is a zip file, as `torch.save` and Keras write them",
    b"\x89HDF": "it is an HDF5 file",
    **{bytes([0x80, protocol]): "it is a pickle, which archdsl never opens" for protocol in (2, 3, 4, 5)},
    b"version https://git-lfs": "it is a note of Git LFS, not the file itself",
}


def _head(path: Path) -> bytes:
    """The JSON at the head of a safetensors file. Of one that is none it is said what it is."""
    try:
        with open_file(path) as file:
            start = file.read(32)
            _check_start(path, start)
            file.seek(8)
            return file.read(int.from_bytes(start[:8], "little"))
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        why = "there is no such file" if missing else f"it {fault(error)}"
        _refuse(WeightsUnusable(str(path), why, "name a run's folder, or a safetensors file"), path)


def _check_start(path: Path, head: bytes) -> None:
    length = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and 2 <= length <= MAX_HEADER:  # a length may begin as a pickle does
        return
    hint = "archdsl reads safetensors: a run's `best.safetensors`, or a state dict saved with safetensors.torch"
    for start, what in _OTHER_FILES.items():
        if head.startswith(start):
            _refuse(WeightsUnusable(str(path), what, hint), path)
    if len(head) >= 10 and head[8:9] == b"{" and length > MAX_HEADER:
        _refuse(WeightsUnusable(str(path), "its head claims more than 32 MiB", _ANOTHER_COPY), path)
    _refuse(WeightsUnusable(str(path), "it is empty" if not head else "it is no safetensors file", hint), path)


def _refuse(error: Error, path: Path) -> NoReturn:
    raise SpecError([error.at(Source(str(path), "").span())]) from None
