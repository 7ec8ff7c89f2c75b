"""Real processes, really ended: by SIGKILL at any moment, and by polite signals."""

from __future__ import annotations

import itertools
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

from fastgan.train.checkpoint import list_checkpoints, load_checkpoint
from fastgan.train.log import read_log

pytestmark = pytest.mark.xdist_group("warm")

# Batch norm, dropout and an average: whatever could drift apart is on. Something is written at every second step.
ARGUMENTS = shlex.split(
    "train gan --data digits --resolution 8 --batch 16 --images 960 --z-dim 4 --g-hidden 8 --d-hidden 8 --ema 0.9 "
    "--checkpoint-every 64 --samples-every 96 --log-every 32 --measure-every 128 --keep 2 --resume --out"
)
KILLS = 20
TIMES = {"seconds", "images_per_second", "waiting"}
FILES = 138  # how often the unbroken run opens, renames, makes or removes one


def without_times(row):
    return {key: value for key, value in row.items() if key not in TIMES}


def everything(out):
    """All that a run leaves, but for times, and for what names the process (TensorBoard) or the folder (the report)."""
    (*_, last), best = list_checkpoints(out / "checkpoints"), out / "checkpoints" / "best.pt"
    assert last.stem == "000000960"
    return {
        "state": without_times(load_checkpoint(last).state),
        "best": without_times(load_checkpoint(best).state),
        "log": [without_times(row) for row in read_log(out / "log.jsonl")],
        "pictures": {p.name: p.read_bytes() for p in [*(out / "samples").iterdir(), out / "samples.png"]},
        "measures": json.loads((out / "measures.json").read_text()),
        "config": json.loads((out / "config.json").read_text()),
        "checkpoints": sorted(p.name for p in (out / "checkpoints").iterdir()),
    }


def board(out):
    """What TensorBoard shows of a run: value by step of each curve."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(out / "tensorboard")).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def kill_in_its_first_second(out, moment):
    """A process of its own, which has all its imports before it."""
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


@pytest.mark.slow
def test_sigkill_at_any_moment_changes_nothing(tmp_path, warm, assert_same):
    """Twenty times, at random times and before random touches of a file; the same command goes on each time."""
    seed = random.SystemRandom().randrange(10**6)
    draw, story = random.Random(seed), []
    ((status, output),) = warm({"argv": [*ARGUMENTS, str(tmp_path / "unbroken")]})
    assert status == 0, output
    unbroken = everything(tmp_path / "unbroken")
    assert unbroken["state"]["best"]["kl_to_uniform"] == min(
        row["measure/kl_to_uniform"] for row in unbroken["log"] if "measure/kl_to_uniform" in row
    )
    seconds = read_log(tmp_path / "unbroken" / "log.jsonl")[-1]["seconds"] + 0.3
    kills = 0
    for number in itertools.count():
        out = tmp_path / str(number)
        if number < 2:
            kill_in_its_first_second(out, draw.random())
            kills += 1
        while True:
            command = {"argv": [*ARGUMENTS, str(out)], "signal": signal.SIGKILL}
            if kills < KILLS:
                command |= draw.choice(
                    [{"event": draw.randint(1, FILES // 2)}, {"seconds": draw.uniform(0, seconds / 2)}]
                )
            story.append((out.name, command.get("event"), command.get("seconds")))
            ((status, output),) = warm(command)
            if status == 0:
                break
            assert status == -signal.SIGKILL, (seed, story, output)
            kills += 1
        try:
            assert_same(everything(out), unbroken)
            assert not list(out.rglob(".*")), "half-written files are left"
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, kills {story}: {error}") from error
        if kills >= KILLS:
            break
    assert board(out) == board(tmp_path / "unbroken")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_polite_signal_ends_with_a_checkpoint_and_its_own_status(tmp_path, warm, number, status):
    ((got, output),) = warm({"argv": [*ARGUMENTS, str(tmp_path / "run")], "signal": number, "step": 20})
    assert got == status, output
    assert f"Stopped by {number.name}, the run can go on with --resume." in output
    assert "Error" not in output and "320 images in" in output
    path = list_checkpoints(tmp_path / "run" / "checkpoints")[-1]
    assert path.stem == "000000320" and f"  {path}" in output
    load_checkpoint(path)
