"""UNIT's auto-encoders with a shared latent space (Liu, Breuel and Kautz 2017, section 3 and appendix)."""

from __future__ import annotations

from torch import Tensor, nn

from fastgan.networks.translation.layers import (
    DownConv2d,
    ResidualBlock,
    UpConv2d,
    as_input,
    check_widths,
    init_by_fan_in,
    norm_act,
)
from fastgan.nn import Conv2d


class UNITGenerator(nn.Module):
    """Images of one domain ``[N, channels, H, W]`` in [-1, 1] → of another, by way of a latent space that domains share.

    Each domain has an encoder of three convolutions and residual blocks, and a decoder that mirrors it; the encoders' last
    residual block and the decoders' first are the same layers for all domains. Latents are normal with a variance of 1
    around what :meth:`encode` gives, ``[N, 4·ngf, H/4, W/4]``: noise is added where it is drawn, outside.

    As in the paper there are three convolutions and four residual blocks to a side, LeakyReLU, and tanh behind a last 1×1
    convolution. Residual blocks are as wide as the layer before them. Unlike the paper's, all domains start with the same
    weights, drawn at a scale that goes with a layer's width.

    Args:
        domains: how many.
        ngf: channels behind the first layer.
        blocks: residual blocks to a side that belong to a domain; one more is shared.
        norm: ``instance``, ``batch`` or ``none``.

    Raises:
        ValueError: an argument is out of range; images or latents are of another shape; there is no such domain.
    """

    def __init__(
        self,
        channels: int = 3,
        *,
        domains: int = 2,
        ngf: int = 64,
        blocks: int = 3,
        norm: str = "instance",
    ) -> None:
        super().__init__()
        check_widths(channels=channels, domains=domains, ngf=ngf, blocks=blocks + 1)
        self.channels, self.domains, self.latent_channels = channels, domains, 4 * ngf
        self.encoders = nn.ModuleList(
            nn.Sequential(
                Conv2d(channels, ngf, 7, padding=3, bias=False, padding_mode="reflect"),
                norm_act(norm, ngf, "lrelu"),
                DownConv2d(ngf, 2 * ngf),
                norm_act(norm, 2 * ngf, "lrelu"),
                DownConv2d(2 * ngf, 4 * ngf),
                norm_act(norm, 4 * ngf, "lrelu"),
                *(ResidualBlock(4 * ngf, norm=norm) for _ in range(blocks)),
            )
            for _ in range(domains)
        )
        self.to_latent = ResidualBlock(4 * ngf, norm=norm)
        self.from_latent = ResidualBlock(4 * ngf, norm=norm)
        self.decoders = nn.ModuleList(
            nn.Sequential(
                *(ResidualBlock(4 * ngf, norm=norm) for _ in range(blocks)),
                UpConv2d(4 * ngf, 2 * ngf),
                norm_act(norm, 2 * ngf, "lrelu"),
                UpConv2d(2 * ngf, ngf),
                norm_act(norm, ngf, "lrelu"),
                Conv2d(ngf, channels, 1, act="tanh"),
            )
            for _ in range(domains)
        )
        self.apply(init_by_fan_in)
        # Domains start alike, so a latent means the same in all: else light may become dark by chance.
        for networks in (self.encoders, self.decoders):
            first, *others = networks
            for other in others:
                other.load_state_dict(first.state_dict())

    def encode(self, images: Tensor, domain: int) -> Tensor:
        """The mean of the latents of images of a domain, ``[N, 4·ngf, H/4, W/4]``."""
        x = as_input(images, "UNIT's images", self.channels, 4, least=8)
        latents: Tensor = self.to_latent(self.encoders[self._known(domain)](x))
        return latents

    def decode(self, latents: Tensor, domain: int) -> Tensor:
        """Images of a domain, ``[N, channels, H, W]`` in [-1, 1], of latents ``[N, 4·ngf, H/4, W/4]``."""
        x = as_input(latents, "UNIT's latents", self.latent_channels, least=2)
        images: Tensor = self.decoders[self._known(domain)](self.from_latent(x))
        return images

    def forward(self, x: Tensor, source: int | None, target: int | None) -> Tensor:
        """Images of domain ``source`` as ones of domain ``target``, without noise; None stands for the latent space."""
        latents = x if source is None else self.encode(x, source)
        return latents if target is None else self.decode(latents, target)

    def _known(self, domain: int) -> int:
        if not 0 <= domain < self.domains:
            raise ValueError(f"UNIT's domain must be from 0 to {self.domains - 1}, got {domain}")
        return domain
