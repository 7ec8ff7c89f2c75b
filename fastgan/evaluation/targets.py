"""Distances of samples from their targets, beside those of a baseline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from fastgan.metrics import PerceptualDistance, l1, psnr, ssim
from fastgan.recipes import Batch, Networks, Recipe

_PIXELS = {"l1": l1, "psnr": psnr, "ssim": ssim}
_CHUNK = 64


class TargetDistances:
    """Distances of samples from their targets, collected batch by batch.

    Args:
        metrics: names in `fastgan.metrics.figures.OF_TARGETS`.
        device: device of the samples.
    """

    def __init__(self, metrics: Sequence[str], device: str) -> None:
        self._metrics = metrics
        self._perceptual = PerceptualDistance().to(device) if "perceptual" in metrics else None
        self._values: dict[str, list[Tensor]] = defaultdict(list)

    def add(self, recipe: Recipe, networks: Networks, rows: Batch, images: Tensor) -> None:
        """Add samples of rows of data, and the recipe's baseline if it is an image like the target.

        Args:
            rows: rows of data, whose `real` images are the targets.
            images: samples that the recipe made of them.
        """
        self._compare("", images, rows.real)
        if recipe.baseline is not None:
            view = recipe.views(networks, rows, images)[recipe.baseline].float()
            if view.shape[1] in (1, rows.real.shape[1]):
                self._compare(f"_of_{recipe.baseline}", view.expand_as(rows.real), rows.real)

    def means(self) -> dict[str, float]:
        """Return means over images by name: `psnr`, and `psnr_of_input` for a baseline `input`."""
        return {
            name: float(f"{torch.cat(parts).mean():.6g}") for name, parts in self._values.items()
        }

    def _compare(self, suffix: str, images: Tensor, targets: Tensor) -> None:
        for name in self._metrics:
            parts = zip(images.split(_CHUNK), targets.split(_CHUNK))
            distance = _PIXELS.get(name, self._perceptual)
            assert distance is not None
            self._values[name + suffix] += [distance(ours, theirs).cpu() for ours, theirs in parts]
