"""The experiment's measurements are right, and a trained D approaches the optimum."""

from __future__ import annotations

import math

import pytest
import torch

from fastgan.learn.optimal_discriminator import (
    DATA,
    GENERATED,
    Mixture,
    compare,
    draw,
    train_discriminator,
)


def optimal(x):
    p, q = DATA.density(x.double()), GENERATED.density(x.double())
    # The logit of p / (p + q).
    return (p / q).log().float()


def test_the_optimum_has_no_error_and_a_blind_d_has_minus_log_four():
    best = compare(optimal, DATA, GENERATED)
    assert best.error < 1e-6 and best.value == pytest.approx(best.best, abs=1e-7)
    blind = compare(torch.zeros_like, DATA, GENERATED)
    assert blind.value == pytest.approx(-math.log(4), abs=1e-4)
    assert blind.error > 0.1 and blind.value < best.best
    # G's goal: D can't distinguish the densities.
    assert compare(torch.zeros_like, DATA, DATA).error < 1e-12


def test_densities_are_those_of_the_samples():
    x = torch.linspace(-9, 9, 2001, dtype=torch.float64)
    density = DATA.density(x)
    assert float(torch.trapezoid(density, x)) == pytest.approx(1, abs=1e-6)
    sample = DATA.sample(20_000, torch.Generator().manual_seed(0))
    assert sample.shape == (20_000, 1)
    for limit in (-1.5, 0.0, 1.2):
        below = float(torch.trapezoid(density[x <= limit], x[x <= limit]))
        assert float((sample <= limit).float().mean()) == pytest.approx(below, abs=0.02)


def test_a_short_training_approaches_the_optimum(tmp_path):
    far = train_discriminator(steps=1)
    near = train_discriminator(steps=120)
    assert near.error < 0.06 < far.error
    assert far.value < near.value <= near.best
    draw(near, str(tmp_path / "d.png"))
    assert (tmp_path / "d.png").read_bytes().startswith(b"\x89PNG")


def test_jensen_shannon_of_disjoint_densities():
    """The divergence is log 2, so V(D*) is 2·log 2 - log 4 = 0."""
    apart = Mixture((1.0,), (-4.0,), (0.3,)), Mixture((1.0,), (4.0,), (0.3,))
    assert compare(lambda x: -50 * x, *apart).value == pytest.approx(0, abs=1e-6)
