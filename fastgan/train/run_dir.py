"""The folder of one run: what lies where in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastgan.errors import FastganError
from fastgan.train.checkpoint import CheckpointError, list_checkpoints, load_checkpoint
from fastgan.train.config import RunConfig, load_config


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

    def create(self) -> None:
        """Makes the folder. Raises RunDirError if something is in it already."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            taken = any(not entry.name.endswith(".tmp") for entry in self.root.iterdir())
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

    def saved_config(self) -> RunConfig:
        """The configuration of the run in this folder. Raises RunDirError if there is no run in it."""
        if self.config.exists():
            return load_config(self.config)
        if (checkpoint := self.latest_checkpoint) is not None:
            return load_checkpoint(checkpoint).config
        raise RunDirError(
            f"There is no run to resume in {str(self.root)!r}: check --out, or leave out --resume."
        )


def find_checkpoint(path: Path) -> Path:
    """`path` itself if it's a file, else the newest checkpoint of the run in the folder `path`.

    Raises CheckpointError if there is none.
    """
    if path.is_dir():
        found = list_checkpoints(path / "checkpoints") or list_checkpoints(path)
        if not found:
            raise CheckpointError(f"There is no checkpoint in the folder {str(path)!r}.")
        return found[-1]
    if not path.exists():
        raise CheckpointError(f"There is no checkpoint {str(path)!r}.")
    return path
