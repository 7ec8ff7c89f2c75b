"""Normalisation whose scale and shift come from a condition: :func:`fastgan.ops.adaptive_norm` as layers."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan import ops
from fastgan.nn.conv2d import Conv2d
from fastgan.nn.equalized import EqualLinear, _check_sizes
from fastgan.nn.sync_batch_norm import SYNCED, batch_moments
from fastgan.ops._activations import activation_options


class _BatchNorm(nn.Module):
    """Normalises over the batch in training, by running averages in evaluation; buffers as torch's batch norm has them."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    _over_processes = False

    def __init__(
        self, channels: int, act: str, eps: float, momentum: float, gain: float | None = None
    ) -> None:
        super().__init__()
        _check_sizes(channels=channels)
        activation_options(act, None, gain, None)
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be a number from 0 to 1, got {momentum!r}")
        self.channels, self.act, self.eps, self.momentum, self.gain = (
            channels,
            act,
            eps,
            momentum,
            gain,
        )
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def _normalise(
        self, x: Tensor, scale: Tensor, shift: Tensor, residual: Tensor | None = None
    ) -> Tensor:
        """``[N, channels, H, W]`` with ``scale``, ``shift``, ``residual`` as :func:`fastgan.ops.adaptive_norm` has them."""
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise ValueError(f"x must have shape [N, {self.channels}, H, W], got {list(x.shape)}")
        options: dict[str, Any] = {
            "act": self.act, "gain": self.gain, "eps": self.eps, "residual": residual,
        }  # fmt: skip
        if not self.training:
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
                f"x must hold at least 2 values per channel in training, got shape {list(x.shape)}; call .eval() to use "
                "the running averages"
            )
        y, mean, var = ops.adaptive_norm_with_stats(x, scale, shift, **options)
        self._keep(mean, var * (count / (count - 1)))
        return y

    @torch.no_grad()
    def _keep(self, mean: Tensor, var: Tensor) -> None:
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(var.to(self.running_var.dtype), self.momentum)


class ConditionalBatchNorm2d(_BatchNorm):
    """Batch norm whose scale and shift are linear in a condition (de Vries et al. 2017), and an activation, in one pass.

    ``y = act(x̂·(1 + A·cond) + B·cond)`` with ``x̂`` normalised over batch and positions in training, by running averages
    in evaluation. ``A`` and ``B`` start at zero: at first the layer is a batch norm without parameters.

    Args:
        channels: of the image.
        cond_dim: length of the condition; with ``embedding`` the number of classes.
        embedding: the condition is a class: ``A`` and ``B`` are tables of a row for each.
        act: activation as in :func:`fastgan.ops.bias_act`, with its default gain.
        eps: added to the variance.
        momentum: share of a new batch in the running averages.

    Shape:
        ``[N, channels, H, W]`` and ``[N, cond_dim]``, or with ``embedding`` int64 ``[N]`` → ``[N, channels, H, W]``, in the
        dtype of the input: the parameters are cast to it.

    Buffers ``running_mean``, ``running_var`` (of the unbiased variance) and ``num_batches_tracked`` as those of
    :class:`torch.nn.BatchNorm2d`. :func:`fastgan.nn.sync_batch_norm` makes the batch that of all processes.
    """

    def __init__(
        self,
        channels: int,
        cond_dim: int,
        *,
        embedding: bool = False,
        act: str = "linear",
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(channels, act, eps, momentum)
        _check_sizes(cond_dim=cond_dim)
        self.cond_dim, self.embedding = cond_dim, embedding
        self.scale, self.shift = (
            nn.Embedding(cond_dim, channels)
            if embedding
            else nn.Linear(cond_dim, channels, bias=False)
            for _ in range(2)
        )
        for layer in (self.scale, self.shift):
            nn.init.zeros_(layer.weight)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        shape = [x.shape[0]] if self.embedding else [x.shape[0], self.cond_dim]
        if list(cond.shape) != shape:
            raise ValueError(
                f"cond must have shape {shape} for x of shape {list(x.shape)}, got {list(cond.shape)}"
            )
        if self.embedding:
            scale, shift = self.scale(cond), self.shift(cond)
        else:
            cond = cond.to(self.scale.weight.dtype)
            scale, shift = self.scale(cond), self.shift(cond)
        return self._normalise(x, scale.to(x.dtype), shift.to(x.dtype))

    def extra_repr(self) -> str:
        return f"{self.channels}, {self.cond_dim}, embedding={self.embedding}, act={self.act!r}"


class SyncConditionalBatchNorm2d(ConditionalBatchNorm2d):
    """:class:`ConditionalBatchNorm2d` whose batch is that of all ranks; see :func:`fastgan.nn.sync_batch_norm`."""

    _over_processes = True


class AdaIN(nn.Module):
    """Adaptive instance norm (Huang & Belongie 2017) as a style layer (Karras et al. 2019), and an activation, in one pass.

    ``y = act(x̂·(1 + scale) + shift)``, ``x̂`` normalised over the positions of each sample, ``scale`` and ``shift`` linear in
    ``w`` by :class:`EqualLinear`, whose bias starts at zero.

    Args:
        channels: of the image.
        w_dim: length of the style vector.
        act: activation as in :func:`fastgan.ops.bias_act`, with its default gain.
        eps: added to the variance.

    Shape:
        ``[N, channels, *]`` and ``[N, w_dim]`` → ``[N, channels, *]``, in the dtype of the input.
    """

    def __init__(
        self, channels: int, w_dim: int, *, act: str = "linear", eps: float = 1e-5
    ) -> None:
        super().__init__()
        _check_sizes(channels=channels, w_dim=w_dim)
        activation_options(act, None, None, None)
        self.channels, self.act, self.eps = channels, act, eps
        self.style = EqualLinear(w_dim, 2 * channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        if x.ndim < 2 or x.shape[1] != self.channels:
            raise ValueError(f"x must have shape [N, {self.channels}, *], got {list(x.shape)}")
        scale, shift = self.style(w).to(x.dtype).chunk(2, dim=1)
        return ops.adaptive_norm(x, scale, shift, act=self.act, eps=self.eps)

    def extra_repr(self) -> str:
        return f"{self.channels}, act={self.act!r}"


class SPADE(_BatchNorm):
    """Batch norm whose scale and shift at each position are convolved from a map (Park et al. 2019), and an activation.

    The map is resized to the image (nearest), goes through a 3×3 convolution with relu, and from there through two of them
    to ``scale`` and ``shift``.

    Args:
        channels: of the image.
        map_channels: of the map, such as the number of classes of a segmentation.
        hidden: channels between the convolutions; 128 in the paper.
        act, gain: activation and what it is multiplied by, as in :func:`fastgan.ops.bias_act`.
        eps: added to the variance.
        momentum: share of a new batch in the running averages.

    Shape:
        ``[N, channels, H, W]`` and ``[N, map_channels, *, *]`` → ``[N, channels, H, W]``, in the dtype of the input.

    Buffers, and batches over several processes, as for :class:`ConditionalBatchNorm2d`.
    """

    def __init__(
        self,
        channels: int,
        map_channels: int,
        *,
        hidden: int = 128,
        act: str = "linear",
        gain: float | None = None,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(channels, act, eps, momentum, gain)
        _check_sizes(map_channels=map_channels, hidden=hidden)
        self.shared = Conv2d(map_channels, hidden, 3, padding=1, act="relu", gain=1.0)
        self.scale = Conv2d(hidden, channels, 3, padding=1)
        self.shift = Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, segmentation: Tensor) -> Tensor:
        shape = [x.shape[0], self.shared.in_channels]
        if segmentation.ndim != 4 or list(segmentation.shape[:2]) != shape:
            raise ValueError(
                f"segmentation must have shape {[*shape, '*', '*']} for x of shape {list(x.shape)}, "
                f"got {list(segmentation.shape)}"
            )
        resized = F.interpolate(segmentation.to(self.shared.weight.dtype), size=x.shape[2:])
        h = self.shared(resized)
        return self._normalise(x, self.scale(h).to(x.dtype), self.shift(h).to(x.dtype))

    def extra_repr(self) -> str:
        return f"{self.channels}, act={self.act!r}"


class SyncSPADE(SPADE):
    """:class:`SPADE` whose batch is that of all ranks; see :func:`fastgan.nn.sync_batch_norm`."""

    _over_processes = True


SYNCED[ConditionalBatchNorm2d] = SyncConditionalBatchNorm2d
SYNCED[SPADE] = SyncSPADE
