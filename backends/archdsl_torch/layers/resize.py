"""Images that are read at computed places."""

import torch
import torch.nn.functional as F

__all__ = ["sample_around", "sample_at"]


def sample_at(x, grid):
    """`x` read between its pixels at rows grid[:, 0] and columns grid[:, 1]."""
    # PyTorch counts from -1 to 1, from edge to edge.
    rows = (2 * grid[:, 0] + 1) / x.shape[2] - 1
    columns = (2 * grid[:, 1] + 1) / x.shape[3] - 1
    return F.grid_sample(x, torch.stack((columns, rows), -1), align_corners=False)


def sample_around(x, offset):
    """`x` read so far from each of its pixels."""
    ones = torch.ones_like(offset[:, 0])
    return sample_at(x, offset + torch.stack((ones.cumsum(1), ones.cumsum(2)), 1) - 1)
