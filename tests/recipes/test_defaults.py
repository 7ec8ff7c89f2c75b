"""`fastgan train NAME`, alone or with `--data` and `--resolution`, needs no other options."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from small_recipes import data_of, meta_gradients

from fastgan.recipes import RECIPES, CycleGAN, GauGAN, ImageSpec, Pix2Pix, RecipeError
from fastgan.recipes.patches import patch_size

image = pytest.importorskip("PIL.Image")
RESOLUTIONS = (8, 12, 16, 24, 28, 32, 40, 48, 64, 96, 100, 128, 256, 512, 1024)
WITHOUT_A_TASK = ("", "classes")


SEVERAL_SECONDS = ("sngan", "sagan", "biggan", "gaugan")
"""Recipes with many spectral norms, which are slow on the meta device."""


# The perceptual network reads its weights from a file.
@pytest.mark.filterwarnings("ignore:.*non-meta parameter")
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.long) if n in SEVERAL_SECONDS else n for n in RECIPES],
)
def test_the_defaults_build_networks_and_take_a_step(name):
    """Use the recipe's own data, batch and networks, on the meta device: values need a GPU."""
    recipe = RECIPES[name]()
    if getattr(recipe, "augment", "none") == "ada":
        # ADA switches autocast off, and the meta device has none.
        recipe = replace(recipe, augment="none")
    stats = meta_gradients(recipe, data_of(recipe))
    players = {player.name for player in recipe.players()}
    assert {f"loss/{name}" for name in players} <= set(stats)


@pytest.mark.parametrize("name", RECIPES)
def test_defaults_depend_on_no_resolution_but_those_that_the_recipe_lists(name):
    recipe = RECIPES[name]()
    images = ImageSpec.of(data_of(recipe, resolution=None))
    accepted = []
    for resolution in RESOLUTIONS:
        try:
            recipe.check_images(replace(images, resolution=resolution))
            accepted.append(resolution)
        except RecipeError as error:
            assert error.setting == "resolution" and error.got == resolution
            assert str(error).endswith(f" for {name}, got {resolution}.")
    assert len(accepted) >= 4 and {32, 64, 128, 256} <= set(accepted)


def draw(path: Path, number: int, size: tuple[int, int] = (20, 20), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = number if mode == "L" else (40 * number, 200 - 40 * number, 90)
    image.new(mode, size, colour).save(path)


def folder_for(task: str, root: Path) -> Path:
    """Return a folder of three pictures in the layout of a task, in classes, or flat."""
    for number in range(3):
        picture = f"{number}.png"
        if task == "pairs":
            draw(root / picture, number, (40, 20))
        elif task == "domains":
            draw(root / "trainA" / picture, number)
            draw(root / "trainB" / picture, number + 1)
        elif task == "maps":
            draw(root / "images" / picture, number)
            draw(root / "maps" / picture, number, mode="L")
        elif task == "classes":
            draw(root / str(number) / picture, number)
        else:
            draw(root / picture, number)
    if task == "captions":
        lines = [json.dumps({"file": f"{number}.png", "text": "a picture"}) for number in range(3)]
        (root / "captions.jsonl").write_text("\n".join(lines))
    if task == "attributes":
        (root / "attributes.csv").write_text("file,red,small\n0.png,1,0\n1.png,0,1\n2.png,1,1\n")
    return root


@pytest.mark.parametrize("name", RECIPES)
def test_a_folder_of_its_task_and_a_resolution_are_enough(name, tmp_path):
    conditional = getattr(RECIPES[name](), "conditional", False)
    task = RECIPES[name].task or WITHOUT_A_TASK[conditional]
    recipe = RECIPES[name]()
    images = ImageSpec.of(data_of(recipe, data=str(folder_for(task, tmp_path)), resolution=64))
    recipe.check_images(images)
    assert images.resolution == 64 and images.channels == 3


@pytest.mark.parametrize("name", ["cgan", "sagan", "biggan"])
def test_a_folder_without_classes_is_refused_with_the_way_out(name, tmp_path):
    recipe = RECIPES[name]()
    images = ImageSpec.of(data_of(recipe, data=str(folder_for("", tmp_path)), resolution=64))
    with pytest.raises(RecipeError, match="a folder of its own, or train without conditional"):
        recipe.check_images(images)
    replace(recipe, conditional=False).check_images(images)


def test_patches_fit_the_images():
    sizes = {
        resolution: patch_size("x", None, ImageSpec(3, resolution))
        for resolution in (8, 12, 23, 24, 256)
    }
    assert sizes == {8: 16, 12: 34, 23: 34, 24: 70, 256: 70}
    assert [patch_size("x", None, ImageSpec(3, 48), scales) for scales in (1, 2, 3, 4)] == [
        70,
        70,
        34,
        16,
    ]
    assert (
        patch_size("x", 16, ImageSpec(3, 256)) == 16
        and patch_size("x", 286, ImageSpec(3, 96)) == 286
    )
    with pytest.raises(
        RecipeError,
        match="resolution must be at least 24 for patches of 70 pixels in x, got 16: choose",
    ):
        patch_size("x", 70, ImageSpec(3, 16))
    with pytest.raises(
        RecipeError,
        match="resolution must be at least 16 for patches of 1 pixels at 5 scales in x, got 8",
    ):
        patch_size("x", None, ImageSpec(3, 8), 5)


@pytest.mark.parametrize("kind", [Pix2Pix, CycleGAN, GauGAN])
def test_the_default_patch_is_the_papers_where_it_fits(kind):
    dataset = data_of(kind(), resolution=64)
    recipe = kind(ngf=1, ndf=1)
    usual, papers = (
        each.build_networks(ImageSpec.of(dataset)) for each in (recipe, replace(recipe, patch=70))
    )
    for name, network in usual.items():
        assert [p.shape for p in network.parameters()] == [
            p.shape for p in papers[name].parameters()
        ]
