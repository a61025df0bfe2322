"""Layers that PyTorch lacks.

Their source is copied into the generated files that need them, and only there.
"""

from archdsl.code.file import layer_source

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
    "TiledAttention": "tiled_attention",
    "padded_attention": "attention",
    "relative_terms": "tiled_attention",
    "split_heads": "attention",
}


def source(name: str) -> tuple[str, ...]:
    """The lines of one of `LAYERS`, as its file has them."""
    return layer_source(__name__, LAYERS[name], name)
