"""The time that a tier of the suite needs, as its budget counts it."""

from __future__ import annotations

import pytest

from tests import tiers


@pytest.fixture
def stopwatch(monkeypatch):
    """Makes a stopwatch that has seen 1,000 CPU seconds on a CPU that is `slow` times slower."""

    def make(slow: float, cores: int = 2) -> tiers.Stopwatch:
        used = iter([5.0, *[1005.0] * 9])
        monkeypatch.setattr(tiers, "_cpu_seconds", lambda: next(used))
        monkeypatch.setattr(tiers, "_fixed_work", lambda: slow * tiers.USUAL)
        return tiers.Stopwatch(cores)

    return make


def test_cpu_time_is_shared_by_the_cores(stopwatch):
    assert stopwatch(1.0).usual() == 500


def test_a_slow_cpu_may_take_longer_and_a_fast_one_not_less(stopwatch):
    assert stopwatch(2.0).usual() == 250
    assert stopwatch(0.5).usual() == 500


def test_an_overrun_is_described(stopwatch):
    assert stopwatch(1.0).overrun(budget=334) is None
    assert "500 seconds on idle cores" in (stopwatch(1.0).overrun(budget=333) or "")


def test_work_takes_cpu_time():
    before = tiers._cpu_seconds()
    assert tiers._fixed_work() > 0
    assert tiers._cpu_seconds() > before
