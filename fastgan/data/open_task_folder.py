"""Choice of the data set class for a task by the layout of its folder."""

from __future__ import annotations

from pathlib import Path

from fastgan.data.dataset import DataError, ImageDataset
from fastgan.data.decode import DEFAULT
from fastgan.data.discovery import find_pictures
from fastgan.data.domain_folders import DomainFolders
from fastgan.data.inputs import Task
from fastgan.data.listed_folders import AttributeFolder, CaptionFolder
from fastgan.data.reading import Reading
from fastgan.data.task_folders import (
    InputFolder,
    MapFolder,
    SideBySideFolder,
    TaskFolder,
)
from fastgan.names import printable


def open_task_folder(
    task: Task,
    root: Path,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    reading: Reading = DEFAULT,
) -> ImageDataset:
    """Open a folder whose images have the inputs of ``task`` (docs/data.md has the layouts).

    For domains the set is ``trainA`` with ``trainB``, and ``testA`` with ``testB`` are held out.
    For the other tasks the set is the folder ``train`` in it if there is one. Then ``test``, or
    else ``val``, is held out.

    Args:
        task: task that the inputs are for.
        root: the folder.
        resolution: as for ``FolderDataset``.
        channels: as for ``FolderDataset``.
        reading: as for ``FolderDataset``.

    Raises:
        DataError: as ``TaskFolder`` and ``DomainFolders``.
    """
    if not root.is_dir():
        # Raises the error.
        find_pictures(root)
    dataset: ImageDataset
    if task == "domains":
        trained, held_out = (
            (root / f"{split}A", root / f"{split}B") for split in ("train", "test")
        )
        if missing := [f"{folder.name}/" for folder in trained if not folder.is_dir()]:
            raise DataError(
                f"The folder {str(root)!r} must have the folders trainA/ and trainB/ with the "
                f"images of the two domains: add {' and '.join(missing)}."
            )
        tested = held_out if all(folder.is_dir() for folder in held_out) else None
        dataset = DomainFolders(
            trained, resolution=resolution, channels=channels, reading=reading, held_out=tested
        )
    else:
        split = (root / "train").is_dir()
        images = root / "train" if split else root
        others = [root / name for name in ("test", "val") if split and (root / name).is_dir()]
        reader = _reader(task, images)
        dataset = reader(
            images,
            resolution=resolution,
            channels=channels,
            reading=reading,
            held_out=others[0] if others else None,
        )
    dataset.name = printable(root.resolve().name or root)
    return dataset


def _reader(task: Task, root: Path) -> type[TaskFolder]:
    if task == "pairs":
        return InputFolder if (root / "inputs").is_dir() else SideBySideFolder
    readers: dict[Task, type[TaskFolder]] = {
        "maps": MapFolder,
        "captions": CaptionFolder,
        "attributes": AttributeFolder,
    }
    return readers[task]
