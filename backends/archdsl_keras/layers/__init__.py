"""Layers and functions that Keras lacks, or that mean something else there.

Their source is copied into the generated files that need them, and only there.
"""

from archdsl.code.file import layer_source

__all__ = ["LAYERS", "source"]

# What stands first is what others need.
LAYERS = {
    "register": "model",
    "l2_normalize": "norm",
    "pair": "axes",
    "for_axes": "axes",
    "conv_each": "conv",
    "conv_with": "conv",
    "pool_widths": "pool",
    "pool_ends": "pool",
    "pooled": "pool",
    "PaddedConv": "conv",
    "PaddedConvTranspose": "conv",
    "rearrange": "shape",
    "as_windows": "shape",
    "wide_softmax": "norm",
    "standardize_along": "norm",
    "relative_table": "attend",
    "reflect": "resize",
    "replicate": "resize",
    "resize_bilinear": "resize",
    "resize_nearest": "resize",
    "resize_linear": "resize",
    "sample_at": "resize",
    "sample_around": "resize",
    "fitted_pool": "pool",
    "Noise": "regularize",
    "After": "model",
    "Attention2d": "attend",
    "AveragePooling": "pool",
    "AveragePooling2D": "pool",
    "BatchNorm": "norm",
    "BilinearUpSampling2D": "resize",
    "Block": "model",
    "Chain": "model",
    "Conv1D": "conv",
    "Conv1DTranspose": "conv",
    "Conv2D": "conv",
    "Conv2DTranspose": "conv",
    "Conv3D": "conv",
    "Conv3DTranspose": "conv",
    "Dense": "linear",
    "DenseFlat": "linear",
    "DenseVolume": "linear",
    "DropBlock": "regularize",
    "DropPaths": "regularize",
    "DepthwiseConv2D": "conv",
    "Flatten": "shape",
    "Guest": "model",
    "Learned": "learned",
    "LinearUpSampling": "resize",
    "MaxPooling": "pool",
    "MaxPooling2D": "pool",
    "CeilMaxPooling2D": "pool",
    "Network": "model",
    "RelativeAttention2d": "attend",
    "RelativeLogits": "attend",
    "Scale": "learned",
    "ShakeDrop": "regularize",
    "ShakeShake": "regularize",
    "Standardize": "norm",
    "StridedDilatedConv2D": "conv",
}


def source(name: str) -> tuple[str, ...]:
    """The lines of one of `LAYERS`, as its file has them."""
    return layer_source(__name__, LAYERS[name], name)
