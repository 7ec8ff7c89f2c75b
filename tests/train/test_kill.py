"""Real processes, really killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from fastgan.data import save_png
from fastgan.train.checkpoint import list_checkpoints, load_checkpoint

# Batch norm, dropout and an average: whatever could drift apart is on.
OPTIONS = [
    "gan",
    "--resolution",
    "8",
    "--batch",
    "16",
    "--images",
    "16000",
    "--z-dim",
    "8",
    "--g-hidden",
    "16",
    "--d-hidden",
    "16",
    "--ema",
    "0.99",
    "--checkpoint-every",
    "400",
    "--samples-every",
    "6000",
]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}  # the same arithmetic in every process


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of small noise images: the quickest data to open in a new process."""
    folder = tmp_path_factory.mktemp("images")
    for i in range(50):
        generator = torch.Generator().manual_seed(i)
        save_png(
            folder / f"{i}.png", torch.randint(0, 256, (1, 8, 8), generator=generator, dtype=torch.uint8)
        )
    return folder


def start(out, images, *more):
    command = [
        sys.executable,
        "-m",
        "fastgan",
        "train",
        *OPTIONS,
        "--data",
        str(images),
        "--out",
        str(out),
        *more,
    ]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )


def newest(out):
    """Images shown at the newest checkpoint, 0 without one."""
    found = list_checkpoints(out / "checkpoints")
    return int(found[-1].stem) if found else 0


def wait_for_a_checkpoint_after(images, process, out):
    deadline = time.monotonic() + 120
    while newest(out) <= images:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.005)


def finish(process):
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out


def newest_state(out):
    path = list_checkpoints(out / "checkpoints")[-1]
    assert path.stem == "000016000"
    return {key: value for key, value in load_checkpoint(path).state.items() if key != "seconds"}


@pytest.mark.slow
def test_sigkill_at_a_random_moment_loses_nothing_that_was_saved(tmp_path, images, assert_same):
    unbroken = start(tmp_path / "unbroken", images)
    finish(unbroken)
    killed = start(tmp_path / "killed", images)
    for _ in range(2):  # once a fresh run and once a resumed one
        wait_for_a_checkpoint_after(newest(tmp_path / "killed"), killed, tmp_path / "killed")
        time.sleep(random.uniform(0, 0.1))
        killed.kill()
        assert killed.wait() == -signal.SIGKILL
        killed.communicate()
        assert 0 < newest(tmp_path / "killed") < 16_000
        for path in list_checkpoints(tmp_path / "killed" / "checkpoints"):
            load_checkpoint(path)
        killed = start(tmp_path / "killed", images, "--resume")
    assert "Resumed after" in finish(killed)
    assert_same(newest_state(tmp_path / "killed"), newest_state(tmp_path / "unbroken"))
    assert not list((tmp_path / "killed" / "checkpoints").glob(".*"))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_polite_signal_ends_with_a_checkpoint_and_its_own_status(tmp_path, images, number, status):
    process = start(tmp_path / "run", images)
    wait_for_a_checkpoint_after(0, process, tmp_path / "run")
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == status and err == ""
    assert f"Stopped by {number.name}, the run can go on with --resume." in out
    path = list_checkpoints(tmp_path / "run" / "checkpoints")[-1]
    assert f"{int(path.stem):,} images in" in out and f"  {path}" in out
    load_checkpoint(path)
