"""Pairs that can be learned to the pixel, and that neither a copy nor a mean comes near: negatives of outlines."""

from __future__ import annotations

import torch
from torch.nn.functional import max_pool2d

from fastgan.data import ImageDataset, InputSpec
from fastgan.data.shapes import ShapesDataset

LINE = 2  # pixels of the outline that are left


class Outlines(ImageDataset):
    """`shapes`, each with its inside emptied and its colours inverted as input. It has 500 held-out ones."""

    def __init__(self, *, held_out=False):
        self._shapes = ShapesDataset(length=10_500)
        self._first, self._length = (10_000, 500) if held_out else (0, 10_000)
        self.name, self.fingerprint = "outlines", self._shapes.fingerprint
        self.resolution, self.channels = self._shapes.resolution, self._shapes.channels
        self.inputs = {"input": InputSpec("image", channels=3)}

    def __len__(self):
        return self._length

    def image(self, i):
        return self._shapes.image(self._first + i)

    def label(self, i):
        return 0

    def examples(self, indices):
        images, labels = self._shapes.batch(indices + self._first)
        drawn = self._shapes.masks(indices + self._first)[:, None].float()
        inside = -max_pool2d(-drawn, 2 * LINE + 1, stride=1, padding=LINE) > 0
        return (
            images,
            torch.zeros_like(labels),
            {"input": 255 - torch.where(inside, images[:, :, :1, :1], images)},
        )

    def batch(self, indices):
        return self.examples(indices)[:2]

    def batch_inputs(self, indices):
        return self.examples(indices)[2]

    def held_out(self):
        return Outlines(held_out=True) if self._first == 0 else None
