"""Choice of a recipe for data: a table of data and devices, and the layouts of folders."""

from __future__ import annotations

import pytest

from fastgan.data import open_dataset
from fastgan.recipes import RECIPES
from fastgan.training.recipe_choice import (
    RECIPE_OF_TASK,
    DataFacts,
    choose_recipe,
    task_of_folder,
)

MODERN = {*RECIPES, "lightgan"}
OLDER = MODERN - {"lightgan"}


@pytest.mark.parametrize(
    ("facts", "device", "known", "recipe", "resolution"),
    [
        (DataFacts(500, 300), "cpu", MODERN, "lightgan", 64),
        (DataFacts(500, 300), "cpu", OLDER, "stylegan2-ada", 64),
        (DataFacts(1_999, 256), "cuda", OLDER, "stylegan2-ada", 256),
        (DataFacts(2_000, 32), "cpu", MODERN, "stylegan2", 32),
        (DataFacts(50_000, 48), "cuda", MODERN, "stylegan2", 32),
        (DataFacts(50_000, 512), "cuda", MODERN, "r3gan", 256),
        (DataFacts(50_000, 512), "cpu", MODERN, "stylegan2", 64),
        (DataFacts(500, 300, classes=1), "cpu", OLDER, "stylegan2-ada", 64),
        (DataFacts(5_000, 8), "cpu", MODERN, "stylegan2", 16),
        (DataFacts(400, 256, task="pairs"), "cuda", MODERN, "pix2pix", 256),
        (DataFacts(400, 256, task="domains"), "cpu", MODERN, "cyclegan", 64),
    ],
)
def test_the_choice(facts, device, known, recipe, resolution):
    chosen = choose_recipe(facts, device, known)
    assert (chosen.recipe, chosen.resolution, chosen.conditional) == (recipe, resolution, False)


@pytest.mark.parametrize("images", [100, 5_000])
def test_labels_make_it_conditional(images):
    chosen = choose_recipe(DataFacts(images, 32, classes=10), "cpu")
    assert chosen.conditional and f"{images:,} images of 10 classes on a CPU" in chosen.reason


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("task", [None, *RECIPE_OF_TASK])
@pytest.mark.parametrize("images", [10, 100_000])
@pytest.mark.parametrize("side", [8, 64, 1024])
def test_every_choice_is_a_recipe_for_that_task(device, task, images, side):
    chosen = choose_recipe(DataFacts(images, side, classes=3, task=task), device)
    recipe = RECIPES[chosen.recipe]
    assert recipe.task == task and chosen.reason
    assert recipe(**({"conditional": True} if chosen.conditional else {})).name == chosen.recipe


def test_the_facts_of_digits():
    assert DataFacts.of(open_dataset("digits")) == DataFacts(1_797, 32, 10)


@pytest.mark.parametrize(
    ("folders", "files", "task"),
    [
        (["trainA", "trainB"], [], "domains"),
        (["trainA"], [], None),
        (["images", "maps"], [], "maps"),
        (["train/images", "train/maps"], [], "maps"),
        (["images", "inputs"], [], "pairs"),
        ([], ["captions.jsonl"], "captions"),
        ([], ["attributes.csv"], "attributes"),
        (["train"], ["train/attributes.jsonl"], "attributes"),
        (["cats", "dogs"], ["cats/1.png"], None),
    ],
)
def test_the_layout_of_a_folder_tells_its_task(tmp_path, folders, files, task):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    for file in files:
        (tmp_path / file).touch()
    assert task_of_folder(str(tmp_path)) == task
