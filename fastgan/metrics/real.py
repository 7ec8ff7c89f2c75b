"""Features of a data set's images, cached in memory and on disk by the set's content."""

from __future__ import annotations

import errno
import hashlib
import os
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from fastgan.data import ImageDataset, to_float
from fastgan.files import replacing
from fastgan.metrics.feature_networks import FeatureNetwork
from fastgan.metrics.frechet import FeatureStatistics

MAX_REAL = 10_000
"""Default of the largest number of real images."""
_CHUNK = 256
_known: dict[str, RealFeatures] = {}


@dataclass(frozen=True)
class RealFeatures:
    """Features of real images."""

    features: Tensor
    """float32 ``[N, D]`` on the CPU."""
    indices: Tensor
    """int64 ``[N]``, indices of the images in the data set."""

    @cached_property
    def statistics(self) -> FeatureStatistics:
        """Mean and covariance of the features."""
        return FeatureStatistics.of(self.features)

    def floor(self, samples: int) -> float:
        """Return the Fréchet distance of `samples` of these images from the others.

        Perfect samples have about this distance, not 0, since both sets are finite. At most half
        of the images, evenly spread, stand for samples.
        """
        taken = torch.zeros(len(self.features), dtype=torch.bool)
        taken[spread(min(samples, len(taken) // 2), len(taken))] = True
        ours, theirs = (FeatureStatistics.of(self.features[rows]) for rows in (taken, ~taken))
        return ours.distance(theirs)


def cache_folder() -> Path:
    """Return the folder for features of real images: $FASTGAN_CACHE, or ~/.cache/fastgan.

    Raises:
        FileNotFoundError: the home folder doesn't exist.
    """
    folder = os.environ.get("FASTGAN_CACHE") or "~/.cache/fastgan"
    if not folder.startswith("~"):
        return Path(folder)
    name, _, rest = folder.partition("/")
    # Without a home, expanduser returns its argument; an empty HOME becomes the root folder.
    home = "" if name == "~" and os.environ.get("HOME") == "" else os.path.expanduser(name)
    if not os.path.isdir(home):
        raise FileNotFoundError(errno.ENOENT, "there is no such home folder", name)
    return Path(home, rest)


def spread(count: int, length: int) -> Tensor:
    """Return ``min(count, length)`` evenly spread indices below ``length``, int64.

    Spreading covers all classes of a folder, whose images are sorted by class.
    """
    count = min(count, length)
    return torch.arange(count) * length // max(count, 1)


def real_features(
    dataset: ImageDataset, network: FeatureNetwork, *, most: int | None = MAX_REAL
) -> RealFeatures:
    """Return features of a data set's images, from memory or disk if they were computed before.

    The cache's key is a hash of the set's content, the network's weights and the number of images.
    A damaged file is written anew, with a warning. Without a writable folder a warning tells that
    there is no cache on disk.

    Args:
        dataset: the data set.
        network: network of the features.
        most: number of images, evenly spread, to use of a larger set; None means all.
    """
    indices = spread(len(dataset) if most is None else most, len(dataset))
    identity = (
        dataset.fingerprint,
        dataset.resolution,
        dataset.channels,
        len(indices),
        network.key,
        network.sha256,
        network.resolution,
    )
    key = hashlib.sha256(repr(identity).encode()).hexdigest()
    if key not in _known:
        name = f"features-{network.key}-{key[:24]}.safetensors"
        features = _read(name)
        if features is None:
            parts = [
                network.features(to_float(dataset.batch(rows)[0])).cpu()
                for rows in indices.split(_CHUNK)
            ]
            features = torch.cat(parts)
            _write(name, features)
        _known[key] = RealFeatures(features, indices)
    return _known[key]


def _read(name: str) -> Tensor | None:
    """Read a file of `_write`; return None if it is missing or damaged."""
    try:
        path = cache_folder() / name
        content = path.read_bytes()
    # If the folder is unusable, `_write` fails too and warns.
    except OSError:
        return None
    try:
        stored = load(content)
        features = stored["features"]
        if torch.equal(stored["sha256"], _digest(features)):
            return features
        problem = "its checksum doesn't fit"
    except (SafetensorError, KeyError) as error:
        problem = str(error)
    warnings.warn(
        f"The cached features {str(path)!r} are damaged ({problem}): they are computed anew.",
        stacklevel=3,
    )
    return None


def _write(name: str, features: Tensor) -> None:
    folder = os.environ.get("FASTGAN_CACHE") or "~/.cache/fastgan"
    try:
        path = cache_folder() / name
        folder = str(path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(save({"features": features, "sha256": _digest(features)}))
    except OSError as error:
        warnings.warn(
            f"Features of the real images can't be cached in {folder!r} "
            f"({error.strerror or error}), so they are computed anew each time: set another "
            f"folder in FASTGAN_CACHE.",
            stacklevel=3,
        )


def _digest(features: Tensor) -> Tensor:
    digest = hashlib.sha256(features.contiguous().numpy().data).digest()
    return torch.frombuffer(bytearray(digest), dtype=torch.uint8)
