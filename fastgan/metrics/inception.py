"""Inception v3 as FID, KID and IS are defined with it: torch-fidelity's copy of the original network and weights."""

from __future__ import annotations

import hashlib
import io
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastgan.data import to_uint8
from fastgan.data.images import over_mid_grey
from fastgan.metrics.errors import MetricError
from fastgan.metrics.networks import check_images

NUM_FEATURES = 2048
SHA256_START = "6726825d"
"""Of the file of weights that torch-fidelity publishes, which has it in its name."""

_CHUNK = 32


class Inception(nn.Module):
    """torch-fidelity's Inception v3, which resizes images to 299×299 as the first programs did; frozen.

    Images are rounded to 8 bits as a saved file's are; grey ones become three equal channels.
    """

    key, name, resolution = "inception", "Inception", 299
    preparation = "rounded to 8 bits, resized to 299×299 (bilinear, as TensorFlow 1 did)"

    def __init__(self, network: nn.Module, sha256: str) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.sha256 = sha256

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """The pooled features, float32 ``[N, 2048]``, of images ``[N, 1 to 4, H, W]`` in [-1, 1].

        Raises:
            TypeError: ``images`` isn't floating-point.
            ValueError: wrong shape, or NonFiniteError for infinite or NaN values.
        """
        check_images(images, measure="Inception's features", alpha=True)
        device = self._head.device
        if len(images) == 0:
            return torch.empty(0, NUM_FEATURES, device=device)
        parts = [
            self.network(to_uint8(over_mid_grey(part.to(device))).expand(-1, 3, -1, -1))[0]
            for part in images.split(_CHUNK)
        ]
        return torch.cat(parts)

    @torch.no_grad()
    def classify(self, features: Tensor) -> Tensor:
        """Logits ``[N, 1008]`` without their bias, as the Inception score was first computed."""
        return features.to(self._head) @ self._head.T

    @property
    def _head(self) -> Tensor:
        return self.network.get_parameter("fc.weight")


@cache
def inception(weights: Path | None = None, *, device: str = "cpu") -> Inception:
    """The network with its weights, loaded once per file and device.

    Args:
        weights: the file; None takes it from torch's hub folder, or downloads it there (92 MB).

    Raises:
        MetricError: torch-fidelity is missing, or the weights are missing, can't be downloaded or are others.
    """
    try:
        from torch_fidelity import feature_extractor_inceptionv3 as fidelity
    except ImportError as error:
        raise MetricError(
            f"FID, KID and IS need torch-fidelity ({error}): pip install 'fastgan[metrics]', or measure with other features."
        ) from error
    path = _downloaded(fidelity.URL_INCEPTION_V3) if weights is None else weights
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MetricError(
            f"Inception's weights {str(path)!r} can't be read: {error.strerror or error}."
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if not digest.startswith(SHA256_START):
        raise MetricError(
            f"{str(path)!r} doesn't hold Inception's weights (its SHA-256 begins with {digest[:8]}, not with "
            f"{SHA256_START}): give the file {Path(fidelity.URL_INCEPTION_V3).name} of torch-fidelity."
        )
    try:  # torch-fidelity would run what a pickle asks for
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:
        raise MetricError(
            f"{str(path)!r} was refused: it holds more than tensors, or is damaged: give torch-fidelity's own file."
        ) from error
    with torch.random.fork_rng(devices=()):  # its initialisation draws numbers
        network: Any = fidelity.FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)
        )
    return Inception(network, digest).to(device)


def _downloaded(url: str) -> Path:
    """Where torch's hub keeps the file, which is fetched once."""
    path = Path(torch.hub.get_dir(), "checkpoints", Path(url).name)
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), hash_prefix=SHA256_START)
    except (OSError, RuntimeError) as error:
        raise MetricError(
            f"Inception's weights can't be downloaded from {url} ({error}): give --weights with a copy of the file, "
            "or measure with other features."
        ) from error
    return path
