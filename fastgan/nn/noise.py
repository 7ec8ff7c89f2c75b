from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn


class NoiseInjection(nn.Module):
    """Noise of a learned strength, shared by all channels of a pixel.

    Karras et al. 2019, section 3.

    Args:
        resolution: size of the constant noise, a number or ``(height, width)``; None for no
            constant noise.
        channels: number of channels, each with a strength, as in StyleGAN; None for a single
            strength, as in StyleGAN2.

    Shape:
        ``[N, C, H, W]`` → the same.

    The strength starts at zero. The constant noise is drawn once and is in the state dict.
    """

    constant_buffers: ClassVar[tuple[str, ...]] = ("const",)
    """Buffers that training never changes."""
    const: Tensor | None

    def __init__(
        self, resolution: int | Sequence[int] | None = None, *, channels: int | None = None
    ) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(() if channels is None else (channels, 1, 1)))
        size = (resolution, resolution) if isinstance(resolution, int) else resolution
        self.register_buffer("const", None if size is None else torch.randn(tuple(size)))

    def forward(self, x: Tensor, noise: Tensor | str | None = None) -> Tensor:
        """Return ``x`` with noise added; ``noise`` is that of :meth:`noise`."""
        return x + self.noise(x.shape, noise).to(x.dtype)

    def noise(self, shape: Sequence[int], noise: Tensor | str | None = None) -> Tensor:
        """Return the noise for images of ``shape``, times the strength, for another op to add.

        Args:
            shape: ``[N, C, H, W]``.
            noise: None draws from N(0, 1), ``"const"`` takes the constant noise; or a tensor
                ``[H, W]``, ``[1, 1, H, W]`` or ``[N, 1, H, W]``.

        Returns:
            ``[N, 1, H, W]`` or ``[1, 1, H, W]`` in the dtype of the strength; with ``channels`` the
            second size is the number of channels.

        Raises:
            TypeError: ``noise`` is neither None, ``"const"`` nor a tensor.
            ValueError: ``shape`` or the noise has another shape, or there is no constant noise.
        """
        if len(shape) != 4:
            raise ValueError(f"shape must be [N, C, H, W], got {list(shape)}")
        n, _, height, width = shape
        if noise is None:
            device, dtype = self.strength.device, self.strength.dtype
            return self.strength * torch.randn((n, 1, height, width), device=device, dtype=dtype)
        if isinstance(noise, str) and noise == "const":
            if self.const is None:
                raise ValueError(
                    "noise must not be 'const' for a layer without constant noise; "
                    "create the layer with resolution="
                )
            noise = self.const
        if not isinstance(noise, Tensor):
            raise TypeError(f"noise must be None, 'const' or a tensor, got {noise!r}")
        allowed = [(height, width), (1, 1, height, width), (n, 1, height, width)]
        if tuple(noise.shape) not in allowed:
            raise ValueError(
                f"noise must have shape [{height}, {width}], [1, 1, {height}, {width}] or "
                f"[{n}, 1, {height}, {width}], got {list(noise.shape)}"
            )
        return self.strength * noise.to(self.strength.dtype).reshape(-1, 1, height, width)

    def extra_repr(self) -> str:
        return "" if self.const is None else f"resolution={list(self.const.shape)}"
