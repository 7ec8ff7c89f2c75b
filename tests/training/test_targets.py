"""Measures of recipes whose samples have targets.

They equal their functions, and stand beside a baseline in log, report and page.
"""

from __future__ import annotations

import importlib.util
import json
import sys

import pytest
import torch
from pairs import Negatives

from fastgan.data import open_dataset, to_float
from fastgan.evaluation.measures import evaluate
from fastgan.evaluation.plan import make_plan
from fastgan.evaluation.targets import TargetDistances
from fastgan.inference.samples import data_rows, evaluation
from fastgan.metrics import MetricError, PerceptualDistance
from fastgan.metrics.figures import OF_TARGETS, figures, main_figure
from fastgan.recipes import DCGAN, SRGAN, Colorize, CycleGAN, GauGAN, ImageSpec, Pix2Pix
from fastgan.training.report import measures_sentence
from fastgan.training.state import TrainState

needs_torchmetrics = importlib.util.find_spec("torchmetrics") is None


@pytest.fixture
def pix2pix():
    return Pix2Pix(batch=2, ngf=2, ndf=2, patch=16)


@pytest.mark.skipif(needs_torchmetrics, reason="needs torchmetrics")
@pytest.mark.xdist_group("torchmetrics")
def test_a_perfect_translation_and_its_input_are_measured(pix2pix, monkeypatch):
    data = Negatives()
    networks = TrainState.create(pix2pix, ImageSpec.of(data)).sampler
    monkeypatch.setattr(
        Pix2Pix, "translate", lambda self, networks, inputs, *, generator: -inputs["input"]
    )
    found = evaluate(pix2pix, networks, data, OF_TARGETS, samples=20)
    measures, targets = found["measures"], to_float(data.batch(torch.arange(20))[0])
    assert [measures[name] for name in OF_TARGETS] == pytest.approx([0, 100, 1, 0], abs=1e-6)
    assert measures["l1_of_input"] == pytest.approx((2 * targets).abs().mean().item(), rel=1e-4)
    decibels = -10 * targets.square().mean((1, 2, 3)).log10()
    assert measures["psnr_of_input"] == pytest.approx(decibels.mean().item(), rel=1e-4)
    assert measures["ssim_of_input"] < 0
    seen = PerceptualDistance()(-targets, targets).mean().item()
    assert measures["perceptual_of_input"] == pytest.approx(seen, rel=1e-4)
    assert len(measures) == 8 and found["settings"]["perceptual"].keys() == {"network_sha256"}


def test_a_run_has_them_in_its_log_its_report_and_its_best_checkpoint(run, pix2pix):
    asked = {
        "measure": ("l1", "perceptual"),
        "measure_every": 4,
        "measure_samples": 10,
        "log_every": 4,
    }
    result, _ = run(pix2pix, dataset=Negatives(), total_images=8, **asked)
    found = result.measures
    assert list(found) == ["samples", "l1", "perceptual", "l1_of_input", "perceptual_of_input"]
    rows = [json.loads(line) for line in result.run.log.read_text().splitlines()]
    assert [row["measure/l1"] for row in rows if "measure/l1" in row][-1] == found["l1"]
    shown = f"{found['l1']:.4g} (input {found['l1_of_input']:.4g})"
    assert measures_sentence(found).startswith(f"L1 {shown}, perceptual distance")
    assert shown in result.run.report.read_text()
    assert result.run.best_checkpoint.exists() and main_figure(found) == "perceptual"


@pytest.mark.parametrize(
    ("recipe", "resolution", "task", "baseline"),
    [
        (Colorize(ngf=1, ndf=1, patch=16), 16, None, "input"),
        (SRGAN(ngf=2, ndf=1, blocks=1), 32, None, "bicubic"),
        (GauGAN(ngf=1, hidden=2, ndf=1, patch=16, scales=1), 16, "maps", None),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_what_is_there_without_a_network_is_measured_too(recipe, resolution, task, baseline):
    data = open_dataset("shapes", resolution=resolution, task=task)
    networks = TrainState.create(recipe, ImageSpec.of(data)).sampler
    distances = TargetDistances(("l1",), "cpu")
    with evaluation(networks) as networks:
        rows = data_rows(recipe, networks, data, range(4))
        output = recipe.sample(networks, 4, generator=torch.Generator(), rows=rows)
        distances.add(recipe, networks, rows, output)
    found = distances.means()
    assert found.pop("l1") == pytest.approx(
        (output.clamp(-1, 1) - rows.real).abs().mean().item(), abs=4e-3
    )
    assert list(found) == ([] if baseline is None else [f"l1_of_{baseline}"])
    assert all(0 < value < 0.5 for value in found.values())


def test_an_input_of_other_colours_is_no_baseline(pix2pix):
    data = Negatives()
    networks = TrainState.create(pix2pix, ImageSpec.of(data)).sampler
    rows = data_rows(pix2pix, networks, data, range(2))
    grey = type(rows)(rows.real[:, :1], rows.labels, inputs=rows.inputs)
    distances = TargetDistances(("l1",), "cpu")
    distances.add(pix2pix, networks, grey, grey.real)
    assert distances.means() == {"l1": 0}


@pytest.mark.parametrize("recipe", [CycleGAN(batch=2), DCGAN()], ids=lambda recipe: recipe.name)
def test_recipes_without_targets_refuse_them(recipe):
    message = (
        f"^{recipe.name} makes images that have no targets to be compared with: "
        "leave l1 and ssim out"
    )
    with pytest.raises(MetricError, match=message):
        make_plan(recipe, Negatives(), ("l1", "fd", "ssim"))


def test_what_needs_torchmetrics_is_refused_before_a_run_without_it(pix2pix, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(MetricError, match="PSNR and SSIM need torchmetrics"):
        make_plan(pix2pix, Negatives(), ("l1", "psnr"))
    with pytest.raises(MetricError, match="Unknown metric 'l3': did you mean 'l1'"):
        make_plan(pix2pix, Negatives(), ("l3",))
    assert make_plan(pix2pix, Negatives(), ("l1", "perceptual")).metrics == ("l1", "perceptual")


def test_a_baseline_stands_beside_its_figure():
    measures = {"samples": 10, "psnr": 31.234, "psnr_of_bicubic": 28.1, "perceptual": 0.5}
    assert [tuple(figure) for figure in figures(measures)] == [
        ("PSNR, dB", "31.23 (bicubic 28.1)", "higher"),
        ("perceptual distance, embedded network", "0.5", "lower"),
    ]
