"""Callbacks: code of a program that runs at the events of a run."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from fastgan.evaluation.measures import Measures
from fastgan.training.log import Row
from fastgan.training.run import Run, RunResult


class Callback:
    """Base class of callbacks; every method does nothing.

    Override the methods you need, and pass instances to ``train(..., callbacks=[...])``.
    ``run`` offers ``state``, ``recipe``, ``dataset``, ``folder`` and ``stop()``.

    An error that a callback raises ends the run, as any other error does. Checkpoints written
    before stay intact. With several processes, ``on_start``, ``on_step`` and ``on_end`` run in
    each of them, the other methods in the main one only.
    """

    def on_start(self, run: Run) -> None:
        """Run before the first step of this process; a resumed run's state is restored."""

    def on_step(self, run: Run, stats: dict[str, Tensor]) -> None:
        """Run after each step.

        Args:
            stats: losses and statistics of the step: detached scalars, on their device.
        """

    def on_log(self, run: Run, row: Row) -> None:
        """Run after a row is written to the log and to TensorBoard."""

    def on_samples(self, run: Run, path: Path) -> None:
        """Run after a grid of samples is written to ``path``."""

    def on_measure(self, run: Run, measures: Measures) -> None:
        """Run after the samples are measured: every ``measure_every`` images, and at the end."""

    def on_checkpoint(self, run: Run, path: Path) -> None:
        """Run after a checkpoint is written to ``path``; this includes best.pt."""

    def on_end(self, run: Run, result: RunResult) -> None:
        """Run after the report is written."""
