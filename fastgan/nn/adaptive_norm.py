"""Norms whose scale and shift depend on a condition, over :func:`fastgan.ops.adaptive_norm`."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan import ops
from fastgan.nn.conv2d import Conv2d
from fastgan.nn.equalized import EqualLinear
from fastgan.nn.sync_batch_norm import SYNCED, batch_moments
from fastgan.ops._activations import torch_activation_options
from fastgan.ops._checks import check_at_least


class _BatchNorm(nn.Module):
    """Base of the batch norms: batch statistics in training, running averages in evaluation.

    Buffers have the names of :class:`torch.nn.BatchNorm2d`; they are None without
    ``track_running_stats``, and then evaluation takes batch statistics too.
    """

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    _over_processes = False

    def __init__(
        self,
        num_features: int,
        act: str,
        eps: float,
        momentum: float | None,
        gain: float = 1.0,
        *,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_at_least(1, num_features=num_features)
        torch_activation_options(act, None, gain, None)
        if momentum is not None and not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be None or a number from 0 to 1, got {momentum!r}")
        self.num_features, self.act, self.gain = num_features, act, gain
        self.eps, self.momentum = eps, momentum
        self.track_running_stats = track_running_stats
        register_statistics(self, num_features, track_running_stats, device, dtype)

    def _normalise(
        self,
        x: Tensor,
        scale: Tensor | None,
        shift: Tensor | None,
        residual: Tensor | None = None,
    ) -> Tensor:
        """Normalise ``x`` ``[N, num_features, H, W]``; the rest as in :func:`ops.adaptive_norm`."""
        if x.ndim != 4 or x.shape[1] != self.num_features:
            raise ValueError(
                f"x must have shape [N, {self.num_features}, H, W], got {list(x.shape)}"
            )
        options: dict[str, Any] = {
            "act": self.act, "gain": self.gain, "eps": self.eps, "residual": residual,
        }  # fmt: skip
        if not self.training and self.running_mean is not None:
            mean, var = self.running_mean, self.running_var
            return ops.adaptive_norm(x, scale, shift, mean=mean, var=var, **options)
        if self._over_processes and dist.is_initialized():
            mean, var, total = batch_moments(x)
            y = ops.adaptive_norm(x, scale, shift, mean=mean, var=var, **options)
            self._keep(mean.detach(), var.detach() * total / (total - 1))
            return y
        count = x.numel() // x.shape[1]
        if count < 2:
            raise ValueError(
                "x must hold at least 2 values per channel for batch statistics, got shape "
                f"{list(x.shape)}; call .eval() to use the running averages"
            )
        y, mean, var = ops.adaptive_norm_with_stats(x, scale, shift, **options)
        self._keep(mean, var * (count / (count - 1)))
        return y

    @torch.no_grad()
    def _keep(self, mean: Tensor, var: Tensor) -> None:
        """Move the running averages in training; momentum None keeps the mean of all batches."""
        if not self.training or self.running_mean is None:
            return
        assert self.running_var is not None and self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        dtype = self.running_mean.dtype
        share: Any = self.momentum
        if share is None:
            share = (1 / self.num_batches_tracked).to(dtype)
        self.running_mean.lerp_(mean.to(dtype), share)
        self.running_var.lerp_(var.to(dtype), share)


def register_statistics(
    layer: nn.Module, num_features: int, track: bool, device: Any, dtype: Any
) -> None:
    """Register running mean and variance as torch's norms do: float32 ``[C]``, or None."""
    factory = {"device": device, "dtype": dtype}
    layer.register_buffer("running_mean", torch.zeros(num_features, **factory) if track else None)
    layer.register_buffer("running_var", torch.ones(num_features, **factory) if track else None)
    count = torch.tensor(0, device=device) if track else None
    layer.register_buffer("num_batches_tracked", count)


class ConditionalBatchNorm2d(_BatchNorm):
    """Batch norm with scale and shift linear in a condition, and an activation, in one pass.

    ``y = act(x̂·(1 + A·cond) + B·cond)`` (de Vries et al. 2017). ``x̂`` is ``x`` normalised over
    samples and positions in training, with running averages in evaluation. ``A`` and ``B`` start at
    zero, so the layer starts as a batch norm without parameters.

    Args:
        num_features: channels of the input.
        cond_dim: length of the condition; with ``embedding`` the number of classes.
        embedding: take class indices; ``A`` and ``B`` are then tables with a row per class.
        act: activation as in :func:`fastgan.ops.adaptive_norm`.
        eps: term added to the variance.
        momentum: share of a new batch in the running averages.

    Shape:
        x ``[N, num_features, H, W]`` and cond ``[N, cond_dim]``, with ``embedding`` int64 ``[N]`` →
        ``[N, num_features, H, W]`` in the dtype of x. Parameters are cast to that dtype.

    Raises:
        ValueError: an argument is out of range, ``x`` or ``cond`` has another shape, or batch
            statistics are taken over a single value.

    Buffers are those of :class:`torch.nn.BatchNorm2d`; ``running_var`` is of the unbiased variance.
    :func:`fastgan.nn.convert_sync_batchnorm` takes the statistics over all processes.
    """

    def __init__(
        self,
        num_features: int,
        cond_dim: int,
        *,
        embedding: bool = False,
        act: str = "linear",
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(num_features, act, eps, momentum)
        check_at_least(1, cond_dim=cond_dim)
        self.cond_dim, self.embedding = cond_dim, embedding
        self.scale, self.shift = (
            nn.Embedding(cond_dim, num_features)
            if embedding
            else nn.Linear(cond_dim, num_features, bias=False)
            for _ in range(2)
        )
        for layer in (self.scale, self.shift):
            nn.init.zeros_(layer.weight)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        shape = [x.shape[0]] if self.embedding else [x.shape[0], self.cond_dim]
        if list(cond.shape) != shape:
            raise ValueError(
                f"cond must have shape {shape} for x of shape {list(x.shape)}, "
                f"got {list(cond.shape)}"
            )
        if self.embedding:
            scale, shift = self.scale(cond), self.shift(cond)
        else:
            cond = cond.to(self.scale.weight.dtype)
            scale, shift = self.scale(cond), self.shift(cond)
        return self._normalise(x, scale.to(x.dtype), shift.to(x.dtype))

    def extra_repr(self) -> str:
        return f"{self.num_features}, {self.cond_dim}, embedding={self.embedding}, act={self.act!r}"


class SyncConditionalBatchNorm2d(ConditionalBatchNorm2d):
    """:class:`ConditionalBatchNorm2d` over all ranks; see :func:`convert_sync_batchnorm`."""

    _over_processes = True


class AdaIN(nn.Module):
    """Adaptive instance norm as a style layer, and an activation, in one pass.

    ``y = act(x̂·(1 + scale) + shift)`` (Huang and Belongie 2017; Karras et al. 2019). ``x̂`` is
    ``x`` normalised over the positions of each feature map. ``scale`` and ``shift`` are linear in
    ``w``, by an :class:`EqualLinear` whose bias starts at zero.

    Args:
        num_features: channels of the input.
        w_dim: length of the style vector.
        act: activation as in :func:`fastgan.ops.adaptive_norm`.
        eps: term added to the variance.

    Shape:
        x ``[N, num_features, *]`` and w ``[N, w_dim]`` → ``[N, num_features, *]`` in the dtype of
        x.

    Raises:
        ValueError: an argument is out of range, or ``x`` has another shape.
    """

    def __init__(
        self, num_features: int, w_dim: int, *, act: str = "linear", eps: float = 1e-5
    ) -> None:
        super().__init__()
        check_at_least(1, num_features=num_features, w_dim=w_dim)
        torch_activation_options(act, None, 1.0, None)
        self.num_features, self.act, self.eps = num_features, act, eps
        self.style = EqualLinear(w_dim, 2 * num_features)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        if x.ndim < 2 or x.shape[1] != self.num_features:
            raise ValueError(f"x must have shape [N, {self.num_features}, *], got {list(x.shape)}")
        scale, shift = self.style(w).to(x.dtype).chunk(2, dim=1)
        return ops.adaptive_norm(x, scale, shift, act=self.act, eps=self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_features}, act={self.act!r}"


class SPADE(_BatchNorm):
    """Batch norm with scale and shift for each position, convolved from a map, and an activation.

    The map is resized to the input by nearest neighbour. A 3×3 convolution with relu follows, then
    one 3×3 convolution to the scale and one to the shift (Park et al. 2019).

    Args:
        num_features: channels of the input.
        map_channels: channels of the map, such as the classes of a segmentation.
        hidden: channels between the convolutions; 128 in the paper.
        act, gain: activation and a factor of its result, as in :func:`fastgan.ops.adaptive_norm`.
        eps: term added to the variance.
        momentum: share of a new batch in the running averages.

    Shape:
        x ``[N, num_features, H, W]`` and segmentation ``[N, map_channels, *, *]`` →
        ``[N, num_features, H, W]`` in the dtype of x.

    Raises:
        ValueError: an argument is out of range, ``x`` or ``segmentation`` has another shape, or
            batch statistics are taken over a single value.

    Buffers and statistics over processes are those of :class:`ConditionalBatchNorm2d`.
    """

    def __init__(
        self,
        num_features: int,
        map_channels: int,
        *,
        hidden: int = 128,
        act: str = "linear",
        gain: float = 1.0,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(num_features, act, eps, momentum, gain)
        check_at_least(1, map_channels=map_channels, hidden=hidden)
        self.shared = Conv2d(map_channels, hidden, 3, padding=1, act="relu")
        self.scale = Conv2d(hidden, num_features, 3, padding=1)
        self.shift = Conv2d(hidden, num_features, 3, padding=1)

    def forward(self, x: Tensor, segmentation: Tensor) -> Tensor:
        shape = [x.shape[0], self.shared.in_channels]
        if segmentation.ndim != 4 or list(segmentation.shape[:2]) != shape:
            raise ValueError(
                f"segmentation must have shape {[*shape, '*', '*']} for x of shape "
                f"{list(x.shape)}, got {list(segmentation.shape)}"
            )
        resized = F.interpolate(segmentation.to(self.shared.weight.dtype), size=x.shape[2:])
        h = self.shared(resized)
        return self._normalise(x, self.scale(h).to(x.dtype), self.shift(h).to(x.dtype))

    def extra_repr(self) -> str:
        return f"{self.num_features}, act={self.act!r}"


class SyncSPADE(SPADE):
    """:class:`SPADE` over all ranks; see :func:`convert_sync_batchnorm`."""

    _over_processes = True


SYNCED[ConditionalBatchNorm2d] = SyncConditionalBatchNorm2d
SYNCED[SPADE] = SyncSPADE
