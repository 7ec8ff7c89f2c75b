from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from fastgan.nn.equalized import EqualLinear
from fastgan.ops._checks import as_dtype, check_at_least, under_autocast


class FourierInput(nn.Module):
    """Learned mixture of Fourier features on a grid, rotated and translated by each image's style.

    It is the input of StyleGAN3's synthesis (Karras et al. 2021, section 3.1). Frequencies are
    drawn uniformly from the disc of radius ``bandwidth``. Together with the phases they are in the
    state dict. The image proper spans [-½, ½] along both axes, x to the right and y down.

    Args:
        style_dim: length of ``w``.
        channels: number of features.
        size: (height, width) of the grid, or one number.
        sampling_rate: samples per image along an axis.
        bandwidth: highest frequency, in cycles per image; less than half the sampling rate.

    Shape:
        w ``[N, style_dim]`` → ``[N, channels, height, width]``, channels_last, in the dtype of
        the parameters, under autocast too.

    Raises:
        ValueError: an argument is out of range, or an input has another shape.
    """

    constant_buffers: ClassVar[tuple[str, ...]] = ("transform", "freqs", "phases")
    """Buffers that training never changes."""
    transform: Tensor
    freqs: Tensor
    phases: Tensor

    def __init__(
        self,
        style_dim: int,
        channels: int,
        size: int | Sequence[int],
        *,
        sampling_rate: float,
        bandwidth: float,
    ) -> None:
        super().__init__()
        check_at_least(1, style_dim=style_dim, channels=channels)
        height, width = (size, size) if isinstance(size, int) else tuple(size)
        check_at_least(1, height=height, width=width)
        if not 0 < bandwidth < sampling_rate / 2 < math.inf:
            raise ValueError(
                f"bandwidth must be between 0 and half of sampling_rate, {sampling_rate / 2}, "
                f"got {bandwidth!r}"
            )
        self.size, self.sampling_rate, self.bandwidth = (height, width), sampling_rate, bandwidth
        self.affine = EqualLinear(style_dim, 4)
        with torch.no_grad():
            # Neither a rotation nor a translation at first.
            self.affine.weight.zero_()
            assert self.affine.bias is not None
            self.affine.bias[0] = 1
        self.weight = nn.Parameter(torch.randn(channels, channels))
        v = torch.randn(channels, 2)
        squares = v.square().sum(1, keepdim=True)
        # 1 - exp(-‖v‖²/2) is uniform, so exp(-‖v‖²/4) is the root of a uniform number.
        self.register_buffer("freqs", v * squares.rsqrt() * (-squares / 4).exp() * bandwidth)
        self.register_buffer("phases", torch.rand(channels) - 0.5)
        self.register_buffer("transform", torch.eye(3))

    def forward(self, w: Tensor, transform: Tensor | None = None) -> Tensor:
        """Return the features.

        Args:
            w: style vectors ``[N, style_dim]``.
            transform: matrix ``[3, 3]`` or ``[N, 3, 3]`` from a place in the frame to the place
                whose content it shows: the inverse of the image's motion. None takes the buffer
                ``transform``, the identity at first.
        """
        if w.ndim != 2 or w.shape[1] != self.affine.weight.shape[1]:
            raise ValueError(
                f"w must have shape [N, {self.affine.weight.shape[1]}], got {list(w.shape)}"
            )
        w = as_dtype(w, self.weight.dtype)
        if not under_autocast(w):
            return self._features(w, transform)
        with torch.autocast(w.device.type, enabled=False):
            return self._features(w, transform)

    def _features(self, w: Tensor, transform: Tensor | None) -> Tensor:
        moved = self._moved(w, transform)
        # Products are elementwise: a matrix product may round to TF32, far too coarse for a phase.
        x, y = (self.freqs[:, i] for i in (0, 1))
        phases = self.phases + x * moved[:, 0, 2, None] + y * moved[:, 1, 2, None]
        fx = x * moved[:, 0, 0, None] + y * moved[:, 1, 0, None]
        fy = x * moved[:, 0, 1, None] + y * moved[:, 1, 1, None]
        # Beyond the band features fade out, until they are gone at half the sampling rate.
        excess = (fx.square() + fy.square()).sqrt() - self.bandwidth
        amplitudes = (1 - excess / (self.sampling_rate / 2 - self.bandwidth)).clamp(0, 1)
        rows, columns = (self._places(n, w) for n in self.size)
        angles = (fy[:, None] * rows[:, None])[:, :, None] + (
            phases[:, None] + fx[:, None] * columns[:, None]
        )[:, None]
        features = (angles * (2 * math.pi)).sin() * amplitudes[:, None, None]
        weight = self.weight * (1 / math.sqrt(self.weight.shape[1]))
        return torch.nn.functional.linear(features, weight).permute(0, 3, 1, 2)

    def _moved(self, w: Tensor, transform: Tensor | None) -> Tensor:
        """Return the rows ``[N, 2, 3]`` of the product of the style's motion and the transform."""
        transform = self.transform if transform is None else transform
        if tuple(transform.shape) not in ((3, 3), (w.shape[0], 3, 3)):
            raise ValueError(
                f"transform must have shape [3, 3] or [{w.shape[0]}, 3, 3], "
                f"got {list(transform.shape)}"
            )
        transform = as_dtype(transform, w.dtype)
        motion = self.affine(w)
        c, s, x, y = (motion / motion[:, :2].norm(dim=1, keepdim=True)).unbind(1)
        # A rotation of the translated frame.
        rows = [[c, -s, s * y - c * x], [s, c, -s * x - c * y]]
        own = torch.stack([torch.stack(row, 1) for row in rows], 1)
        return (own[:, :, :, None] * transform[..., None, :, :]).sum(2)

    def _places(self, count: int, like: Tensor) -> Tensor:
        """Return the places of ``count`` samples, in images, around 0."""
        steps = torch.arange(count, dtype=like.dtype, device=like.device)
        return (steps + (0.5 - count / 2)) / self.sampling_rate

    def extra_repr(self) -> str:
        return (
            f"channels={self.weight.shape[0]}, size={self.size}, "
            f"sampling_rate={self.sampling_rate}, bandwidth={self.bandwidth}"
        )
