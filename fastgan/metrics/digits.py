"""A small classifier of handwritten digits: labels for mode coverage, features for distances."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastgan.data.images import over_mid_grey
from fastgan.metrics.errors import MetricError
from fastgan.metrics.networks import check_images, load_embedded

WEIGHTS = Path(__file__).with_name("digit_classifier.safetensors")
"""The shipped weights, float16; ``python -m tools.train_digit_classifier`` makes them."""

SHA256 = "d7bcb34b517438cfc663ee22aaaf6c0007cd5847d213740278bcab3f2d60e015"
"""Of the file ``WEIGHTS``."""

RESOLUTION = 32
NUM_CLASSES = 10
NUM_FEATURES = 64
_CHUNK = 512


class DigitClassifier(nn.Module):
    """Four convolutions and two linear layers on 1x32x32, digits framed as ``mnist5k`` frames them.

    Tensor[N, 1, 32, 32] -> 16@16 (5x5, stride 2) -> 32@16, pool -> 48@8, pool -> 64@4 -> 64 features
    -> 10 logits; batch norm and ReLU after each convolution, ReLU on the features.

    ``forward`` takes float32 ``[N, 1, 32, 32]`` in [-1, 1] and is differentiable, for training.
    ``logits`` and ``features`` take what generators make.
    """

    key, name, sha256, resolution = "digits", "digits", SHA256, RESOLUTION
    preparation = "colours averaged, resized to 32×32 (bilinear, antialiased)"

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_block(1, 16, kernel=5, stride=2),
            *_block(16, 32),
            nn.MaxPool2d(2),
            *_block(32, 48),
            nn.MaxPool2d(2),
            *_block(48, 64),
        )
        self.hidden = nn.Linear(64 * 4 * 4, NUM_FEATURES)
        self.head = nn.Linear(NUM_FEATURES, NUM_CLASSES)
        self.dropout = nn.Dropout(0.3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.dropout(self._penultimate(x)))
        return logits

    def logits(self, images: Tensor) -> Tensor:
        """Class scores before softmax, float32 ``[N, 10]``; their argmax is the digit.

        Args:
            images: ``[N, 1 or 3, H, W]`` in [-1, 1], white digits on black, any float dtype and
                any resolution (resized to 32 with antialiasing, colours averaged to grey).

        Raises:
            TypeError: ``images`` isn't floating-point.
            ValueError: wrong shape, or NonFiniteError for infinite or NaN values.
        """
        return self._in_chunks(self.forward, images, NUM_CLASSES)

    def features(self, images: Tensor) -> Tensor:
        """The last hidden layer, after its ReLU: float32 ``[N, 64]``. Takes what ``logits`` takes."""
        return self._in_chunks(self._penultimate, images, NUM_FEATURES)

    @torch.no_grad()
    def classify(self, features: Tensor) -> Tensor:
        """What ``logits`` gives, of features ``[N, 64]``."""
        found: Tensor = self.head(features.to(self.head.weight))
        return found

    def _penultimate(self, x: Tensor) -> Tensor:
        return F.relu(self.hidden(self.body(x).flatten(1)))

    def _in_chunks(self, network: Callable[[Tensor], Tensor], images: Tensor, width: int) -> Tensor:
        check_images(images, measure="the class of digits", alpha=True)
        images = over_mid_grey(images)
        if len(images) == 0:
            return torch.empty(0, width, device=self.head.weight.device)
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                return torch.cat([network(self._prepare(part)) for part in images.split(_CHUNK)])
        finally:
            self.train(was_training)

    def _prepare(self, images: Tensor) -> Tensor:
        x = images.to(self.head.weight).mean(dim=1, keepdim=True)
        if x.shape[-2:] != (RESOLUTION, RESOLUTION):
            x = F.interpolate(x, size=(RESOLUTION, RESOLUTION), mode="bilinear", antialias=True)
        return x


def _block(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]


def load_digit_classifier(path: Path = WEIGHTS, *, sha256: str | None = SHA256) -> DigitClassifier:
    """The classifier with its trained weights: float32, on the CPU, in eval mode, frozen.

    Args:
        path: another file of the same network.
        sha256: what the file must hash to; None skips the check.

    Raises:
        MetricError: the file is missing, unreadable or not the expected one.
    """
    return load_embedded(
        DigitClassifier(),
        path,
        sha256=sha256,
        what="digit classifier",
        made_by="python -m tools.train_digit_classifier",
        error=MetricError,
    )
