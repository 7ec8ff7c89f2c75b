"""Pairs that networks can learn to the pixel, far from a copy and from the mean image.

The input is the negative of the target without its stripes.
"""

from __future__ import annotations

from dataclasses import replace

from fastgan.data import InputSpec
from fastgan.data.shapes import ShapesDataset


class Striped(ShapesDataset):
    """Striped `shapes`; the inputs are negatives of the same shapes without stripes."""

    def __init__(self, **options):
        super().__init__(**options)
        self.name, self.fingerprint = "striped", f"striped {self.fingerprint}"
        self.inputs = {"input": InputSpec("image", channels=3)}

    def attributes(self, i):
        return replace(super().attributes(i), striped=True)

    def batch_inputs(self, indices):
        return {"input": 255 - self._painted([self._scene(i) for i in indices.tolist()])}

    def held_out(self):
        return Striped(**self._held_out_options())
