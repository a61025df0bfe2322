"""Batch norm whose statistics are those of the whole batch, where several processes have a part of it each."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["SharedNorm", "share_norms"]


def share_norms(network: nn.Module, gpu: bool) -> nn.Module:
    """The network with PyTorch's own layers in place of its batch norms; these need a GPU, without one `SharedNorm`."""
    if gpu:
        shared: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return shared
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.__class__ = SharedNorm  # the same weights and statistics under the same names
    return network


class SharedNorm(_BatchNorm):
    """Batch norm over all processes, each of which has equally many images."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Of any number of axes."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        values = input.float()
        axes = [0, *range(2, input.ndim)]
        mean = _over_all(values.mean(axes, keepdim=True))
        centred = values - mean
        var = _over_all(centred.square().mean(axes, keepdim=True))
        self._follow(mean.detach().flatten(), var.detach().flatten(), input.numel() // input.shape[1])
        normal = centred / (var + self.eps).sqrt()
        if self.affine:
            normal = normal * self.weight.view_as(mean) + self.bias.view_as(mean)
        return normal.to(input.dtype)  # under autocast it is narrower

    @torch.no_grad()
    def _follow(self, mean: Tensor, var: Tensor, count: int) -> None:
        """The running statistics. count: values of a channel in this process."""
        if self.running_mean is not None and self.running_var is not None and self.momentum is not None:
            every = count * dist.get_world_size()
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (every / (every - 1)), self.momentum)


def _over_all(part: Tensor) -> Tensor:
    whole: Tensor = _OverAll.apply(part)  # type: ignore[no-untyped-call]
    return whole


class _OverAll(torch.autograd.Function):
    """The mean over all processes; its gradient is the mean of theirs, too."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        whole = part.clone()
        dist.all_reduce(whole)
        return whole / dist.get_world_size()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _OverAll.forward(ctx, gradient)
