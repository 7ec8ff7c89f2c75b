"""torchrun starts a run, begins it again where it was when a process dies, and ends it with the error named."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from fastgan.train.checkpoint import list_checkpoints
from tests.train.test_distributed import torchrun

TRAIN = [
    *("-m", "fastgan", "train", "gan", "--data", "digits", "--resolution", "8", "--batch", "16"),
    *("--images", "10000000", "--z-dim", "4", "--g-hidden", "8", "--d-hidden", "8"),
]


def worker(launcher, rank, *, but=None):
    """The process id of a rank that torchrun, process `launcher`, has started; None if there is none."""
    for task in Path(f"/proc/{launcher}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            try:
                environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if f"RANK={rank}".encode() in environment and child != but:
                return child
    return None


def wait_for(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert process.poll() is None and time.monotonic() < deadline, "\n".join(process.communicate())
        time.sleep(0.05)
    return found


def newest(out):
    found = list_checkpoints(out / "checkpoints")
    return int(found[-1].stem) if found else 0


@pytest.mark.slow
def test_a_killed_process_starts_all_again_and_the_second_time_ends_the_run(tmp_path):
    out = tmp_path / "run"
    process = torchrun(*TRAIN, "--out", out, "--checkpoint-every", 1600, options=["--max-restarts", "1"])
    wait_for(lambda: newest(out), process)
    first = worker(process.pid, 1)
    reached = newest(out)
    os.kill(first, signal.SIGKILL)
    second = wait_for(lambda: worker(process.pid, 1, but=first), process)
    wait_for(lambda: newest(out) > reached + 1600, process)
    os.kill(second, signal.SIGKILL)
    killed_at = time.monotonic()
    said, err = process.communicate(timeout=60)
    assert time.monotonic() - killed_at < 60
    assert process.returncode != 0
    assert "Resumed after" in said
    assert "fastgan, process 0: Rank 0 of 2 lost touch with another rank" in err
    assert "Signal 9 (SIGKILL)" in err  # torchrun names the process that died


@pytest.mark.slow
def test_an_error_of_one_process_is_in_torchruns_report(tmp_path):
    process = torchrun(*TRAIN, "--out", tmp_path / "run", "--batch", 15)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "fastgan, process 1: --batch must be a multiple of the processes times --accumulate, 2 × 1" in err
    report = err.split("Root Cause")[1]
    assert "RecipeError: --batch must be a multiple of the processes" in report and "Traceback" not in report
