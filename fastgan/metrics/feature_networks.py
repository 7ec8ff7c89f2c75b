"""The networks whose features images are compared by, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol, get_args

from torch import Tensor

from fastgan.metrics.errors import MetricError

FeaturesName = Literal["mobilenet", "digits", "inception"]


class FeatureNetwork(Protocol):
    """What measures take of a network.

    Attributes:
        key: ends the names of figures that were taken with it.
        name: for people.
        sha256: of the file of its weights.
        resolution: what it sees images at, whatever theirs is. preparation: how they come to it, in words.
    """

    key: str
    name: str
    sha256: str
    resolution: int
    preparation: str

    def features(self, images: Tensor) -> Tensor:
        """float32 ``[N, D]`` of images ``[N, 1 or 3, H, W]`` in [-1, 1], on the network's device."""

    def classify(self, features: Tensor) -> Tensor:
        """Logits ``[N, K]`` of features."""


def open_features(
    name: FeaturesName = "mobilenet", *, weights: str | Path | None = None, device: str = "cpu"
) -> FeatureNetwork:
    """The network of that name, with its weights.

    Args:
        name: "mobilenet" (MobileNetV2, ImageNet), "digits" (the embedded classifier of digits) or "inception" (FID's own).
        weights: the file of Inception's weights; None takes the one that torch-fidelity downloads.

    Raises:
        MetricError: an unknown name, or what it needs is missing or isn't what it should be.
    """
    if weights is not None and name != "inception":
        raise MetricError(
            f"Weights are given for Inception alone, but the features are {name!r}: leave them out."
        )
    if name == "mobilenet":
        from fastgan.metrics.features import mobilenet_v2

        return mobilenet_v2(device)
    if name == "digits":
        from fastgan.metrics.digits import load_digit_classifier

        return load_digit_classifier().to(device)
    if name == "inception":
        from fastgan.metrics.inception import inception

        return inception(None if weights is None else Path(weights), device=device)
    raise MetricError(f"Features are {', '.join(get_args(FeaturesName))}, but {name!r} came.")
