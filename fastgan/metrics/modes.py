"""Mode coverage: number and evenness of the classes among samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.data.digits import DIGIT_NAMES
from fastgan.data.faces import TRAITS
from fastgan.data.ring import RING_NAMES, ring_modes
from fastgan.data.stacked_mnist import MODE_NAMES
from fastgan.metrics.digits import DigitClassifier, load_digit_classifier
from fastgan.metrics.faces import load_face_reader

SURE = 0.9
"""Probability above which a classifier counts as sure."""


@dataclass(frozen=True)
class ModeCoverage:
    """Histogram of classes among samples.

    Attributes:
        counts: samples per class, ``num_classes`` entries.
        classes_hit: number of classes with at least one sample.
        num_classes: number of all classes.
        kl_to_uniform: ``KL(histogram || uniform)`` in nats. It is 0 for equally frequent classes,
            ``log(num_classes)`` for samples of one class or of none.
        near: share of the samples that are of any class.
        largest, smallest: shares of the largest and smallest class; 0 for samples of no class.
    """

    counts: tuple[int, ...]
    classes_hit: int
    num_classes: int
    kl_to_uniform: float
    near: float = 1.0

    @property
    def largest(self) -> float:
        return max(self.counts) / max(1, sum(self.counts))

    @property
    def smallest(self) -> float:
        return min(self.counts) / max(1, sum(self.counts))


def mode_coverage(labels: Tensor, num_classes: int) -> ModeCoverage:
    """Count the classes among ``labels``.

    ``KL = Σ_k p_k log(p_k · K)`` with ``p_k`` the share of class ``k`` and ``0 · log 0 = 0``.
    Shares are of the samples that are of any class.

    Args:
        labels: int64 ``[N]``, N at least 1, each in ``0 .. num_classes - 1``, or -1 for no class.
        num_classes: K, at least 1.

    Raises:
        TypeError: ``labels`` isn't an int64 tensor.
        ValueError: ``labels`` has another shape or is empty, a label is out of range, or
            ``num_classes`` is below 1.
    """
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64:
        kind = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
        raise TypeError(
            f"labels must be an int64 tensor [N], got {kind}: convert them with torch.as_tensor."
        )
    if labels.ndim != 1 or len(labels) == 0:
        raise ValueError(f"labels must be [N] with N at least 1, got shape {list(labels.shape)}")
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    low, high = int(labels.min()), int(labels.max())
    if low < -1 or high >= num_classes:
        raise ValueError(
            f"labels must be in 0 .. {num_classes - 1}, or -1 for no class, got values from {low} "
            f"to {high}"
        )
    near = labels[labels >= 0].cpu()
    counts: list[int] = torch.bincount(near, minlength=num_classes).tolist()
    shares = [count / len(near) for count in counts if count]
    # The sum is exactly 0 for a uniform histogram, yet rounding could leave it at -1e-17.
    kl = max(0.0, math.fsum(p * math.log(p * num_classes) for p in shares))
    return ModeCoverage(
        tuple(counts),
        len(shares),
        num_classes,
        kl if shares else math.log(num_classes),
        len(near) / len(labels),
    )


class ClassReading(NamedTuple):
    """Classes that a classifier reads in N images.

    Attributes:
        classes: int64 ``[N]``, -1 for points that are near no mode.
        confidence: probability of each reading, float32 ``[N, readings]``; None for points. A digit
            has one reading, a stacked digit three, a face one for each trait.
    """

    classes: Tensor
    confidence: Tensor | None


def mode_classifier(
    class_names: tuple[str, ...], channels: int
) -> Callable[[Tensor], ClassReading] | None:
    """Return the embedded classifier for data of these classes, None if there is none.

    There is one for the digits 0 to 9. For Stacked MNIST it classifies each channel. Another one
    reads the traits of faces, whose class is the hair style. Points of the ring are of the mode
    within three standard deviations.

    Args:
        class_names: names of the data's classes.
        channels: channels of the images.

    Returns:
        A function of images ``[N, channels, H, W]`` in [-1, 1].
    """
    if class_names == RING_NAMES:
        return lambda points: ClassReading(ring_modes(points), None)
    if class_names == DIGIT_NAMES:
        classifier = load_digit_classifier()
        return lambda images: ClassReading(*_digits(classifier, images))
    if class_names == MODE_NAMES and channels == 3:
        classifier = load_digit_classifier()

        def stacked(images: Tensor) -> ClassReading:
            digits, confidence = _digits(classifier, images.flatten(0, 1).unsqueeze(1))
            places = digits.view(-1, 3) @ torch.tensor([100, 10, 1])
            return ClassReading(places, confidence.view(-1, 3))

        return stacked
    if class_names == TRAITS["hair style"]:
        reader = load_face_reader()

        def faces(images: Tensor) -> ClassReading:
            traits, confidence = reader.read(images.cpu())
            return ClassReading(traits["hair style"], torch.stack([*confidence.values()], dim=1))

        return faces
    return None


def _digits(classifier: DigitClassifier, images: Tensor) -> tuple[Tensor, Tensor]:
    best = classifier.logits(images.cpu()).softmax(dim=1).max(dim=1)
    return best.indices, best.values[:, None]
