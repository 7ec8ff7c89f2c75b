"""Batch norm and instance norm with the activation behind them, in one pass each of :func:`fastgan.ops.adaptive_norm`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastgan import ops
from fastgan.nn.adaptive_norm import _BatchNorm
from fastgan.nn.equalized import _check_sizes
from fastgan.nn.sync_batch_norm import SYNCED
from fastgan.ops._activations import activation_options


class InstanceNorm2d(nn.Module):
    """Instance norm (Ulyanov et al. 2016) and an activation in one pass: over the positions of each feature map alone.

    Args:
        channels: of the image.
        affine: a learned scale and shift for each channel, ``weight`` and ``bias`` as torch's has them.
        act, gain: activation and what it is multiplied by, as in :func:`fastgan.ops.bias_act`.
        eps: added to the variance.

    Shape:
        ``[N, channels, *]``, and a residual of that shape that is added to the result → the same, in the dtype of the input.
        A feature map of one pixel becomes zero.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(
        self,
        channels: int,
        *,
        affine: bool = False,
        act: str = "linear",
        gain: float | None = None,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        _check_sizes(channels=channels)
        activation_options(act, None, gain, None)
        self.channels, self.act, self.gain, self.eps = channels, act, gain, eps
        self.register_parameter("weight", nn.Parameter(torch.ones(channels)) if affine else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros(channels)) if affine else None)

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        if x.ndim < 2 or x.shape[1] != self.channels:
            raise ValueError(f"x must have shape [N, {self.channels}, *], got {list(x.shape)}")
        scale = None if self.weight is None else (self.weight - 1).to(x.dtype)
        shift = None if self.bias is None else self.bias.to(x.dtype)
        return ops.adaptive_norm(
            x, scale, shift, act=self.act, gain=self.gain, eps=self.eps, residual=residual
        )

    def extra_repr(self) -> str:
        return f"{self.channels}, affine={self.weight is not None}, act={self.act!r}"


class BatchNorm2d(_BatchNorm):
    """Batch norm (Ioffe and Szegedy 2015) and an activation in one pass, with torch's parameters and buffers.

    Args:
        channels: of the image.
        act, gain: activation and what it is multiplied by, as in :func:`fastgan.ops.bias_act`.
        eps: added to the variance.
        momentum: share of a new batch in the running averages.

    Shape:
        ``[N, channels, H, W]``, and a residual of that shape that is added to the result → the same, in the dtype of the
        input.

    Batches over several processes as for :class:`fastgan.nn.ConditionalBatchNorm2d`.
    """

    def __init__(
        self,
        channels: int,
        *,
        act: str = "linear",
        gain: float | None = None,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(channels, act, eps, momentum, gain)
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        return self._normalise(x, (self.weight - 1).to(x.dtype), self.bias.to(x.dtype), residual)

    def extra_repr(self) -> str:
        return f"{self.channels}, act={self.act!r}"


class SyncBatchNormAct2d(BatchNorm2d):
    """:class:`BatchNorm2d` whose batch is that of all ranks; see :func:`fastgan.nn.sync_batch_norm`."""

    _over_processes = True


SYNCED[BatchNorm2d] = SyncBatchNormAct2d
