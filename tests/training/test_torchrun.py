"""torchrun starts a run, resumes it when a process dies, and names the error of a failed one."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from fastgan.cli import main
from fastgan.training.checkpoint import list_checkpoints
from tests.training.launch import torchrun

TRAIN = [
    *("-m", "fastgan", "train", "gan", "--data", "digits", "--resolution", "8", "--batch", "16"),
    *("--total-images", "10000000", "--z-dim", "4", "--g-hidden", "8", "--d-hidden", "8"),
]


def worker(launcher, rank, *, but=None):
    """Return the process id of a rank that torchrun, process `launcher`, started; None if none."""
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
    while not (value := condition()):
        assert process.poll() is None and time.monotonic() < deadline, "\n".join(
            process.communicate()
        )
        time.sleep(0.05)
    return value


def newest(out):
    paths = list_checkpoints(out / "checkpoints")
    return int(paths[-1].stem) if paths else 0


@pytest.mark.long
def test_a_killed_process_starts_all_again_and_the_second_time_ends_the_run(tmp_path):
    out = tmp_path / "run"
    process = torchrun(
        *TRAIN, "--out", out, "--checkpoint-every", 320, options=["--max-restarts", "1"]
    )
    wait_for(lambda: newest(out), process)
    first = worker(process.pid, 1)
    reached = newest(out)
    os.kill(first, signal.SIGKILL)
    second = wait_for(lambda: worker(process.pid, 1, but=first), process)
    wait_for(lambda: newest(out) > reached + 320, process)
    os.kill(second, signal.SIGKILL)
    killed_at = time.monotonic()
    said, err = process.communicate(timeout=60)
    assert time.monotonic() - killed_at < 60
    assert process.returncode != 0
    assert "Resumed after" in said
    assert "fastgan, process 0: Rank 0 of 2 lost touch with another rank" in err
    # torchrun's report names the process that died.
    assert "Signal 9 (SIGKILL)" in err


def test_an_error_is_left_for_torchruns_report(tmp_path, monkeypatch, capsys):
    report = tmp_path / "error.json"
    for name, value in {
        "TORCHELASTIC_ERROR_FILE": str(report),
        "WORLD_SIZE": "2",
        "RANK": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["fastgan", "train", "gna"])
    with pytest.raises(SystemExit, match="2"):
        main()
    said = "Unknown recipe 'gna': did you mean 'gan'?"
    assert capsys.readouterr().err.startswith(f"fastgan, process 1: {said}")
    # This is the form that torch.distributed.elastic reads.
    message = json.loads(report.read_text())["message"]
    assert message["message"].startswith(f"RecipeError: {said}")
    assert message["extraInfo"]["py_callstack"] == message["message"] and int(
        message["extraInfo"]["timestamp"]
    )
