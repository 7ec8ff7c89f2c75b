"""Training loop: open the data and the run's folder, take steps, log, measure, save and report."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from torch import Tensor

from fastgan.data import BatchLoader, ImageDataset
from fastgan.data.discovery import few
from fastgan.errors import FastganError
from fastgan.evaluation.measures import Measures, main_measure, measure
from fastgan.evaluation.plan import has_measures, require_measures
from fastgan.inference.samples import save_grid, unseen
from fastgan.metrics import NonFiniteError
from fastgan.recipes import Batch, Recipe
from fastgan.seeds import derive_seed
from fastgan.training.callbacks import Callback
from fastgan.training.checkpoint import remove_old, save_best, save_checkpoint
from fastgan.training.config import RunConfig, RunOptions, save_options, split_settings
from fastgan.training.curves import require_plotting
from fastgan.training.defaults import Defaults
from fastgan.training.deterministic import deterministic
from fastgan.training.distributed import RanksDiffer, World, join_world
from fastgan.training.graphs import check_graphs, choose_recorder
from fastgan.training.log import MeanStats, RunLog
from fastgan.training.progress import TrainingProgress, say
from fastgan.training.report import write_report
from fastgan.training.resume import open_data, open_state, saved_run, together
from fastgan.training.run import Run, RunResult
from fastgan.training.run_dir import RunDir
from fastgan.training.run_settings import RunSettings
from fastgan.training.state import TrainState
from fastgan.training.step import TooManySkips, TrainStep, check_settings, parameters_are_finite
from fastgan.training.stop import StopRequest, stop_on_signals
from fastgan.training.transfer import Source

GRID_ROWS = GRID_COLUMNS = 8


class NonFiniteWeights(FastganError):
    """A weight became infinite or NaN. Such a state is never saved."""


def train(
    recipe: Recipe,
    settings: RunSettings | None = None,
    options: RunOptions | None = None,
    *,
    dataset: ImageDataset | None = None,
    init_from: str | Path | Source | None = None,
    defaults: Defaults | None = None,
    callbacks: Sequence[Callback] = (),
    console: Console | Literal["auto"] | None = "auto",
    **more: Any,
) -> RunResult:
    """Train a recipe until ``settings.total_images`` real images were shown.

    With ``options.resume`` this continues the run in ``options.out``. SIGINT, SIGTERM and
    :meth:`Run.stop` end the run after the current step. A checkpoint and the report are written in
    every case. Under torchrun every process makes the same call; rank 0 writes all files.

    Args:
        recipe: the GAN, with its settings.
        settings: data, length and seed of the run. None takes the recipe's usual ones, or those of
            a resumed run.
        options: output folder, device, intervals and other options that don't change what is
            learned. None takes the usual ones, or those of a resumed run.
        dataset: data set that replaces the one named by ``settings.data``.
        init_from: trained weights to begin with, as far as they fit. It is the folder of a run
            (its newest intact checkpoint), a checkpoint, an export as safetensors, or a StyleGAN2
            file of another program. A resumed run doesn't need it.
        defaults: preset that the caller took values from, which the configuration names.
        callbacks: callbacks, called in this order.
        console: console for the progress. "auto" is standard output; None shows nothing.
        **more: fields of ``settings`` or ``options`` by name, which take precedence:
            ``train(recipe, data="faces", out="runs/mine")``.

    Returns:
        Networks, measures and folder of the run.

    Raises:
        DataError: the data can't be read.
        RecipeError, ConfigError: settings or options can't be used.
        RunDirError: the folder is taken, or holds no run to resume.
        CheckpointError: a checkpoint can't be read or written.
        TransferError, CompatError: ``init_from`` holds no weights that fit.
        MetricError: a measure lacks a package or a file.
        ReportError: matplotlib isn't installed.
        TooManySkips, NonFiniteWeights: training diverged.
        NotDeterministic: a step can't be deterministic, as ``options.deterministic`` asks.
        RankLost, RanksDiffer, OtherRankFailed: another process failed or differs.
        TypeError: a name in ``more`` is unknown, or a callback is none.
    """
    run_settings, run_options = split_settings(more)
    chosen = dataclasses.replace(options or RunOptions(), **run_options)
    if (saved := saved_run(type(recipe), chosen)) is not None:
        settings = settings or saved[0].settings
        chosen = dataclasses.replace(options or saved[1], **run_options)
    options = chosen
    settings = dataclasses.replace(settings or RunSettings.of(recipe), **run_settings)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(
                f"callbacks must be instances of fastgan.training.Callback, got {callback!r}"
            )
    require_plotting()
    with join_world(options.device) as world:
        output = Console() if console == "auto" else console
        if output is None or not world.is_main:
            output = Console(quiet=True, force_terminal=False)
        # The settings of a resumed run are those on rank 0's disk.
        recipe, settings = world.broadcast((recipe, settings))
        check_settings(recipe, world)
        check_graphs(options.graphs, world.device)
        dataset, config = open_data(recipe, settings, dataset, world)
        config = dataclasses.replace(config, defaults=defaults)
        with together(world):
            if world.is_main:
                require_measures(recipe, dataset, options.measuring)
        devices = [world.device] if world.device.type == "cuda" else []
        with torch.random.fork_rng(devices), measured_convolutions(), stop_on_signals() as stop:
            folder = RunDir(Path(options.out or f"runs/{recipe.name}"))
            config, state, news = open_state(
                folder, config, world, resume=options.resume, init_from=init_from
            )
            if world.is_main:
                save_options(folder.options, options)
                # A killed process may have left more than that.
                remove_old(folder.checkpoints, keep=options.keep)
            news += _remarks(options, dataset)
            _announce(output, folder, config, dataset, state, world, news)
            run = Run(folder, config, options, dataset, state, world, stop)
            return _Loop(run, stop, callbacks, output).to_the_end()


@contextlib.contextmanager
def measured_convolutions() -> Iterator[None]:
    """Let cuDNN measure its algorithms once per shape inside the block, and take the fastest."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


class _Loop:
    """Loop of one run: its steps, and the work that is due between them."""

    def __init__(
        self, run: Run, stop: StopRequest, callbacks: Sequence[Callback], console: Console
    ) -> None:
        self.run = run
        self._stop = stop
        self._callbacks = callbacks
        self._console = console
        recorder, remark = choose_recorder(
            run.options.graphs, run.state, run.world, compiled=run.options.compile == "step"
        )
        if remark:
            say(console, remark)
        self._step = TrainStep(
            run.state, compile=run.options.compile, world=run.world, recorder=recorder
        )
        self._means = MeanStats()
        self._log: RunLog | None = None
        self._measured: tuple[int, Measures] | None = None
        self._unmeasured = ""
        # A state with images shown was restored from a checkpoint.
        self._saved_at = run.state.nimg if run.state.nimg else -1
        self._logged_at = -1
        self._unseen = unseen(run.recipe, run.dataset)
        self._views: tuple[str, ...] = ()
        self._asked: Callable[[], bool] | None = None

    def to_the_end(self) -> RunResult:
        """Take all steps, or those until a stop is requested; then save and report."""
        state, total_images, world = self.run.state, self.run.settings.total_images, self.run.world
        failure: TooManySkips | None = None
        step = self._step
        began = time.monotonic() - state.seconds
        with contextlib.ExitStack() as stack:
            batches = stack.enter_context(self._loader())
            if world.is_main:
                self._log = RunLog(
                    self.run.folder.log, tensorboard=self.run.folder.tensorboard, nimg=state.nimg
                )
                stack.callback(self._log.close)
            self._notify("on_start")
            if state.nimg == 0:
                self._draw(self.run.folder.grid(0))
            progress = TrainingProgress(self._console, total=total_images, done=state.nimg)
            with progress:
                while state.nimg < total_images and not self._stopped():
                    before = state.nimg
                    try:
                        due = [next_batch(batches) for _ in range(step.batches)]
                        with deterministic(self.run.options.deterministic):
                            stats = step(due)
                    except TooManySkips as error:
                        failure = error
                        break
                    state.seconds = time.monotonic() - began
                    self._means.add(stats)
                    self._notify("on_step", stats)
                    self._after_step(before, batches, progress)
                    progress.advance(state.nimg)
                if self._saved_at != state.nimg:
                    if self._logged_at != state.nimg:
                        self._row(batches)
                    self._checkpoint()
        self._agree_on_the_end()
        result = self._finish()
        if failure is not None:
            raise failure
        return result

    def _stopped(self) -> bool:
        """Return True on all ranks after a stop was requested on one of them.

        Several processes ask each other while a step computes, and so stop a step later than one.
        """
        world = self.run.world
        asked, self._asked = self._asked, world.ask_any(self._stop.requested)
        return self._asked() if world.size == 1 else asked is not None and asked()

    def _loader(self) -> BatchLoader:
        return BatchLoader(
            self.run.dataset,
            seed=self.run.settings.seed,
            start=self.run.state.nimg,
            batch=self.run.recipe.batch,
            device=self.run.world.device,
            rank=self.run.world.rank,
            size=self.run.world.size,
            workers=self.run.options.workers,
            mirror=self.run.recipe.mirror,
        )

    def _after_step(self, before: int, batches: BatchLoader, progress: TrainingProgress) -> None:
        """Measure, log, draw a grid and save, as far as they are due. All ranks decide alike."""
        options, now = self.run.options, self.run.state.nimg
        measure_now = options.measure_every > 0 and _crossed(before, now, options.measure_every)
        save_now = _crossed(before, now, options.checkpoint_every)
        if measure_now or save_now or _crossed(before, now, options.log_every):
            progress.row(self._row(batches, self._measure_and_keep_best() if measure_now else {}))
        if _crossed(before, now, options.samples_every):
            self._draw(self.run.folder.grid(now))
        if save_now:
            self._checkpoint()

    def _row(self, batches: BatchLoader, measures: Measures | None = None) -> dict[str, float]:
        state = self.run.state
        self._step.settle()
        self._logged_at = state.nimg
        figures = {
            name: round(value, 6)
            for name, value in self.run.world.mean(self._means.take()).items()
            if not math.isnan(value)
        }
        figures |= {f"measure/{name}": value for name, value in (measures or {}).items()}
        if self._log is None:
            return {}
        row = self._log.write(
            step=state.step,
            nimg=state.nimg,
            seconds=state.seconds,
            waited=batches.waited,
            skipped=sum(state.skipped.values()),
            figures=figures,
        )
        self._notify("on_log", row)
        return row

    def _draw(self, path: Path) -> None:
        if self.run.world.is_main:
            seed = derive_seed(self.run.settings.seed, "grid")
            self._views = save_grid(
                path,
                self.run.recipe,
                self.run.state.sampler,
                seed=seed,
                rows=GRID_ROWS,
                columns=GRID_COLUMNS,
                dataset=self._unseen,
            )
            self._notify("on_samples", path)

    def _measure(self) -> Measures:
        """Measure the present state once; return {} for samples that aren't finite."""
        if not self.run.world.is_main:
            return {}
        nimg = self.run.state.nimg
        if self._measured is None or self._measured[0] != nimg:
            self._measured, self._unmeasured = (nimg, {}), ""
            try:
                measures = measure(
                    self.run.recipe,
                    self.run.state.sampler,
                    self._unseen,
                    self.run.options.measuring,
                    seed=self.run.settings.seed,
                )
            except NonFiniteError as error:
                # The run may recover; its report says what wasn't measured.
                self._unmeasured = str(error)
                warnings.warn(f"After {nimg:,} images: {error}", stacklevel=1)
            else:
                self._measured = nimg, measures
                self._notify("on_measure", measures)
        return self._measured[1]

    def _measure_and_keep_best(self) -> Measures:
        measures, state = self._measure(), self.run.state
        name = main_measure(measures)
        # A resumed run may ask for another measure than the one saved as best.
        best = (state.best or {}).get(name or "", math.inf)
        if name is not None and measures[name] < best:
            state.best = {name: measures[name], "nimg": state.nimg}
            self._check_finite()
            self._step.settle()
            self._notify(
                "on_checkpoint", save_best(self.run.folder.checkpoints, self.run.config, state)
            )
        return measures

    def _checkpoint(self) -> None:
        self._saved_at = self.run.state.nimg
        self._step.settle()
        self._check_ranks()
        if self.run.world.is_main:
            self._check_finite()
            path = save_checkpoint(
                self.run.folder.checkpoints,
                self.run.config,
                self.run.state,
                keep=self.run.options.keep,
            )
            self._notify("on_checkpoint", path)

    def _check_ranks(self) -> None:
        networks = [*self.run.state.networks.values(), *self.run.state.ema.values()]
        if not self.run.world.same(
            [t for network in networks for t in network.state_dict().values()]
        ):
            raise RanksDiffer(
                f"After {self.run.state.nimg:,} images the processes no longer hold the same "
                f"weights, so training stopped: look for a network or a callback that changes "
                f"weights in one process alone."
            )

    def _check_finite(self) -> None:
        if not parameters_are_finite(self.run.state):
            raise NonFiniteWeights(
                f"A weight became infinite or NaN before {self.run.state.nimg:,} images, so "
                f"training stopped: the checkpoints written before are intact; a lower `lr` or "
                f"another `seed` may help."
            )

    def _agree_on_the_end(self) -> None:
        """Share a signal that one rank received with all ranks, and announce the stop."""
        if self._asked is not None:
            # Messages are answered in the order of their sending.
            self._asked()
        for number in (signal.SIGINT, signal.SIGTERM):
            if self.run.world.any(self._stop.signal == number):
                self._stop.signal = number
        if self._stop.requested:
            cause = self._stop.signal.name if self._stop.signal is not None else "a callback"
            say(self._console, f"Stopped by {cause}: resume the run to go on.")

    def _finish(self) -> RunResult:
        state, folder = self.run.state, self.run.folder
        self._draw(folder.samples)
        measures, unmeasured = self.run.world.broadcast((self._measure(), self._unmeasured))
        if self.run.world.is_main:
            write_report(
                folder,
                self.run.config,
                nimg=state.nimg,
                seconds=state.seconds,
                measures=measures,
                views=self._views,
                unmeasured=unmeasured,
            )
        result = RunResult(
            folder,
            self.run.config,
            state.sampler,
            tuple(state.ema),
            state.nimg,
            state.seconds,
            measures,
            self._stop.signal,
            unmeasured,
        )
        self._notify("on_end", result)
        return result

    def _notify(
        self, event: str, *details: dict[str, Tensor] | dict[str, float] | Path | RunResult
    ) -> None:
        for callback in self._callbacks:
            getattr(callback, event)(self.run, *details)


def _announce(
    console: Console,
    folder: RunDir,
    config: RunConfig,
    dataset: ImageDataset,
    state: TrainState,
    world: World,
    news: list[str],
) -> None:
    recipe, images = config.recipe, config.image_spec
    size = f"{images.channels}×{images.resolution}×{images.resolution}"
    where = str(world.device) if world.size == 1 else f"{world.size} × {world.device.type}"
    lines = [
        f"{recipe.name} on {dataset.name} ({len(dataset):,} images of {size}), on {where}, "
        f"into {folder.root}",
        *_classes(config),
        *news,
    ]
    if state.nimg >= config.settings.total_images:
        lines.append(f"All {state.nimg:,} images have been shown; raise `total_images` to go on.")
    elif state.nimg:
        lines.append(f"Resumed after {state.nimg:,} images.")
    for line in lines:
        say(console, line)


def _classes(config: RunConfig) -> list[str]:
    """Return a line with the class names, none for a recipe that can't use them."""
    names, conditional = config.image_spec.class_names, getattr(config.recipe, "conditional", None)
    if not names or conditional is None:
        return []
    use = "" if conditional else ", which `conditional` takes"
    return [f"{len(names):,} {'class' if len(names) == 1 else 'classes'}{use}: {few(names, 8)}."]


def _remarks(options: RunOptions, dataset: ImageDataset) -> list[str]:
    """Return remarks on the data and the options that prevent later surprises."""
    news = list(dataset.notes)
    if dataset.unlabelled:
        news.append(f"Labels are ignored: {dataset.unlabelled}.")
    if options.measure_every and not has_measures(dataset, options.measure):
        why = (
            "`measure` none takes none"
            if "none" in options.measure
            else f"There are no measures for {dataset.name} but those of `measure`, such as fd"
        )
        news.append(f"{why}, so `measure_every` changes nothing.")
    if options.compile == "step":
        news.append("Each update is compiled when it first runs, which may take minutes.")
    return news


def next_batch(batches: BatchLoader) -> Batch:
    """Return the loader's next batch in the form that losses take."""
    images, labels, inputs = next(batches)
    return Batch(images, labels, inputs=inputs)


def _crossed(before: int, after: int, every: int) -> bool:
    """Return True if a multiple of ``every`` lies in (before, after]."""
    return before // every != after // every
