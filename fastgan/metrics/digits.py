"""Embedded classifier of handwritten digits: labels for mode coverage, features for distances."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from fastgan.metrics.errors import MetricError
from fastgan.metrics.networks import EmbeddedClassifier, convolution_block, load_embedded

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


class DigitClassifier(EmbeddedClassifier):
    """Classifier of digits on 32x32 grey images, padded like those of ``mnist5k``.

    - 5x5 convolution with stride 2 to 16 channels at 16x16.
    - Convolution to 32 channels, max pooling to 8x8.
    - Convolution to 48 channels, max pooling to 4x4.
    - Convolution to 64 channels.
    - Linear layer to 64 features, linear layer to 10 logits.

    Batch norm and ReLU follow each convolution, ReLU the features. Digits are white on black.
    The argmax of the logits ``[N, 10]`` is the digit.
    """

    key, name, sha256, resolution = "digits", "digits", SHA256, RESOLUTION
    preparation = "colours averaged, resized to 32×32 (bilinear, antialiased)"
    measure, channels, chunk = "the class of digits", 1, 512

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution_block(1, 16, kernel=5, stride=2),
            *convolution_block(16, 32),
            nn.MaxPool2d(2),
            *convolution_block(32, 48),
            nn.MaxPool2d(2),
            *convolution_block(48, 64),
        )
        self.hidden = nn.Linear(64 * 4 * 4, NUM_FEATURES)
        self.head = nn.Linear(NUM_FEATURES, NUM_CLASSES)
        self.dropout = nn.Dropout(0.3)


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
