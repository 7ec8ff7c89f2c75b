"""`fastgan sample --caption`: images of words that a person writes."""

from __future__ import annotations

import numpy as np
import pytest

from fastgan.data import open_dataset
from fastgan.recipes import GAN, ImageSpec, Text2Image
from fastgan.training.checkpoint import save_checkpoint
from fastgan.training.config import RunConfig
from fastgan.training.run_settings import RunSettings
from fastgan.training.state import TrainState
from tests.cli.tiles import TILE, same, tile

PIL = pytest.importorskip("PIL.Image")
RED = "A small red circle on a dark background."


def saved(folder, recipe, images):
    config = RunConfig(
        recipe, RunSettings.of(recipe, data="shapes", resolution=16), images, "shapes", ""
    )
    save_checkpoint(folder / "checkpoints", config, TrainState.create(recipe, images), keep=1)
    return folder


@pytest.fixture
def words(tmp_path):
    recipe = Text2Image(ngf=4, ndf=2, z_dim=4, text_dim=8)
    images = ImageSpec.of(open_dataset("shapes", resolution=16, task="captions"))
    return saved(tmp_path / "run", recipe, images)


def test_words_are_drawn_as_often_as_asked_for(fastgan, words, tmp_path):
    def drawn(caption, *options):
        outcome = fastgan(
            "sample", words, "--caption", caption, "--out", tmp_path / "a.png", *options
        )
        assert outcome.status == 0, outcome.err
        with PIL.open(tmp_path / "a.png") as picture:
            return np.array(picture.convert("RGB")), outcome.out

    grid, said = drawn(RED, "--rows", 1, "--columns", 3)
    assert (
        grid.shape == (TILE + 2, 3 * TILE + 2, 3)
        and "3 samples of text2image after 0 images" in said
    )
    assert not same(tile(grid, 0, 0), tile(grid, 0, 1))  # each of noise of its own
    other, _ = drawn(RED.replace("red", "blue"), "--rows", 1, "--columns", 3)
    assert not np.array_equal(tile(grid, 0, 0), tile(other, 0, 0))
    seeds, _ = drawn(RED, "--seeds", "3,7")
    assert same(tile(seeds, 0, 1), tile(drawn(RED, "--seeds", "7")[0], 0, 0))


def test_a_word_that_no_image_had_is_refused_and_near_ones_named(refused, words, tmp_path):
    said = refused("sample", words, "--caption", "a small ret circle", "--out", tmp_path / "a.png")
    assert said.startswith(
        "The word 'ret' of the caption 'a small ret circle' is not in the vocabulary of"
    )
    assert "red" in said.partition("such as")[2]


def test_words_are_refused_where_none_are_drawn(refused, tmp_path):
    recipe = GAN(z_dim=4, g_hidden=(4,), d_hidden=(4,))
    folder = saved(tmp_path / "run", recipe, ImageSpec(3, 16))
    said = refused("sample", folder, "--caption", RED, "--out", tmp_path / "a.png")
    assert said.startswith(
        "--caption is for networks that draw from words, but this is gan after 0 images"
    )
