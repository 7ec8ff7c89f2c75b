"""Samples of a trained network: seeds, labels, captions, truncation."""

from __future__ import annotations

import math

import pytest
import torch

import fastgan
from fastgan.errors import FastganError
from fastgan.seeds import derive_seed
from fastgan.trained import InferenceError

SEEDS = "seeds must be one whole number or more, such as [0, 1, 2], got "


@pytest.mark.parametrize("recipe", ["gan", "cgan"])
def test_samples_are_the_recipe_s_own(run_of, recipe):
    gan = fastgan.load(run_of(recipe))
    generator = torch.Generator().manual_seed(derive_seed(5, "sample"))
    with torch.no_grad():
        expected = gan.recipe.sample(gan.networks, 4, generator=generator)
    images = gan.sample(4, seed=5)
    assert images.dtype == torch.float32 and images.shape == (4, *gan.image_spec.shape)
    assert torch.equal(images, expected.clamp(-1, 1))
    torch.testing.assert_close(gan.sample(4, seed=5, batch_size=3), images)
    assert not torch.equal(gan.sample(4, seed=6), images)


@pytest.mark.parametrize("recipe", ["gan", "stylegan2"])
def test_an_image_depends_on_its_own_seed_alone(run_of, recipe):
    gan = fastgan.load(run_of(recipe))
    two = gan.sample(seeds=[7, 3])
    assert torch.equal(two[1:], gan.sample(seeds=[3])) and len(two) == 2
    assert torch.equal(gan.sample(2, seeds=[7, 3]), two)
    with pytest.raises(
        InferenceError, match="n must be the number of seeds, 2, got 3: leave it out"
    ):
        gan.sample(3, seeds=[1, 2])


def test_a_stylegan2_is_steered(run_of):
    gan = fastgan.load(run_of("stylegan2"))
    images = gan.sample(3, seed=2)
    assert torch.equal(images, gan.sample(seeds=range(2, 5)))
    drawing = gan.drawing(truncation=0.5, truncation_cutoff=2, label="dog", noise="none")
    options = {"truncation": 0.5, "truncation_cutoff": 2, "label": "dog", "noise": "none"}
    assert torch.equal(gan.sample(2, seed=4, **options), drawing.images([4, 5]).clamp(-1, 1))
    mean = gan.sample(2, truncation=0.0, label=0, noise="none")
    torch.testing.assert_close(mean[0], mean[1])
    for noise in ("const", "random"):
        alone = gan.sample(5, noise=noise)
        torch.testing.assert_close(gan.sample(5, noise=noise, batch_size=4), alone)


def test_a_stylegan3_moves(run_of):
    gan = fastgan.load(run_of("stylegan3-r"))
    assert gan.can("transform") and not gan.can("noise")
    still, same = gan.sample(2, seed=1), gan.sample(2, seed=1, translate=(0, 0), rotate=0)
    torch.testing.assert_close(same, still)
    moved = gan.sample(2, seed=1, translate=(0.25, 0))
    # An untrained network is no perfect one, but a shift by a quarter moves its pixels.
    assert (moved[..., 5:-1] - still[..., 1:-5]).abs().mean() < 0.1 * still.std()
    turned = gan.sample(2, seed=1, rotate=90)
    assert (turned - still.rot90(1, (2, 3)))[..., 3:-3, 3:-3].abs().mean() < 0.2 * still.std()
    assert torch.equal(gan.sample(2, seed=1, rotate=90, translate=(0.0, 0.0)), turned)
    with pytest.raises(InferenceError, match="takes no noise: leave noise out"):
        gan.sample(noise="const")
    for bad in ((0.1,), "ab", (0.1, math.inf), 3, (1e30, 0)):
        with pytest.raises(InferenceError, match="translate must be two numbers from -100 to 100"):
            gan.sample(translate=bad)
    with pytest.raises(InferenceError, match="rotate must be a number of degrees, got 'x'"):
        gan.sample(rotate="x")
    with pytest.raises(InferenceError, match="stylegan2 takes no rotate: leave rotate out"):
        fastgan.load(run_of("stylegan2")).sample(rotate=10)


def test_labels_go_by_name_and_by_number(run_of):
    for recipe in ("cgan", "stylegan2"):
        gan = fastgan.load(run_of(recipe))
        by_name, by_number = (gan.sample(2, label=label) for label in ("dog", 1))
        assert torch.equal(by_name, by_number) and torch.equal(gan.sample(2, label="1"), by_name)
        assert not torch.equal(by_name, gan.sample(2, label="cat"))
        with pytest.raises(InferenceError, match=r"no class 'hoarse'\. Did you mean 'horse'\?"):
            gan.sample(label="hoarse")
        with pytest.raises(
            InferenceError, match="label must be a name or a whole number from 0 to 2"
        ):
            gan.sample(label=3)


def test_captions_are_drawn(run_of):
    gan = fastgan.load(run_of("text2image"))
    images = gan.sample(3, caption="a blue circle")
    assert images.shape == (3, 3, 16, 16)
    same = gan.sample(3, caption="A blue circle!")
    assert torch.equal(same, images)
    assert not torch.equal(gan.sample(3, caption="a circle"), images)
    with pytest.raises(InferenceError, match=r"word 'green' .* is not in the vocabulary"):
        gan.sample(caption="a green circle")


def test_data_are_translated(run_of):
    gan = fastgan.load(run_of("pix2pix"))
    assert gan.sample(3, data="shapes").shape == (3, 3, 16, 16)


@pytest.mark.parametrize(
    ("recipe", "options", "said"),
    [
        ("gan", {"n": 0}, "n must be a whole number from 1 on, got 0."),
        ("gan", {"seed": -1}, "seed must be a whole number from 0 on, got -1."),
        ("gan", {"seeds": []}, f"{SEEDS}[]."),
        ("gan", {"seeds": 7}, f"{SEEDS}7."),
        ("gan", {"seeds": "0-3"}, f"{SEEDS}'0-3'."),
        ("gan", {"seeds": [1.5]}, f"{SEEDS}[1.5]."),
        ("gan", {"seeds": [-1]}, "seeds must be a whole number from 0 on, got -1."),
        (
            "stylegan2",
            {"truncation": float("nan")},
            "truncation must be a number, 1 for none, got nan.",
        ),
        ("stylegan2", {"truncation": "a"}, "truncation must be a number, 1 for none, got 'a'."),
        ("stylegan2", {"noise": "a"}, "noise must be one of random, const, none, got 'a'."),
        (
            "cgan",
            {"label": 1.5},
            "label must be a name or a whole number from 0 to 2, got 1.5.",
        ),
        ("gan", {"batch_size": 0}, "batch_size must be a whole number from 1 on, got 0."),
        ("gan", {"label": 1}, "gan was trained without classes: leave label out."),
        ("gan", {"truncation": 0.5}, "gan takes no truncation: leave truncation out."),
        ("gan", {"truncation_cutoff": 1}, "truncation_cutoff needs truncation: give both."),
        ("gan", {"noise": "none"}, "gan takes no noise: leave noise out."),
        ("gan", {"caption": "a"}, "gan takes no caption: leave caption out."),
        ("gan", {"data": "shapes"}, "gan draws from noise: leave data out."),
        (
            "text2image",
            {"caption": "a circle", "data": "shapes"},
            "text2image draws from a caption: leave data out.",
        ),
        ("stylegan2", {"data": "shapes"}, "stylegan2 draws from noise: leave data out."),
        (
            "stylegan2",
            {"truncation": 0.5, "truncation_cutoff": 9},
            "truncation_cutoff must be from 0 to 4, the styles of this network, got 9.",
        ),
        (
            "pix2pix",
            {},
            "pix2pix makes images of images, not of noise: translate a picture with translate(), "
            "or name a folder of them in data.",
        ),
        (
            "text2image",
            {},
            "text2image makes images of captions, not of noise: give caption, words to draw, or "
            "name a folder of them in data.",
        ),
        ("pix2pix", {"seeds": [1]}, "pix2pix draws rows of data: leave seeds out."),
    ],
)
def test_what_does_not_go_together_is_said(run_of, recipe, options, said):
    with pytest.raises(FastganError) as error:
        fastgan.load(run_of(recipe)).sample(**options)
    assert str(error.value) == said


def test_only_styles_are_walked_through(run_of):
    gan = fastgan.load(run_of("gan"))
    for use in (gan.drawing, lambda: gan.project(torch.zeros(1, 1, 8, 8))):
        with pytest.raises(
            FastganError, match=r"Only a StyleGAN(2 or 3)? has styles to .* but this is gan"
        ):
            use()


def test_an_image_is_projected(run_of):
    gan = fastgan.load(run_of("stylegan2"))
    projection = gan.project(gan.sample(1, seed=3), steps=2)
    assert projection.image.shape == (1, 3, 8, 8) and len(projection.distances) >= 2
