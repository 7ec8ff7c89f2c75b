"""Batch norm and instance norm fused with the activation behind them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fastgan import ops
from fastgan.nn.adaptive_norm import _BatchNorm, register_statistics
from fastgan.nn.sync_batch_norm import SYNCED
from fastgan.ops._activations import torch_activation_options
from fastgan.ops._checks import check_at_least


class BatchNormAct2d(_BatchNorm):
    """Batch norm (Ioffe and Szegedy 2015) and an activation, in one pass.

    The leading arguments, the parameters and the buffers are those of
    :class:`torch.nn.BatchNorm2d`, so state dicts fit either layer.

    Args:
        num_features: channels of the input.
        eps: term added to the variance.
        momentum: share of a new batch in the running averages; None keeps the mean of all batches.
        affine: learn a scale ``weight`` and a shift ``bias`` per channel.
        track_running_stats: keep running averages, which evaluation uses in place of the batch's.
        device, dtype: of parameters and running averages.
        act, gain: activation and a factor of its result; see :func:`fastgan.ops.adaptive_norm`.

    Shape:
        x ``[N, num_features, H, W]`` → the same, in the dtype of x. A ``residual`` of that shape
        is added to the result.

    Raises:
        ValueError: an argument is out of range, ``x`` has another shape, or batch statistics are
            taken over a single value.

    :func:`fastgan.nn.convert_sync_batchnorm` takes the statistics over all processes.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        act: str = "linear",
        gain: float = 1.0,
    ) -> None:
        super().__init__(
            num_features, act, eps, momentum, gain,
            track_running_stats=track_running_stats, device=device, dtype=dtype,
        )  # fmt: skip
        _register_affine(self, num_features, affine, device, dtype)

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        return self._normalise(x, *_modulation(self, x), residual)

    def extra_repr(self) -> str:
        return _repr(self)


class SyncBatchNormAct2d(BatchNormAct2d):
    """:class:`BatchNormAct2d` over the images of all ranks; see :func:`convert_sync_batchnorm`."""

    _over_processes = True


SYNCED[BatchNormAct2d] = SyncBatchNormAct2d


class InstanceNormAct2d(nn.Module):
    """Instance norm (Ulyanov et al. 2016) and an activation, in one pass.

    Each feature map is normalised over its own positions. The leading arguments, the parameters
    and the buffers are those of :class:`torch.nn.InstanceNorm2d`, so state dicts fit either layer.

    Args:
        num_features: channels of the input.
        eps: term added to the variance.
        momentum: share of a new batch in the running averages.
        affine: learn a scale ``weight`` and a shift ``bias`` per channel.
        track_running_stats: keep running averages, which evaluation uses in place of the image's.
        device, dtype: of parameters and running averages.
        act, gain: activation and a factor of its result; see :func:`fastgan.ops.adaptive_norm`.

    Shape:
        x ``[N, num_features, *]`` → the same, in the dtype of x. A ``residual`` of that shape is
        added to the result. A feature map of one pixel becomes zero.

    Raises:
        ValueError: an argument is out of range, or ``x`` has another shape.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        act: str = "linear",
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        check_at_least(1, num_features=num_features)
        torch_activation_options(act, None, gain, None)
        if momentum is None or not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be a number from 0 to 1, got {momentum!r}")
        self.num_features, self.act, self.gain = num_features, act, gain
        self.eps, self.momentum = eps, momentum
        self.track_running_stats = track_running_stats
        register_statistics(self, num_features, track_running_stats, device, dtype)
        _register_affine(self, num_features, affine, device, dtype)

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        if x.ndim < 2 or x.shape[1] != self.num_features:
            raise ValueError(f"x must have shape [N, {self.num_features}, *], got {list(x.shape)}")
        scale, shift = _modulation(self, x)
        options: dict[str, Any] = {
            "act": self.act, "gain": self.gain, "eps": self.eps, "residual": residual,
        }  # fmt: skip
        if self.running_mean is None:
            return ops.adaptive_norm(x, scale, shift, **options)
        if not self.training:
            mean, var = self.running_mean, self.running_var
            return ops.adaptive_norm(x, scale, shift, mean=mean, var=var, **options)
        y, mean, var = ops.adaptive_norm_with_stats(x, scale, shift, over="sample", **options)
        self._keep(mean.mean(0), var.mean(0), x[0, 0].numel())
        return y

    @torch.no_grad()
    def _keep(self, mean: Tensor, var: Tensor, positions: int) -> None:
        """Move the running averages; the variance is made unbiased first, as torch does."""
        assert self.running_mean is not None and self.running_var is not None
        unbiased = var * (positions / max(positions - 1, 1))
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)

    def extra_repr(self) -> str:
        return _repr(self)


def _register_affine(
    layer: nn.Module, num_features: int, affine: bool, device: Any, dtype: Any
) -> None:
    factory = {"device": device, "dtype": dtype}
    weight = nn.Parameter(torch.ones(num_features, **factory)) if affine else None
    bias = nn.Parameter(torch.zeros(num_features, **factory)) if affine else None
    layer.register_parameter("weight", weight)
    layer.register_parameter("bias", bias)


def _modulation(
    layer: BatchNormAct2d | InstanceNormAct2d, x: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    """Return scale and shift as ``adaptive_norm`` takes them: ``weight - 1`` and ``bias``."""
    scale = None if layer.weight is None else (layer.weight - 1).to(x.dtype)
    return scale, None if layer.bias is None else layer.bias.to(x.dtype)


def _repr(layer: BatchNormAct2d | InstanceNormAct2d) -> str:
    return (
        f"{layer.num_features}, eps={layer.eps}, momentum={layer.momentum}, "
        f"affine={layer.weight is not None}, track_running_stats={layer.track_running_stats}, "
        f"act={layer.act!r}"
    )
