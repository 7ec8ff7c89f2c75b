"""DCGAN's generator and discriminator (Radford, Metz, Chintala 2016, section 3 and figure 1).

All convolutions are 4×4 and bias-free. From 4×4 on, each stage of G doubles the resolution and halves the
channels, ending with `ngf` channels at half the image's resolution; D mirrors it. At 64×64 with ngf = ndf =
64 that is the paper's 512·4·4 → 256 → 128 → 64 → 3. No stage is wider than 8·ngf, so at 128 and 256 the
first ones keep the paper's 512 channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastgan.nn import BiasAct, Conv2d

RESOLUTIONS = (16, 32, 64, 128, 256)


def stage_widths(resolution: int, base: int) -> list[int]:
    """Channels at 4×4, 8×8, …, resolution/2. Raises ValueError unless resolution is one of RESOLUTIONS."""
    if resolution not in RESOLUTIONS:
        raise ValueError(f"DCGAN's resolution must be one of {RESOLUTIONS}, not {resolution}")
    stages = resolution.bit_length() - 3  # log2(resolution) - 2
    return [base * min(2**i, 8) for i in reversed(range(stages))]


class DCGANGenerator(nn.Module):
    """z `[N, z_dim]` → images `[N, channels, resolution, resolution]` in [-1, 1].

    Batch norm and ReLU after every layer but the last, which is tanh without batch norm.
    """

    def __init__(self, resolution: int = 64, channels: int = 3, *, z_dim: int = 100, ngf: int = 64) -> None:
        super().__init__()
        self.z_dim = z_dim
        widths = stage_widths(resolution, ngf)
        layers: list[nn.Module] = []
        for i, (fan_in, fan_out) in enumerate(zip([z_dim, *widths], widths)):
            stride, padding = (2, 1) if i else (1, 0)
            layers += [
                nn.ConvTranspose2d(fan_in, fan_out, 4, stride, padding, bias=False),
                nn.BatchNorm2d(fan_out),
                BiasAct(None, act="relu", gain=1),
            ]
        layers += [
            nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False),
            BiasAct(None, act="tanh", gain=1),
        ]
        self.layers = nn.Sequential(*layers)
        self.apply(init_weights)

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.layers(z[:, :, None, None])
        return images


class DCGANDiscriminator(nn.Module):
    """Images `[N, channels, resolution, resolution]` in [-1, 1] → logits `[N]`.

    LeakyReLU(0.2) after every layer but the last, batch norm in all but the first and the last.
    """

    def __init__(self, resolution: int = 64, channels: int = 3, *, ndf: int = 64) -> None:
        super().__init__()
        widths = stage_widths(resolution, ndf)[::-1]
        layers: list[nn.Module] = []
        for i, (fan_in, fan_out) in enumerate(zip([channels, *widths], widths)):
            layers.append(Conv2d(fan_in, fan_out, 4, 2, 1, bias=False))
            if i:
                layers.append(nn.BatchNorm2d(fan_out))
            layers.append(BiasAct(None, act="lrelu", gain=1))
        layers.append(Conv2d(widths[-1], 1, 4, bias=False))
        self.layers = nn.Sequential(*layers)
        self.apply(init_weights)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits.flatten()


@torch.no_grad()
def init_weights(module: nn.Module) -> None:
    """Draws convolution weights from N(0, 0.02) and batch norm scales from N(1, 0.02), in place."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
