"""Answers of outputs to inputs and noise, and distances from targets, of networks known by hand."""

from __future__ import annotations

import pytest
import torch

from fastgan.diagnose import answer_figures, target_figures
from fastgan.recipes import SRGAN, Batch, CycleGAN, Inpaint, Pix2Pix, StarGAN, Text2Image

N = 32


def images(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(N, 3, 8, 8, generator=generator) * 2 - 1


REAL, INPUT = images(0), images(1)
LABELS = torch.zeros(N, dtype=torch.int64)
PAIRS = Batch(REAL, LABELS, {"input": REAL})


def effects(recipe, rows, **networks):
    found = answer_figures(recipe, networks, rows, seed=0)
    return [pytest.approx(value, abs=1e-6) for value in found.values()]


def test_outputs_that_equal_or_ignore_their_input():
    assert effects(Pix2Pix(), PAIRS, G=lambda x: x) == [1]
    assert effects(Pix2Pix(), PAIRS, G=lambda x: x / 2) == [1 / 4]
    assert effects(Pix2Pix(), PAIRS, G=lambda x: torch.zeros_like(x)) == [0]

    def dropout(x):
        return torch.nn.functional.dropout(torch.ones_like(x))

    # Noise is no answer to the input.
    assert effects(Pix2Pix(), PAIRS, G=dropout) == [0]


def test_the_weaker_of_two_directions_counts():
    rows = Batch(REAL, LABELS, {"other": INPUT})
    same = lambda x: x  # noqa: E731
    # As far apart on the mean, but not to the last digit.
    (both,) = effects(CycleGAN(), rows, G_AB=same, G_BA=same)
    assert both.expected == pytest.approx(1, abs=0.1)
    for name in ("G_AB", "G_BA"):
        networks = {"G_AB": same, "G_BA": same, name: lambda x: torch.ones_like(x)}
        assert effects(CycleGAN(), rows, **networks) == [0]


def test_every_input_counts():
    """Attributes that G ignores are seen, although its outputs follow the image."""
    attributes = torch.eye(2).repeat(N // 2, 1)
    rows = Batch(REAL, LABELS, {"attributes": attributes})
    assert effects(StarGAN(), rows, G=lambda x, a: x) == [0]
    (found,) = effects(StarGAN(), rows, G=lambda x, a: x + 0.1 * a[:, :1, None, None])
    assert 0 < found.expected < 0.1


def test_filled_pictures_count_in_their_holes():
    rows = Batch(REAL, LABELS)
    assert effects(Inpaint(), rows, G=lambda x: torch.zeros_like(x[:, :3])) == [0]
    context = lambda x: x[:, :3].mean((2, 3), keepdim=True).expand(-1, -1, 8, 8)  # noqa: E731
    (found,) = effects(Inpaint(), rows, G=context)
    assert 0 < found.expected < 0.1


def test_captions_and_noise_are_told_apart():
    captions = torch.arange(N)[:, None] // 4
    rows = Batch(REAL, LABELS, {"caption": captions})
    recipe = Text2Image(z_dim=3)

    def of_caption(z, caption):
        return (caption.float() / 4 - 1)[:, :, None, None].expand(-1, 3, 8, 8)

    def of_noise(z, caption):
        return z[:, :, None, None].expand(-1, -1, 8, 8)

    caption, noise = effects(recipe, rows, G=of_caption)
    assert caption.expected > 0.05 and noise == 0
    caption, noise = effects(recipe, rows, G=of_noise)
    # Two normal numbers are 2 apart, two uniform ones in [-1, 1] are 2/3.
    assert caption == 0 and noise.expected == pytest.approx(3, rel=0.2)
    # Only the rows with the caption of the row before count as real images of the same caption.
    like = Batch(REAL[captions[:, 0]], LABELS, {"caption": captions})
    assert answer_figures(recipe, {"G": of_noise}, like, seed=0)["noise_effect"] > 1e6


def test_distances_from_targets_beside_baselines():
    recipe = Pix2Pix()
    mean = REAL.mean(0)
    rows = Batch(REAL, LABELS, {"input": INPUT})
    found = target_figures(recipe, {}, rows, REAL + 0.1, mean)
    usual = (INPUT - REAL).abs().mean().item(), (mean - REAL).abs().mean().item()
    assert found == {
        "l1": pytest.approx(0.1),
        "l1_of_mean": pytest.approx(usual[1]),
        "l1_of_input": pytest.approx(usual[0]),
        "l1_share": pytest.approx(0.1 / min(usual)),
    }
    assert target_figures(CycleGAN(), {}, rows, REAL, mean) == {}
    assert "l1_of_bicubic" in target_figures(SRGAN(scale=2), {}, rows, REAL, mean)
    # A filled picture is right where it was known.
    filled = target_figures(Inpaint(), {}, Batch(REAL, LABELS), torch.zeros_like(REAL), mean)
    assert filled["l1"] == filled["l1_of_masked"] == pytest.approx(0.5, abs=0.05)
