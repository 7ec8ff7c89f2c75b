from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console

from fastgan.data import InMemoryDataset
from fastgan.recipes import GAN
from fastgan.training import Callback, train
from fastgan.training.checkpoint import load_checkpoint


@pytest.fixture(autouse=True)
def noise_data(monkeypatch):
    """Let `--data noise` open 100 random 8×8 images without classes, which have no measures."""
    from fastgan.training import run_settings

    def open_dataset(spec, **options):
        if spec != "noise":
            return original(spec, **options)
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (100, 1, 8, 8), generator=generator, dtype=torch.uint8)
        return InMemoryDataset("noise", images, torch.zeros(100, dtype=torch.int64))

    original = run_settings.open_dataset
    monkeypatch.setattr(run_settings, "open_dataset", open_dataset)


@pytest.fixture
def tiny():
    """Return a `gan` with all that could break resume: batch norm, dropout, EMA.

    Its batches have 16 images.
    """
    return GAN(batch=16, z_dim=4, g_hidden=(8,), d_hidden=(8,), ema=0.9)


@pytest.fixture
def run(tmp_path):
    """Return a function that trains a recipe into `tmp_path/run`.

    It takes keyword arguments of `train`, and returns the result and the text that was printed. By
    default a run shows 320 images of noise at 8×8 pixels.
    """

    def run(recipe, *, out="run", **options):
        usual = {"data": "noise", "resolution": None, "total_images": 320}
        usual |= {"checkpoint_every": 100, "samples_every": 200, "log_every": 50}
        options = usual | options
        console = Console(file=io.StringIO(), width=200)
        result = train(recipe, out=str(tmp_path / out), console=console, **options)
        result_text = console.file.getvalue()
        return result, result_text

    return run


@pytest.fixture(scope="session")
def warm():
    """Return a function that runs `fastgan` commands at the same time (see warm.py).

    It returns the status and the output of each.
    """
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("warm.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
    )

    def run(*commands):
        process.stdin.write(json.dumps(commands) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield run
    process.stdin.close()
    process.wait()


@pytest.fixture
def resumes(run):
    """Return a check that a run stopped at `stop` images and resumed ends as an unbroken one.

    `callbacks` are those of the unbroken run.
    """

    class Stop(Callback):
        def __init__(self, nimg):
            self.nimg = nimg

        def on_step(self, run, stats):
            if run.state.nimg == self.nimg:
                run.stop()

    def final_state(result):
        state = load_checkpoint(result.run.latest_checkpoint).state
        return {key: value for key, value in state.items() if key != "seconds"}

    def check(recipe, *, stop, callbacks=(), **options):
        unbroken, _ = run(recipe, out="unbroken", callbacks=callbacks, **options)
        broken, _ = run(recipe, callbacks=[Stop(stop)], **options)
        assert broken.nimg == stop < broken.config.settings.total_images
        resumed, _ = run(recipe, resume=True, **options)
        check_same(final_state(resumed), final_state(unbroken))

    return check


@pytest.fixture
def compiles_as_eager(caplog):
    """Return a check that a compiled step doesn't fall back and equals an eager one.

    `trained(**options)` returns the state after a step and its stats; options are those of
    TrainStep. The check returns the compiled step's stats.
    """

    def check(trained, *, rtol, atol):
        with caplog.at_level(logging.WARNING, "fastgan"):
            (eager, eager_stats), (compiled, compiled_stats) = (
                trained(),
                trained(compile="step", backend="eager"),
            )
        assert not caplog.records and eager_stats.keys() == compiled_stats.keys()
        for key, value in eager_stats.items():
            torch.testing.assert_close(compiled_stats[key], value, rtol=rtol, atol=atol)
        for name, network in compiled.networks.items():
            weights = zip(network.state_dict().values(), eager.networks[name].state_dict().values())
            for there, here in weights:
                torch.testing.assert_close(there, here, rtol=rtol, atol=atol)
        return compiled_stats

    return check


@pytest.fixture
def assert_same():
    """Return a check that two nested states are equal to the last bit."""
    return check_same


def leaves(plain, path=""):
    """Return every tensor and value of nested plain data by its path."""
    if isinstance(plain, dict):
        return {
            k: v for key, value in plain.items() for k, v in leaves(value, f"{path}/{key}").items()
        }
    if isinstance(plain, (list, tuple)):
        return {
            k: v for i, value in enumerate(plain) for k, v in leaves(value, f"{path}/{i}").items()
        }
    return {path: plain}


def check_same(a, b):
    a, b = leaves(a), leaves(b)
    assert a.keys() == b.keys()
    for path in a:
        same = (
            torch.equal(a[path], b[path])
            if isinstance(a[path], torch.Tensor)
            else a[path] == b[path]
        )
        assert same, path
