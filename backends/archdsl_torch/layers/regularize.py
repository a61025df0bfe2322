"""Stochastic depth."""

from torch import nn

__all__ = ["DropPath"]


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
