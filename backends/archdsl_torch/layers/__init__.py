"""Layers that PyTorch lacks. Their source is copied into the generated files that need them, and only there."""

from __future__ import annotations

import ast
from functools import cache
from importlib.resources import files

__all__ = ["LAYERS", "source"]

LAYERS = {
    "Attention2d": "attention",
    "DropPath": "drop_path",
    "LayerNormChannels": "layer_norm_channels",
    "LinearChannels": "linear_channels",
    "LinearFlat": "linear_flat",
    "RelativeAttention2d": "relative_attention",
    "RelativeLogits": "relative_logits",
    "Scale": "scale",
    "Standardize": "standardize",
}


@cache
def source(name: str) -> tuple[str, ...]:
    """The lines of the class `name`, as its file has them. Nothing is imported."""
    text = files(__package__).joinpath(f"{LAYERS[name]}.py").read_text(encoding="utf-8")
    found = next(n for n in ast.parse(text).body if isinstance(n, ast.ClassDef) and n.name == name)
    return tuple(text.split("\n")[found.lineno - 1 : found.end_lineno])
