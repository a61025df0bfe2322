"""A spec and the files that it uses as plain texts, so that it can be read where those files are not."""

from __future__ import annotations

import json
import os.path
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from archdsl.graph.elaborate import load
from archdsl.graph.elaborate.program import Program
from archdsl.language.source import Source

__all__ = ["Bundle"]


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
    def of(cls, program: Program) -> Bundle:
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
    def from_json(cls, name: str, text: str, files: str) -> Bundle:
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
