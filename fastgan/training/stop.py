"""Clean stops: a first Ctrl-C or SIGTERM ends a run after its step, a second the process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Request to end a run after its current step.

    Attributes:
        signal: signal that asked for the end, None if none did.
        called: True if the program itself asked for it.
    """

    signal: signal.Signals | None = None
    called: bool = False

    @property
    def requested(self) -> bool:
        """True if anything asked for the end of the run."""
        return self.called or self.signal is not None


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn SIGINT and SIGTERM into a stop request inside the block; a second one acts at once.

    Outside the main thread Python allows no handlers, and signals act as usual.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, frame: FrameType | None) -> None:
        request.signal = signal.Signals(number)
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        restore()
