"""Layers and functions that Keras lacks, or that mean something else there.

Their source is copied into the generated files that need them, and only there.
"""

from archdsl.code.file import layer_source

__all__ = ["LAYERS", "source"]

# What stands first is what others need.
LAYERS = {
    "register": "register",
    "l2_normalize": "l2_normalize",
    "pair": "pair",
    "pool_widths": "pool_widths",
    "rearrange": "rearrange",
    "relative_table": "relative_table",
    "replicate": "replicate",
    "resize_bilinear": "resize_bilinear",
    "resize_nearest": "resize_nearest",
    "Attention2d": "attention",
    "AveragePooling2D": "average_pooling2d",
    "BatchNorm": "batch_norm",
    "BilinearUpSampling2D": "bilinear_up_sampling2d",
    "Block": "block",
    "Chain": "chain",
    "Conv2D": "conv2d",
    "Conv2DTranspose": "conv2d_transpose",
    "Dense": "dense",
    "DenseFlat": "dense_flat",
    "DepthwiseConv2D": "depthwise_conv2d",
    "Flatten": "flatten",
    "Learned": "learned",
    "MaxPooling2D": "max_pooling2d",
    "CeilMaxPooling2D": "ceil_max_pooling2d",
    "Network": "network",
    "RelativeAttention2d": "relative_attention",
    "RelativeLogits": "relative_logits",
    "Scale": "scale",
    "Standardize": "standardize",
    "StridedDilatedConv2D": "strided_dilated_conv2d",
}


def source(name: str) -> tuple[str, ...]:
    """The lines of one of `LAYERS`, as its file has them."""
    return layer_source(__name__, LAYERS[name], name)
