"""Processes ended by SIGKILL at any moment, and by polite signals."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fastgan.training.checkpoint import list_checkpoints, load_checkpoint
from fastgan.training.log import read_log

pytestmark = pytest.mark.xdist_group("warm")

# Batch norm, dropout and an average are on, since they could drift apart. Every second step writes.
ARGUMENTS = shlex.split(
    "train gan --data digits --resolution 8 --batch 16 --total-images 960 --z-dim 4 "
    "--g-hidden 8 --d-hidden 8 --ema 0.9 --checkpoint-every 64 --samples-every 96 --log-every 32 "
    "--measure-every 128 --keep 2 --resume --out"
)
TIMES = {"seconds", "images_per_second", "waiting"}
STEPS = 960 // 16
# Times that the unbroken run opens, renames, makes or removes a file.
FILES = 138


def without_times(row):
    return {key: value for key, value in row.items() if key not in TIMES}


def everything(out):
    """Return all that a run leaves, except times and names of the process or the folder.

    TensorBoard's files name the process, and the report names the folder.
    """
    (*_, last), best = list_checkpoints(out / "checkpoints"), out / "checkpoints" / "best.pt"
    assert last.stem == "000000960"
    return {
        "state": without_times(load_checkpoint(last).state),
        "best": without_times(load_checkpoint(best).state),
        "log": [without_times(row) for row in read_log(out / "log.jsonl")],
        "pictures": {
            p.name: p.read_bytes() for p in [*(out / "samples").iterdir(), out / "samples.png"]
        },
        "measures": json.loads((out / "measures.json").read_text()),
        "config": json.loads((out / "config.json").read_text()),
        "checkpoints": sorted(p.name for p in (out / "checkpoints").iterdir()),
    }


def board(out):
    """Return TensorBoard's curves of a run: step and value of each point."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(out / "tensorboard")).Reload()
    return {
        tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }


def kill_in_its_first_second(out, moment):
    """Kill a new process, which still has all its imports before it."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "fastgan", *ARGUMENTS, str(out)],
        env=environment,
        stdout=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    time.sleep(moment)
    process.kill()
    assert process.wait() == -signal.SIGKILL


class Moments:
    """Random moments of kills: before a touch of a file, before a step, or at a time."""

    def __init__(self, seed, seconds=None):
        self._draw, self._seconds = random.Random(seed), seconds

    def __next__(self):
        kinds = [
            {"event": self._draw.randint(1, FILES // 2)},
            {"step": self._draw.randint(1, STEPS // 2)},
        ]
        if self._seconds is not None:
            kinds.append({"seconds": self._draw.uniform(0, self._seconds / 2)})
        return self._draw.choice(kinds)


@pytest.fixture
def unbroken(tmp_path, warm):
    """Return the folder of a run that nothing ended."""
    out = tmp_path / "unbroken"
    ((status, output),) = warm({"argv": [*ARGUMENTS, str(out)]})
    assert status == 0, output
    return out


def check_kills(folder, warm, moments, unbroken, assert_same, kills):
    """End runs with SIGKILL many times, and resume each with the same command.

    Each run must end as the unbroken one.
    """
    expected, number, story = everything(unbroken), 0, []
    while len(story) < kills:
        out = folder / str(number)
        number += 1
        while True:
            command = {"argv": [*ARGUMENTS, str(out)], "signal": signal.SIGKILL}
            moment = next(moments) if len(story) < kills else {}
            ((status, output),) = warm(command | moment)
            if status == 0:
                break
            assert status == -signal.SIGKILL, (story, output)
            story.append((out.name, moment))
        try:
            assert_same(everything(out), expected)
            assert not list(out.rglob(".*")), "half-written files are left"
        except AssertionError as error:
            raise AssertionError(f"{story}: {error}") from error
    assert board(out) == board(unbroken)


@pytest.mark.slow
def test_sigkill_before_any_step_or_touch_of_a_file_changes_nothing(
    tmp_path, warm, unbroken, assert_same
):
    state = everything(unbroken)
    assert state["state"]["best"]["kl_to_uniform"] == min(
        row["measure/kl_to_uniform"] for row in state["log"] if "measure/kl_to_uniform" in row
    )
    check_kills(tmp_path, warm, Moments(0), unbroken, assert_same, kills=10)


@pytest.mark.long
def test_sigkill_at_any_moment_changes_nothing(tmp_path, warm, unbroken, assert_same):
    """The seed changes each time; FASTGAN_KILL_SEED repeats one."""
    seed = int(os.environ.get("FASTGAN_KILL_SEED") or random.SystemRandom().randrange(10**6))
    print(f"again with the same moments: FASTGAN_KILL_SEED={seed}")
    moments = Moments(seed, read_log(unbroken / "log.jsonl")[-1]["seconds"] + 0.3)
    for number in range(2):
        kill_in_its_first_second(tmp_path / str(number), random.Random(seed + number).random())
    check_kills(tmp_path, warm, moments, unbroken, assert_same, kills=30)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_polite_signal_ends_with_a_checkpoint_and_its_own_status(tmp_path, warm, number, status):
    ((got, output),) = warm(
        {"argv": [*ARGUMENTS, str(tmp_path / "run")], "signal": number, "step": 20}
    )
    assert got == status, output
    assert f"Stopped by {number.name}: resume the run to go on." in output
    assert "Error" not in output and "320 images in" in output
    path = list_checkpoints(tmp_path / "run" / "checkpoints")[-1]
    assert path.stem == "000000320" and f"  {path}" in output
    load_checkpoint(path)
