from __future__ import annotations

from typing import NamedTuple

import pytest

from fastgan import cli

TINY = [
    "--data",
    "digits",
    "--resolution",
    "8",
    "--batch",
    "16",
    "--total-images",
    "160",
    "--z-dim",
    "4",
    "--g-hidden",
    "8",
    "--d-hidden",
    "8",
]


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def fastgan(capsys, monkeypatch):
    """Runs a command line in this process, as `fastgan` in a shell would."""

    def run(*arguments) -> Outcome:
        monkeypatch.setattr("sys.argv", ["fastgan", *map(str, arguments)])
        # The command sets it otherwise, for the rest of this process.
        monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return Outcome(stop.value.code or 0, captured.out, captured.err)

    return run


@pytest.fixture
def refused(fastgan):
    """Asserts that a command line is refused as every user error is, and returns the sentence."""

    def run(*arguments) -> str:
        outcome = fastgan(*arguments)
        assert outcome.status == 2, outcome
        assert outcome.err.startswith("fastgan: ") and outcome.err.count("\n") == 1, outcome.err
        assert outcome.err.rstrip().endswith((".", "?")) and "Traceback" not in outcome.err
        return outcome.err.removeprefix("fastgan: ").strip()

    return run


@pytest.fixture
def tiny():
    """Arguments of a run of a second."""
    return TINY


@pytest.fixture(autouse=True)
def no_measure(monkeypatch):
    """Classifying 2,000 samples is tested elsewhere; here 20 do."""
    from fastgan.training import loop

    measure = loop.measure
    monkeypatch.setattr(loop, "measure", lambda *args, **more: measure(*args, **more, samples=20))
