"""The loop: opens the data and the run's folder, takes steps, logs, draws, saves, and ends with a report."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from fastgan.data import ImageDataset, batch_indices, open_dataset, to_float
from fastgan.recipes import Batch, Recipe
from fastgan.train.checkpoint import load_checkpoint, restore, save_checkpoint
from fastgan.train.config import ConfigError, RunConfig, RunOptions, save_config
from fastgan.train.curves import require_plotting
from fastgan.train.log import MeanStats, RunLog
from fastgan.train.measures import Measures, measure
from fastgan.train.progress import TrainingProgress
from fastgan.train.report import write_report
from fastgan.train.run_dir import RunDir
from fastgan.train.samples import save_grid
from fastgan.train.state import TrainState, derive_seed
from fastgan.train.step import NonFiniteLoss, batches_per_step, parameters_are_finite, train_step
from fastgan.train.stop import StopRequest, stop_on_signals

GRID_ROWS = GRID_COLUMNS = 8


@dataclass(frozen=True)
class RunResult:
    """What a run left behind. stopped_by: the signal that ended it early, None if it reached its images."""

    run: RunDir
    config: RunConfig
    nimg: int
    seconds: float
    measures: Measures
    stopped_by: signal.Signals | None


def train(recipe: Recipe, options: RunOptions, *, console: Console | None = None) -> RunResult:
    """Trains `recipe`, or goes on with the run in `options.out`, until `recipe.images` images were shown.

    SIGINT and SIGTERM end it after the current step; the report and a checkpoint are written either way.

    Raises a FastganError: DataError (data), RecipeError and ConfigError (settings), RunDirError (folder),
    CheckpointError (unreadable, or can't be written), NonFiniteLoss, ReportError (matplotlib is missing).
    """
    console = console or Console()
    require_plotting()
    device = choose_device(options.device)
    run = RunDir(Path(options.out or f"runs/{recipe.name}"))
    saved_config = run.saved_config() if options.resume else None
    dataset = open_dataset(recipe.data, resolution=recipe.resolution)
    config = RunConfig.of(recipe, dataset)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), stop_on_signals() as stop:
        if saved_config is None:
            run.create()
            state = TrainState.create(recipe, config.images, device=device)
        else:
            saved_config.check_resumable(config)
            state = _restored(run, config, device)
        save_config(run.config, config)
        _announce(console, run, config, dataset, state, str(device))
        session = _Session(run, config, options, dataset, state, stop, device)
        session.run_to_end(console)
        if stop.signal is not None:
            console.print(
                f"Stopped by {stop.signal.name}, the run can go on with --resume.",
                markup=False,
                highlight=False,
            )
        return _finish(session)


def choose_device(name: str) -> torch.device:
    """The device for "auto", "cpu" or "cuda". Raises ConfigError for "cuda" where torch sees none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda was asked for, but torch sees no CUDA device: see fastgan doctor.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def load_batch(dataset: ImageDataset, *, seed: int, start: int, count: int, device: torch.device) -> Batch:
    """The `count` images from position `start` of the run's endless shuffled sequence."""
    real, labels = dataset.batch(batch_indices(len(dataset), seed=seed, start=start, count=count))
    return Batch(to_float(real.to(device)), labels.to(device))


@dataclass
class _Session:
    run: RunDir
    config: RunConfig
    options: RunOptions
    dataset: ImageDataset
    state: TrainState
    stop: StopRequest
    device: torch.device

    def run_to_end(self, console: Console) -> None:
        """Steps until the images are shown or a signal came; the last state is in a checkpoint afterwards."""
        state, recipe, options = self.state, self.config.recipe, self.options
        players = recipe.players()
        log = RunLog(self.run.log, tensorboard=self.run.tensorboard, nimg=state.nimg)
        means = MeanStats()
        began = time.monotonic() - state.seconds
        saved_at = state.nimg if self.run.latest_checkpoint else -1
        if state.nimg == 0:
            self.draw(self.run.grid(0))
        with TrainingProgress(console, total=recipe.images, done=state.nimg) as progress:
            try:
                while state.nimg < recipe.images and self.stop.signal is None:
                    before = state.nimg
                    means.add(train_step(state, players, self.next_batches(batches_per_step(players))))
                    state.seconds = time.monotonic() - began
                    save_now = _crossed(before, state.nimg, options.checkpoint_every)
                    if save_now or _crossed(before, state.nimg, options.log_every):
                        progress.losses(self.log_row(log, means))
                    if _crossed(before, state.nimg, options.samples_every):
                        self.draw(self.run.grid(state.nimg))
                    if save_now:
                        self.checkpoint()
                        saved_at = state.nimg
                    progress.advance(state.nimg)
                if saved_at != state.nimg:
                    self.log_row(log, means)
                    self.checkpoint()
            finally:
                log.close()

    def next_batches(self, count: int) -> list[Batch]:
        size, seed = self.config.recipe.batch, self.config.recipe.seed
        starts = [self.state.nimg + i * size for i in range(count)]
        return [load_batch(self.dataset, seed=seed, start=s, count=size, device=self.device) for s in starts]

    def log_row(self, log: RunLog, means: MeanStats) -> dict[str, float]:
        state = self.state
        return log.write(step=state.step, nimg=state.nimg, seconds=state.seconds, means=means.take())

    def draw(self, path: Path) -> None:
        recipe = self.config.recipe
        seed = derive_seed(recipe.seed, "grid")
        save_grid(path, recipe, self.state.sampler, seed=seed, rows=GRID_ROWS, columns=GRID_COLUMNS)

    def checkpoint(self) -> None:
        if not parameters_are_finite(self.state):
            raise NonFiniteLoss(
                f"A weight became infinite or NaN before {self.state.nimg:,} images, so training stopped: "
                f"the checkpoints written before are intact; a lower --lr or another --seed may help."
            )
        save_checkpoint(self.run.checkpoints, self.config, self.state, keep=self.options.keep)


def _restored(run: RunDir, config: RunConfig, device: torch.device) -> TrainState:
    """The state of the newest checkpoint, or the first state if the run ended before its first checkpoint."""
    state = TrainState.create(config.recipe, config.images, device=device)
    if (path := run.latest_checkpoint) is not None:
        saved = load_checkpoint(path)
        saved.config.check_resumable(config)
        restore(state, saved, path)
    return state


def _announce(
    console: Console, run: RunDir, config: RunConfig, dataset: ImageDataset, state: TrainState, device: str
) -> None:
    recipe, images = config.recipe, config.images
    size = f"{images.channels}×{images.resolution}×{images.resolution}"
    lines = [
        f"{recipe.name} on {dataset.name} ({len(dataset):,} images of {size}), on {device}, into {run.root}"
    ]
    if state.nimg >= recipe.images:
        lines.append(f"All {state.nimg:,} images have been shown; give a higher --images to go on.")
    elif state.nimg:
        lines.append(f"Resumed after {state.nimg:,} images.")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _finish(session: _Session) -> RunResult:
    session.draw(session.run.samples)
    measures = measure(session.config.recipe, session.state.sampler, session.dataset)
    write_report(
        session.run, session.config, nimg=session.state.nimg, seconds=session.state.seconds, measures=measures
    )
    state = session.state
    return RunResult(session.run, session.config, state.nimg, state.seconds, measures, session.stop.signal)


def _crossed(before: int, after: int, every: int) -> bool:
    """Whether a multiple of `every` lies in (before, after]."""
    return before // every != after // every
