"""Log of a run: one JSON object per line in log.jsonl, and TensorBoard if it is installed."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastgan.files import write_atomic
from fastgan.names import plain_folder

Row = dict[str, float]
"""Row of the log.

It has step, nimg, seconds, images_per_second, waiting and skipped. ``waiting`` is the share of time
spent waiting for data, 0 to 1; ``skipped`` counts updates that were skipped so far. Then follow the
mean of each loss and statistic since the last row, and measures ("measure/…").
"""


class MeanStats:
    """Running means of scalar tensors, kept on their device so that no step waits for it.

    NaN isn't counted: so a GPU marks the statistics of an update that it skipped.
    """

    def __init__(self) -> None:
        # Sums and counts, ``[2, values]``, by the values' names.
        self._sums: dict[tuple[str, ...], Tensor] = {}

    def add(self, stats: dict[str, Tensor]) -> None:
        """Add a step's scalars."""
        if not stats:
            return
        values = torch.stack([value.double() for value in stats.values()])
        counted = ~values.isnan()
        added = torch.stack([values.where(counted, 0.0), counted.double()])
        names = tuple(stats)
        before = self._sums.get(names)
        self._sums[names] = added if before is None else before + added

    def take(self) -> Row:
        """Return the means since the last call as floats, and start anew.

        The mean of nothing but NaN is NaN.
        """
        totals: dict[str, tuple[float, float]] = {}
        for names, sums in self._sums.items():
            for name, total, count in zip(names, *sums.tolist()):
                before = totals.get(name, (0.0, 0.0))
                totals[name] = before[0] + total, before[1] + count
        self._sums.clear()
        return {
            name: total / count if count else math.nan for name, (total, count) in totals.items()
        }


class RunLog:
    """Writer of a log. A resumed run first drops the rows of steps that it will repeat."""

    def __init__(self, path: Path, *, tensorboard: Path, nimg: int) -> None:
        """Open the log.

        Args:
            path: log.jsonl.
            tensorboard: folder for TensorBoard's events.
            nimg: images shown so far, 0 for a new run.
        """
        rows = [row for row in read_log(path) if row["nimg"] <= nimg]
        write_atomic(path, [_line(row) for row in rows])
        # close() closes it.
        self._file = open(path, "ab")  # noqa: SIM115
        self._closing = contextlib.ExitStack()
        self._closing.callback(self._file.close)
        self._board = self._open_board(tensorboard, nimg)
        self._last_nimg, self._last_seconds = (
            (rows[-1]["nimg"], rows[-1]["seconds"]) if rows else (0.0, 0.0)
        )
        self._last_waited = 0.0

    def write(
        self, *, step: int, nimg: int, seconds: float, waited: float, skipped: int, figures: Row
    ) -> Row:
        """Append a row and return it.

        Args:
            step: steps done.
            nimg: images shown.
            seconds: time trained.
            waited: seconds that steps waited for data in this process.
            skipped: updates skipped so far.
            figures: means and measures, which go to TensorBoard too.
        """
        elapsed = max(seconds - self._last_seconds, 1e-9)
        speed = (nimg - self._last_nimg) / elapsed
        row = {
            "step": step,
            "nimg": nimg,
            "seconds": round(seconds, 3),
            "images_per_second": round(speed, 1),
            "waiting": round(min((waited - self._last_waited) / elapsed, 1.0), 4),
            "skipped": skipped,
        }
        row |= figures
        self._file.write(_line(row))
        self._file.flush()
        self._last_nimg, self._last_seconds, self._last_waited = nimg, seconds, waited
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(name, value, nimg, walltime=time.time())
        return row

    def close(self) -> None:
        """Close the file and TensorBoard's writer."""
        self._closing.close()

    def _open_board(self, folder: Path, nimg: int) -> Any:
        if importlib.util.find_spec("tensorboard") is None:
            return None
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        path = self._closing.enter_context(plain_folder(folder))
        # Repeated steps replace those of a killed process.
        board = SummaryWriter(str(path), purge_step=nimg + 1)
        self._closing.callback(board.close)
        return board


def read_log(path: Path) -> list[Row]:
    """Return the rows of a log.jsonl, [] for a missing file.

    A last line that a crash cut off is left out.
    """
    rows = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def _line(row: Row) -> bytes:
    return json.dumps(row).encode() + b"\n"
