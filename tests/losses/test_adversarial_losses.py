"""Adversarial losses against values and gradients worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from fastgan.losses.adversarial import (
    ADVERSARIAL_LOSSES,
    minimax_d_loss,
    minimax_g_loss,
    non_saturating_g_loss,
)

# sigmoid(log 3) = 3/4 and sigmoid(0) = 1/2, so every expected value is a logarithm of a simple fraction.
LOG3 = math.log(3.0)


def logits(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_minimax_d_loss_is_minus_the_value_function():
    real, fake = logits(LOG3, 0.0), logits(-LOG3, 0.0)
    loss = minimax_d_loss(real, fake)
    # D(real) = 3/4, 1/2; D(fake) = 1/4, 1/2
    by_hand = -(math.log(3 / 4) + math.log(1 / 2)) / 2 - (math.log(3 / 4) + math.log(1 / 2)) / 2
    assert loss.item() == pytest.approx(by_hand, abs=1e-15)
    loss.backward()
    # d/dt -log σ(t) = σ(t) - 1 and d/dt -log(1 - σ(t)) = σ(t), each over the mean of two
    assert real.grad.tolist() == pytest.approx([-1 / 8, -1 / 4])
    assert fake.grad.tolist() == pytest.approx([1 / 8, 1 / 4])


def test_minimax_g_loss_value_and_vanishing_gradient():
    fake = logits(LOG3, -LOG3)
    loss = minimax_g_loss(fake)
    assert loss.item() == pytest.approx((math.log(1 / 4) + math.log(3 / 4)) / 2, abs=1e-15)
    loss.backward()
    assert fake.grad.tolist() == pytest.approx([-3 / 8, -1 / 8])  # -σ(t)/2: weak where D is sure it is fake


def test_non_saturating_g_loss_value_and_strong_gradient():
    fake = logits(LOG3, -LOG3)
    loss = non_saturating_g_loss(fake)
    assert loss.item() == pytest.approx(-(math.log(3 / 4) + math.log(1 / 4)) / 2, abs=1e-15)
    loss.backward()
    assert fake.grad.tolist() == pytest.approx([-1 / 8, -3 / 8])  # (σ(t) - 1)/2: strong where D is sure


def test_optimal_discriminator_gives_log_4():
    half = torch.zeros(5, dtype=torch.float64)
    assert minimax_d_loss(half, half).item() == pytest.approx(math.log(4))


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
@pytest.mark.parametrize("value", [-1e4, 1e4])
def test_extreme_logits_stay_finite(name, value):
    real, fake = logits(value), logits(value)
    losses = ADVERSARIAL_LOSSES[name]
    total = losses.d(real, fake) + losses.g(fake)
    total.backward()
    assert math.isfinite(total.item())
    assert torch.isfinite(real.grad).all() and torch.isfinite(fake.grad).all()


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_gradcheck_twice(name):
    torch.manual_seed(0)
    real, fake = torch.randn(2, 6, dtype=torch.float64).requires_grad_(True).unbind()
    losses = ADVERSARIAL_LOSSES[name]
    assert torch.autograd.gradcheck(losses.d, (real, fake))
    assert torch.autograd.gradgradcheck(losses.d, (real, fake))
    assert torch.autograd.gradcheck(losses.g, (fake,))
    assert torch.autograd.gradgradcheck(losses.g, (fake,))
