"""Signals become a stop request; a later one acts at once."""

from __future__ import annotations

import signal
import sys

import pytest

from fastgan.training import stop
from fastgan.training.stop import stop_on_signals

BOTH = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def usual_handlers():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def raise_together(*numbers):
    """Deliver signals between two instructions of Python."""
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    for number in numbers:
        signal.raise_signal(number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs POSIX signals")
def test_two_signals_at_once_are_one_request(monkeypatch):
    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    with stop_on_signals() as request:
        raise_together(*BOTH)
        assert request.signal in BOTH and request.requested
    assert not lost


def test_a_second_signal_acts_at_once():
    with pytest.raises(KeyboardInterrupt), stop_on_signals() as request:
        signal.raise_signal(signal.SIGINT)
        assert request.signal == signal.SIGINT
        signal.raise_signal(signal.SIGINT)


def test_another_signal_later_acts_at_once(monkeypatch):
    monkeypatch.setattr(stop, "AT_ONCE", -1.0)
    with pytest.raises(KeyboardInterrupt), stop_on_signals() as request:
        signal.raise_signal(signal.SIGTERM)
        assert request.signal == signal.SIGTERM
        signal.raise_signal(signal.SIGINT)


def test_the_handlers_come_back():
    before = [signal.getsignal(number) for number in BOTH]
    with stop_on_signals():
        assert [signal.getsignal(number) for number in BOTH] != before
    assert [signal.getsignal(number) for number in BOTH] == before
