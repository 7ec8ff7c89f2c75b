"""Features of a data set's images: taken once for what the set holds, and kept on disk for other processes."""

from __future__ import annotations

import contextlib
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
from fastgan.metrics.feature_networks import FeatureNetwork
from fastgan.metrics.frechet import FeatureStatistics

MAX_REAL = 10_000
_CHUNK = 256
_known: dict[str, RealFeatures] = {}


@dataclass(frozen=True)
class RealFeatures:
    """features: float32 ``[N, D]`` on the CPU. indices: int64 ``[N]``, of which images of the data set."""

    features: Tensor
    indices: Tensor

    @cached_property
    def statistics(self) -> FeatureStatistics:
        """Their mean and covariance."""
        found = FeatureStatistics()
        found.update(self.features)
        return found


def cache_folder() -> Path:
    """Return the folder for features of real images: $FASTGAN_CACHE, or ~/.cache/fastgan.

    Raises:
        FileNotFoundError: there is no home folder to put it into.
    """
    named = os.environ.get("FASTGAN_CACHE") or "~/.cache/fastgan"
    if not named.startswith("~"):
        return Path(named)
    name, _, rest = named.partition("/")
    # Without a home, expanduser returns what it got; of an empty HOME it makes the root folder.
    home = "" if name == "~" and os.environ.get("HOME") == "" else os.path.expanduser(name)
    if not os.path.isdir(home):
        raise FileNotFoundError(errno.ENOENT, "there is no such home folder", name)
    return Path(home, rest)


def spread(count: int, length: int) -> Tensor:
    """``min(count, length)`` indices of ``0 .. length - 1``, evenly spread: a folder's images come sorted by class."""
    count = min(count, length)
    return torch.arange(count) * length // max(count, 1)


def real_features(
    dataset: ImageDataset, network: FeatureNetwork, *, most: int | None = MAX_REAL
) -> RealFeatures:
    """Features of a data set's images, from memory or disk where they were taken before.

    They are kept under a hash of what the set holds, of the network's weights and of how many images were taken. A damaged
    file is made anew. Without a folder that can be written, they aren't kept on disk. Either gives a warning.

    Args:
        most: takes so many images, evenly spread, of a larger set; None takes all.
    """
    indices = spread(len(dataset) if most is None else most, len(dataset))
    what = (
        dataset.fingerprint,
        dataset.resolution,
        dataset.channels,
        len(indices),
        network.key,
        network.sha256,
        network.resolution,
    )
    key = hashlib.sha256(repr(what).encode()).hexdigest()
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
    """What `_write` wrote; None if there is nothing, or nothing whole."""
    try:
        path = cache_folder() / name
        content = path.read_bytes()
    except OSError:
        return None  # where that matters, `_write` fails too, and says why
    try:
        stored = load(content)
        features = stored["features"]
        if torch.equal(stored["sha256"], _digest(features)):
            return features
        problem = "its checksum doesn't fit"
    except (SafetensorError, KeyError) as error:
        problem = str(error)
    warnings.warn(
        f"The features kept in {str(path)!r} are damaged ({problem}): they are taken anew.",
        stacklevel=3,
    )
    return None


def _write(name: str, features: Tensor) -> None:
    folder = os.environ.get("FASTGAN_CACHE") or "~/.cache/fastgan"
    try:
        path = cache_folder() / name
        folder = str(path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_bytes(save({"features": features, "sha256": _digest(features)}))
            os.replace(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        warnings.warn(
            f"Features of the real images can't be kept in {folder!r} ({error.strerror or error}), so they are "
            "taken anew each time: name another folder in FASTGAN_CACHE.",
            stacklevel=3,
        )


def _digest(features: Tensor) -> Tensor:
    digest = hashlib.sha256(features.contiguous().numpy().data).digest()
    return torch.frombuffer(bytearray(digest), dtype=torch.uint8)
