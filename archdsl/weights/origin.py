"""What a graph was made of, as a file of weights or a run keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from archdsl.graph.build import graph_of
from archdsl.graph.elaborate import Program
from archdsl.graph.graph import Graph
from archdsl.language.resources import MAX_BYTES
from archdsl.weights.bundle import Bundle

__all__ = ["Origin"]


@dataclass(frozen=True)
class Origin:
    """What a graph was elaborated from. settings, input: as `--set` and `--input` gave them.

    made: the graph itself, where it is at hand: it is then not made again.
    """

    bundle: Bundle
    model: str
    settings: Mapping[str, str]
    input: str | None = None
    made: Graph | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(
        cls, program: Program, model: str, settings: Mapping[str, str] | None = None, input: str | None = None
    ) -> Origin:
        """Of a model of a program, which is elaborated. Raises SpecError where it is wrong."""
        graph, _ = graph_of(program, model, settings, input)
        return cls(Bundle.of(program), model, settings or {}, input, graph)

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
    def parse(cls, metadata: Mapping[str, str]) -> Origin:
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
