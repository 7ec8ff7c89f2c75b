"""Embedded reader of drawn faces: their traits from pixels, and features for distances."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from fastgan.data.faces import TRAITS
from fastgan.metrics.errors import MetricError
from fastgan.metrics.networks import EmbeddedClassifier, convolution_block, load_embedded

WEIGHTS = Path(__file__).with_name("face_reader.safetensors")
"""File of the float16 weights, written by ``python -m tools.train_face_reader``."""

SHA256 = "cd62061f93f9dace5a619b061766bbc71067e0f3bb6dcc0c91c93d0c61f25baf"
"""SHA-256 of ``WEIGHTS``."""

RESOLUTION = 64
"""Height and width of the network's input in pixels."""
NUM_FEATURES = 96
"""Length of a feature vector."""
_WIDTHS = [len(values) for values in TRAITS.values()]


class FaceReading(NamedTuple):
    """Traits that the reader sees in N faces.

    Attributes:
        traits: positions in ``TRAITS``, int64 ``[N]`` by the trait's name.
        confidence: probability of the value that was read, float32 ``[N]`` by the trait's name.
    """

    traits: dict[str, Tensor]
    confidence: dict[str, Tensor]


class FaceReader(EmbeddedClassifier):
    """Classifier of every trait of the data set ``faces``, on 64×64 images in colour.

    - Convolution to 16 channels, max pooling to 32x32.
    - Convolution to 32 channels, max pooling to 16x16.
    - Convolution to 48 channels, max pooling to 8x8.
    - Two convolutions to 64 channels, max pooling to 4x4.
    - Linear layer to 96 features, linear layer to one logit per value of each trait.

    Batch norm and ReLU follow each convolution, ReLU the features. Grey images become three equal
    channels. The logits ``[N, 43]`` are those of all traits (see ``split_traits``).
    """

    key, name, sha256, resolution = "faces", "faces", SHA256, RESOLUTION
    preparation = "resized to 64×64 (bilinear, antialiased)"
    measure, channels, chunk = "traits of faces", 3, 256

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution_block(3, 16),
            nn.MaxPool2d(2),
            *convolution_block(16, 32),
            nn.MaxPool2d(2),
            *convolution_block(32, 48),
            nn.MaxPool2d(2),
            *convolution_block(48, 64),
            *convolution_block(64, 64),
            nn.MaxPool2d(2),
        )
        self.hidden = nn.Linear(64 * 4 * 4, NUM_FEATURES)
        self.head = nn.Linear(NUM_FEATURES, sum(_WIDTHS))
        self.dropout = nn.Dropout(0.1)

    def read(self, images: Tensor) -> FaceReading:
        """Read the traits of faces.

        Args:
            images: as for ``logits``.

        Raises:
            TypeError: ``images`` isn't floating-point.
            ValueError: ``images`` has another shape.
            NonFiniteError: a value is infinite or NaN.
        """
        best = {
            name: part.softmax(dim=1).max(dim=1)
            for name, part in split_traits(self.logits(images)).items()
        }
        return FaceReading(
            {name: found.indices for name, found in best.items()},
            {name: found.values for name, found in best.items()},
        )


def split_traits(logits: Tensor) -> dict[str, Tensor]:
    """Return each trait's part of the logits ``[N, 43]``."""
    return dict(zip(TRAITS, logits.split(_WIDTHS, dim=1)))


def load_face_reader(path: Path = WEIGHTS, *, sha256: str | None = SHA256) -> FaceReader:
    """Load the trained reader: float32, on the CPU, in evaluation mode, frozen.

    Args:
        path: file of the weights.
        sha256: expected SHA-256 of the file (hex); None skips the check.

    Raises:
        MetricError: the file is missing, unreadable or not the expected one.
    """
    return load_embedded(
        FaceReader(),
        path,
        sha256=sha256,
        what="reader of faces",
        command="python -m tools.train_face_reader",
        error=MetricError,
    )
