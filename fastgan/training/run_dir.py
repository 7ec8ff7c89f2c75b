"""Folder of one run: the paths inside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastgan.errors import FastganError
from fastgan.files import is_temporary
from fastgan.training.checkpoint import (
    BEST,
    CheckpointError,
    CheckpointFile,
    list_checkpoints,
    load_checkpoint,
    load_newest,
)
from fastgan.training.config import RunConfig, load_config


class RunDirError(FastganError):
    """A run's folder is taken, missing or not a run; the message says what to do."""


@dataclass(frozen=True)
class RunDir:
    """Paths inside the folder of a run.

    Attributes:
        root: the folder.
    """

    root: Path

    @property
    def config(self) -> Path:
        """Recipe, settings and data of the run, as JSON."""
        return self.root / "config.json"

    @property
    def options(self) -> Path:
        """Options that a resumed run keeps, as JSON."""
        return self.root / "options.json"

    @property
    def log(self) -> Path:
        """Rows of the log, one JSON object per line."""
        return self.root / "log.jsonl"

    @property
    def measures(self) -> Path:
        """Measures at the end of the run, as JSON."""
        return self.root / "measures.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.root / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard's events."""
        return self.root / "tensorboard"

    @property
    def samples(self) -> Path:
        """Grid of samples at the end of the run."""
        return self.root / "samples.png"

    @property
    def curves(self) -> Path:
        """Picture of the curves."""
        return self.root / "curves.png"

    @property
    def report(self) -> Path:
        """Report of the run, one HTML page."""
        return self.root / "report.html"

    @property
    def grids(self) -> Path:
        """Folder of the grids drawn during the run."""
        return self.root / "samples"

    def grid(self, nimg: int) -> Path:
        """Return the path of the grid drawn after ``nimg`` images."""
        return self.grids / f"{nimg:09d}.png"

    @property
    def latest_checkpoint(self) -> Path | None:
        """Checkpoint with the most images shown, None if there is none."""
        paths = list_checkpoints(self.checkpoints)
        return paths[-1] if paths else None

    @property
    def best_checkpoint(self) -> Path:
        """Checkpoint with the best measure; the file may be missing."""
        return self.checkpoints / BEST

    def create(self) -> None:
        """Make the folder.

        Raises:
            RunDirError: it can't be made, or it isn't empty.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            taken = self._taken()
        except OSError as error:
            raise RunDirError(
                f"The output folder {str(self.root)!r} can't be made ({error.strerror or error}): "
                f"choose another `out`."
            ) from error
        if taken:
            raise RunDirError(
                f"The output folder {str(self.root)!r} isn't empty: go on with the run in it with "
                f"`resume`, or choose another `out`."
            )

    def find_config(self) -> RunConfig | None:
        """Read the configuration of the run in this folder; None if it holds none.

        Raises:
            CheckpointError, ConfigError, RecipeError: the run in it can't be read.
        """
        if self.config.exists():
            return load_config(self.config)
        newest = load_newest(self.checkpoints)
        return None if newest is None else newest.saved.config

    def saved_config(self) -> RunConfig | None:
        """Read the configuration of the run to resume; None for a missing or empty folder.

        Raises:
            RunDirError: the folder holds something that isn't a run.
            CheckpointError, ConfigError, RecipeError: the run in it can't be read.
        """
        if (config := self.find_config()) is not None:
            return config
        if self.root.exists() and (not self.root.is_dir() or self._taken()):
            raise RunDirError(
                f"There is no run to resume in {str(self.root)!r}, but something else is: "
                f"check `out`."
            )
        return None

    def tidy(self) -> None:
        """Remove the half-written files that a killed process left."""
        for folder in (self.root, self.checkpoints, self.grids):
            for path in folder.glob(".*.tmp"):
                path.unlink(missing_ok=True)

    def _taken(self) -> bool:
        """Return True if the folder has more than the half-written config of a killed run."""
        return not all(is_temporary(entry.name, self.config) for entry in self.root.iterdir())


def find_checkpoint(path: Path) -> CheckpointFile:
    """Read the checkpoint ``path``, or the newest intact one of the run in the folder ``path``.

    Raises:
        CheckpointError: there is none, or it can't be read.
    """
    if path.is_dir():
        newest = load_newest(path / "checkpoints") or load_newest(path)
        if newest is None:
            raise CheckpointError(f"There is no checkpoint in the folder {str(path)!r}.")
        return newest
    if not path.exists():
        raise CheckpointError(f"There is no checkpoint {str(path)!r}.")
    return CheckpointFile(path, load_checkpoint(path), {})
