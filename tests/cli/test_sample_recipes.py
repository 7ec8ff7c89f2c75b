"""`fastgan sample` of recipes without styles: seeds, classes, folders."""

from __future__ import annotations

import numpy as np
import pytest

from fastgan.recipes import ImageSpec, get_recipe
from fastgan.training.checkpoint import save_checkpoint
from fastgan.training.config import RunConfig
from fastgan.training.run_settings import RunSettings
from fastgan.training.state import TrainState
from tests.cli.tiles import same, tile

PIL = pytest.importorskip("PIL.Image")


def save_run(folder, recipe, classes=3, **settings):
    made = get_recipe(recipe)(z_dim=4, **settings)
    images = ImageSpec(3, 16, classes)
    save_checkpoint(
        folder / "checkpoints",
        RunConfig(made, RunSettings.of(made, data="shapes", resolution=16), images, "shapes", ""),
        TrainState.create(made, images),
        keep=1,
    )
    return folder


@pytest.fixture
def draw(fastgan, tmp_path):
    def draw(checkpoint, *options):
        outcome = fastgan("sample", checkpoint, "--out", tmp_path / "a.png", *options)
        assert outcome.status == 0, outcome.err
        with PIL.open(tmp_path / "a.png") as picture:
            return np.array(picture.convert("RGB"))

    return draw


def test_a_class_is_drawn_on_demand_and_keeps_the_noise_of_its_seed(draw, refused, tmp_path):
    folder = save_run(tmp_path / "run", "gan", conditional=True, g_hidden=(8,), d_hidden=(8,))
    grid = ("--rows", 1, "--columns", 4)
    drawn = [draw(folder, *grid, "--class", number) for number in range(3)]
    assert not same(drawn[0], drawn[1]) and not same(drawn[1], drawn[2])
    own = draw(folder, *grid)  # each of a class of its own: what that class shows at this place
    for column in range(4):
        assert any(same(tile(own, 0, column), tile(picture, 0, column)) for picture in drawn)
    assert refused("sample", folder, "--out", tmp_path / "b.png", "--class", 3) == (
        "The class must be a number, 0 to 2, got '3'."
    )


def test_a_recipe_without_classes_refuses_one(refused, tmp_path):
    folder = save_run(tmp_path / "run", "gan", g_hidden=(8,), d_hidden=(8,))
    assert refused("sample", folder, "--out", tmp_path / "a.png", "--class", 1) == (
        "--class has no meaning, since this network knows no classes: leave it out."
    )


def test_a_seed_has_its_image_in_any_grid_and_as_a_file(draw, fastgan, tmp_path):
    folder = save_run(tmp_path / "run", "cgan", ngf=4, ndf=4)
    picture = draw(folder, "--seeds", "3,7", "--class", 2)
    assert same(tile(picture, 0, 1), tile(draw(folder, "--seeds", "7", "--class", 2), 0, 0))
    outcome = fastgan(
        "sample", folder, "--out", f"{tmp_path}/many/", "--seeds", "7", "--class", "2"
    )
    assert outcome.status == 0 and "1 samples of cgan after 0 images" in outcome.out
    with PIL.open(tmp_path / "many" / "seed0007.png") as alone:
        enlarged = np.array(alone.convert("RGB")).repeat(4, 0).repeat(4, 1)
    assert same(tile(picture, 0, 1), enlarged)
