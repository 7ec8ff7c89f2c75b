"""Adversarial losses against values and gradients worked out by hand."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import get_args

import pytest
import torch

from fastgan.losses.adversarial import (
    ADVERSARIAL_LOSSES,
    Adversarial,
    adversarial_loss,
    minimax_d_loss,
    minimax_g_loss,
    non_saturating_g_loss,
)
from fastgan.losses.scale import certainty_of_logits

# sigmoid(log 3) = 3/4 and sigmoid(0) = 1/2: expected values are logarithms of simple fractions.
LOG3 = math.log(3.0)
DOCS = Path(__file__).parents[2] / "docs" / "losses.md"


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
    # -σ(t)/2 is small where D is sure that an image is fake.
    assert fake.grad.tolist() == pytest.approx([-3 / 8, -1 / 8])


def test_non_saturating_g_loss_value_and_strong_gradient():
    fake = logits(LOG3, -LOG3)
    loss = non_saturating_g_loss(fake)
    assert loss.item() == pytest.approx(-(math.log(3 / 4) + math.log(1 / 4)) / 2, abs=1e-15)
    loss.backward()
    # (σ(t) - 1)/2 is large where D is sure that an image is fake.
    assert fake.grad.tolist() == pytest.approx([-1 / 8, -3 / 8])


def test_optimal_discriminator_gives_log_4():
    half = torch.zeros(5, dtype=torch.float64)
    assert minimax_d_loss(half, half).item() == pytest.approx(math.log(4))


def test_wasserstein_is_the_difference_of_means():
    loss = ADVERSARIAL_LOSSES["wasserstein"]
    assert loss.d(logits(3.0, 1.0), logits(-1.0, 2.0)).item() == 0.5 - 2.0
    assert loss.g(logits(-1.0, 2.0)).item() == -0.5


def test_hinge_has_no_gradient_beyond_the_margin():
    loss = ADVERSARIAL_LOSSES["hinge"]
    real, fake = logits(3.0, 0.25), logits(-2.0, 0.5)
    value = loss.d(real, fake)
    assert value.item() == 0.75 / 2 + 1.5 / 2
    value.backward()
    assert real.grad.tolist() == [0, -1 / 2] and fake.grad.tolist() == [0, 1 / 2]
    assert loss.g(logits(-2.0, 0.5)).item() == 0.75


def test_least_squares_with_the_labels_of_the_paper():
    pearson = adversarial_loss("least-squares", fake_label=-1, real_label=1, g_label=0)
    assert pearson.d(logits(2.0, 1.0), logits(0.0, -3.0)).item() == (1 / 2 + 5 / 2) / 2
    assert pearson.g(logits(2.0, -1.0)).item() == 5 / 4
    plain = ADVERSARIAL_LOSSES["least-squares"]
    assert plain.d(logits(2.0, 1.0), logits(0.0, -3.0)).item() == (1 / 2 + 9 / 2) / 2
    assert plain.g(logits(2.0, -1.0)).item() == 5 / 4
    # G's target is D's target for real images.
    smoothed = adversarial_loss("least-squares", real_label=0.5)
    assert smoothed.g(logits(0.5)).item() == 0


def test_relativistic_compares_pairs():
    loss = ADVERSARIAL_LOSSES["relativistic"]
    # Differences are log 3 and -log 3, so σ is 3/4 and 1/4.
    real, fake = logits(LOG3 + 5, 0.0), logits(5.0, LOG3)
    by_hand = -(math.log(3 / 4) + math.log(1 / 4)) / 2
    assert loss.d(real, fake).item() == pytest.approx(by_hand)
    assert loss.g(fake, real).item() == pytest.approx(by_hand)
    assert loss.d(real, fake - 40).item() < 1e-15 < 38 < loss.g(fake - 40, real).item()


@pytest.mark.parametrize("name", [n for n, loss in ADVERSARIAL_LOSSES.items() if not loss.pairs])
def test_real_and_fake_logits_may_differ_in_number(name):
    """Each side has a mean of its own, so a side that is shown twice changes nothing."""
    real, fake = torch.randn(4, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    loss = adversarial_loss(name)
    torch.testing.assert_close(loss.d(real, fake), loss.d(real.repeat(3), fake.repeat(4)))


def test_every_loss_has_a_name_for_settings_and_a_row_in_the_docs():
    assert list(ADVERSARIAL_LOSSES) == list(get_args(Adversarial))
    rows = re.findall(r"^\| `([\w-]+)` \|.*E\[.*\|", DOCS.read_text("utf-8"), re.MULTILINE)
    assert rows[: len(ADVERSARIAL_LOSSES)] == list(ADVERSARIAL_LOSSES)


def test_verdicts_are_what_the_logits_mean():
    means = ADVERSARIAL_LOSSES["minimax"].verdicts(real=logits(LOG3), fake=logits(0.0))
    assert {name: value.item() for name, value in means.items()} == {
        "D(real)": pytest.approx(3 / 4),
        "D(fake)": pytest.approx(1 / 2),
        "certainty": 1.0,
    }
    means = ADVERSARIAL_LOSSES["hinge"].verdicts(
        real=logits(3.0, 1.0), fake=logits(0.0, 2.0), wrong=logits(-2.0)
    )
    assert {name: value.item() for name, value in means.items()} == {
        "logit(real)": 2.0,
        "logit(fake)": 1.0,
        "logit(wrong)": -2.0,
        # A gap of 1 and variances of 1.
        "certainty": pytest.approx(1 / (1 + 2 * 2)),
    }


def test_certainty_is_that_of_least_squares_with_the_best_scale_and_shift():
    real, fake = logits(3.0, 1.0, 2.5), logits(0.0, 2.0, -1.0)
    both = torch.stack([torch.cat([real, fake]), torch.ones(6, dtype=real.dtype)], 1)
    labels = logits(1.0, 1.0, 1.0, 0.0, 0.0, 0.0)
    best = both @ torch.linalg.lstsq(both, labels).solution
    loss = ADVERSARIAL_LOSSES["least-squares"]
    expected = loss.scale().certainty(loss.d(best[:3], best[3:]).item())
    assert certainty_of_logits(real, fake).item() == pytest.approx(expected)
    assert certainty_of_logits(7 * real - 3, 7 * fake - 3).item() == pytest.approx(expected)
    assert certainty_of_logits(fake, real).item() == pytest.approx(-expected)
    assert (
        certainty_of_logits(real, real).item()
        == certainty_of_logits(0 * real, 0 * fake).item()
        == 0
    )
    assert certainty_of_logits(real[:1], fake[:1]).item() == 1


def test_only_the_relativistic_loss_needs_real_logits_for_g():
    fake, real = logits(1.0, -2.0), logits(0.5, 3.0)
    assert [name for name, loss in ADVERSARIAL_LOSSES.items() if loss.pairs] == ["relativistic"]
    for loss in ADVERSARIAL_LOSSES.values():
        if not loss.pairs:
            assert loss.g(fake, real).item() == loss.g(fake).item()


@pytest.mark.parametrize(("real_label", "fake_label"), [(0.9, 0.0), (0.9, 0.1), (1.0, 0.0)])
def test_smoothed_labels_are_the_optimum_of_d(real_label, fake_label):
    """-p·log D - (1 - p)·log(1 - D) is smallest at D = p, the target."""
    loss = adversarial_loss("non-saturating", real_label=real_label, fake_label=fake_label)
    real, fake = logits(LOG3, 0.0), logits(-LOG3, LOG3)
    value = loss.d(real, fake)
    by_hand = 0.0
    for label, probabilities in ((real_label, (3 / 4, 1 / 2)), (fake_label, (1 / 4, 3 / 4))):
        by_hand -= (
            sum(label * math.log(p) + (1 - label) * math.log(1 - p) for p in probabilities) / 2
        )
    assert value.item() == pytest.approx(by_hand, abs=1e-15)
    value.backward()
    assert real.grad.tolist() == pytest.approx([(p - real_label) / 2 for p in (3 / 4, 1 / 2)])
    assert fake.grad.tolist() == pytest.approx([(p - fake_label) / 2 for p in (1 / 4, 3 / 4)])
    assert loss.g(fake).item() == non_saturating_g_loss(fake).item()


SMOOTHED = [
    (name, adversarial_loss(name, real_label=0.9, fake_label=0.1))
    for name in ("minimax", "non-saturating", "least-squares")
]
LOSSES = [pytest.param(loss, id=name) for name, loss in ADVERSARIAL_LOSSES.items()] + [
    pytest.param(loss, id=f"{name}-smoothed") for name, loss in SMOOTHED
]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("value", [-1e4, 1e4])
def test_extreme_logits_stay_finite(loss, value):
    for dtype in (torch.float32, torch.float64):
        for other in (value, -value):
            real, fake = torch.tensor([[value], [other]], dtype=dtype).requires_grad_(True)
            total = loss.d(real, fake) + loss.g(fake, real)
            gradients = torch.autograd.grad(total, (real, fake))
            assert math.isfinite(total.item()) and all(torch.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradcheck_twice(loss):
    torch.manual_seed(0)
    real, fake = (torch.randn(3, 2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    for player in (loss.d, loss.g):
        assert torch.autograd.gradcheck(player, (real, fake))
        assert torch.autograd.gradgradcheck(player, (real, fake))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: adversarial_loss("gan"), ["minimax, non-saturating", "'gan'"]),
        (
            lambda: adversarial_loss("hinge", real_label=0.9),
            ["1 and 0 for hinge", "0.9", "leave them out"],
        ),
        (
            lambda: adversarial_loss("relativistic", fake_label=0.1),
            ["1 and 0 for relativistic", "0.1"],
        ),
        (lambda: adversarial_loss("wasserstein", fake_label=-1), ["1 and 0 for wasserstein", "-1"]),
        (lambda: adversarial_loss("minimax", real_label=1.1), ["<= 1", "1.1"]),
        (lambda: adversarial_loss("minimax", fake_label=-0.1), ["0 <=", "-0.1"]),
        (
            lambda: adversarial_loss("non-saturating", real_label=0.2, fake_label=0.8),
            ["fake_label < real_label"],
        ),
        (lambda: adversarial_loss("minimax", real_label=math.nan), ["nan"]),
        (
            lambda: adversarial_loss("minimax", g_label=1.0),
            ["g_label must be None for minimax", "least-squares alone"],
        ),
        (lambda: adversarial_loss("least-squares", fake_label=1), ["fake_label < real_label"]),
        (lambda: adversarial_loss("least-squares", real_label=math.inf), ["finite", "inf"]),
        (lambda: adversarial_loss("least-squares", g_label=math.nan), ["finite", "nan"]),
        (
            lambda: ADVERSARIAL_LOSSES["relativistic"].g(logits(1.0)),
            ["real_logits", "got None", "g(fake_logits, real_logits)"],
        ),
        (
            lambda: ADVERSARIAL_LOSSES["relativistic"].d(torch.ones(4, 1), torch.ones(4)),
            ["[4, 1]", "[4]", "as many real images"],
        ),
        (
            lambda: ADVERSARIAL_LOSSES["relativistic"].g(torch.ones(4), torch.ones(2)),
            ["[4]", "[2]", "as many real images"],
        ),
    ],
)
def test_error(call, says):
    with pytest.raises(ValueError) as caught:
        call()
    assert all(words in str(caught.value) for words in says), caught.value
