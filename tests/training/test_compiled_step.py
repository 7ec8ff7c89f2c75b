"""A step compiled into one graph equals the eager one, which runs if compiling fails."""

from __future__ import annotations

import logging

import pytest
import torch

from fastgan.recipes import DCGAN, GAN, Batch, ImageSpec
from fastgan.training import compiling
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

SETTINGS = {
    "wgan-gp": {"loss": "wasserstein", "penalty": "wgan-gp", "n_critic": 2, "drift": 0.001},
    "lazy r1 in pieces": {
        "penalty": "r1",
        "penalty_every": 2,
        "flip_labels": 0.2,
        "accumulate": 2,
        "precision": "bf16",
    },
}


def trained(recipe, steps=3, **options):
    generator = torch.Generator().manual_seed(0)
    step = TrainStep(TrainState.create(recipe, ImageSpec(1, 16)), **options)
    for _ in range(steps):
        images = [
            torch.rand(recipe.batch, 1, 16, 16, generator=generator) for _ in range(step.batches)
        ]
        stats = step([Batch(real, torch.zeros(recipe.batch)) for real in images])
    return step.state, stats


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "fastgan"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["wgan-gp", pytest.param("lazy r1 in pieces", marks=pytest.mark.backends)]
)
def test_compiled_and_eager_train_alike(name, caplog):
    recipe = DCGAN(z_dim=4, ngf=4, ndf=4, batch=4, ema=0.9, **SETTINGS[name])
    eager, eager_stats = trained(recipe)
    compiled, stats = trained(recipe, compile="step", backend="aot_eager")
    # A warning would mean that it fell back.
    assert not warnings(caplog)
    # Adam divides by the root of a square: an entry without gradient amplifies the last bit.
    tolerance = (
        {"rtol": 1e-3, "atol": 1e-3} if recipe.precision == "bf16" else {"rtol": 1e-4, "atol": 2e-5}
    )
    assert eager_stats.keys() == stats.keys()
    for key in stats:
        torch.testing.assert_close(stats[key], eager_stats[key], **tolerance)
    for network in "GD":
        pairs = zip(
            compiled.networks[network].state_dict().values(),
            eager.networks[network].state_dict().values(),
        )
        for ours, theirs in pairs:
            torch.testing.assert_close(ours, theirs, **tolerance)


@pytest.mark.backends
def test_what_remembers_compares_and_looks_ahead_compiles_whole(caplog):
    recipe = GAN(
        z_dim=4, g_hidden=(8,), d_hidden=(8,), batch=4, dropout=0.0, replay=8,
        historical_averaging=0.1, minibatch_discrimination=2, minibatch_stddev=4,
        feature_matching=0.5, unroll=1,
    )  # fmt: skip
    eager, eager_stats = trained(recipe, steps=2)
    compiled, stats = trained(recipe, steps=2, compile="step", backend="eager")
    assert not warnings(caplog) and eager_stats.keys() == stats.keys()
    for name, network in eager.networks.items():
        for ours, theirs in zip(
            compiled.networks[name].state_dict().values(), network.state_dict().values()
        ):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.backends
def test_an_update_compiles_once_for_every_batch_and_every_state(caplog):
    from torch._dynamo.utils import counters

    recipe = GAN(z_dim=4, g_hidden=(8,), d_hidden=(8,), batch=4, dropout=0.0)
    torch._dynamo.reset()
    counters.clear()
    for _ in range(3):
        trained(recipe, steps=4, compile="step", backend="eager")
    # Three states have an update of D and one of G each.
    assert counters["stats"]["unique_graphs"] == 3 * 2
    assert not warnings(caplog)


def test_a_torch_that_cannot_says_so_once_and_runs_eagerly(monkeypatch, caplog):
    recipe = GAN(z_dim=4, g_hidden=(8,), d_hidden=(8,), batch=4)
    eager, _ = trained(recipe)
    monkeypatch.setattr(compiling, "_warned", set())
    monkeypatch.setattr(compiling, "_can_trace", lambda: False)
    with caplog.at_level(logging.WARNING, "fastgan"):
        fallen_back, _ = trained(recipe, compile="step")
    assert warnings(caplog) == [
        f"torch {torch.__version__} can't compile a step that differentiates inside: "
        "it runs eagerly, on the same ops."
    ]
    for ours, theirs in zip(
        fallen_back.networks["D"].parameters(), eager.networks["D"].parameters()
    ):
        assert torch.equal(ours, theirs)


def test_a_compiler_that_fails_says_so_once_and_the_step_runs_eagerly(monkeypatch, caplog):
    def broken(graph, inputs):
        raise RuntimeError("no C++ compiler here")

    recipe = GAN(z_dim=4, g_hidden=(8,), d_hidden=(8,), batch=4)
    eager, _ = trained(recipe)
    monkeypatch.setattr(compiling, "_warned", set())
    with caplog.at_level(logging.WARNING, "fastgan"):
        fallen_back, _ = trained(recipe, compile="step", backend=broken)
    (warning,) = warnings(caplog)
    assert "no C++ compiler here" in warning and "runs eagerly" in warning
    for ours, theirs in zip(
        fallen_back.networks["D"].parameters(), eager.networks["D"].parameters()
    ):
        assert torch.equal(ours, theirs)
