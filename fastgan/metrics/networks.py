"""Shared parts of networks for measures: checks of images, and embedded weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastgan.errors import FastganError
from fastgan.metrics.checks import require_finite, warn_of_range
from fastgan.networks.alpha import over_mid_grey

Network = TypeVar("Network", bound=nn.Module)


def check_images(
    images: Tensor, *, measure: str, name: str = "images", alpha: bool = False
) -> None:
    """Check images ``[N, 1 or 3, H, W]``, and warn of those far outside [-1, 1].

    Args:
        images: the images.
        measure: name of the measure, for messages.
        name: name of the argument, for messages.
        alpha: accept 2 and 4 channels too.

    Raises:
        TypeError: ``images`` isn't a floating-point tensor.
        ValueError: ``images`` has another shape.
        NonFiniteError: a value is infinite or NaN.
    """
    if not isinstance(images, Tensor) or not images.is_floating_point():
        kind = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise TypeError(
            f"{name} must be a floating-point tensor in [-1, 1], got {kind}: convert an array with "
            f"torch.from_numpy, and uint8 with fastgan.data.to_float."
        )
    channels = (1, 2, 3, 4) if alpha else (1, 3)
    if images.ndim != 4 or images.shape[1] not in channels or 0 in images.shape[2:]:
        expected = "[N, 1 to 4, H, W]" if alpha else "[N, 1 or 3, H, W]"
        raise ValueError(f"{name} must be {expected}, got {list(images.shape)}")
    require_finite(measure, **{name: images})
    warn_of_range(images)


class EmbeddedClassifier(nn.Module):
    """Classifier of small images: convolutions, one hidden layer of features, one of logits.

    A subclass makes ``body``, ``hidden``, ``head`` and ``dropout``.

    ``forward`` takes images as the network sees them and is differentiable, for training.
    ``logits`` and ``features`` take generated images of any size.

    Attributes:
        measure: what the classifier reads, for messages.
        channels: 1 to average colours, 3 to give grey images three equal channels.
        resolution: height and width of the network's input in pixels.
        chunk: images at a time.
    """

    measure: ClassVar[str]
    channels: ClassVar[int]
    resolution: int
    chunk: ClassVar[int]
    body: nn.Module
    hidden: nn.Linear
    head: nn.Linear
    dropout: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.dropout(self._penultimate(x))))

    def logits(self, images: Tensor) -> Tensor:
        """Return class scores before softmax.

        Args:
            images: ``[N, 1 to 4, H, W]`` in [-1, 1], of any float dtype and resolution. Alpha is
                composited over mid grey.

        Returns:
            float32 ``[N, K]``.

        Raises:
            TypeError: ``images`` isn't floating-point.
            ValueError: ``images`` has another shape.
            NonFiniteError: a value is infinite or NaN.
        """
        return self._in_chunks(self.forward, images, self.head.out_features)

    def features(self, images: Tensor) -> Tensor:
        """Return the hidden layer after its ReLU.

        Args:
            images: as for ``logits``.

        Returns:
            float32 ``[N, D]``.

        Raises:
            TypeError: ``images`` isn't floating-point.
            ValueError: ``images`` has another shape.
            NonFiniteError: a value is infinite or NaN.
        """
        return self._in_chunks(self._penultimate, images, self.hidden.out_features)

    @torch.no_grad()
    def classify(self, features: Tensor) -> Tensor:
        """Return the logits ``[N, K]`` of features ``[N, D]``."""
        return cast(Tensor, self.head(features.to(self.head.weight)))

    def _penultimate(self, x: Tensor) -> Tensor:
        return F.relu(self.hidden(self.body(x).flatten(1)))

    def _in_chunks(self, network: Callable[[Tensor], Tensor], images: Tensor, width: int) -> Tensor:
        check_images(images, measure=self.measure, alpha=True)
        images = over_mid_grey(images)
        if len(images) == 0:
            return torch.empty(0, width, device=self.head.weight.device)
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                parts = images.split(self.chunk)
                return torch.cat([network(self._prepare(part)) for part in parts])
        finally:
            self.train(was_training)

    def _prepare(self, images: Tensor) -> Tensor:
        x = images.to(self.head.weight)
        x = x.mean(dim=1, keepdim=True) if self.channels == 1 else x.expand(-1, 3, -1, -1)
        size = (self.resolution, self.resolution)
        if x.shape[-2:] != size:
            x = F.interpolate(x, size=size, mode="bilinear", antialias=True)
        return x


def convolution_block(
    inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1
) -> list[nn.Module]:
    """Return a convolution with batch norm and ReLU."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]


def load_embedded(
    network: Network,
    path: Path,
    *,
    sha256: str | None,
    what: str,
    command: str,
    error: type[FastganError],
) -> Network:
    """Load embedded weights into a network; return it frozen and in evaluation mode.

    Args:
        network: the network.
        path: ``.safetensors`` file of the weights.
        sha256: expected SHA-256 of the file (hex); None skips the check.
        what: name of the network, for messages.
        command: command that trains the network, for messages.
        error: class of the errors.

    Raises:
        FastganError: an ``error``, if the file is missing, unreadable or not the expected one.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        content = path.read_bytes()
    except OSError as problem:
        raise error(
            f"The {what} {str(path)!r} can't be read ({problem.strerror or problem}): "
            f"reinstall fastgan or run {command}."
        ) from problem
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise error(
            f"The {what} {str(path)!r} isn't the file that fastgan ships (its SHA-256 differs): "
            f"reinstall fastgan."
        )
    try:
        network.load_state_dict(load(content))
    except (SafetensorError, RuntimeError) as problem:
        raise error(
            f"{str(path)!r} doesn't hold the weights of the {what}: use a file of {command}."
        ) from problem
    return network.eval().requires_grad_(False)
