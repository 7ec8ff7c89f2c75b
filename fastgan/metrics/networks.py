"""Shared parts of networks for measures: checks of images, and embedded weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from fastgan.errors import FastganError
from fastgan.metrics.checks import require_finite, warn_of_range

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
