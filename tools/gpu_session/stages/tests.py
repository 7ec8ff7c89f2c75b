"""A randomly drawn fifth of the tests of a GPU: the contract of every op on both backends."""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path

import pytest

from tools.gpu_session.context import Context

ROOT = Path(__file__).resolve().parents[3]
SHARE = 0.2
#: Tests that compile: a few of them would take the time of a thousand others.
LEFT_OUT = "not compile and not graph_break"
EVERY = 2.0
FAILURES = 20


class Reporter:
    """Plugin that reports the outcomes so far, and the names of failed tests."""

    def __init__(self, context: Context) -> None:
        self.context, self.counts, self.said = context, {"passed": 0, "failed": 0}, 0.0

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Report a file that can't be read, since a package is missing for example."""
        if report.failed:
            self.counts["failed"] += 1
            self.context.figure(report.nodeid, "test", 0.0, "passed", note=reason(report))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.counts["failed"] < FAILURES:
            self.context.figure(report.nodeid, "test", 0.0, "passed", note=reason(report))
        if report.failed or (report.when == "call" and report.passed):
            self.counts["failed" if report.failed else "passed"] += 1
        if time.monotonic() - self.said > EVERY or report.failed:
            self.say()

    def say(self) -> None:
        """Report the counts."""
        self.said = time.monotonic()
        name = f"a share of {SHARE:g} of the tests of a GPU, seed {self.context.seed}"
        if self.context.device != "cuda":
            name = "tests of pixel_norm"
        for outcome, count in self.counts.items():
            self.context.figure(name, outcome, float(count), "tests")


def reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the last line of a failure's report that says something."""
    lines = [line for line in str(report.longrepr).splitlines() if line.startswith("E ")]
    return (lines[0][2:].strip() if lines else str(report.longrepr)[-120:])[:200] or "no message"


def arguments(context: Context) -> list[str]:
    """Return pytest's arguments."""
    common = ["-p", "no:cacheprovider", "--rootdir", str(ROOT), "--seed", str(context.seed)]
    if context.device != "cuda":
        tests = str(ROOT / "tests" / "ops" / "test_pixel_norm.py")
        return [*common, "-x", "-k", "test_values and cpu and float64 and vectors", tests]
    chosen = ["-m", "gpu and not long", "-k", LEFT_OUT, "--gpu-sample", str(SHARE)]
    chosen += ["--continue-on-collection-errors"]
    if importlib.util.find_spec("xdist") is not None:
        workers = max(1, min(12, len(os.sched_getaffinity(0)) - 2))
        chosen += ["-n", str(workers), "--dist", "load"]
    return [*common, *chosen, str(ROOT / "tests" / "ops")]


def run(context: Context) -> None:
    reporter = Reporter(context)
    status = pytest.main(arguments(context), plugins=[reporter])
    reporter.say()
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise SystemExit(f"pytest ended with {pytest.ExitCode(status).name}")
    if reporter.counts["failed"]:
        raise SystemExit(f"{reporter.counts['failed']} tests failed")
