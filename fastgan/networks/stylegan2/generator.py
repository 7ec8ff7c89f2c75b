"""Generator of StyleGAN2: a mapping network and skip synthesis.

Karras et al. 2020, sections 2 and 4, figure 7b.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from fastgan import ops
from fastgan.networks.checks import check_at_least, check_choice, check_shape
from fastgan.networks.half import cast_by_hand, is_half
from fastgan.networks.stylegan2._sizes import (
    RESOLUTIONS,
    channels_at,
    check_half,
    check_sizes,
    image_size,
)
from fastgan.networks.stylegan2.mapping import MappingNetwork
from fastgan.nn import ModulatedConv2d
from fastgan.nn.scaling import scaled_together

NoiseMode = Literal["random", "const", "none"]
NOISE_MODES = ("random", "const", "none")


class SynthesisBlock(nn.Module):
    """Two modulated 3×3 convolutions with noise, the first one upsampling, and ``torgb``.

    Features ``[N, in_channels, H/2, W/2]`` → ``[N, out_channels, H, W]``; ``torgb`` adds an image
    of that size. The first block, with ``in_channels`` 0, has a learned constant in place of the
    first convolution.

    Args:
        in_channels, out_channels: channels of input and output features.
        w_dim: length of w.
        size: (H, W) of the output.
        image_channels: channels of the image.
        half: compute features in half precision under autocast.
        clamp: bound of the layers' outputs.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        size: tuple[int, int],
        image_channels: int,
        *,
        half: bool = False,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.half_precision = half
        options: dict[str, Any] = {"resolution": size, "clamp": clamp}
        self.const = None if in_channels else nn.Parameter(torch.randn(out_channels, *size))
        self.conv0 = None
        if in_channels:
            self.conv0 = ModulatedConv2d(in_channels, out_channels, 3, w_dim, up=2, **options)
        self.conv1 = ModulatedConv2d(out_channels, out_channels, 3, w_dim, **options)
        self.torgb = ModulatedConv2d(
            out_channels,
            image_channels,
            1,
            w_dim,
            act="linear",
            demodulate=False,
            noise=False,
            clamp=clamp,
        )

    @property
    def num_convs(self) -> int:
        """Number of layers with a w of their own.

        ``torgb`` takes the w of the next block's first layer.
        """
        return 1 if self.conv0 is None else 2

    def layers(self) -> list[ModulatedConv2d]:
        """Return the modulated convolutions in the order of their calls."""
        first = [] if self.conv0 is None else [self.conv0]
        return [*first, self.conv1, self.torgb]

    def forward(
        self,
        x: Tensor | None,
        image: Tensor | None,
        ws: list[Tensor],
        noise_mode: NoiseMode,
        *,
        half: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        """Return the features and the image.

        Args:
            x, image: outputs of the previous block; None for the first.
            ws: an ``[N, w_dim]`` for each convolution and one for ``torgb``.
            noise_mode: as in :meth:`SynthesisNetwork.forward`.
            half: dtype of features in blocks for half precision.
        """
        noise = None if noise_mode == "random" else noise_mode
        dtype = half if self.half_precision else ws[0].dtype
        if self.conv0 is None:
            assert self.const is not None
            x = self.const.to(dtype).expand(ws[0].shape[0], -1, -1, -1)
            x = x.contiguous(memory_format=torch.channels_last)
        else:
            assert x is not None
            x = self.conv0(x.to(dtype), ws[0], noise)
        x = self.conv1(x, ws[-2], noise)
        new = self.torgb(x, ws[-1])
        if image is None:
            return x, new.to(ws[0].dtype)
        return x, ops.upsample2d(image, self.conv1.filter) + new


class SynthesisNetwork(nn.Module):
    """Map w ``[N, num_ws, w_dim]`` to images ``[N, channels, H, W]``.

    Blocks are ``b4``, ``b8``, … up to the resolution. The arguments are those of
    :class:`StyleGAN2Generator`.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        w_dim: int,
        *,
        channel_base: int,
        channel_max: int,
        half_resolutions: int = 0,
        conv_clamp: float | None = None,
        base: tuple[int, int] = (4, 4),
    ) -> None:
        super().__init__()
        check_sizes(resolution, channels, channel_base, channel_max, base)
        check_half(half_resolutions, conv_clamp)
        check_at_least(1, w_dim=w_dim)
        self.w_dim, self.image_size = w_dim, image_size(resolution, base)
        self.resolutions = [4, *(r for r in RESOLUTIONS if r <= resolution)]
        width = 0
        for r in self.resolutions:
            before, width = width, channels_at(r, channel_base, channel_max)
            # The highest resolutions have the largest features. The first block stays in float32.
            half = is_half(r, resolution, half_resolutions)
            block = SynthesisBlock(
                before, width, w_dim, image_size(r, base), channels, half=half, clamp=conv_clamp
            )
            self.add_module(f"b{r}", block)
        self.num_ws = sum(block.num_convs for block in self.blocks()) + 1

    def blocks(self) -> list[SynthesisBlock]:
        """Return the blocks, from the lowest resolution to the highest."""
        return [getattr(self, f"b{r}") for r in self.resolutions]

    def forward(self, ws: Tensor, *, noise_mode: NoiseMode = "random") -> Tensor:
        """Return images ``[N, channels, H, W]`` in the dtype of ``ws``.

        Values lie around [-1, 1] and are not clipped. Under autocast the blocks for half precision
        compute in its dtype.

        Args:
            ws: ``[N, num_ws, w_dim]``.
            noise_mode: ``random`` draws noise for every image, ``const`` takes the constant noise
                of the layers, ``none`` adds none.

        Raises:
            ValueError: ``ws`` has another shape, or ``noise_mode`` is unknown.
        """
        check_shape("ws", ws, self.num_ws, self.w_dim)
        check_choice("noise_mode", noise_mode, NOISE_MODES)
        return cast_by_hand(self._images, ws, noise_mode)

    def _images(self, ws: Tensor, noise_mode: NoiseMode, half: torch.dtype) -> Tensor:
        """Return the images; blocks for half precision compute in the dtype ``half``."""
        w = ws.unbind(1)
        x = image = None
        first = 0
        blocks = self.blocks()
        affine = [layer.affine for block in blocks for layer in block.layers()]
        casts = half != ws.dtype
        halves = [layer for b in blocks if b.half_precision and casts for layer in b.layers()]
        with scaled_together(affine, halves, half):
            for block in blocks:
                own = list(w[first : first + block.num_convs + 1])
                x, image = block(x, image, own, noise_mode, half=half)
                first += block.num_convs
        assert image is not None
        return image


class StyleGAN2Generator(nn.Module):
    """Map z ``[N, z_dim]`` to images ``[N, channels, H, W]``, around [-1, 1].

    Args:
        resolution: a power of two from 8 to 1024; images are ``base`` times resolution/4.
        channels: channels of the images, 1 to 4.
        z_dim, w_dim: lengths of the latent vectors.
        c_dim: number of classes, or length of other labels; 0 for none.
        mapping_layers, mapping_lr_multiplier, w_avg_beta: ``num_layers``, ``lr_multiplier`` and
            ``w_avg_beta`` of :class:`MappingNetwork`.
        channel_base, channel_max: feature maps at resolution ``r`` are
            ``min(channel_base // r, channel_max)``.
        half_resolutions: number of the highest resolutions that compute in half precision under
            autocast, in its dtype. The rest computes in that of the parameters.
        conv_clamp: bound of the layers' outputs; 256 keeps float16 from overflowing. None for none.
        base: (height, width) of the learned constant; (4, 8) makes images twice as wide as high.

    Raises:
        ValueError: an argument is out of range.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset(
        {"truncate", "noise", "interpolate", "project"}
    )
    """Ways to steer it, names of ``fastgan.CAPABILITIES``."""

    def __init__(
        self,
        resolution: int = 256,
        channels: int = 3,
        *,
        z_dim: int = 512,
        w_dim: int = 512,
        c_dim: int = 0,
        mapping_layers: int = 8,
        mapping_lr_multiplier: float = 0.01,
        w_avg_beta: float | None = 0.998,
        channel_base: int = 32768,
        channel_max: int = 512,
        half_resolutions: int = 0,
        conv_clamp: float | None = None,
        base: tuple[int, int] = (4, 4),
    ) -> None:
        super().__init__()
        base = (base[0], base[1]) if len(base) == 2 else base
        check_at_least(1, z_dim=z_dim)
        self.config: dict[str, Any] = {
            "resolution": resolution, "channels": channels, "z_dim": z_dim, "w_dim": w_dim,
            "c_dim": c_dim, "mapping_layers": mapping_layers,
            "mapping_lr_multiplier": mapping_lr_multiplier, "w_avg_beta": w_avg_beta,
            "channel_base": channel_base, "channel_max": channel_max,
            "half_resolutions": half_resolutions, "conv_clamp": conv_clamp, "base": base,
        }  # fmt: skip
        self.resolution, self.channels = resolution, channels
        self.z_dim, self.w_dim, self.c_dim = z_dim, w_dim, c_dim
        self.synthesis = SynthesisNetwork(
            resolution, channels, w_dim, channel_base=channel_base, channel_max=channel_max,
            half_resolutions=half_resolutions, conv_clamp=conv_clamp, base=base,
        )  # fmt: skip
        self.num_ws = self.synthesis.num_ws
        self.mapping = MappingNetwork(
            z_dim, c_dim, w_dim, num_ws=self.num_ws, num_layers=mapping_layers,
            lr_multiplier=mapping_lr_multiplier, w_avg_beta=w_avg_beta,
        )  # fmt: skip

    def forward(
        self,
        z: Tensor,
        labels: Tensor | None = None,
        *,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        noise_mode: NoiseMode = "random",
        update_w_avg: bool = False,
    ) -> Tensor:
        """Return ``synthesis(mapping(z, labels))``; the arguments are those of the two."""
        ws = self.mapping(
            z,
            labels,
            truncation_psi=truncation_psi,
            truncation_cutoff=truncation_cutoff,
            update_w_avg=update_w_avg,
        )
        images: Tensor = self.synthesis(ws, noise_mode=noise_mode)
        return images
