"""Image data sets: embedded ones that need no download, and folders of images.

``open_dataset`` opens one by name or path, ``batch_indices`` says which images a step shows,
``BatchLoader`` has them ready when they're needed, and ``images`` converts between stored uint8 and the
networks' float32 in [-1, 1].
"""

from fastgan.data.dataset import DataError, ImageDataset, InMemoryDataset
from fastgan.data.images import image_grid, save_png, to_batch, to_float, to_uint8
from fastgan.data.inputs import TASKS, InputSpec, Task
from fastgan.data.loader import BatchLoader, LoadedBatch
from fastgan.data.reading import Reading
from fastgan.data.registry import DATASETS, open_dataset
from fastgan.data.sampler import batch_indices

__all__ = [
    "DATASETS",
    "TASKS",
    "BatchLoader",
    "DataError",
    "ImageDataset",
    "InMemoryDataset",
    "InputSpec",
    "LoadedBatch",
    "Reading",
    "Task",
    "batch_indices",
    "image_grid",
    "open_dataset",
    "save_png",
    "to_batch",
    "to_float",
    "to_uint8",
]
