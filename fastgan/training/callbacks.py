"""What a program may do while its run goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from fastgan.evaluation.measures import Measures
from fastgan.training.log import Row

if TYPE_CHECKING:
    from fastgan.training.loop import Run, RunResult


class Callback:
    """Base class: override what you need, and give instances to `train(..., callbacks=[...])`.

    `run` offers `state`, `recipe`, `dataset`, `folder` and `stop()`. An error that a callback raises ends the run as any
    error does; the checkpoints written before are intact. With several processes, `on_start`, `on_step` and
    `on_end` are called in each, the others in the main one alone.
    """

    def on_start(self, run: Run) -> None:
        """Before the first step of this process; `run.state` is restored by then."""

    def on_step(self, run: Run, stats: dict[str, Tensor]) -> None:
        """After each step, with its losses and statistics: detached scalars on their device."""

    def on_log(self, run: Run, row: Row) -> None:
        """After a row went to the log and to TensorBoard."""

    def on_samples(self, run: Run, path: Path) -> None:
        """After a grid of samples was written to `path`."""

    def on_measure(self, run: Run, measures: Measures) -> None:
        """After the samples were measured: every `measure_every` images, and at the end."""

    def on_checkpoint(self, run: Run, path: Path) -> None:
        """After a checkpoint was written to `path`, the best one (best.pt) among them."""

    def on_end(self, run: Run, result: RunResult) -> None:
        """After the report was written."""
