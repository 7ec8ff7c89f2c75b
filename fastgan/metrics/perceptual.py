"""Perceptual distance between images, and the embedded network for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastgan.metrics.checks import require_finite, warn_of_range
from fastgan.metrics.errors import MetricError
from fastgan.metrics.networks import load_embedded
from fastgan.networks.alpha import over_mid_grey

WEIGHTS = Path(__file__).with_name("perceptual.safetensors")
"""File of the float16 weights, written by ``python -m tools.train_perceptual``."""

SHA256 = "14150daf3f3aae76dab582126dad01f366011bf88fc6c560143e1ca42a9cb96a"
"""SHA-256 of ``WEIGHTS``."""

WIDTHS = (16, 32, 64, 96)
"""Channels of the features at full size, a half, a quarter and an eighth."""

Features = Callable[[Tensor], Sequence[Tensor]]
"""Function from images ``[N, C, H, W]`` in [-1, 1] to features ``[N, F, h, w]`` by depth."""


class PerceptualNetwork(nn.Module):
    """Features of images ``[N, 1 to 4, H, W]`` in [-1, 1], of any size, at four depths.

    Batch norm and ReLU follow each of six 3x3 convolutions. There are 16 features at full size, 32
    at a half, 64 at a quarter and 96 at an eighth. Grey images become colour images, and alpha is
    composited over mid grey.

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
                f"images of the embedded perceptual network must be [N, 1 to 4, H, W], "
                f"got {list(images.shape)}; pass your own perceptual distance for others"
            )
        x = over_mid_grey(images).expand(-1, 3, -1, -1)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


def _convolutions(*widths: tuple[int, int], stride: int = 1) -> nn.Sequential:
    """Return 3x3 convolutions with these numbers of channels, the first with ``stride``."""
    layers: list[nn.Module] = []
    for i, (inputs, outputs) in enumerate(widths):
        conv = nn.Conv2d(inputs, outputs, 3, stride=1 if i else stride, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class PerceptualDistance(nn.Module):
    """Distance of two images in a network's features: LPIPS with unit weights.

    The distance is ``Σ_l mean_yx ‖f_l(a)/‖f_l(a)‖ - f_l(b)/‖f_l(b)‖‖²`` (Zhang et al. 2018, section
    3). Features of each depth ``l`` are normalised over channels at each position. ``forward``
    takes images ``[N, C, H, W]`` in [-1, 1] and returns float32 ``[N]``, at most 4 per depth.

    As a loss, with images that need a gradient, it doesn't check values, since that would
    synchronise the device and break the graph.

    Args:
        features: the network; None means the embedded one (:func:`load_perceptual_network`).

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
    """Load the trained embedded network: float32, on the CPU, in evaluation mode, frozen.

    It was trained on drawn shapes and handwritten digits in random colours. So its features
    respond to edges, forms, colours, grain and blur, but not to faces or landscapes.

    Args:
        path: file of the weights.
        sha256: expected SHA-256 of the file (hex); None skips the check.

    Raises:
        MetricError: the file is missing, unreadable or not the expected one.
    """
    return load_embedded(
        PerceptualNetwork(),
        path,
        sha256=sha256,
        what="perceptual network",
        command="python -m tools.train_perceptual",
        error=MetricError,
    )
