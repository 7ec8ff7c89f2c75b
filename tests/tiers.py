"""Bookkeeping of a tier of the suite: its slowest tests, its budget, and tests that passed before.

`tests/conftest.py` registers this plugin. It does nothing without its options.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests import sources

ROOT = Path(__file__).resolve().parents[1]
DURATIONS = ROOT / "build" / "durations.json"
PASSED = ROOT / "build" / "passed.json"
SLOWEST = 40
#: Share of the budget at which a tier fails.
OVERRUN = 1.5
#: CPU seconds of `_fixed_work` on the machine on which the budgets were set.
USUAL = 0.14
SKIPPED = "passed before with the same sources, harness and compilers: build/passed.json"


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("tiers")
    group.addoption(
        "--record",
        metavar="NAME",
        help=f"write the {SLOWEST} slowest tests to build/durations.json",
    )
    group.addoption(
        "--budget",
        type=float,
        metavar="SECONDS",
        help=f"fail if the tests need {OVERRUN:g} times as long on idle cores",
    )
    group.addoption(
        "--skip-passed", action="store_true", help="skip tests whose sources passed before"
    )
    group.addoption(
        "--least-passes",
        type=int,
        default=0,
        metavar="N",
        help="fail unless each named file passes N",
    )
    group.addoption(
        "--gpu-sample",
        type=float,
        metavar="SHARE",
        help="run a randomly drawn share of the tests marked gpu, 0.2 for a fifth",
    )
    group.addoption(
        "--seed", type=int, metavar="N", help="seed of --gpu-sample; a new one if it is left out"
    )


def draw_seed(config: pytest.Config) -> None:
    """Draw the seed of ``--gpu-sample`` unless one is given; workers get it as an option."""
    if config.getoption("--gpu-sample") is not None and config.getoption("--seed") is None:
        config.option.seed = random.SystemRandom().randrange(10**6)


def sampled(node: str, share: float, seed: int) -> bool:
    """Return True for a share of all names of tests, which depends on the name and the seed alone.

    So all workers of pytest-xdist draw the same tests.
    """
    digest = hashlib.sha256(f"{seed} {node}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def sample_gpu_tests(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of a GPU that ``--gpu-sample`` doesn't draw."""
    share = config.getoption("--gpu-sample")
    if share is None:
        return
    seed = config.getoption("--seed")
    left_out = [
        item
        for item in items
        if item.get_closest_marker("gpu")
        and not sampled(item.nodeid.partition("@")[0], share, seed)
    ]
    config.hook.pytest_deselected(items=left_out)
    dropped = set(left_out)
    items[:] = [item for item in items if item not in dropped]


def read(path: Path) -> dict:
    """Return the JSON object in a file, or an empty one if it can't be read."""
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        return {}


def write(path: Path, content: dict) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


class Stopwatch:
    """The time that work takes on idle cores of the usual speed, by its CPU time.

    The time on the wall depends on what else the machine does, and on its kind.
    """

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._work = _fixed_work()
        self._wall, self._cpu = time.monotonic(), _cpu_seconds()

    def wall(self) -> float:
        return time.monotonic() - self._wall

    def usual(self) -> float:
        """Return the CPU seconds per core since the start, less what a slow CPU adds."""
        used = (_cpu_seconds() - self._cpu) / self._cores
        return used / max(1.0, (self._work + _fixed_work()) / 2 / USUAL)

    def overrun(self, budget: float) -> str | None:
        """Describe how far the work is over its budget in seconds, or return None."""
        seconds = self.usual()
        if seconds <= OVERRUN * budget:
            return None
        return (
            f"{seconds:.0f} seconds on idle cores are more than {OVERRUN:g} times the budget of "
            f"{budget:.0f}: {DURATIONS.relative_to(ROOT)} lists the slowest tests"
        )


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process, and of processes that ended and were waited for."""
    return sum(os.times()[:4])


def _fixed_work() -> float:
    """Return the CPU seconds of a fixed calculation, the fastest of three."""
    times = []
    for _ in range(3):
        start = time.process_time()
        sum(len(f"{i:x}") * i for i in range(1_000_000))
        times.append(time.process_time() - start)
    return min(times)


class Bookkeeping:
    """Plugin of the process that starts the session, which gets the reports of all workers."""

    def __init__(self, config: pytest.Config) -> None:
        self._name: str | None = config.getoption("--record")
        self._budget: float | None = config.getoption("--budget")
        self._least: int = config.getoption("--least-passes")
        self._files = (
            {Path(a.partition("::")[0]).name for a in config.args} if self._least else set()
        )
        self._start = time.monotonic()
        workers = getattr(config.option, "tx", None) or []
        # It times a piece of work, which a session without a budget needn't wait for.
        self._stopwatch = Stopwatch(cores=max(1, len(workers))) if self._budget else None
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._digests: dict[str, str] = {}
        self._passes: Counter[str] = Counter()
        self._before = 0
        self._failures: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration
        file = Path(report.nodeid.partition("::")[0]).name
        properties = dict(report.user_properties)
        if report.when == "call" and report.passed:
            self._passes[file] += 1
            if digest := properties.get("sources"):
                self._digests[report.nodeid] = digest
        elif report.when == "setup" and report.skipped and SKIPPED in str(report.longrepr):
            self._passes[file] += 1
            self._before += 1

    @pytest.hookimpl(trylast=True)  # workers have ended, so their CPU time is known
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        seconds = time.monotonic() - self._start
        if self._name:
            slowest = sorted(self._seconds.items(), key=lambda item: -item[1])[:SLOWEST]
            slow = [{"test": test, "seconds": round(took, 2)} for test, took in slowest]
            record = {
                "seconds": round(seconds, 1),
                "budget": self._budget,
                "tests": len(self._seconds),
                "slowest": slow,
            }
            write(DURATIONS, read(DURATIONS) | {self._name: record})
            if self._digests:
                passed = read(PASSED)
                write(PASSED, passed | {self._name: passed.get(self._name, {}) | self._digests})
        if self._stopwatch and (overrun := self._stopwatch.overrun(self._budget)):
            self._failures.append(overrun)
        self._failures += [
            f"{file} passed {self._passes[file]} tests, expected at least {self._least}"
            for file in sorted(self._files)
            if self._passes[file] < self._least
        ]
        if self._failures and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._before:
            terminalreporter.write_line(f"{self._before} of the skipped tests {SKIPPED}")
        for failure in self._failures:
            terminalreporter.write_line(f"FAILED {self._name}: {failure}", red=True)


def skip_passed(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test the digest of its sources; skip those that passed before with the same one.

    Continuous integration skips none.
    """
    if not config.getoption("--skip-passed"):
        return
    recorded = {} if os.environ.get("CI") else read(PASSED).get(config.getoption("--record"), {})
    for item in items:
        digest = sources.digest(item.path)
        item.user_properties.append(("sources", digest))
        if recorded.get(item.nodeid) == digest:
            item.add_marker(pytest.mark.skip(reason=SKIPPED))
