"""Batch norm over the images of all processes."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from fastgan._torch_private import check_batch_norm_input
from fastgan.ops import all_reduce_sum


def batch_moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean, biased variance and number of values per channel over all ranks.

    Args:
        x: ``[N, C, *]``; the moments are over samples and positions of all ranks.

    Returns:
        Mean ``[C]``, variance ``[C]`` and count ``[]``, float32, or float64 for float64. They are
        differentiable to any order.
    """
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    over = [d for d in range(x.ndim) if d != 1]
    count = all_reduce_sum(
        torch.full((), x.numel() // x.shape[1], dtype=wide.dtype, device=x.device)
    )
    mean = all_reduce_sum(wide.sum(over)) / count
    centred = wide - mean.view([-1 if d == 1 else 1 for d in range(x.ndim)])
    return mean, all_reduce_sum(centred.square().sum(over)) / count, count


class _SyncBatchNorm(nn.Module):
    """Forward pass over all ranks for subclasses of torch's batch norms."""

    def forward(self: Any, x: Tensor) -> Tensor:
        check_batch_norm_input(self, x)
        if not (self.training or self.running_mean is None) or not dist.is_initialized():
            return super().forward(x)
        mean, variance, count = batch_moments(x)
        self._keep(mean.detach(), variance.detach() * count / (count - 1))
        shape = [-1 if d == 1 else 1 for d in range(x.ndim)]
        centred = x.to(mean.dtype) - mean.view(shape)
        y = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            y = y * self.weight.view(shape) + self.bias.view(shape)
        return y.to(x.dtype)

    def _keep(self: Any, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or not self.training:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


class SyncBatchNorm1d(_SyncBatchNorm, nn.BatchNorm1d):
    """:class:`torch.nn.BatchNorm1d` over all ranks; see :func:`convert_sync_batchnorm`."""


class SyncBatchNorm2d(_SyncBatchNorm, nn.BatchNorm2d):
    """:class:`torch.nn.BatchNorm2d` over all ranks; see :func:`convert_sync_batchnorm`."""


SYNCED: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: SyncBatchNorm1d,
    nn.BatchNorm2d: SyncBatchNorm2d,
}
"""Each layer's synchronised class; modules with other batch norms add theirs."""


def convert_sync_batchnorm(network: nn.Module) -> nn.Module:
    """Make every batch norm of a network normalise over the images of all ranks, in place.

    Statistics are summed in float32 (float64 for float64) in two passes, mean and then variance. In
    contrast to :class:`torch.nn.SyncBatchNorm`, the layers run on CPUs, compile in one graph, and
    have derivatives of any order, which gradient penalties need. Parameters, buffers and names are
    kept, so a state dict fits either form.

    Args:
        network: any module; the batch norms of torch and of :mod:`fastgan.nn` in it are converted.

    Returns:
        ``network``. Without a process group its layers are the original ones; with a group all
        ranks must run it alike.
    """
    for module in network.modules():
        if type(module) in SYNCED:
            module.__class__ = SYNCED[type(module)]
    return network
