"""What networks that look at images share: the images they take, and weights that are files of the package."""

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
        measure: what they are for. name: of the argument. Both for messages.
        alpha: images of 2 and 4 channels are taken too.

    Raises:
        TypeError: no floating-point tensor.
        ValueError: wrong shape.
        NonFiniteError: a value is infinite or NaN.
    """
    if not isinstance(images, Tensor) or not images.is_floating_point():
        found = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise TypeError(
            f"{name} must be a floating-point tensor in [-1, 1], got {found}: "
            "torch.from_numpy makes tensors of arrays, fastgan.data.to_float converts uint8."
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
    made_by: str,
    error: type[FastganError],
) -> Network:
    """The network with the weights of a .safetensors file of the package: in eval mode, frozen.

    Args:
        sha256: what the file must hash to; None skips the check.
        what: the network's name, for messages. made_by: the command that trains it.

    Raises:
        error: the file is missing, unreadable or not the expected one.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        content = path.read_bytes()
    except OSError as problem:
        raise error(
            f"The {what} {str(path)!r} can't be read ({problem.strerror or problem}): reinstall fastgan or run {made_by}."
        ) from problem
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise error(
            f"The {what} {str(path)!r} isn't the file that fastgan ships (its SHA-256 differs): reinstall fastgan."
        )
    try:
        network.load_state_dict(load(content))
    except (SafetensorError, RuntimeError) as problem:
        raise error(
            f"{str(path)!r} doesn't hold the weights of the {what}: give a file made by {made_by}."
        ) from problem
    return network.eval().requires_grad_(False)
