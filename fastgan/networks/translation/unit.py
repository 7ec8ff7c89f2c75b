"""Auto-encoders of UNIT with a shared latent space.

Liu, Breuel and Kautz 2017, section 3 and appendix.
"""

from __future__ import annotations

from torch import Tensor, nn

from fastgan.networks.checks import check_at_least
from fastgan.networks.translation.layers import (
    DownConv2d,
    ResidualBlock,
    UpConv2d,
    as_input,
    init_by_fan_in,
    norm_act,
)
from fastgan.nn import Conv2d


class UNITGenerator(nn.Module):
    """Map images of one domain ``[N, channels, H, W]`` in [-1, 1] to another by shared latents.

    Each domain has an encoder of three convolutions and residual blocks, and a mirrored decoder.
    The encoders' last residual block and the decoders' first are shared by all domains. Latents are
    normal with variance 1 around the result of :meth:`encode`, ``[N, 4·ngf, H/4, W/4]``; callers
    add the noise.

    As in the paper a side has three convolutions and four residual blocks, LeakyReLU, and tanh
    after a last 1×1 convolution. Residual blocks are as wide as the layer before them. In contrast
    to the paper, all domains start with the same weights, at a scale that depends on the layer's
    width.

    Args:
        channels: channels of the images.
        domains: number of domains.
        ngf: channels after the first layer.
        blocks: residual blocks of a domain on each side; one more is shared.
        norm: ``instance``, ``batch`` or ``none``.

    Raises:
        ValueError: an argument is out of range, images or latents have another shape, or a domain
            doesn't exist.
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
        check_at_least(1, channels=channels, domains=domains, ngf=ngf)
        check_at_least(0, blocks=blocks)
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
        # Equal weights give a latent the same meaning in all domains: no domain starts inverted.
        for networks in (self.encoders, self.decoders):
            first, *others = networks
            for other in others:
                other.load_state_dict(first.state_dict())

    def encode(self, images: Tensor, domain: int) -> Tensor:
        """Return the mean of the latents of a domain's images, ``[N, 4·ngf, H/4, W/4]``."""
        x = as_input(images, "UNIT's images", self.channels, 4, least=8)
        latents: Tensor = self.to_latent(self.encoders[self._known(domain)](x))
        return latents

    def decode(self, latents: Tensor, domain: int) -> Tensor:
        """Return images of a domain, ``[N, channels, H, W]`` in [-1, 1].

        Args:
            latents: ``[N, 4·ngf, H/4, W/4]``.
            domain: index of the domain.
        """
        x = as_input(latents, "UNIT's latents", self.latent_channels, least=2)
        images: Tensor = self.decoders[self._known(domain)](self.from_latent(x))
        return images

    def forward(self, x: Tensor, source: int | None, target: int | None) -> Tensor:
        """Map images of domain ``source`` to domain ``target``, without noise.

        None for either stands for the latent space.
        """
        latents = x if source is None else self.encode(x, source)
        return latents if target is None else self.decode(latents, target)

    def _known(self, domain: int) -> int:
        """Return the domain, or raise ValueError where it doesn't exist."""
        if not 0 <= domain < self.domains:
            raise ValueError(f"domain must be from 0 to {self.domains - 1}, got {domain}")
        return domain
