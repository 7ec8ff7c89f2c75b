"""Sweeps: their trials, records and results; most with a stub for training."""

from __future__ import annotations

import csv
import errno
import json
import math
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import fastgan
from fastgan.data import InMemoryDataset
from fastgan.data.digits import DIGIT_NAMES
from fastgan.recipes import GAN, RecipeError
from fastgan.sweeps import Point, Range, Sweep, SweepError, Trial, run
from fastgan.sweeps.claim import claim
from fastgan.sweeps.results import rank
from fastgan.training import Callback, RunDirError, TooManySkips

TINY = {"batch": 16, "z_dim": 4, "g_hidden": (8,), "d_hidden": (8,)}
IMAGES = torch.randint(0, 256, (40, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
DIGITS = InMemoryDataset("ten", IMAGES, torch.arange(40) % 10, class_names=DIGIT_NAMES)


class Trainer:
    """Stub of `train`: the measure is a function of the settings."""

    def __init__(self) -> None:
        self.runs: list[tuple[float, int, int]] = []
        self.before = lambda recipe, settings: None
        self.stopped_by = None

    def __call__(self, recipe, settings, options, *, dataset, init_from, console):
        self.before(recipe, settings)
        self.runs.append((recipe.lr, recipe.batch, settings.seed))
        nimg = 16 if self.stopped_by else settings.total_images
        value = 100 * recipe.lr + recipe.batch / 1000 + settings.seed / 100
        return SimpleNamespace(
            nimg=nimg,
            seconds=2.0,
            measures={"samples": 10, "classes_hit": 3, "kl_to_uniform": value},
            unmeasured="",
            stopped_by=self.stopped_by,
        )


@pytest.fixture
def trainer(monkeypatch):
    stub = Trainer()
    monkeypatch.setattr(run, "train", stub)
    monkeypatch.setattr(run, "draw_chart", lambda found, vary: None)
    return stub


@pytest.fixture
def sweep(tmp_path):
    """Calls `fastgan.sweep` with a small grid into one folder."""

    def call(**changes):
        given = {
            "vary": {"lr": [0.02, 0.01], "batch": [16, 32]},
            "data": DIGITS,
            "out": tmp_path / "sweep",
            "total_images": 160,
            "measure_samples": 10,
            "console": None,
        }
        return fastgan.sweep("gan", **{**TINY, **given, **changes})

    return call


def test_a_grid_is_trained_ranked_and_written(sweep, trainer):
    found = sweep(seeds=2)
    # Every point is seen once before any is seen twice.
    assert [seed for _, _, seed in trainer.runs] == [0] * 4 + [1] * 4
    assert found.figure == "kl_to_uniform" and found.better == "lower"
    assert [point.settings for point in found.points] == [
        {"lr": 0.01, "batch": 16},
        {"lr": 0.01, "batch": 32},
        {"lr": 0.02, "batch": 16},
        {"lr": 0.02, "batch": 32},
    ]
    assert found.best.mean == pytest.approx(1.021)
    assert found.best.spread == pytest.approx(0.01 / 2**0.5)
    rows = list(csv.DictReader(found.table.read_text().splitlines()))
    assert len(rows) == 8 and rows[0]["lr"] == "0.01" and rows[0]["status"] == "done"
    best = json.loads(found.results.read_text())["points"][0]
    assert best["mean"] == found.best.mean and len(best["trials"]) == 2
    assert (found.folder / best["trials"][0]["folder"] / "trial.json").exists()


def test_the_same_call_trains_nothing_and_more_seeds_only_those(sweep, trainer):
    first = sweep()
    table = first.table.read_text()
    first.table.write_text("as another process saw it")
    assert sweep() == first and len(trainer.runs) == 4
    assert first.table.read_text() == table
    assert len(sweep(seeds=2).trials) == 8
    assert [seed for _, _, seed in trainer.runs[4:]] == [1] * 4
    again = sweep(seeds=2)
    first.trials[0].folder.joinpath("trial.json").unlink()
    assert sweep(seeds=2) == again and len(trainer.runs) == 9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 1}, "was started with seeds 2, got 1"),
        ({"vary": {"lr": [0.02, 0.01]}}, "was started with vary lr=0.02,0.01 batch=16,32, got lr="),
        (
            {"vary": {"lr": [0.02, 0.010000001], "batch": [16, 32]}},
            "was started with vary lr=0.02,0.01 batch=16,32, got lr=0.02,0.010000001 ",
        ),
        ({"z_dim": 5}, "was started with z_dim 4, got 5"),
        ({"random": 4}, "was started with search grid, got random"),
        ({"total_images": 320}, "was started with total_images 160, got 320"),
        ({"measure": ("fd",)}, "was started with measure auto, got fd"),
        ({"init_from": "runs/other"}, "was started with init_from none, got runs/other"),
    ],
)
def test_another_sweep_in_the_folder_is_refused(sweep, trainer, changes, message):
    sweep(seeds=2)
    with pytest.raises(SweepError, match=message):
        sweep(**{"seeds": 2, **changes})


def test_other_data_and_other_files_are_refused(sweep, trainer, tmp_path):
    sweep()
    other = InMemoryDataset("ten", 255 - IMAGES, torch.arange(40) % 10, class_names=DIGIT_NAMES)
    with pytest.raises(SweepError, match="with other images, got those that data holds now"):
        sweep(data=other)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(SweepError, match=r"no sweep to go on with in .*mine.*something else"):
        sweep(out=tmp_path / "mine")
    (tmp_path / "mine" / "sweep.json").write_text("{")
    with pytest.raises(SweepError, match="can't be read"):
        sweep(out=tmp_path / "mine")


@pytest.mark.parametrize(
    ("vary", "error", "message"),
    [
        ({"lr": [0.1, -1]}, RecipeError, "lr must be a positive number, got -1"),
        ({"batch": [16, 16.5]}, RecipeError, "batch must be an int, got 16.5"),
        ({"batch": [16, 1]}, RecipeError, "batch must be at least 2"),
        ({"g_hidden": [(8,), "wide"]}, RecipeError, "g_hidden must be a tuple of ints"),
    ],
)
def test_every_value_is_checked_before_the_first_run(
    sweep, trainer, tmp_path, vary, error, message
):
    for more in ({}, {"optuna": 3}):
        with pytest.raises(error, match=message):
            sweep(vary=vary, **more)
    assert not trainer.runs and not (tmp_path / "sweep").exists()


def test_data_without_a_measure_need_one(sweep, trainer):
    plain = InMemoryDataset("plain", IMAGES)
    with pytest.raises(SweepError, match="there is none for plain but those of measure"):
        sweep(data=plain)


def test_a_failed_trial_is_a_row(sweep, trainer, tmp_path):
    def fail(recipe, settings):
        if recipe.lr == 0.01 and settings.seed == 1:
            raise TooManySkips("A lower `lr` may help.")
        if recipe.batch == 32:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB.\nMore.")

    trainer.before = fail
    found = sweep(seeds=2)
    errors = {(t.settings["lr"], t.settings["batch"], t.seed): t.error for t in found.trials}
    assert errors[0.01, 16, 1] == "A lower lr may help."
    assert errors[0.02, 32, 0] == "OutOfMemoryError: CUDA out of memory. Tried 2 GiB."
    # A point without failures precedes a better one with some.
    assert found.best.settings == {"lr": 0.02, "batch": 16}
    assert [len(point.failed) for point in found.points] == [0, 1, 2, 2]
    assert sweep(seeds=2) == found and len(trainer.runs) == 3


def test_an_error_that_a_person_can_mend_ends_the_sweep(sweep, trainer):
    def fail(recipe, settings):
        raise RunDirError("The folder is taken.")

    trainer.before = fail
    with pytest.raises(RunDirError):
        sweep()
    trainer.before = lambda recipe, settings: None
    assert len(sweep().best.values) == 1 and len(trainer.runs) == 4


def test_signals_stop_the_sweep_and_the_same_call_goes_on(sweep, trainer):
    trainer.stopped_by = signal.SIGINT
    with pytest.raises(KeyboardInterrupt, match="can be continued"):
        sweep()
    trainer.stopped_by = signal.SIGTERM
    with pytest.raises(SystemExit):
        sweep()
    trainer.stopped_by = None
    assert len(trainer.runs) == 2 and sweep().best is not None
    # The interrupted trial was run again.
    assert len(trainer.runs) == 6 and trainer.runs[0] == trainer.runs[1] == trainer.runs[2]


def test_trials_held_by_another_process_are_left_to_it(sweep, trainer, tmp_path):
    pytest.importorskip("fcntl")
    held = tmp_path / "sweep" / "trials" / "001-lr=0.02,batch=32,seed=0"
    with pytest.raises(KeyboardInterrupt):
        trainer.stopped_by = signal.SIGINT
        sweep()
    trainer.stopped_by = None
    with claim(held) as mine:
        assert mine
        found = sweep()
    assert [t.folder for t in found.trials if t.status == "open"] == [held]
    assert all(trial.status == "done" for trial in sweep().trials)


def test_a_random_search_and_a_longer_one(sweep, trainer):
    vary = {"lr": Range(0.001, 0.1, log=True), "batch": [16, 32]}
    first = sweep(vary=vary, random=3)
    more = sweep(vary=vary, random=5)
    assert len(trainer.runs) == 5
    assert {t.folder for t in first.trials} < {t.folder for t in more.trials}


def test_optuna_goes_on_from_the_records(sweep, trainer, tmp_path):
    pytest.importorskip("optuna")
    vary = {"lr": Range(0.001, 0.1, log=True), "g_hidden": [(8,), (4, 4)]}
    unbroken = sweep(vary=vary, optuna=4, out=tmp_path / "unbroken")
    trainer.runs.clear()

    def stop(recipe, settings):
        if len(trainer.runs) == 2:
            raise KeyboardInterrupt

    trainer.before = stop
    with pytest.raises(KeyboardInterrupt):
        sweep(vary=vary, optuna=4)
    trainer.before = lambda recipe, settings: None
    found = sweep(vary=vary, optuna=4)
    assert [p.settings for p in found.points] == [p.settings for p in unbroken.points]
    assert len(trainer.runs) == 4
    with claim(tmp_path / "sweep"), pytest.raises(SweepError, match="Another process runs"):
        sweep(vary=vary, optuna=5)


def test_a_killed_trial_is_resumed_and_ends_as_an_unbroken_one(sweep, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    class Kill(Callback):
        def on_step(self, run, stats):
            if run.state.nimg == 96 and run.folder.root.name.startswith("001"):
                raise Killed

    monkeypatch.setattr(run, "draw_chart", lambda found, vary: None)
    # Drawing takes longer than all else here, and has its own tests.
    monkeypatch.setattr("fastgan.training.report.draw_curves", lambda rows, **more: b"PNG")
    train = run.train
    options = {"vary": {"lr": [0.01, 0.02]}, "checkpoint_every": 32, "log_every": 16, "workers": 0}
    whole = sweep(**options, out=tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(run, "train", lambda *a, **k: train(*a, **k, callbacks=[Kill()]))
        with pytest.raises(Killed):
            sweep(**options)
    resumed = []
    monkeypatch.setattr(
        run, "train", lambda r, s, o, **k: resumed.append(o.resume) or train(r, s, o, **k)
    )
    found = sweep(**options)
    assert resumed == [True]
    assert [p.settings for p in found.points] == [p.settings for p in whole.points]
    for ours, theirs in zip(found.trials, whole.trials):
        same = {"folder": theirs.folder, "seconds": theirs.seconds}
        assert replace(ours, **same) == theirs and theirs.symptoms is not None
        a, b = (fastgan.load(t.folder).generator.state_dict() for t in (ours, theirs))
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_recipe_object_and_its_settings(sweep, trainer):
    found = fastgan.sweep(
        GAN(**TINY),
        vary={"lr": [0.01]},
        data=DIGITS,
        out=sweep(vary={"lr": [0.03]}).folder.parent / "other",
        total_images=32,
        n_critic=2,
        measure_samples=10,
        console=None,
    )
    assert found.best.settings == {"lr": 0.01}
    with pytest.raises(TypeError, match="'n_critics' is no setting of gan"):
        sweep(n_critics=2)


def test_a_measure_that_is_no_number_comes_last():
    means = [math.nan, 2.0, None, 1.0, math.nan]
    points = [Point({"lr": i}, (Trial({}, 0, Path("x"), value=m),)) for i, m in enumerate(means)]
    for better, order in (("lower", [3, 1, 0, 2, 4]), ("higher", [1, 3, 0, 2, 4])):
        ranked = rank(points, better)
        assert [point.settings["lr"] for point in ranked] == order
        found = Sweep(Path("x"), "gan", "fd", "FD", better, ranked)
        assert found.best is ranked[0]
    assert Sweep(Path("x"), "gan", "fd", "FD", "lower", (points[0],)).best is None


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_a_sentence(tmp_path, monkeypatch, number):
    fcntl = pytest.importorskip("fcntl")

    def flock(descriptor, operation):
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(SweepError, match=r"has no locks, .*: choose an out folder"):
        claim(tmp_path / "a").__enter__()
