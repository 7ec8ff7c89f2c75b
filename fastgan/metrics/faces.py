"""Embedded reader of drawn faces: their traits from pixels, and features for distances."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastgan.data.faces import TRAITS
from fastgan.data.images import over_mid_grey
from fastgan.metrics.errors import MetricError
from fastgan.metrics.networks import check_images, load_embedded

WEIGHTS = Path(__file__).with_name("face_reader.safetensors")
"""File of the float16 weights, written by ``python -m tools.train_face_reader``."""

SHA256 = "cd62061f93f9dace5a619b061766bbc71067e0f3bb6dcc0c91c93d0c61f25baf"
"""SHA-256 of ``WEIGHTS``."""

RESOLUTION = 64
"""Height and width of the network's input in pixels."""
NUM_FEATURES = 96
"""Length of a feature vector."""
_CHUNK = 256
_WIDTHS = [len(values) for values in TRAITS.values()]


class FaceReading(NamedTuple):
    """Traits that the reader sees in N faces.

    Attributes:
        traits: positions in ``TRAITS``, int64 ``[N]`` by the trait's name.
        confidence: probability of the value that was read, float32 ``[N]`` by the trait's name.
    """

    traits: dict[str, Tensor]
    confidence: dict[str, Tensor]


class FaceReader(nn.Module):
    """Classifier of every trait of the data set ``faces``, on 64×64 images in colour.

    - Convolution to 16 channels, max pooling to 32x32.
    - Convolution to 32 channels, max pooling to 16x16.
    - Convolution to 48 channels, max pooling to 8x8.
    - Two convolutions to 64 channels, max pooling to 4x4.
    - Linear layer to 96 features, linear layer to one logit per value of each trait.

    Batch norm and ReLU follow each convolution, ReLU the features.

    ``forward`` takes float32 ``[N, 3, 64, 64]`` in [-1, 1] and is differentiable, for training.
    ``read``, ``logits`` and ``features`` take generated images of any size.
    """

    key, name, sha256, resolution = "faces", "faces", SHA256, RESOLUTION
    preparation = "resized to 64×64 (bilinear, antialiased)"

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_block(3, 16),
            nn.MaxPool2d(2),
            *_block(16, 32),
            nn.MaxPool2d(2),
            *_block(32, 48),
            nn.MaxPool2d(2),
            *_block(48, 64),
            *_block(64, 64),
            nn.MaxPool2d(2),
        )
        self.hidden = nn.Linear(64 * 4 * 4, NUM_FEATURES)
        self.head = nn.Linear(NUM_FEATURES, sum(_WIDTHS))
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.dropout(self._penultimate(x)))
        return logits

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

    def logits(self, images: Tensor) -> Tensor:
        """Return scores before softmax, for the values of each trait (see ``split_traits``).

        Args:
            images: ``[N, 1 to 4, H, W]`` in [-1, 1], of any float dtype and resolution. Alpha is
                composited over mid grey, and grey images become three equal channels.

        Returns:
            float32 ``[N, 43]``.

        Raises:
            TypeError: ``images`` isn't floating-point.
            ValueError: ``images`` has another shape.
            NonFiniteError: a value is infinite or NaN.
        """
        return self._in_chunks(self.forward, images, sum(_WIDTHS))

    def features(self, images: Tensor) -> Tensor:
        """Return the last hidden layer after its ReLU.

        Args:
            images: as for ``logits``.

        Returns:
            float32 ``[N, 96]``.

        Raises:
            TypeError: ``images`` isn't floating-point.
            ValueError: ``images`` has another shape.
            NonFiniteError: a value is infinite or NaN.
        """
        return self._in_chunks(self._penultimate, images, NUM_FEATURES)

    @torch.no_grad()
    def classify(self, features: Tensor) -> Tensor:
        """Return the logits of features ``[N, 96]``."""
        logits: Tensor = self.head(features.to(self.head.weight))
        return logits

    def _penultimate(self, x: Tensor) -> Tensor:
        return F.relu(self.hidden(self.body(x).flatten(1)))

    def _in_chunks(self, network: Callable[[Tensor], Tensor], images: Tensor, width: int) -> Tensor:
        check_images(images, measure="traits of faces", alpha=True)
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
        x = images.to(self.head.weight)
        x = x.expand(-1, 3, -1, -1)
        if x.shape[-2:] != (RESOLUTION, RESOLUTION):
            x = F.interpolate(x, size=(RESOLUTION, RESOLUTION), mode="bilinear", antialias=True)
        return x


def split_traits(logits: Tensor) -> dict[str, Tensor]:
    """Return each trait's part of the logits ``[N, 43]``."""
    return dict(zip(TRAITS, logits.split(_WIDTHS, dim=1)))


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]


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
