"""Discriminators of patches, and of patches at several scales.

Isola et al. 2017, appendix 6.1.2; Wang et al. 2018.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan.networks.checks import check_at_least, check_choice, check_shape
from fastgan.networks.labels import no_labels
from fastgan.networks.protocol import DiscriminatorOutput
from fastgan.networks.translation.layers import as_input, init_normal, norm_act
from fastgan.nn import Conv2d

HALVINGS = {1: 0, 16: 1, 34: 2, 70: 3, 142: 4, 286: 5}
"""Number of layers of stride 2 by the size of a patch in pixels."""


def min_image_size(patch: int) -> int:
    """Return the smallest height and width of images with a logit of this patch size."""
    halvings = HALVINGS[patch]
    # Halving leaves 3 pixels, the 4×4 convolutions 2 and then 1.
    return 3 * 2**halvings if halvings else 1


class PatchDiscriminator(nn.Module):
    """Map images ``[N, channels, H, W]`` in [-1, 1] to logits ``[N, 1, h, w]``, one per patch.

    4×4 convolutions with LeakyReLU(0.2): some of stride 2, one of stride 1, and one to a logit. The
    paper's 70×70 is C64-C128-C256-C512, its 1×1 has convolutions C64-C128 of 1×1. All layers but
    the first and the last have a norm.

    Args:
        channels: channels of the images.
        label_channels: channels of labels ``[N, label_channels, H, W]``, an image or map that
            images are judged with; 0 for none.
        patch: pixels that a logit depends on: 1, 16, 34, 70, 142 or 286.
        ndf: channels after the first layer; they double, up to 8·ndf.
        norm: ``instance``, ``batch`` or ``none``.

    Raises:
        ValueError: an argument is out of range, or images or labels have another shape or are too
            small for a logit.
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
        check_choice("patch", patch, tuple(HALVINGS))
        check_at_least(1, channels=channels, ndf=ndf)
        check_at_least(0, label_channels=label_channels)
        self.channels, self.label_channels = channels, label_channels
        halvings = HALVINGS[patch]
        kernel, padding = (4, 1) if halvings else (1, 0)
        self.min_size = min_image_size(patch)
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
        """Return the output of every layer, the logits last."""
        x = append_labels(images, labels, self.channels, self.label_channels)
        x = as_input(x, "the discriminator's images", x.shape[1], least=self.min_size, kernel=4)
        outputs = []
        for layer in self.layers:
            x = layer(x)
            outputs.append(x)
        return outputs

    def features(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return the output of every layer before the logits, ``[N, C, h, w]`` each.

        Feature matching compares them (Wang et al. 2018, section 3.3).
        """
        return tuple(self.stages(images, labels)[:-1])

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.stages(images, labels)[-1]


class MultiScaleDiscriminator(nn.Module):
    """Map images ``[N, channels, H, W]`` to logits ``[N, 1, h, w]`` and features of every scale.

    The output is a :class:`fastgan.networks.DiscriminatorOutput`, the finest scale first. Each
    scale is a :class:`PatchDiscriminator`. Each next scale halves the images by means over 3×3
    pixels. :func:`fastgan.nn.apply_spectral_norm` normalises all convolutions in one call.

    Args:
        channels: channels of the images.
        scales: number of scales; three in pix2pixHD, two in SPADE.
        label_channels, patch, ndf, norm: as in :class:`PatchDiscriminator`.

    Raises:
        ValueError: an argument is out of range, or images or labels have another shape or are too
            small for the coarsest scale.
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
        check_at_least(1, channels=channels, scales=scales)
        check_at_least(0, label_channels=label_channels)
        self.channels, self.label_channels = channels, label_channels
        self.scales = nn.ModuleList(
            PatchDiscriminator(channels + label_channels, patch=patch, ndf=ndf, norm=norm)
            for _ in range(scales)
        )

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        x = append_labels(images, labels, self.channels, self.label_channels)
        logits, features = [], []
        for i, scale in enumerate(self.scales):
            assert isinstance(scale, PatchDiscriminator)
            if i:
                x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
            *of_layers, last = scale.stages(x)
            logits.append(last)
            features.append(tuple(of_layers))
        return DiscriminatorOutput(tuple(logits), tuple(features))


def append_labels(
    images: Tensor, labels: Tensor | None, channels: int, label_channels: int
) -> Tensor:
    """Append labels ``[N, label_channels, H, W]`` to the channels of images.

    Raises:
        ValueError: images or labels have another shape, or labels are missing or not wanted.
    """
    check_shape("the discriminator's images", images, channels, "H", "W")
    if not label_channels:
        no_labels(labels)
        return images
    count, _, *sides = images.shape
    name = "the discriminator's labels"
    check_shape(name, labels, label_channels, *sides, count=count, floating=False)
    assert labels is not None
    return torch.cat([images, labels.to(images.dtype)], 1)
