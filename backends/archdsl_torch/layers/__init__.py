"""Layers that PyTorch lacks.

Their source is copied into the generated files that need them, and only there.
"""

from archdsl.code.file import layer_source

__all__ = ["LAYERS", "source"]

LAYERS = {
    "Attention2d": "attend",
    "AxisDropout": "regularize",
    "DropBlock": "regularize",
    "DropPath": "regularize",
    "DropPaths": "regularize",
    "ShakeDrop": "regularize",
    "ShakeShake": "regularize",
    "LayerNormChannels": "norm",
    "LinearChannels": "linear",
    "LinearFlat": "linear",
    "RelativeAttention2d": "attend",
    "RelativeLogits": "attend",
    "Scale": "learned",
    "Standardize": "norm",
    "TiledAttention": "attend",
    "conv_each": "conv",
    "conv_taps": "conv",
    "padded_attention": "attend",
    "relative_terms": "attend",
    "sample_at": "resize",
    "sample_around": "resize",
    "split_heads": "attend",
    "standardize_along": "norm",
}


def source(name: str) -> tuple[str, ...]:
    """The lines of one of `LAYERS`, as its file has them."""
    return layer_source(__name__, LAYERS[name], name)
