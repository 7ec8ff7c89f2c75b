"""Memory of a run: modules whose buffers keep earlier images and weights in the checkpoint."""

from fastgan.recipes.memory.image_pool import ImagePool
from fastgan.recipes.memory.weight_history import WeightHistory

__all__ = ["ImagePool", "WeightHistory"]
