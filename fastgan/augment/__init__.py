"""Augmentations of the discriminator's images, for training with few images: DiffAugment and ADA.

>>> from fastgan.augment import ADA
>>> ada = ADA(64, 3, categories="bgc", p=0.3)
>>> logits = D(ada(images, ada.draw(len(images), generator)))
"""

from fastgan.augment.ada import ADA
from fastgan.augment.base import Augment
from fastgan.augment.diffaugment import DiffAugment
from fastgan.augment.preview import preview
from fastgan.augment.settings import PRESETS, TRANSFORMATIONS, Strengths

__all__ = ["ADA", "PRESETS", "TRANSFORMATIONS", "Augment", "DiffAugment", "Strengths", "preview"]
