"""Noise of training."""

import torch
import torch.nn.functional as F
from torch import nn

__all__ = [
    "AxisDropout",
    "DropBlock",
    "DropPath",
    "DropPaths",
    "ShakeDrop",
    "ShakeShake",
]


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016): in training, zero for a whole example."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        keep = x.new_empty(x.shape[0]).bernoulli_(1 - self.p)
        return (x.movedim(0, -1) * keep / (1 - self.p)).movedim(-1, 0)


class AxisDropout(nn.Module):
    """Dropout with a draw for each index along `axes`; the rest is dropped together."""

    def __init__(self, p, axes, rank):
        super().__init__()
        self.p = p
        self.axes = (0, *axes)
        self.rank = rank

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        sizes = [x.shape[i] if i in self.axes else 1 for i in range(self.rank)]
        return x * (x.new_empty(sizes).bernoulli_(1 - self.p) / (1 - self.p))


class DropBlock(nn.Module):
    """DropBlock (Ghiasi et al. 2018): in training, blocks of neighbours are zero."""

    def __init__(self, p, size, axes=2):
        super().__init__()
        self.p = p
        self.size = (size,) * axes if isinstance(size, int) else tuple(size)

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        rate, sizes = self.p, [x.shape[0], x.shape[1]]
        for axis, size in enumerate(self.size, 2):
            places = x.shape[axis] - size + 1
            rate = rate * x.shape[axis] / (size * places)
            sizes.append(places)
        seeds = x.new_empty(sizes).bernoulli_(rate)
        around = [size - 1 for size in reversed(self.size) for _ in range(2)]
        pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(self.size) - 1]
        kept = 1 - pool(F.pad(seeds, around), self.size, 1)
        return x * (kept * (kept.numel() / kept.sum().clamp(min=1)))


class DropPaths(nn.Module):
    """The mean of branches, in training of those that an example keeps (FractalNet)."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, *branches):
        x = torch.stack(branches)
        if not self.training or self.p == 0:
            return x.mean(0)
        draws = x.new_empty(x.shape[0], x.shape[1]).uniform_()
        last = draws == draws.amax(0)  # it stays where all others go
        kept = ((draws > self.p) | last).to(x.dtype)
        return (
            (x.movedim((0, 1), (-2, -1)) * (kept / kept.sum(0))).sum(-2).movedim(-1, 0)
        )


class ShakeShake(nn.Module):
    """Two branches in random shares (Gastaldi 2017); others on the way back."""

    def forward(self, a, b):
        if not self.training:
            return (a + b) / 2
        forth, back = a.new_empty(2, a.shape[0]).uniform_().unbind()
        difference = (a - b).movedim(0, -1)
        shaken = difference * back + (difference * (forth - back)).detach()
        return b + shaken.movedim(-1, 0)


class ShakeDrop(nn.Module):
    """ShakeDrop (Yamada et al. 2018): some examples by a number of -1 to 1 in training.

    Their gradient is multiplied by another, of 0 to 1.
    """

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training:
            return x * (1 - self.p)
        shaken = x.new_empty(x.shape[0]).bernoulli_(self.p)
        forth, back = x.new_empty(2, x.shape[0]).uniform_().unbind()
        forth, back = (1 + shaken * (n - 1) for n in (2 * forth - 1, back))
        x = x.movedim(0, -1)
        return (x * back + (x * (forth - back)).detach()).movedim(-1, 0)
