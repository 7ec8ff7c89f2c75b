"""Alpha channels of images, for networks that see colours alone."""

from __future__ import annotations

from torch import Tensor


def over_mid_grey(images: Tensor) -> Tensor:
    """Composite images over mid grey.

    Args:
        images: ``[N, 1 to 4, H, W]`` in [-1, 1]; the last of 2 or 4 channels is alpha.

    Returns:
        ``[N, 1 or 3, H, W]`` in [-1, 1].
    """
    if images.shape[1] not in (2, 4):
        return images
    # Mid grey is 0, so it adds nothing.
    return images[:, :-1] * ((images[:, -1:] + 1) / 2)
