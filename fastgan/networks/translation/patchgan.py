"""Discriminators of patches (Isola et al. 2017, appendix 6.1.2) and of patches at several scales (Wang et al. 2018)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan.networks.labels import no_labels
from fastgan.networks.protocol import DiscriminatorOutput
from fastgan.networks.translation.layers import as_input, check_widths, init_normal, norm_act
from fastgan.nn import Conv2d

#: Layers of stride 2 by the size of the patch that a logit sees, in pixels.
HALVINGS = {1: 0, 16: 1, 34: 2, 70: 3, 142: 4, 286: 5}


def least_size(patch: int) -> int:
    """Return the least height and width of images that a :class:`PatchDiscriminator` makes a logit of."""
    halvings = HALVINGS[patch]
    # Leaves 3 pixels, of which 4×4 makes 2, then 1.
    return 3 * 2**halvings if halvings else 1


class PatchDiscriminator(nn.Module):
    """Images ``[N, channels, H, W]`` in [-1, 1] → logits ``[N, 1, h, w]``, one for each patch.

    4×4 convolutions with LeakyReLU(0.2): some of stride 2, one of stride 1, and one to a logit. The paper's 70×70 is
    C64-C128-C256-C512, its 1×1 C64-C128 of 1×1 convolutions. A norm in all layers but the first and the last.

    Args:
        channels: of the images.
        label_channels: channels of ``labels``, an image or map to judge with; 0 for none.
        patch: 1, 16, 34, 70, 142 or 286: pixels that a logit sees.
        ndf: channels behind the first layer; they double, up to 8·ndf.
        norm: ``instance``, ``batch`` or ``none``.

    Raises:
        ValueError: an argument is out of range; images or labels are of another shape or too small for a logit.
    """

    def __init__(
        self,
        channels: int = 3,
        *,
        label_channels: int = 0,
        patch: int = 70,
        ndf: int = 64,
        norm: str = "instance",
    ) -> None:
        super().__init__()
        if patch not in HALVINGS:
            raise ValueError(f"patch must be one of {', '.join(map(str, HALVINGS))}, got {patch}")
        check_widths(channels=channels, label_channels=label_channels + 1, ndf=ndf)
        self.channels, self.label_channels = channels, label_channels
        halvings = HALVINGS[patch]
        kernel, padding = (4, 1) if halvings else (1, 0)
        self.least = least_size(patch)
        self.layers = nn.ModuleList()
        fan_in = channels + label_channels
        for i in range(halvings + 1 or 2):
            fan_out = ndf * min(2**i, 8)
            stride = 2 if i < halvings else 1
            if i == 0:
                self.layers.append(Conv2d(fan_in, fan_out, kernel, stride, padding, act="lrelu"))
            else:
                conv = Conv2d(fan_in, fan_out, kernel, stride, padding, bias=False)
                self.layers.append(nn.Sequential(conv, norm_act(norm, fan_out, "lrelu")))
            fan_in = fan_out
        self.layers.append(Conv2d(fan_in, 1, kernel, 1, padding))
        self.apply(init_normal)

    def stages(self, images: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """What every layer gives, the logits last; feature matching compares them (Wang et al. 2018, section 3.3)."""
        x = joined(images, labels, self.channels, self.label_channels)
        x = as_input(x, "the discriminator's images", x.shape[1], least=self.least, kernel=4)
        found = []
        for layer in self.layers:
            x = layer(x)
            found.append(x)
        return found

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.stages(images, labels)[-1]


class MultiScaleDiscriminator(nn.Module):
    """Images ``[N, channels, H, W]`` → logits ``[N, 1, h, w]`` and features of every scale.

    The output is a :class:`fastgan.networks.DiscriminatorOutput`, the finest scale first. Each scale is a
    :class:`PatchDiscriminator` of its own; from one scale to the next images are halved by means over 3×3 pixels.
    :func:`fastgan.nn.apply_spectral_norm` normalises all its convolutions in one call.

    Args:
        scales: how many; three in pix2pixHD, two in SPADE.
        channels, label_channels, patch, ndf, norm: as :class:`PatchDiscriminator` has them.

    Raises:
        ValueError: an argument is out of range; images or labels are of another shape or too small for the coarsest.
    """

    def __init__(
        self,
        channels: int = 3,
        *,
        scales: int = 3,
        label_channels: int = 0,
        patch: int = 70,
        ndf: int = 64,
        norm: str = "instance",
    ) -> None:
        super().__init__()
        check_widths(scales=scales)
        self.channels, self.label_channels = channels, label_channels
        self.scales = nn.ModuleList(
            PatchDiscriminator(channels + label_channels, patch=patch, ndf=ndf, norm=norm)
            for _ in range(scales)
        )

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        x = joined(images, labels, self.channels, self.label_channels)
        logits, features = [], []
        for i, scale in enumerate(self.scales):
            assert isinstance(scale, PatchDiscriminator)
            if i:
                x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
            *of_layers, last = scale.stages(x)
            logits.append(last)
            features.append(tuple(of_layers))
        return DiscriminatorOutput(tuple(logits), tuple(features))


def joined(images: Tensor, labels: Tensor | None, channels: int, label_channels: int) -> Tensor:
    """Return images with the channels of their labels ``[N, label_channels, H, W]`` behind them.

    Raises:
        ValueError: images or labels have another shape, or labels are missing or not wanted.
    """
    if images.ndim != 4 or images.shape[1] != channels:
        raise ValueError(
            f"the discriminator's images must have shape [N, {channels}, H, W], "
            f"got {list(images.shape)}"
        )
    if not label_channels:
        no_labels(labels)
        return images
    shape = [images.shape[0], label_channels, *images.shape[2:]]
    if labels is None or list(labels.shape) != shape:
        got = "none" if labels is None else list(labels.shape)
        raise ValueError(f"the discriminator's labels must have shape {shape}, got {got}")
    return torch.cat([images, labels.to(images.dtype)], 1)
