"""Generator of StyleGAN (Karras et al. 2019, section 2 and appendix C).

Its discriminator is ProGAN's with filters. Layers have an equalised learning rate and leaky ReLU
with a gain of √2. Images grow from 8×8 on. Bilinear resampling repeats or averages pixels, (1, 1),
and applies the binomial filter (1, 2, 1): together (1, 3, 3, 1).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fastgan.networks.checks import check_at_least, check_choice, check_shape
from fastgan.networks.progan import GrowingGenerator
from fastgan.networks.stylegan2 import MappingNetwork, channels_at
from fastgan.networks.stylegan2._sizes import check_sizes
from fastgan.networks.stylegan2.generator import NOISE_MODES, NoiseMode
from fastgan.nn import AdaIN, BiasAct, EqualConv2d, NoiseInjection

__all__ = ["StyleGANGenerator", "StyleGANSynthesis"]

LOWEST = 8
BILINEAR = (1, 3, 3, 1)


class StyledLayer(nn.Module):
    """Convolution, noise, bias and leaky ReLU, and adaptive instance norm by w.

    Args:
        in_channels: input channels of the 3×3 convolution; 0 for no convolution.
        out_channels: output channels.
        w_dim: length of w.
        resolution: resolution of the output.
        up: 2 upsamples.
    """

    def __init__(
        self, in_channels: int, out_channels: int, w_dim: int, resolution: int, *, up: int = 1
    ) -> None:
        super().__init__()
        self.conv = None
        if in_channels:
            options: dict[str, Any] = {"bias": False, "up": up, "resample_filter": BILINEAR}
            self.conv = EqualConv2d(in_channels, out_channels, 3, **options)
        self.noise = NoiseInjection(resolution, channels=out_channels)
        self.bias_act = BiasAct(out_channels, act="lrelu")
        self.norm = AdaIN(out_channels, w_dim)

    def forward(self, x: Tensor, w: Tensor, noise_mode: NoiseMode) -> Tensor:
        """Map ``[N, in_channels, H, W]``, w ``[N, w_dim]`` to ``[N, out_channels, H·up, W·up]``."""
        if self.conv is not None:
            x = self.conv(x)
        if noise_mode != "none":
            x = self.noise(x, None if noise_mode == "random" else "const")
        y: Tensor = self.norm(self.bias_act(x), w)
        return y


class StyleGANSynthesis(GrowingGenerator):
    """Map w ``[N, num_ws, w_dim]`` to images ``[N, channels, resolution, resolution]``.

    Each resolution from 4×4 on has two styled layers; the first one has a learned constant in place
    of a convolution.

    Args:
        resolution, channels, w_dim, channel_base, channel_max: as in :class:`StyleGANGenerator`.
    """

    def __init__(
        self, resolution: int, channels: int, w_dim: int, *, channel_base: int, channel_max: int
    ) -> None:
        check_sizes(resolution, channels, channel_base, channel_max, (4, 4))
        check_at_least(1, w_dim=w_dim)
        super().__init__(channels, LOWEST, resolution, channel_base, channel_max)
        self.w_dim = w_dim
        widths = {r: channels_at(r, channel_base, channel_max) for r in (4, *self.resolutions)}
        self.const = nn.Parameter(torch.ones(widths[4], 4, 4))
        self.layers = nn.ModuleList(
            [StyledLayer(0, widths[4], w_dim, 4), StyledLayer(widths[4], widths[4], w_dim, 4)]
        )
        for r in self.resolutions:
            self.layers.append(StyledLayer(widths[r // 2], widths[r], w_dim, r, up=2))
            self.layers.append(StyledLayer(widths[r], widths[r], w_dim, r))
        self.num_ws = len(self.layers)

    @property
    def active(self) -> int:
        """Number of layers that run at the current level."""
        return 2 * (self.level + 2)

    def forward(
        self, ws: Tensor, *, noise_mode: NoiseMode = "random", enlarge: bool = True
    ) -> Tensor:
        """Return images, around [-1, 1].

        Args:
            ws: ``[N, num_ws, w_dim]``, with the styles of layers that don't run yet.
            noise_mode: ``random`` draws noise for every image, ``const`` takes the constant noise
                of the layers, ``none`` adds none.
            enlarge: False returns images at the current resolution.

        Raises:
            ValueError: ``ws`` has another shape, or ``noise_mode`` is unknown.
        """
        check_shape("ws", ws, self.num_ws, self.w_dim)
        check_choice("noise_mode", noise_mode, NOISE_MODES)
        x = (
            self.const.to(ws.dtype)
            .expand(ws.shape[0], -1, -1, -1)
            .contiguous(memory_format=torch.channels_last)
        )
        below = None
        for i, (layer, w) in enumerate(zip(list(self.layers)[: self.active], ws.unbind(1))):
            if i == self.active - 2:
                below = x
            x = layer(x, w, noise_mode)
        return self.image(below, x, enlarge=enlarge)


class StyleGANGenerator(nn.Module):
    """Map z ``[N, z_dim]`` to images ``[N, channels, resolution, resolution]``, around [-1, 1].

    Args:
        resolution: a power of two from 8 to 1024.
        channels: channels of the images, 1 to 4.
        z_dim, w_dim: lengths of the latent vectors.
        c_dim: number of classes, or length of other labels; 0 for none.
        mapping_layers, mapping_lr_multiplier, w_avg_beta: ``num_layers``, ``lr_multiplier`` and
            ``w_avg_beta`` of :class:`fastgan.networks.stylegan2.MappingNetwork`.
        channel_base, channel_max: feature maps at resolution ``r`` are
            ``min(channel_base // r, channel_max)``.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        resolution: int = 1024,
        channels: int = 3,
        *,
        z_dim: int = 512,
        w_dim: int = 512,
        c_dim: int = 0,
        mapping_layers: int = 8,
        mapping_lr_multiplier: float = 0.01,
        w_avg_beta: float | None = 0.998,
        channel_base: int = 16384,
        channel_max: int = 512,
    ) -> None:
        super().__init__()
        check_at_least(1, z_dim=z_dim)
        self.resolution, self.channels = resolution, channels
        self.z_dim, self.w_dim, self.c_dim = z_dim, w_dim, c_dim
        self.synthesis = StyleGANSynthesis(
            resolution, channels, w_dim, channel_base=channel_base, channel_max=channel_max
        )
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
        enlarge: bool = True,
    ) -> Tensor:
        """Return ``synthesis(mapping(z, labels))``; the arguments are those of the two."""
        ws = self.mapping(
            z, labels, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff,
            update_w_avg=update_w_avg,
        )  # fmt: skip
        images: Tensor = self.synthesis(ws, noise_mode=noise_mode, enlarge=enlarge)
        return images
