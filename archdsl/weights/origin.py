"""What a graph was made of, as a file of weights or a run keeps it: the spec, and the files that it uses."""

import json
import os.path
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Self

from archdsl.graph.build import graph_of
from archdsl.graph.elaborate import Program, load
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import Diagnostic
from archdsl.language.resources import MAX_BYTES
from archdsl.language.source import Source

__all__ = ["Bundle", "Origin"]


@dataclass(frozen=True)
class Bundle:
    """The text of a spec and of all files that it uses, directly or not; the library is not among them.

    name: the spec's file. files: the other texts, by their paths from the spec's folder.
    uses: for each file, what it says after `use`, and which of `files` that is.
    """

    name: str
    text: str
    files: Mapping[str, str] = field(default_factory=dict)
    uses: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, program: Program) -> Self:
        main = program.main.source
        folder = Path(main.path).parent if main.path else Path.cwd()
        names = {main: PurePath(main.name).name}
        uses: dict[str, dict[str, str]] = {}
        for source in program.used.values():
            names[source] = Path(os.path.relpath(source.path or source.name, folder)).as_posix()
        for (user, said), source in program.used.items():
            uses.setdefault(names[user], {})[said] = names[source]
        return cls(names.pop(main), main.text, {name: source.text for source, name in names.items()}, uses)

    def program(self) -> Program:
        """The spec as it was read, whatever the disk has now."""
        sources = {name: Source(name, text) for name, text in {**self.files, self.name: self.text}.items()}
        used = {(sources[u], said): sources[name] for u, of in self.uses.items() for said, name in of.items()}
        return load(sources[self.name], used)

    def files_json(self) -> str:
        """The files beside the spec; an empty text where there are none."""
        return json.dumps({"files": self.files, "uses": self.uses}) if self.files else ""

    @classmethod
    def from_json(cls, name: str, text: str, files: str) -> Self:
        """A bundle from the spec's text and what `files_json` gave. Raises ValueError for anything else."""
        try:
            found = json.loads(files) if files else {"files": {}, "uses": {}}
            texts = {str(k): str(v) for k, v in found["files"].items()}
            uses = {str(k): {str(said): str(n) for said, n in v.items()} for k, v in found["uses"].items()}
        except (TypeError, KeyError, AttributeError, RecursionError):
            raise ValueError("not the files of a spec") from None
        if not ({*uses} | {n for of in uses.values() for n in of.values()} <= {name, *texts}):
            raise ValueError("a file of the spec is missing")
        return cls(name, text, texts, uses)


@dataclass(frozen=True)
class Origin:
    """What a graph was elaborated from. settings, input: as `--set` and `--input` gave them.

    made: the graph itself, where it is at hand: it is then not made again. warnings: what is odd about it.
    """

    bundle: Bundle
    model: str
    settings: Mapping[str, str]
    input: str | None = None
    made: Graph | None = field(default=None, repr=False, compare=False)
    warnings: tuple[Diagnostic, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def of(
        cls, program: Program, model: str, settings: Mapping[str, str] | None = None, input: str | None = None
    ) -> Self:
        """Of a model of a program, which is elaborated. Raises SpecError where it is wrong."""
        graph, warnings = graph_of(program, model, settings, input)
        return cls(Bundle.of(program), model, settings or {}, input, graph, warnings)

    @cached_property
    def graph(self) -> Graph:
        """The graph. Raises SpecError where the spec is wrong."""
        return self.made or graph_of(self.bundle.program(), self.model, self.settings, self.input)[0]

    def metadata(self) -> dict[str, str]:
        """What a file of weights says of it."""
        return {
            "spec": self.bundle.text,
            "spec_name": self.bundle.name,
            "spec_sha256": sha256(self.bundle.text.encode(errors="backslashreplace")).hexdigest(),
            "spec_files": self.bundle.files_json(),
            "model": self.model,
            "settings": json.dumps(dict(self.settings)),
            "input": self.input or "",
        }

    @classmethod
    def parse(cls, metadata: Mapping[str, str]) -> Self:
        """From what `metadata` gave. Raises ValueError for anything else."""
        try:
            settings = {str(k): str(v) for k, v in json.loads(metadata["settings"]).items()}
            bundle = Bundle.from_json(metadata["spec_name"], metadata["spec"], metadata["spec_files"])
            origin = cls(bundle, metadata["model"], settings, metadata["input"] or None)
        except (KeyError, AttributeError, RecursionError):
            raise ValueError("not what a graph is made of") from None
        if any(len(text) > MAX_BYTES for text in (bundle.text, *bundle.files.values())):
            raise ValueError("a text is too large")
        return origin
