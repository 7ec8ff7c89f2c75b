"""The precision `auto`: its choice by device, and that runs store, announce and keep it."""

from __future__ import annotations

import json

import pytest
import torch

from fastgan.recipes import DCGAN, GAN, RECIPES, StyleGAN2
from fastgan.training import auto_precision
from fastgan.training.auto_precision import LEARN_IN_BF16, choose, resolve
from tests.learning import precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def amx(monkeypatch):
    """Return a function that gives the CPU AMX, or takes it away."""

    def set_it(there):
        monkeypatch.setattr(auto_precision, "has_amx", lambda: there)

    return set_it


@pytest.fixture
def gan_learns(monkeypatch):
    """Let the recipe `gan` count as one that learns as well in bf16."""
    monkeypatch.setattr(auto_precision, "LEARN_IN_BF16", frozenset({"gan"}))


@pytest.mark.parametrize(
    ("capability", "halves", "r3gan", "others"),
    [
        ((6, 1), "fp32", "fp32", "fp32"),
        ((7, 0), "fp16", "fp32", "fp32"),
        ((7, 5), "fp16", "fp32", "fp32"),
        ((8, 0), "fp16", "bf16", "tf32"),
        ((9, 0), "fp16", "bf16", "tf32"),
    ],
)
def test_the_choice_on_a_gpu(monkeypatch, capability, halves, r3gan, others):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    halved = {"stylegan2", "stylegan2-ada", "stylegan3-t", "stylegan3-r"}
    for name, recipe in RECIPES.items():
        expected = halves if name in halved else r3gan if name == "r3gan" else others
        assert choose(recipe, CUDA).precision == expected, name
    assert choose(StyleGAN2(half_resolutions=0), CUDA).precision == others


@pytest.mark.parametrize("there", [True, False])
def test_the_choice_on_a_cpu(amx, there):
    """A CPU never takes float16."""
    amx(there)
    for name, recipe in RECIPES.items():
        expected = "bf16" if there and name in LEARN_IN_BF16 else "fp32"
        assert choose(recipe, CPU).precision == expected, name
    assert choose(DCGAN, torch.device("mps")).precision == "fp32"


def test_recipes_that_learn_as_well_in_bf16_are_those_of_the_records():
    recorded = precision.read()
    assert {
        name
        for name, experiment in precision.EXPERIMENTS.items()
        if precision.learns_equally(recorded, experiment)
    } == LEARN_IN_BF16


@pytest.mark.parametrize(
    ("asked", "saved", "taken", "line"),
    [
        ("fp32", None, "fp32", "Precision fp32."),
        ("bf16", "fp32", "bf16", "Precision bf16."),
        ("auto", "fp16", "fp16", "Precision fp16, as the run was started. On a CPU fp16 is slower"),
        ("fp16", None, "fp16", "Precision fp16. On a CPU fp16 is slower than fp32."),
        ("auto", None, "bf16", "Precision bf16, chosen by auto: this CPU has AMX, and five seeds"),
    ],
)
def test_a_precision_is_resolved_once(amx, gan_learns, asked, saved, taken, line):
    amx(True)
    recipe, said = resolve(
        GAN(precision=asked), CPU, None if saved is None else GAN(precision=saved)
    )
    assert recipe == GAN(precision=taken) and said.startswith(line)


def test_a_run_stores_its_precision_and_keeps_it_on_another_machine(run, tiny, amx, gan_learns):
    amx(True)
    first, text = run(tiny)
    assert "Precision bf16, chosen by auto: this CPU has AMX" in text
    assert first.config.recipe.precision == "bf16"
    assert json.loads(first.run.config.read_text())["settings"]["precision"] == "bf16"
    amx(False)
    more, text = run(tiny, resume=True, total_images=400)
    assert "Precision bf16, as the run was started." in text and more.nimg == 400
    assert more.config.recipe.precision == "bf16"


def test_auto_without_a_run_computes_in_float32(tiny):
    assert tiny.precision == "auto"
    assert not torch.is_autocast_enabled("cpu")
    from fastgan.training.precision import autocast, matmul_precision

    with autocast("auto", CPU), matmul_precision("auto"):
        assert not torch.is_autocast_enabled("cpu")
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
