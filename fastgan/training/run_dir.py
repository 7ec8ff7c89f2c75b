"""The folder of one run: what lies where in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastgan.errors import FastganError
from fastgan.files import temporary_of
from fastgan.training.checkpoint import (
    BEST,
    CheckpointError,
    Found,
    list_checkpoints,
    load_checkpoint,
    load_newest,
)
from fastgan.training.config import RunConfig, load_config


class RunDirError(FastganError):
    """The run's folder is taken, missing or not a run; the message says what to do."""


@dataclass(frozen=True)
class RunDir:
    """Paths inside the folder `root`."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.json"

    @property
    def options(self) -> Path:
        return self.root / "options.json"

    @property
    def log(self) -> Path:
        return self.root / "log.jsonl"

    @property
    def measures(self) -> Path:
        return self.root / "measures.json"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        return self.root / "tensorboard"

    @property
    def samples(self) -> Path:
        return self.root / "samples.png"

    @property
    def curves(self) -> Path:
        return self.root / "curves.png"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def grids(self) -> Path:
        return self.root / "samples"

    def grid(self, nimg: int) -> Path:
        return self.grids / f"{nimg:09d}.png"

    @property
    def latest_checkpoint(self) -> Path | None:
        found = list_checkpoints(self.checkpoints)
        return found[-1] if found else None

    @property
    def best_checkpoint(self) -> Path:
        return self.checkpoints / BEST

    def create(self) -> None:
        """Makes the folder. Raises RunDirError if something is in it already."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            taken = self._taken()
        except OSError as error:
            raise RunDirError(
                f"The output folder {str(self.root)!r} can't be made ({error.strerror or error}): "
                f"choose another --out."
            ) from error
        if taken:
            raise RunDirError(
                f"The output folder {str(self.root)!r} isn't empty: go on with the run in it with --resume, "
                f"or choose another --out."
            )

    def saved_config(self) -> RunConfig | None:
        """The configuration of the run in this folder, None if nothing was written there yet.

        Raises RunDirError if the folder holds something that is no run; CheckpointError, ConfigError or
        RecipeError if the run in it can't be read.
        """
        if self.config.exists():
            return load_config(self.config)
        if (found := load_newest(self.checkpoints)) is not None:
            return found.saved.config
        if self.root.exists() and (not self.root.is_dir() or self._taken()):
            raise RunDirError(
                f"There is no run to resume in {str(self.root)!r}, but something else is: check --out."
            )
        return None

    def tidy(self) -> None:
        """Removes the half-written files that a killed process left."""
        for folder in (self.root, self.checkpoints, self.grids):
            for path in folder.glob(".*.tmp"):
                path.unlink(missing_ok=True)

    def _taken(self) -> bool:
        """Whether anything is in the folder but the half-written configuration of a run killed at its start."""
        unfinished = temporary_of(self.config).name
        return any(entry.name != unfinished for entry in self.root.iterdir())


def find_checkpoint(path: Path) -> Found:
    """The checkpoint `path` if it's a file, else the newest intact one of the run in the folder `path`.

    Raises CheckpointError if there is none, or what `load_checkpoint` raises for a file.
    """
    if path.is_dir():
        found = load_newest(path / "checkpoints") or load_newest(path)
        if found is None:
            raise CheckpointError(f"There is no checkpoint in the folder {str(path)!r}.")
        return found
    if not path.exists():
        raise CheckpointError(f"There is no checkpoint {str(path)!r}.")
    return Found(path, load_checkpoint(path), {})
