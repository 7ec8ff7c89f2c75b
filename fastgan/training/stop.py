"""Clean stops: the first Ctrl-C or SIGTERM ends a run after its step, the second ends the process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """signal: the signal that asked for an end, None while none did. called: whether the program itself did."""

    signal: signal.Signals | None = None
    called: bool = False

    @property
    def came(self) -> bool:
        """Whether an end was asked for."""
        return self.called or self.signal is not None


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Within the block SIGINT and SIGTERM only note that an end was asked for; a second one acts at once.

    Outside the main thread Python allows no handlers, and nothing changes.
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
