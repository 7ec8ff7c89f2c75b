"""A batch of one image: each recipe trains on it, or refuses it for its networks' reason."""

from __future__ import annotations

import pytest
from small_recipes import SMALL, small, small_data, take_steps
from torch import nn

from fastgan.nn import BatchNormAct2d, ConditionalBatchNorm2d
from fastgan.nn.adaptive_norm import SPADE
from fastgan.recipes import RECIPES, ImageSpec, RecipeError

NORMALISE = (nn.modules.batchnorm._BatchNorm, BatchNormAct2d, ConditionalBatchNorm2d, SPADE)
ON_A_BATCH_OF_ONE = {
    **dict.fromkeys(
        (
            "gan",
            "dcgan",
            "cgan",
            "wgan",
            "wgan-gp",
            "lsgan",
            "sngan",
            "sagan",
            "biggan",
            "lightgan",
            "gaugan",
            "srgan",
        ),
        "batch norm needs it",
    ),
    "stargan": "images take each other's attributes",
    "text2image": "images take each other's captions",
}
"""Recipes that refuse it, and why."""
OPTIONS = [
    ("gan", {"batch_norm": False}),
    (
        "gan",
        {"batch_norm": False, "minibatch_discrimination": 2, "minibatch_stddev": 4, "replay": 2},
    ),
    (
        "gan",
        {"batch_norm": False, "feature_matching": 1.0, "unroll": 1, "historical_averaging": 0.1},
    ),
    ("gan", {"batch_norm": False, "penalty": "wgan-gp", "loss": "relativistic", "augment": "ada"}),
    ("stylegan2", {"group_size": 1, "path_length_shrink": 4, "style_mixing": 1.0}),
    ("progan", {"group_size": 1}),
    ("r3gan", {"conditional": True, "augment": "diffaugment"}),
    ("pix2pix", {"norm": "none"}),
    ("cyclegan", {"replay": 1, "identity_weight": 0.0}),
    ("unit", {"norm": "none"}),
    ("colorize", {"mirror": True}),
]


def test_every_recipe_has_small_settings():
    assert set(SMALL) == set(RECIPES) >= set(ON_A_BATCH_OF_ONE)


@pytest.mark.parametrize("name", RECIPES)
def test_a_batch_of_one_trains_or_is_refused_for_its_reason(name):
    if name in ON_A_BATCH_OF_ONE:
        with pytest.raises(RecipeError) as error:
            small(name, batch=1)
        assert str(error.value) == f"batch must be at least 2 ({ON_A_BATCH_OF_ONE[name]}), got 1."
        return
    for stats in take_steps(small(name, batch=1), 2):
        assert {"loss/D", "loss/G", "gradient/D", "gradient/G", "certainty"} <= set(stats)
        assert all(value.isfinite() for value in stats.values()), stats


@pytest.mark.parametrize("name", RECIPES)
def test_micro_batches_of_one_train_or_are_refused_for_their_reason(name):
    if small(name, batch=2).has_batch_norm:
        with pytest.raises(RecipeError) as error:
            small(name, batch=2, accumulate=2)
        said = (
            "batch must be at least 2 for each of 2 micro-batches, 4 (batch norm needs it), got 2."
        )
        assert str(error.value) == said
        return
    (stats,) = take_steps(small(name, batch=2, accumulate=2), 1)
    assert all(value.isfinite() for value in stats.values()), stats


@pytest.mark.parametrize(("name", "settings"), OPTIONS)
def test_options_train_on_one_image(name, settings):
    for stats in take_steps(small(name, batch=1, **settings), 2):
        assert "gradient/D" in stats and all(value.isfinite() for value in stats.values()), stats


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((name, {}) for name in RECIPES),
        ("gan", {"batch_norm": False}),
        *((name, {"norm": "batch"}) for name in ("pix2pix", "unit", "colorize", "inpaint")),
        *(("dcgan", {"d_norm": norm}) for norm in ("layer", "instance", "none")),
        ("stylegan2", {"conditional": True}),
        ("sngan", {"conditional": True}),
    ],
)
def test_what_a_recipe_says_of_batch_norm_is_so_of_its_networks(name, settings):
    recipe = small(name, **{"batch": 4, **settings})
    networks = recipe.build_networks(ImageSpec.of(small_data(recipe)))
    trained = {of for player in recipe.players() for of in player.networks}
    normalise = any(isinstance(m, NORMALISE) for of in trained for m in networks[of].modules())
    assert recipe.has_batch_norm == normalise


def test_processes_count_where_they_have_to():
    small("cyclegan", batch=2).check_batch(2)
    # Batch norm sees the images of both processes.
    small("dcgan", batch=2).check_batch(2)
    with pytest.raises(
        RecipeError, match=r"at least 2 for each of 2 micro-batches, 4 \(batch norm needs it\)"
    ):
        small("dcgan", batch=2, sync_batch_norm=False).check_batch(2)
    with pytest.raises(
        RecipeError, match=r"at least 2 for each of 2 processes, 4 \(images take each other's att"
    ):
        small("stargan", batch=2).check_batch(2)
    with pytest.raises(
        RecipeError, match=r"a multiple of the processes times accumulate, 3 × 1, got 4"
    ):
        small("stargan", batch=4).check_batch(3)
