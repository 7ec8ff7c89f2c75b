"""Progress of a run: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from fastgan.errors import without_marks
from fastgan.names import encodable, printable
from fastgan.training.log import Row

PLAIN_INTERVAL = 10.0
"""Seconds between two plain lines."""


def duration(seconds: float) -> str:
    """Format seconds for a person: `95.2` → "1m 35s"."""
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {whole:02}s" if minutes else f"{whole}s"


def say(console: Console, line: str) -> None:
    """Print a line without markup or wrapping, with printable names, in the console's encoding.

    Backticks around names of settings are left out, or as the console's ``spell`` writes them.
    """
    spell = getattr(console, "spell", without_marks)
    plain = printable(spell(line))
    console.out(encodable(plain, console.encoding), highlight=False)


class TrainingProgress:
    """Context that shows the progress of a run.

    It shows images shown, images/s, time left, share of time spent waiting for data, and losses.
    """

    def __init__(self, console: Console, *, total: int, done: int) -> None:
        """Prepare a bar or lines.

        Args:
            console: console to print to.
            total: images that the whole run shows.
            done: images shown before this process.
        """
        self._console, self._total, self._done = console, total, done
        self._began = self._printed = time.monotonic()
        self._row = ""
        self._bar: Progress | None = None
        if console.is_terminal:
            columns = (
                BarColumn(bar_width=None),
                TaskProgressColumn(),
                TextColumn("{task.fields[text]}", markup=False),
            )
            self._bar = Progress(*columns, console=console, expand=True)
            self._task = self._bar.add_task("", total=total, completed=done, text="starting")

    def __enter__(self) -> TrainingProgress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, nimg: int) -> None:
        """Update the count of images shown in the whole run."""
        if self._bar is not None:
            self._bar.update(self._task, completed=min(nimg, self._total), text=self._text(nimg))
        elif (now := time.monotonic()) - self._printed >= PLAIN_INTERVAL or nimg >= self._total:
            self._printed = now
            say(self._console, f"{nimg:>11,} / {self._total:,} images  {self._text(nimg)}")

    def row(self, row: Row) -> None:
        """Show from now on a log row's losses, share of time spent waiting, and skipped updates.

        An empty row changes nothing: another process keeps the log.
        """
        if not row:
            return
        losses = [
            f"{name.removeprefix('loss/')} {value:.2f}"
            for name, value in row.items()
            if "loss/" in name
        ]
        self._row = f"  data {row['waiting']:.1%}"
        self._row += f"  loss {'  '.join(losses)}" if losses else ""
        self._row += f"  skipped {row['skipped']:,}" if row["skipped"] else ""

    def _text(self, nimg: int) -> str:
        speed = (nimg - self._done) / max(time.monotonic() - self._began, 1e-9)
        left = max(self._total - nimg, 0) / max(speed, 1e-9)
        return f"{speed:,.0f} images/s  {duration(left)} left{self._row}"
