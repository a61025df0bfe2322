"""Multi-head attention over the positions of an image."""

from keras import layers, ops

__all__ = ["Attention2d"]


class Attention2d(layers.Layer):
    """Multi-head attention over all positions of queries, keys and values."""

    def __init__(self, dk, dv, heads, **kwargs):
        super().__init__(**kwargs)
        self.dk = dk
        self.dv = dv
        self.heads = heads

    def call(self, x):
        _, height, width, _ = x.shape
        parts = ops.split(x, (self.dk, 2 * self.dk), axis=-1)
        by_head = (-1, height * width, self.heads)
        dims = (self.dk // self.heads, self.dk // self.heads, self.dv // self.heads)
        q, k, v = (
            ops.reshape(p, (*by_head, d)) for p, d in zip(parts, dims, strict=True)
        )
        logits = ops.einsum("bind,bjnd->bnij", q, k) * dims[0] ** -0.5
        out = ops.einsum("bnij,bjnd->bind", ops.softmax(logits), v)
        return ops.reshape(out, (-1, height, width, self.dv))
