"""Shipped networks on images as small as they take, which say as much as large ones and cost less."""

import re

from archdsl import api
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import SpecError
from archdsl.language.resources import zoo_names

__all__ = ["distinct", "small"]


def distinct() -> list[str]:
    """The shipped networks, of those that are one in several sizes the smallest."""
    return [name for name in zoo_names() if not re.fullmatch(r"efficientnet_b[1-7]", name)]


def small(name: str) -> Graph:
    """A network of ImageNet for 3x64x64, or 3x96x96, or as it is; others as they are."""
    graph, _ = api.elaborated(name)
    sizes = graph.entries[0].types[0].sizes
    for side in (64, 96) if len(sizes) == 3 and sizes[1] > 64 else ():
        try:
            return api.elaborated(name, input=f"3x{side}x{side}")[0]
        except SpecError:
            pass
    return graph
