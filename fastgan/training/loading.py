"""Training state out of a checkpoint."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import NamedTuple

import torch

from fastgan.training.checkpoint import restore
from fastgan.training.config import RunConfig
from fastgan.training.run_dir import find_checkpoint
from fastgan.training.state import TrainState


class Loaded(NamedTuple):
    """State of a checkpoint with its origin.

    Attributes:
        path: file that it was read from.
        config: configuration of the run.
        state: networks, optimisers and counters.
    """

    path: Path
    config: RunConfig
    state: TrainState

    @property
    def origin(self) -> str:
        """Recipe, images shown and file, for a person."""
        return f"{self.config.recipe.name} after {self.state.nimg:,} images, from {self.path}"


def load_state(path: str | Path, *, device: torch.device | str = "cpu") -> Loaded:
    """Load a checkpoint, or the newest intact one of a run's folder.

    Damaged checkpoints are passed over with a warning. No code in a file is run.

    Raises:
        CheckpointError: there is none, or it is damaged.
        ConfigError, RecipeError: this version doesn't know its recipe or its settings.
    """
    file, saved, damaged = find_checkpoint(Path(path))
    for error in damaged.values():
        warnings.warn(f"{error} Taking the one before it.", stacklevel=3)
    state = TrainState.create(saved.config.recipe, saved.config.image_spec, device=device)
    restore(state, saved, file)
    return Loaded(file, saved.config, state)
