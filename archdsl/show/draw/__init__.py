"""Pictures of a model, by Graphviz: `dot` gives the text, `draw` the bytes of a file."""

from archdsl.graph.cost import cost
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.outputs import DrawingTooLarge
from archdsl.show.draw.dot import to_dot
from archdsl.show.draw.engine import FORMATS, EngineError, render
from archdsl.show.draw.figure import LEVELS, Level, figure

__all__ = ["FORMATS", "LEVELS", "Level", "dot", "draw"]

_MOST_BOXES = 3_000  # the layout of more takes minutes, and nobody can read it


def dot(graph: Graph, level: Level = "block") -> str:
    """A model as Graphviz text: the same graph gives the same bytes.

    level: `stage` (a box a stage), `block` (each block once, lines of ops folded) or `op` (every op a box).
    Raises SpecError (E0742) for a picture of too many boxes.
    """
    found = figure(graph, cost(graph), level)
    boxes = sum(len(panel.boxes) for panel in found.panels)
    if boxes > _MOST_BOXES:
        coarser = {"op": "draw it at level `block` or `stage`", "block": "draw it at level `stage`"}
        advice = coarser.get(level, "put parts of the model into blocks")
        raise SpecError([DrawingTooLarge(graph.block, boxes, _MOST_BOXES, advice).at(graph.span)])
    return to_dot(found)


def draw(graph: Graph, level: Level = "block", fmt: str = "svg") -> bytes:
    """A model as a picture: the content of an `svg`, `dot`, `png` or `pdf` file.

    Raises SpecError (E0741 to E0743) where no engine can make it.
    """
    try:
        return render(dot(graph, level), fmt)
    except EngineError as problem:
        raise SpecError([problem.error.at(graph.span)]) from None
