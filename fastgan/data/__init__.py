"""Image data sets: embedded ones that need no download, folders and zip archives.

``open_dataset`` opens a data set by name or path. ``batch_indices`` selects the images of a step.
``BatchLoader`` prepares the coming batches in threads. ``to_float`` and ``to_uint8`` convert
between stored uint8 and the networks' float32 in [-1, 1].
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
