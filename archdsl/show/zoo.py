"""The shipped networks: what each is and its figures, read from an index that is made beforehand.

`python -m archdsl.show.zoo` (or `make zoo`) makes it anew in a checkout, with docs/zoo.md and its drawings.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from archdsl.graph.graph import Graph
from archdsl.language.resources import zoo_index, zoo_names, zoo_source
from archdsl.show.table import Column, Table, short_count

__all__ = ["Entry", "cited", "entries", "entry", "make", "page", "table"]

_PICTURES = "images/zoo"


@dataclass(frozen=True)
class Entry:
    """One network. input: `3x224x224`. params, state, macs: of one example, with the parameters' defaults.

    title, paper: what its comment says before its first bracket and in it. drawing: a digest of what is drawn.
    """

    name: str
    title: str
    paper: str
    input: str
    params: int
    state: int
    macs: int
    drawing: str


def entries() -> tuple[Entry, ...]:
    """All shipped networks, by name."""
    return tuple(Entry(**found) for found in json.loads(zoo_index()))


def entry(name: str) -> Entry:
    """A shipped network as it is now."""
    from archdsl.graph.cost import cost
    from archdsl.show.draw import dot

    graph = _graph(name)
    costs = cost(graph)
    title, paper = cited(graph.doc)
    size = "x".join(map(str, graph.entries[0].types[0].sizes))
    digest = sha256(dot(graph, "stage").encode()).hexdigest()[:16]
    return Entry(name, title, paper, size, costs.params, costs.state, costs.macs, digest)


def cited(doc: str) -> tuple[str, str]:
    """What a comment says before its first bracket and in it: `ResNet-50 for ImageNet (He et al. 2015, …)`."""
    first = " ".join(doc.partition("\n\n")[0].split())
    found = re.match(r"(?P<title>[^(]*?):? ?\((?P<paper>[^)]*)\)", first)
    return (found["title"], found["paper"]) if found else (first, "")


def table(found: Iterable[Entry]) -> Table:
    """The networks for a terminal."""
    figures = [Column(head, right=True, short=short_count) for head in ("params", "MACs")]
    columns = Column("network"), Column("input", rank=2), *figures, Column("from", rank=1, breaks=" ")
    return Table(columns, [(e.name, e.input, f"{e.params:,}", f"{e.macs:,}", e.paper) for e in found])


def page(found: Iterable[Entry]) -> str:
    """docs/zoo.md."""
    found = list(found)
    return "\n".join(
        [
            "# The zoo",
            "",
            f"{len(found)} networks come with archdsl. Figures are those of `archdsl show NAME`: trainable parameters",
            "and multiply-adds for one image, with every parameter at its default. What could not be confirmed of a",
            "network, and which published figure does not come out, its file says. Made by `make zoo`.",
            "",
            "| network | | input | parameters | MACs |",
            "|---|---|---|---:|---:|",
            *map(_row, found),
            "",
        ]
    )


def _row(e: Entry) -> str:
    paper = re.sub(r"arXiv:(\d+\.\d+)", r"[arXiv:\1](https://arxiv.org/abs/\1)", e.paper)
    picture = f'<a href="{_PICTURES}/{e.name}.svg"><img src="{_PICTURES}/{e.name}.svg" height="120" alt="{e.name}"></a>'
    about = f"[`{e.name}`](../specs/{e.name}.arch)<br>{e.title}<br>{paper}"
    return f"| {about} | {picture} | {e.input} | {e.params:,} | {e.macs:,} |"


def make(root: Path) -> None:
    """Write the index, the page and the drawings of a checkout at `root`; drawings that are no one's are removed."""
    from archdsl.show.draw import draw

    known = {e.name: e.drawing for e in entries()} if zoo_index() else {}
    found = [entry(name) for name in zoo_names()]
    pictures = root / "docs" / _PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    for path in pictures.glob("*.svg"):
        if path.stem not in zoo_names():
            path.unlink()
    for e in found:
        path = pictures / f"{e.name}.svg"
        if known.get(e.name) != e.drawing or not path.exists():
            path.write_bytes(draw(_graph(e.name), "stage"))
    lines = ",\n".join(json.dumps(asdict(e), ensure_ascii=False) for e in found)
    (root / "specs" / "index.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    (root / "docs" / "zoo.md").write_text(page(found), encoding="utf-8")


def _graph(name: str) -> Graph:
    from archdsl.graph.build import graph_of
    from archdsl.graph.elaborate import load

    source = zoo_source(name)
    assert source is not None, f"{name} is not shipped"
    return graph_of(load(source), name)[0]


if __name__ == "__main__":
    make(Path(__file__).resolve().parents[2])
