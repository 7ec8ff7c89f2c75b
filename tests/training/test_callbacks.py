"""`train` in a program: callbacks, own data, measures, the best checkpoint, a quiet console."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from fastgan.data import DataError, InMemoryDataset
from fastgan.recipes import Batch
from fastgan.training import Callback, RunOptions, RunSettings, loop, train
from fastgan.training.checkpoint import list_checkpoints, load_checkpoint
from fastgan.training.log import read_log
from fastgan.training.step import TooManySkips, TrainStep


@pytest.fixture(autouse=True)
def quick_curves(monkeypatch):
    monkeypatch.setattr("fastgan.training.report.draw_curves", lambda rows, **_: b"curves")


class Notes(Callback):
    """Callback that records events with the images shown."""

    def __init__(self):
        self.events = []

    def on_start(self, run):
        self.events.append(("start", run.state.nimg))

    def on_step(self, run, stats):
        assert all(value.ndim == 0 and not value.requires_grad for value in stats.values())
        self.events.append(("step", run.state.nimg))

    def on_log(self, run, row):
        assert read_log(run.folder.log)[-1] == row
        self.events.append(("log", row["nimg"]))

    def on_samples(self, run, path):
        assert path.exists()
        self.events.append(("samples", path.name))

    def on_measure(self, run, measures):
        self.events.append(("measure", run.state.nimg))

    def on_checkpoint(self, run, path):
        assert load_checkpoint(path).state["nimg"] == run.state.nimg
        self.events.append(("checkpoint", path.name))

    def on_end(self, run, result):
        assert run.folder.report.exists() and run.recipe is result.config.recipe
        self.events.append(("end", result.nimg))


class StopAt(Callback):
    def __init__(self, nimg):
        self.nimg = nimg

    def on_step(self, run, stats):
        if run.state.nimg >= self.nimg:
            run.stop()


def test_a_class_in_place_of_a_callback_is_refused(tiny):
    with pytest.raises(
        TypeError, match=r"callbacks must be instances of fastgan\.training\.Callback, got <class"
    ):
        train(tiny, callbacks=[Callback])


def test_callbacks_are_told_everything_in_order(run, tiny):
    notes = Notes()
    run(tiny, total_images=64, callbacks=[notes], log_every=32, checkpoint_every=64)
    assert notes.events == [
        ("start", 0), ("samples", "000000000.png"),
        ("step", 16), ("step", 32), ("log", 32), ("step", 48), ("step", 64), ("log", 64),
        ("checkpoint", "000000064.pt"), ("samples", "samples.png"), ("measure", 64), ("end", 64),
    ]  # fmt: skip


def test_a_callback_ends_a_run_that_can_be_resumed(run, tiny, assert_same):
    result, text = run(tiny, callbacks=[StopAt(100)])
    assert result.nimg == 112 and result.stopped_by is None
    assert "Stopped by a callback: resume the run to go on." in text
    assert "Stopped early, after 112 of 320 images" in result.run.report.read_text()
    notes = Notes()
    resumed, _ = run(tiny, resume=True, callbacks=[notes])
    assert notes.events[0] == ("start", 112)
    states = [
        load_checkpoint(r.run.latest_checkpoint).state for r in (resumed, run(tiny, out="other")[0])
    ]
    assert_same(*({k: v for k, v in state.items() if k != "seconds"} for state in states))


def test_an_error_in_a_callback_ends_the_run_with_its_checkpoints_intact(run, tiny, tmp_path):
    class Broken(Callback):
        def on_step(self, run, stats):
            assert run.state.nimg < 200, "two hundred"

    with pytest.raises(AssertionError, match="two hundred"):
        run(tiny, callbacks=[Broken()])
    paths = list_checkpoints(tmp_path / "run" / "checkpoints")
    assert [path.stem for path in paths] == ["000000112"]
    load_checkpoint(paths[0])
    assert run(tiny, resume=True)[0].nimg == 320


@pytest.fixture
def scores(monkeypatch):
    """Return the results of `measure` by the images shown, for a test to fill in."""
    scores = {}

    def measure(recipe, networks, dataset, settings, *, seed):
        name = {("auto",): "kl_to_uniform", ("fd",): "fd_mobilenet_v2"}[settings.metrics]
        return {name: scores[states[-1].nimg], "samples": 5}

    states = []
    start = loop.TrainStep

    def train_step(state, **options):
        states.append(state)
        return start(state, **options)

    monkeypatch.setattr(loop, "TrainStep", train_step)
    monkeypatch.setattr(loop, "measure", measure)
    return scores


def test_the_best_by_measure_is_kept_and_survives_resume(run, tiny, scores, assert_same):
    scores |= {64: 2.0, 128: 0.5, 144: 0.1, 192: 0.9, 256: 0.4, 320: 0.7}
    options = {"measure_every": 64, "log_every": 1000}
    unbroken, _ = run(tiny, out="unbroken", **options)
    best = load_checkpoint(unbroken.run.best_checkpoint)
    assert best.state["nimg"] == 256 and best.state["best"] == {"kl_to_uniform": 0.4, "nimg": 256}
    measured = {row["nimg"]: row.get("measure/kl_to_uniform") for row in read_log(unbroken.run.log)}
    assert measured == {
        64: 2.0,
        112: None,
        128: 0.5,
        192: 0.9,
        208: None,
        256: 0.4,
        304: None,
        320: 0.7,
    }
    assert unbroken.measures["kl_to_uniform"] == 0.7

    notes = Notes()
    # The measure at a stop is for the report alone.
    run(tiny, callbacks=[StopAt(144)], **options)
    resumed, _ = run(tiny, resume=True, callbacks=[notes], **options)
    assert load_checkpoint(resumed.run.best_checkpoint).state["nimg"] == 256
    assert [e for e in notes.events if e == ("checkpoint", "best.pt")] == [
        ("checkpoint", "best.pt")
    ]
    # The last measure serves the report too.
    assert [e[1] for e in notes.events if e[0] == "measure"] == [192, 256, 320]
    states = [load_checkpoint(r.run.latest_checkpoint).state for r in (resumed, unbroken)]
    assert_same(*({k: v for k, v in state.items() if k != "seconds"} for state in states))


def test_a_run_resumed_with_another_measure_chooses_the_best_by_that_one(run, tiny, scores):
    scores |= {64: 0.3, 128: 0.2, 192: 30.0, 256: 20.0, 320: 25.0}
    run(tiny, total_images=128, measure_every=64)
    resumed, _ = run(tiny, resume=True, measure_every=64, measure="fd")
    best = load_checkpoint(resumed.run.best_checkpoint)
    assert best.state["best"] == {"fd_mobilenet_v2": 20.0, "nimg": 256}


def test_too_many_skipped_updates_end_with_a_checkpoint_and_a_report(
    run, tiny, tmp_path, monkeypatch
):
    original = TrainStep.__call__

    def step(self, batches):
        if self.state.nimg >= 160:
            batches = [Batch(batch.real * float("nan"), batch.labels) for batch in batches]
        return original(self, batches)

    monkeypatch.setattr(TrainStep, "__call__", step)
    folder, notes = tmp_path / "run", Notes()
    with pytest.raises(TooManySkips, match="10 times in a row"):
        run(tiny, callbacks=[notes])
    rows = read_log(folder / "log.jsonl")
    assert rows[-1]["skipped"] == 10 and rows[0]["skipped"] == 0
    state = load_checkpoint(list_checkpoints(folder / "checkpoints")[-1]).state
    assert state["skipped"]["D"] == 10
    assert all(bool(t.isfinite().all()) for t in state["networks"]["D"].values())
    assert notes.events[-1][0] == "end" and (folder / "report.html").exists()


def test_a_data_set_object_takes_the_place_of_a_name(tiny, tmp_path, capsys):
    data = InMemoryDataset(
        "mine", torch.zeros(20, 1, 8, 8, dtype=torch.uint8), torch.zeros(20, dtype=torch.int64)
    )
    settings = RunSettings.of(tiny, data="nowhere", total_images=32)
    result = train(tiny, settings, out=str(tmp_path / "run"), dataset=data)
    assert result.config.dataset == "mine" and result.nimg == 32
    assert "gan on mine (20 images of 1×8×8)" in capsys.readouterr().out
    options = RunOptions(keep=1, out=str(tmp_path / "quiet"))
    train(tiny, settings, options, dataset=data, console=None)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(DataError, match="There is no data set 'nowhere'"):
        train(tiny, settings, out=str(tmp_path / "other"))


def test_an_unknown_option_is_named(tiny):
    with pytest.raises(TypeError, match="'checkpoints_every'"):
        train(tiny, checkpoints_every=5)


def test_an_error_of_the_data_ends_the_run_at_its_step(run, tiny, tmp_path):
    class Breaking(InMemoryDataset):
        in_memory = False

        def batch(self, indices):
            if 7 in indices:
                raise DataError("Image 7 is gone.")
            return super().batch(indices)

    images, labels = (
        torch.zeros(100, 1, 8, 8, dtype=torch.uint8),
        torch.zeros(100, dtype=torch.int64),
    )
    ended = {}
    for workers in (0, 2):
        notes = Notes()
        with pytest.raises(DataError, match=r"Image 7 is gone\."):
            run(
                tiny,
                out=str(workers),
                dataset=Breaking("data", images, labels),
                workers=workers,
                callbacks=[notes],
            )
        ended[workers] = notes.events[-1]
    assert ended[0] == ended[2]


def test_importing_the_package_is_cheap():
    code = (
        "import sys, fastgan.training as t; assert 'torch' not in sys.modules, 'torch'; "
        "t.RunOptions(); assert 'fastgan.training.loop' not in sys.modules, 'loop'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(ImportError, match="cannot import name 'trian'"):
        from fastgan.training import trian  # noqa: F401
