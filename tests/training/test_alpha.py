"""Images with alpha, from the data through training, grids and files to the measures."""

import numpy as np
import pytest
import torch
from PIL import Image

from fastgan.data import InMemoryDataset, image_grid, open_dataset, save_png
from fastgan.data.images import with_channels
from fastgan.networks.alpha import over_mid_grey
from fastgan.recipes import GAN, Colorize, RecipeError
from fastgan.training import train


def random_set(channels):
    images = torch.randint(
        0, 256, (24, channels, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    return InMemoryDataset("random", images, torch.zeros(24, dtype=torch.int64))


@pytest.mark.parametrize("channels", [2, 4])
def test_a_run_on_images_with_alpha(tmp_path, channels):
    recipe = GAN(batch=8, z_dim=4, g_hidden=(8,), d_hidden=(8,))
    out = str(tmp_path / "run")
    result = train(recipe, dataset=random_set(channels), total_images=16, out=out, console=None)
    assert result.config.image_spec.channels == channels and result.run.report.exists()
    assert Image.open(result.run.samples).mode == "RGB"


@pytest.mark.parametrize("channels", [5, 8])
def test_more_channels_are_refused_before_anything_is_made(tmp_path, channels):
    recipe = GAN(batch=8, z_dim=4, g_hidden=(8,), d_hidden=(8,))
    with pytest.raises(RecipeError, match=rf"must have 1 to 4 channels .*, got {channels}"):
        train(recipe, dataset=random_set(channels), out=str(tmp_path / "run"), console=None)
    assert not (tmp_path / "run").exists()


def test_recipes_that_translate_refuse_alpha(tmp_path):
    with pytest.raises(
        RecipeError, match=r"Images of colorize must have 1 or 3 channels, got 4: put transparent"
    ):
        train(Colorize(), dataset=random_set(4), out=str(tmp_path / "run"), console=None)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_over_a_checkerboard_and_over_mid_grey(channels):
    images = torch.full((1, channels, 16, 16), 10, dtype=torch.uint8)
    images[:, -1] = 0
    board = with_channels(images, 3)
    assert board.shape == (1, 3, 16, 16) and set(board.unique().tolist()) == {153, 204}
    assert board[0, 0, 0, 0] == board[0, 0, 8, 8] != board[0, 0, 0, 8]
    images[:, -1] = 255
    assert (with_channels(images, 3) == 10).all() and image_grid(images, 1).shape[0] == 3
    seen = torch.full((1, channels, 2, 2), 0.8)
    for alpha, expected in ((-1.0, 0.0), (1.0, 0.8), (0.0, 0.4)):
        seen[:, -1] = alpha
        assert torch.allclose(over_mid_grey(seen), torch.full((1, channels - 1, 2, 2), expected))


@pytest.mark.parametrize(("channels", "mode"), [(2, "LA"), (4, "RGBA")])
def test_files_keep_alpha(tmp_path, channels, mode):
    pixels = torch.randint(
        1, 256, (channels, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    save_png(tmp_path / "a.png", pixels)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == mode
        assert np.array_equal(np.asarray(picture), pixels.permute(1, 2, 0).numpy())
    assert torch.equal(open_dataset(str(tmp_path), channels=channels).image(0), pixels)
