"""lightgan: its steps, what D reconstructs, and the settings that it refuses."""

from __future__ import annotations

import pytest
import torch

from fastgan.recipes import Batch, ImageSpec, LightGAN, RecipeError
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

IMAGES = ImageSpec(3, 16)


def small(**settings):
    return LightGAN(**{"z_dim": 4, "ngf": 2, "ndf": 2, "batch": 4, **settings})


def step_of(recipe):
    return TrainStep(TrainState.create(recipe, IMAGES))


def a_batch(recipe, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(recipe.batch, 3, 16, 16, generator=generator) * 2 - 1
    return [Batch(images, torch.zeros(recipe.batch, dtype=torch.int64))]


@pytest.mark.parametrize("settings", [{}, {"reconstruction": "l1"}, {"penalty": "r1"}])
def test_a_step_trains_all_of_the_networks_and_the_decoders(settings):
    step = step_of(small(**settings))
    before = {
        name: [p.clone() for p in net.parameters()] for name, net in step.state.networks.items()
    }
    for _ in range(2):
        stats = step(a_batch(step.state.recipe))
    assert all(value.isfinite() for value in stats.values()) and "reconstruction/D" in stats
    for name in ("G", "D", "decoders"):
        pairs = zip(step.state.networks[name].named_parameters(), before[name])
        assert not [k for (k, p), was in pairs if torch.equal(p, was)], name


def test_decoders_learn_to_draw_what_d_saw():
    step = step_of(small(reconstruction="l1", lr=2e-3, augment="none", reconstruction_weight=10.0))
    batch = a_batch(step.state.recipe)
    batch[0].real[:] = torch.tensor([1.0, -1.0, 0.5])[None, :, None, None]
    losses = [step(batch)["reconstruction/D"] for _ in range(40)]
    assert losses[-1] < 0.7 * losses[0]


def test_the_weight_scales_the_loss():
    one, ten = (
        step_of(small(reconstruction_weight=w))(a_batch(small()))["loss/D"] for w in (1.0, 10.0)
    )
    distance = step_of(small())(a_batch(small()))["reconstruction/D"]
    assert ten - one == pytest.approx(9 * float(distance), rel=1e-4)


def test_without_the_loss_there_are_no_decoders():
    recipe = small(reconstruction_weight=0.0)
    assert set(recipe.build_networks(IMAGES)) == {"G", "D", "augment"}
    assert "reconstruction/D" not in step_of(recipe)(a_batch(recipe))


def test_settings_that_it_refuses():
    with pytest.raises(RecipeError, match="conditional must be off: the networks know no classes"):
        small(conditional=True)
    with pytest.raises(RecipeError, match="reconstruction_weight must be at least 0, got -1"):
        small(reconstruction_weight=-1.0)
    with pytest.raises(RecipeError, match=r"resolution must be one of 16, 32.* for lightgan"):
        small().check_images(ImageSpec(3, 48))
