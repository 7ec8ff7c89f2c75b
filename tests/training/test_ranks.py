"""Runs of several processes: one writes, all end together, and no disk is shared."""

from __future__ import annotations

import json
import shlex
import signal
import socket

import pytest
import torch

from fastgan.data import open_dataset, save_png
from fastgan.evaluation.measures import measure
from fastgan.evaluation.plan import MeasureSettings
from fastgan.training import resume
from fastgan.training.checkpoint import list_checkpoints, load_checkpoint, restore
from fastgan.training.distributed import World
from fastgan.training.log import read_log
from fastgan.training.state import TrainState

pytestmark = pytest.mark.xdist_group("warm")

ARGUMENTS = shlex.split(
    "train gan --resolution 8 --batch 16 --total-images 320 --z-dim 4 --g-hidden 8 --d-hidden 8 "
    "--ema 0.9 --seed 7 --checkpoint-every 64 --samples-every 96 --log-every 32 "
    "--measure-every 128 --resume --measure fd --measure-features digits"
)


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@pytest.fixture
def disks(tmp_path):
    """Return a folder for each of two ranks: its disk."""
    folders = [tmp_path / "disk0", tmp_path / "disk1"]
    for folder in folders:
        folder.mkdir()
    return folders


@pytest.fixture
def two(warm, disks):
    """Return a function that runs two ranks, each on a disk of its own.

    Its keyword arguments go to the command of rank 1.
    """

    def run(out, *more, data="digits", **command):
        for _ in range(5):
            world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
            ranks = [
                {
                    "argv": [*ARGUMENTS, "--data", data, "--out", out, *more],
                    "env": world | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                    "cwd": str(disk),
                }
                for rank, disk in enumerate(disks)
            ]
            ranks[1] |= command
            ended = warm(*ranks)
            # Otherwise another program has taken the port.
            if "EADDRINUSE" not in ended[0][1]:
                break
        return ended

    return run


def state_of(out):
    state = load_checkpoint(list_checkpoints(out / "checkpoints")[-1]).state
    return {key: value for key, value in state.items() if key != "seconds"}


@pytest.mark.slow
def test_two_ranks_stop_and_go_on_as_one_run(two, disks, assert_same):
    (status, output), (other, silent) = two("unbroken")
    assert (status, other) == (0, 0), output + silent
    assert "on 2 × cpu" in output and silent == ""
    # The signal goes to rank 1 alone.
    (status, output), (other, silent) = two("run", signal=signal.SIGTERM, step=9)
    assert (status, other) == (143, 143), output + silent
    assert "Stopped by SIGTERM" in output and silent == ""
    # Rank 1 has no checkpoint on its disk.
    (status, output), (other, silent) = two("run")
    assert (status, other) == (0, 0), output + silent
    assert "Resumed after 160 images" in output
    assert list(disks[1].iterdir()) == []
    assert_same(state_of(disks[0] / "run"), state_of(disks[0] / "unbroken"))
    assert [row["nimg"] for row in read_log(disks[0] / "unbroken" / "log.jsonl")] == list(
        range(32, 321, 32)
    )
    (path,) = list_checkpoints(disks[0] / "unbroken" / "checkpoints")[-1:]
    saved = load_checkpoint(path)
    state = TrainState.create(saved.config.recipe, saved.config.image_spec)
    restore(state, saved, path)
    asked = MeasureSettings(("fd",), "digits")
    alone = measure(
        state.recipe,
        state.sampler,
        open_dataset("digits", resolution=8),
        asked,
        seed=saved.config.settings.seed,
        samples=50,
    )
    of_two = json.loads((disks[0] / "unbroken" / "measures.json").read_text())
    assert alone == pytest.approx(of_two, rel=1e-5) and "fd_digits" in alone


@pytest.mark.slow
def test_two_ranks_begin_with_the_same_trained_weights(two, warm, disks):
    source, alone = disks[0] / "source", disks[0] / "alone"
    # Batch norm and dropout would differ from one process.
    plain = ("--no-batch-norm", "--dropout", "0")
    first_step = (*plain, "--from", str(source), "--total-images", "16")
    for out, arguments in (
        (source, (*plain, "--seed", "8", "--total-images", "64")),
        (alone, first_step),
    ):
        argv = [*ARGUMENTS, "--data", "digits", "--out", str(out), *arguments]
        ((status, output),) = warm({"argv": argv})
        assert status == 0, output
    (status, output), (other, silent) = two("begun", *first_step)
    assert (status, other) == (0, 0), output + silent
    assert silent == "" and str(source) in output
    begun, expected, before = (state_of(out) for out in (disks[0] / "begun", alone, source))
    for name, weights in begun["networks"].items():
        trained = {key: value for key, value in before["networks"][name].items() if "weight" in key}
        assert trained.keys() <= weights.keys() and trained
        # One step of Adam at a rate of 2e-4 is the tolerance.
        for key, value in trained.items():
            torch.testing.assert_close(weights[key], value, rtol=0, atol=5e-4)
        moments, others = (
            [part["exp_avg"] for part in state["optimizers"][name]["state"].values()]
            for state in (begun, expected)
        )
        assert moments and any(moment.abs().max() > 1e-3 for moment in moments)
        torch.testing.assert_close(moments, others, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("broken", [0, 1])
def test_an_error_on_one_rank_ends_both(two, disks, broken):
    save_png(disks[1 - broken] / "images" / "0.png", torch.zeros(3, 8, 8, dtype=torch.uint8))
    ended = two("run", data="./images")
    assert [status for status, _ in ended] == [2, 2], ended
    assert "'images' doesn't exist" in ended[broken][1]
    assert (
        "Another process of this run couldn't begin: its own output says why."
        in ended[1 - broken][1]
    )
    assert not any((disk / "run").exists() for disk in disks)


@pytest.mark.slow
def test_other_data_on_one_rank_ends_both(two, disks):
    for i, disk in enumerate(disks):
        save_png(disk / "images" / "0.png", torch.full((3, 8, 8), i, dtype=torch.uint8))
    ended = two("run", data="./images")
    assert [status for status, _ in ended] == [2, 2], ended
    assert "Process 1 found other images in './images' than process 0" in ended[1][1]


class Two(World):
    """World of two ranks without the other rank; `other` is its flag."""

    other = False

    def any(self, flag):
        return flag or self.other


def test_together_raises_on_every_rank():
    world = Two(torch.device("cpu"), rank=0, size=2)
    with resume.together(world):
        pass
    with pytest.raises(KeyError), resume.together(world):
        raise KeyError
    world.__class__.other = True
    with (
        pytest.raises(resume.OtherRankFailed, match="its own output says why"),
        resume.together(world),
    ):
        pass
    with pytest.raises(KeyError), resume.together(world):
        raise KeyError
