"""Clean stops: a first Ctrl-C or SIGTERM ends a run after its step, a later one the process."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

AT_ONCE = 1.0
"""Seconds in which two different signals are one request."""


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

    The other signal within a second of the first is the same request, since job queues and
    terminals may send both. Outside the main thread Python allows no handlers, and signals act as
    usual.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    began = 0.0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal began
        if request.signal is None:
            request.signal, began = signal.Signals(number), time.monotonic()
        elif number == request.signal or time.monotonic() - began > AT_ONCE:
            restore()
            signal.raise_signal(number)

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        restore()
