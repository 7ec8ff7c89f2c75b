"""A run under way, as callbacks see it, and the result that it ends with."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field

from fastgan.data import ImageDataset
from fastgan.evaluation.measures import Measures
from fastgan.recipes import Networks, Recipe
from fastgan.training.config import RunConfig, RunOptions
from fastgan.training.distributed import World
from fastgan.training.run_dir import RunDir
from fastgan.training.run_settings import RunSettings
from fastgan.training.state import TrainState
from fastgan.training.stop import StopRequest


@dataclass(eq=False)
class Run:
    """A run under way.

    Attributes:
        folder: folder that the run writes to.
        config: recipe, settings and data, as stored in the folder.
        options: options that don't change what is learned.
        dataset: real images.
        state: live networks, optimisers and counters.
        world: this process among those of the run.
    """

    folder: RunDir
    config: RunConfig
    options: RunOptions
    dataset: ImageDataset
    state: TrainState
    world: World
    _stop: StopRequest = field(repr=False)

    @property
    def recipe(self) -> Recipe:
        """Recipe of the run, with its settings."""
        return self.config.recipe

    @property
    def settings(self) -> RunSettings:
        """Data, length and seed of the run."""
        return self.config.settings

    def stop(self) -> None:
        """End the run after the current step, with a checkpoint and the report.

        The run can be resumed.
        """
        self._stop.called = True


@dataclass(frozen=True)
class RunResult:
    """Networks, measures and folder of a run that ended.

    Attributes:
        run: folder of the run.
        config: recipe, settings and data of the run.
        networks: networks by name; moving averages where the recipe keeps them.
        averaged: names of the moving averages among ``networks``.
        nimg: real images shown, in all processes together.
        seconds: time trained, in all sessions together.
        measures: figures of the samples at the end, empty if none were taken.
        stopped_by: signal that ended the run early, None if none did.
        unmeasured: reason why requested measures are missing, else empty.
    """

    run: RunDir
    config: RunConfig
    networks: Networks = field(repr=False, compare=False)
    averaged: tuple[str, ...] = field(repr=False)
    nimg: int
    seconds: float
    measures: Measures
    stopped_by: signal.Signals | None
    unmeasured: str = ""
