"""Networks for the features of measures, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol, get_args

from torch import Tensor

from fastgan.metrics.errors import MetricError

FeaturesName = Literal["mobilenet", "digits", "faces", "inception"]


class FeatureNetwork(Protocol):
    """Interface of the networks for features.

    Attributes:
        key: suffix of the names of measures with these features.
        name: name for the user.
        sha256: SHA-256 of the file of the weights (hex).
        resolution: height and width in pixels to which images are resized.
        preparation: phrase for the preparation of images.
    """

    key: str
    name: str
    sha256: str
    resolution: int
    preparation: str

    def features(self, images: Tensor) -> Tensor:
        """Return features, float32 ``[N, D]``, of images ``[N, 1 to 4, H, W]`` in [-1, 1].

        They are on the network's device.
        """

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits ``[N, K]`` of features ``[N, D]``."""


def open_features(
    name: FeaturesName = "mobilenet", *, weights: str | Path | None = None, device: str = "cpu"
) -> FeatureNetwork:
    """Open a network for features with its weights.

    Args:
        name: name of the network.

            - ``"mobilenet"``: MobileNetV2, trained on ImageNet.
            - ``"digits"``: the embedded classifier of digits.
            - ``"faces"``: the embedded reader of drawn faces.
            - ``"inception"``: Inception v3 as for FID.
        weights: file of Inception's weights; None means the file that torch-fidelity downloads.
        device: device of the network.

    Raises:
        MetricError: the name is unknown, ``weights`` is for another network, or a library or file
            is missing or unexpected.
    """
    if weights is not None and name != "inception":
        raise MetricError(
            f"weights must be None for the features {name!r}, got {str(weights)!r}: leave them "
            f"out, since only those of inception can be chosen."
        )
    if name == "mobilenet":
        from fastgan.metrics.features import mobilenet_v2

        return mobilenet_v2(device)
    if name == "digits":
        from fastgan.metrics.digits import load_digit_classifier

        return load_digit_classifier().to(device)
    if name == "faces":
        from fastgan.metrics.faces import load_face_reader

        return load_face_reader().to(device)
    if name == "inception":
        from fastgan.metrics.inception import inception

        return inception(None if weights is None else Path(weights), device=device)
    raise MetricError(
        f"The features must be one of {', '.join(get_args(FeaturesName))}, got {name!r}."
    )
