"""Pairs that can be learned to the pixel, and that neither a copy nor a mean comes near: negatives of striped shapes."""

from __future__ import annotations

from dataclasses import replace

from fastgan.data import InputSpec
from fastgan.data.shapes import ShapesDataset


class Striped(ShapesDataset):
    """`shapes`, each with stripes, and the negative of the same without them as input."""

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
