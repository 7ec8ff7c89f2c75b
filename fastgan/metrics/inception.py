"""Inception v3 for FID, KID and IS: torch-fidelity's copy of the original network and weights."""

from __future__ import annotations

import hashlib
import io
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastgan.data import to_uint8
from fastgan.metrics.errors import MetricError
from fastgan.metrics.networks import check_images
from fastgan.networks.alpha import over_mid_grey

NUM_FEATURES = 2048
"""Length of a feature vector."""
SHA256_START = "6726825d"
"""First digits of the SHA-256 of torch-fidelity's file of weights, which are in its name."""

_CHUNK = 32


class Inception(nn.Module):
    """torch-fidelity's Inception v3, frozen, which resizes images to 299x299 like TensorFlow 1.

    Images are rounded to 8 bits like a saved file. Grey images become three equal channels.
    """

    key, name, resolution = "inception", "Inception", 299
    preparation = "rounded to 8 bits, resized to 299×299 (bilinear, as TensorFlow 1 did)"

    def __init__(self, network: nn.Module, sha256: str) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.sha256 = sha256

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Return the pooled features.

        Args:
            images: ``[N, 1 to 4, H, W]`` in [-1, 1], of any float dtype and resolution. Alpha is
                composited over mid grey.

        Returns:
            float32 ``[N, 2048]`` on the network's device.

        Raises:
            TypeError: ``images`` isn't floating-point.
            ValueError: ``images`` has another shape.
            NonFiniteError: a value is infinite or NaN.
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
        """Return logits ``[N, 1008]`` without bias, as in the original Inception score."""
        return features.to(self._head) @ self._head.T

    @property
    def _head(self) -> Tensor:
        return self.network.get_parameter("fc.weight")


@cache
def inception(weights: Path | None = None, *, device: str = "cpu") -> Inception:
    """Load the network with its weights, once per file and device.

    Args:
        weights: file of the weights. None means the file in torch's hub folder, which is
            downloaded if it is missing (92 MB).
        device: device of the network.

    Raises:
        MetricError: torch-fidelity is missing, or the weights are missing, can't be downloaded or
            aren't the expected ones.
    """
    try:
        from torch_fidelity import feature_extractor_inceptionv3 as fidelity
    except ImportError as error:
        raise MetricError(
            f"FID, KID and IS need torch-fidelity ({error}): pip install 'fastgan[metrics]', "
            f"or measure with other features."
        ) from error
    path = _download(fidelity.URL_INCEPTION_V3) if weights is None else weights
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MetricError(
            f"Inception's weights {str(path)!r} can't be read: {error.strerror or error}."
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if not digest.startswith(SHA256_START):
        raise MetricError(
            f"{str(path)!r} doesn't hold Inception's weights (its SHA-256 begins with "
            f"{digest[:8]}, not with {SHA256_START}): use the file "
            f"{Path(fidelity.URL_INCEPTION_V3).name} of torch-fidelity."
        )
    # torch-fidelity would run the code that a pickle asks for.
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:
        raise MetricError(
            f"{str(path)!r} was refused: it holds more than tensors, or is damaged: use "
            f"torch-fidelity's own file."
        ) from error
    # The initialisation draws random numbers.
    with torch.random.fork_rng(devices=()):
        network: Any = fidelity.FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)
        )
    return Inception(network, digest).to(device)


def _download(url: str) -> Path:
    """Return the file in torch's hub folder after downloading it if it is missing."""
    path = Path(torch.hub.get_dir(), "checkpoints", Path(url).name)
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), hash_prefix=SHA256_START)
    except (OSError, RuntimeError) as error:
        raise MetricError(
            f"Inception's weights can't be downloaded from {url} ({error}): give `weights` with a "
            f"copy of the file, or measure with other features."
        ) from error
    return path
