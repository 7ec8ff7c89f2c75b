"""Embedded classifier of handwritten digits: labels for mode coverage, features for distances."""

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
"""File of the float16 weights, written by ``python -m tools.train_digit_classifier``."""

SHA256 = "d7bcb34b517438cfc663ee22aaaf6c0007cd5847d213740278bcab3f2d60e015"
"""SHA-256 of ``WEIGHTS``."""

RESOLUTION = 32
"""Height and width of the network's input in pixels."""
NUM_CLASSES = 10
"""Number of digits."""
NUM_FEATURES = 64
"""Length of a feature vector."""
_CHUNK = 512


class DigitClassifier(nn.Module):
    """Classifier of digits on 32x32 grey images, padded like those of ``mnist5k``.

    - 5x5 convolution with stride 2 to 16 channels at 16x16.
    - Convolution to 32 channels, max pooling to 8x8.
    - Convolution to 48 channels, max pooling to 4x4.
    - Convolution to 64 channels.
    - Linear layer to 64 features, linear layer to 10 logits.

    Batch norm and ReLU follow each convolution, ReLU the features.

    ``forward`` takes float32 ``[N, 1, 32, 32]`` in [-1, 1] and is differentiable, for training.
    ``logits`` and ``features`` take generated images of any size.
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
        """Return class scores before softmax; their argmax is the digit.

        Args:
            images: ``[N, 1 to 4, H, W]`` in [-1, 1], of any float dtype and resolution. Digits are
                white on black. Alpha is composited over mid grey, and colours are averaged.

        Returns:
            float32 ``[N, 10]``.

        Raises:
            TypeError: ``images`` isn't floating-point.
            ValueError: ``images`` has another shape.
            NonFiniteError: a value is infinite or NaN.
        """
        return self._in_chunks(self.forward, images, NUM_CLASSES)

    def features(self, images: Tensor) -> Tensor:
        """Return the last hidden layer after its ReLU.

        Args:
            images: as for ``logits``.

        Returns:
            float32 ``[N, 64]``.

        Raises:
            TypeError: ``images`` isn't floating-point.
            ValueError: ``images`` has another shape.
            NonFiniteError: a value is infinite or NaN.
        """
        return self._in_chunks(self._penultimate, images, NUM_FEATURES)

    @torch.no_grad()
    def classify(self, features: Tensor) -> Tensor:
        """Return the logits ``[N, 10]`` of features ``[N, 64]``."""
        logits: Tensor = self.head(features.to(self.head.weight))
        return logits

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
    """Load the trained classifier: float32, on the CPU, in evaluation mode, frozen.

    Args:
        path: file of the weights.
        sha256: expected SHA-256 of the file (hex); None skips the check.

    Raises:
        MetricError: the file is missing, unreadable or not the expected one.
    """
    return load_embedded(
        DigitClassifier(),
        path,
        sha256=sha256,
        what="digit classifier",
        command="python -m tools.train_digit_classifier",
        error=MetricError,
    )
