"""The context of a stage: its settings, its time, and where its figures go."""

from __future__ import annotations

import contextlib
import gc
import json
import math
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.gpu_session.results import Figure

#: Beginnings of the lines that carry results; all other output of a stage is its log.
FIGURE, FACT = "@figure ", "@fact "


@dataclass
class Context:
    """Settings of a stage, and the receivers of its figures.

    Args:
        device: ``cuda`` or ``cpu``.
        quick: tiny sizes, to see that all runs.
        seed: seed of everything random.
        ends: value of ``time.monotonic()`` at which the stage should have ended.
        out: folder for files.
        figure_to, fact_to: receivers of figures, and of names with texts.
        part: part of the stage that this process runs, empty for all of it.
    """

    device: str
    quick: bool
    seed: int
    ends: float
    out: Path
    figure_to: Callable[[Figure], None]
    fact_to: Callable[[str, str], None]
    part: str = ""

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.ends - time.monotonic()

    def figure(
        self,
        work: str,
        measure: str,
        value: float | None,
        unit: str,
        *,
        side: str = "",
        dtype: str = "",
        floor: float | None = None,
        note: str = "",
    ) -> None:
        """Report a figure; see :class:`Figure`. A value that isn't finite is none."""
        if value is not None and not math.isfinite(value):
            value, note = None, f"{value}; {note}".removesuffix("; ")
        self.figure_to(Figure(work, measure, value, unit, side, dtype, floor, note))

    @contextlib.contextmanager
    def attempt(
        self, work: str, measure: str, unit: str, *, side: str = "", dtype: str = ""
    ) -> Iterator[None]:
        """Report an exception inside the block as a figure without value; the stage goes on.

        A GPU with less memory or an older one fails at some work, and runs the rest.
        """
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            # One line; the log has all of it.
            said = (str(error).strip() or "no message").splitlines()[0]
            note = f"{type(error).__name__}: {said}"[:200]
            self.figure(work, measure, None, unit, side=side, dtype=dtype, note=note)
            # Frames of the traceback hold tensors.
            error.__traceback__ = None
            free_memory()


def free_memory() -> None:
    """Return the memory of dropped tensors, graphs and networks to the GPU."""
    import torch

    if torch.cuda.is_initialized():
        gc.collect()
        torch.cuda.empty_cache()


def print_figure(figure: Figure) -> None:
    """Print a figure as a line that the session's process reads.

    It begins a new line, since pytest leaves its own ones open.
    """
    said = json.dumps(asdict(figure), ensure_ascii=False, allow_nan=False)
    print(f"\n{FIGURE}{said}", flush=True)


def print_fact(name: str, text: str) -> None:
    """Print a name and a text as a line that the session's process reads."""
    print(f"\n{FACT}{json.dumps({name: text}, ensure_ascii=False)}", flush=True)
