"""Data set for recipes that translate: 20 random images.

Each has its negative as input, and a second domain.
"""

from __future__ import annotations

import torch

from fastgan.data import InMemoryDataset, InputSpec


class Negatives(InMemoryDataset):
    """Random images with ten held-out ones.

    Image i comes with its negative (`pairs`) or another image of the set (`domains`).
    """

    def __init__(self, task="pairs", *, resolution=16, seed=0, length=20):
        generator = torch.Generator().manual_seed(seed)
        images = torch.randint(0, 256, (length, 3, resolution, resolution), generator=generator)
        super().__init__(
            "negatives", images.to(torch.uint8), torch.zeros(length, dtype=torch.int64)
        )
        self.task, self.seed = task, seed
        self.inputs = {"input" if task == "pairs" else "other": InputSpec("image", channels=3)}

    def batch_inputs(self, indices):
        if self.task == "pairs":
            return {"input": 255 - self._images[indices]}
        return {"other": self._images[(indices + 7) % len(self)]}

    def held_out(self):
        return (
            Negatives(self.task, resolution=self.resolution, seed=1, length=10)
            if self.seed == 0
            else None
        )
