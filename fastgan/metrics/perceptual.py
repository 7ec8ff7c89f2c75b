"""A perceptual distance between images, and the small network that ships for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastgan.data.images import over_mid_grey
from fastgan.metrics.checks import require_finite, warn_of_range
from fastgan.metrics.errors import MetricError
from fastgan.metrics.networks import load_embedded

WEIGHTS = Path(__file__).with_name("perceptual.safetensors")
"""The shipped weights, float16; ``python -m tools.train_perceptual`` makes them."""

SHA256 = "14150daf3f3aae76dab582126dad01f366011bf88fc6c560143e1ca42a9cb96a"
"""Of the file ``WEIGHTS``."""

WIDTHS = (16, 32, 64, 96)
"""Channels of the features at full size, a half, a quarter and an eighth of it."""

Features = Callable[[Tensor], Sequence[Tensor]]
"""Images ``[N, C, H, W]`` in [-1, 1] to features ``[N, F, h, w]`` at several depths."""


class PerceptualNetwork(nn.Module):
    """Features of images ``[N, 1 to 4, H, W]`` in [-1, 1], any size, at four depths.

    Six 3×3 convolutions, batch norm and ReLU after each: 16 features at full size, 32 at a half, 64 at a quarter,
    96 at an eighth. Grey images are taken as colour ones.

    Raises:
        ValueError: ``images`` has another number of channels or dimensions.
    """

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = WIDTHS
        self.stages = nn.ModuleList(
            [
                _convolutions((3, a)),
                _convolutions((a, b), (b, b), stride=2),
                _convolutions((b, c), (c, c), stride=2),
                _convolutions((c, d), stride=2),
            ]
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        if images.ndim != 4 or not 1 <= images.shape[1] <= 4:
            raise ValueError(
                f"the embedded perceptual network takes images [N, 1 to 4, H, W], got {list(images.shape)}; "
                f"give a perceptual distance of your own for others"
            )
        x = over_mid_grey(images).expand(-1, 3, -1, -1)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


def _convolutions(*widths: tuple[int, int], stride: int = 1) -> nn.Sequential:
    """3×3 convolutions from and to so many channels, the first with ``stride``."""
    layers: list[nn.Module] = []
    for i, (inputs, outputs) in enumerate(widths):
        conv = nn.Conv2d(inputs, outputs, 3, stride=1 if i else stride, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class PerceptualDistance(nn.Module):
    """How differently a network sees two images (LPIPS's form with unit weights: Zhang et al. 2018, section 3).

    ``Σ_l mean_yx ‖f_l(a)/‖f_l(a)‖ - f_l(b)/‖f_l(b)‖‖²``, the features of each depth ``l`` normalised over channels at
    each place: float32 ``[N]``, at most 4 per depth.

    Args:
        features: the network; None takes the embedded one (:func:`load_perceptual_network`).

    As a loss, with images that need a gradient, it looks at no values: a step neither waits nor breaks its graph.

    Raises:
        NonFiniteError: an image holds infinite or NaN values, and none needs a gradient.
    """

    def __init__(self, features: Features | None = None) -> None:
        super().__init__()
        self.features = load_perceptual_network() if features is None else features

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        if not (a.requires_grad or b.requires_grad):
            require_finite("the perceptual distance", a=a, b=b)
            warn_of_range(a)
        depths = zip(self.features(a), self.features(b))
        parts = [
            (F.normalize(x.float(), dim=1) - F.normalize(y.float(), dim=1))
            .square()
            .sum(1)
            .mean((1, 2))
            for x, y in depths
        ]
        return torch.stack(parts).sum(0)


def load_perceptual_network(
    path: Path = WEIGHTS, *, sha256: str | None = SHA256
) -> PerceptualNetwork:
    """The embedded network with its trained weights: float32, on the CPU, in eval mode, frozen.

    Trained on drawn shapes and handwritten digits in random colours (see ``train_perceptual``), it knows edges,
    forms, colours, grain and blur, and nothing of faces or landscapes.

    Args:
        path: another file of the same network.
        sha256: what the file must hash to; None skips the check.

    Raises:
        MetricError: the file is missing, unreadable or not the expected one.
    """
    return load_embedded(
        PerceptualNetwork(),
        path,
        sha256=sha256,
        what="perceptual network",
        made_by="python -m tools.train_perceptual",
        error=MetricError,
    )
