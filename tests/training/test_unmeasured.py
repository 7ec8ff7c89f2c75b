"""A run whose samples aren't finite reports that instead of figures, and goes on."""

from __future__ import annotations

import json

import pytest
import torch
from rich.console import Console

from fastgan.cli.train import print_result
from fastgan.evaluation.measures import evaluate
from fastgan.metrics import NonFiniteError
from fastgan.recipes import GAN
from fastgan.training import Callback
from fastgan.training.comparison import compare, read_runs

SAID = "fd can't be measured: samples must be finite, got infinite or NaN values in 7 of 20 rows"


class Broken(GAN):
    """A `gan` whose samples have NaN in every third image after `fine_until` images."""

    fine_until = 0

    def sample(self, networks, count, **options):
        images = super().sample(networks, count, **options)
        if Recorder.nimg >= self.fine_until:
            images[::3] = torch.nan
        return images


class Recorder(Callback):
    """Callback that gives the recipe the images shown, and records measures."""

    nimg = 0

    def __init__(self):
        self.measured = []

    def on_step(self, run, stats):
        Recorder.nimg = run.state.nimg

    def on_measure(self, run, measures):
        self.measured.append((run.state.nimg, measures))


@pytest.fixture
def recipe():
    settings = {"z_dim": 4, "g_hidden": (4,), "d_hidden": (4,)}
    return Broken(batch=16, **settings)


OPTIONS = {
    "measure": ("fd",),
    "measure_features": "digits",
    "measure_samples": 20,
    "measure_every": 32,
}


def test_the_run_ends_well_and_says_why(run, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(Broken, "fine_until", 64)
    recorder = Recorder()
    with pytest.warns(UserWarning, match="After 64 images: fd can't be measured"):
        result, _ = run(recipe, total_images=64, callbacks=[recorder], **OPTIONS)
    assert [nimg for nimg, _ in recorder.measured] == [32] and result.measures == {}
    assert SAID in result.unmeasured and result.nimg == 64
    assert SAID in json.loads(result.run.measures.read_text())["not_measured"]
    assert "Not measured: fd can&#x27;t be measured" in result.run.report.read_text()
    rows = [json.loads(line) for line in result.run.log.read_text().splitlines()]
    assert "measure/fd_digits" in next(row for row in rows if row["nimg"] == 32)
    assert not [name for name in rows[-1] if name.startswith("measure/")]
    console = Console(record=True, width=300, quiet=False)
    print_result(console, result)
    assert f"Not measured: {SAID}" in console.export_text()


def test_a_comparison_says_that_it_was_not_measured(run, tmp_path, monkeypatch):
    settings = {"batch": 16, "z_dim": 4, "g_hidden": (4,), "d_hidden": (4,)}
    options = OPTIONS | {"measure_every": 0, "total_images": 16}
    with pytest.warns(UserWarning, match="can't be measured"):
        run(Broken(**settings), out="broken", **options)
    run(GAN(**settings), out="well", **options)
    lines = {
        line.name: line.values
        for line in compare(read_runs([tmp_path / "broken", tmp_path / "well"]))
    }
    (values,) = [values for name, values in lines.items() if name.startswith("FD-digits")]
    assert values[0] == "not measured" and float(values[1])


def test_evaluating_it_is_an_error(recipe, monkeypatch):
    from fastgan.data import open_dataset
    from fastgan.recipes import ImageSpec

    dataset = open_dataset("digits", resolution=8)
    networks = recipe.build_networks(ImageSpec.of(dataset))
    with pytest.raises(
        NonFiniteError, match="must be finite, got infinite or NaN values in 7 of 20 rows"
    ):
        evaluate(recipe, networks, dataset, ("fd",), features="digits", samples=20)
