"""Maps with pixels without a class, and the note on classes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fastgan.cli.train import parse_run
from fastgan.data import DataError, InputSpec, Reading, open_dataset, to_batch
from fastgan.data.map_classes import class_note
from fastgan.data.task_folders import MapFolder
from fastgan.inference.pictures import read_map
from fastgan.networks.translation import one_hot_map
from fastgan.recipes import RecipeError
from fastgan.recipes.gaugan import coloured
from fastgan.training.config import RunConfig


def scene(root: Path, name: str, values: list[int], names: str = "") -> None:
    """Write a picture with a map of vertical stripes of these values."""
    for folder in ("images", "maps"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    pixels = np.repeat(np.array([values], np.uint8), 8, 0).repeat(8 // len(values), 1)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(root / "images" / f"{name}.png")
    Image.fromarray(pixels).save(root / "maps" / f"{name}.png")
    if names:
        (root / "classes.txt").write_text(names)


@pytest.mark.parametrize("void", [255, 0, 2])
@pytest.mark.parametrize("cache_limit", [1 << 20, 0])
def test_a_void_pixel_has_no_class(tmp_path: Path, void: int, cache_limit: int) -> None:
    scene(tmp_path, "a", [1, void, 3, void])
    data = MapFolder(tmp_path, reading=Reading(void=void), cache_limit=cache_limit)
    assert data.inputs["map"] == InputSpec("map", names=("0", "1", "2", "3"), void=void)
    stored = data.batch_inputs(torch.tensor([0]))
    classes = to_batch(stored, data.inputs)["map"]
    assert classes[0, 0].tolist() == [1, 1, -1, -1, 3, 3, -1, -1]
    planes = one_hot_map(classes, 4)
    assert planes.sum(1)[0, 0].tolist() == [1, 1, 0, 0, 1, 1, 0, 0]
    assert data.notes == ("maps: 4 classes, of which 2 occur in the maps",)


@pytest.mark.parametrize("cache_limit", [1 << 20, 0])
@pytest.mark.parametrize("names", ["", "road\nsky\n"])
def test_maps_that_are_void_everywhere_are_refused(
    tmp_path: Path, cache_limit: int, names: str
) -> None:
    scene(tmp_path, "a", [255], names=names)
    scene(tmp_path, "b", [255])
    with pytest.raises(
        DataError, match=r"No pixel of the maps in '.*' has a class, .* value of void, 255: give"
    ):
        MapFolder(tmp_path, reading=Reading(void=255), cache_limit=cache_limit)
    scene(tmp_path, "b", [255, 1])
    assert len(MapFolder(tmp_path, reading=Reading(void=255), cache_limit=cache_limit)) == 2


def test_colours_of_void_pixels_are_mid_grey() -> None:
    colours = coloured(torch.tensor([[[-1, 0, 1]]]))
    assert colours[0, :, 0, 0].tolist() == [0, 0, 0]
    assert colours[0, :, 0, 1].tolist() == [-1, -1, -1]
    assert coloured(torch.full((1, 2, 2), -1)).abs().max() == 0


def test_the_fingerprint_and_the_config_have_the_void_value(tmp_path: Path) -> None:
    scene(tmp_path, "a", [0, 1])
    plain, void = (
        open_dataset(str(tmp_path), task="maps", reading=Reading(void=v)) for v in (None, 255)
    )
    assert plain.fingerprint != void.fingerprint
    options = [
        "--data",
        str(tmp_path),
        "--resolution",
        "16",
        "--patch",
        "16",
        "--scales",
        "1",
        "--void",
        "255",
    ]
    recipe, run = parse_run("gaugan", options)
    config = RunConfig.of(recipe, run, run.open_data(recipe))
    saved = RunConfig.from_plain(config.to_plain())
    assert saved.image_spec == config.image_spec
    assert saved.image_spec.inputs["map"].void == 255


def test_held_out_maps_have_the_same_void_value(tmp_path: Path) -> None:
    scene(tmp_path / "train", "a", [0, 1], names="road\nsky\n")
    scene(tmp_path / "test", "b", [1, 200])
    with pytest.raises(
        DataError, match=r"b\.png' has the value 200, but there are 2 classes, 0 to 1: .*void 200"
    ):
        data = open_dataset(str(tmp_path), task="maps")
        data.held_out()
    held_out = open_dataset(str(tmp_path), task="maps", reading=Reading(void=200)).held_out()
    assert held_out is not None and held_out.inputs["map"].void == 200 and held_out.notes == ()


def test_a_value_that_is_no_class_names_the_file_and_the_option(tmp_path: Path) -> None:
    scene(tmp_path, "a", [0, 7], names="road\nsky\n")
    for void, extra in ((None, ""), (255, ", or 255 for no class")):
        with pytest.raises(DataError, match=rf"a\.png' has the value 7, .*0 to 1{extra}: .*void 7"):
            open_dataset(str(tmp_path), task="maps", reading=Reading(void=void))
    assert len(open_dataset(str(tmp_path), task="maps", reading=Reading(void=7))) == 1


def test_names_of_the_classes_in_the_note(tmp_path: Path) -> None:
    scene(tmp_path, "a", [0, 2], names="road\nsky\ntree\n")
    scene(tmp_path, "b", [2, 255])
    assert open_dataset(str(tmp_path), task="maps", reading=Reading(void=255)).notes == (
        "maps: 3 classes, of which 2 occur in the maps: road, tree; without sky",
    )


def test_a_hint_at_255_among_few_numbers(tmp_path: Path) -> None:
    scene(tmp_path, "a", [0, 255])
    (note,) = open_dataset(str(tmp_path), task="maps").notes
    assert note == (
        "maps: 256 classes, of which 2 occur in the maps; "
        "if 255 stands for unknown, set void to 255"
    )


def test_long_lists_of_classes_are_cut() -> None:
    names = [f"c{i}" for i in range(9)]
    assert class_note(names, range(8), "the maps", named=True).endswith(
        "c0, c1, c2, c3, c4 and 3 more; without c8"
    )
    assert class_note(["sky"], [], "the maps", named=True).endswith(
        "of which 0 occur in the maps: none; without sky"
    )


def test_maps_to_translate(tmp_path: Path) -> None:
    scene(tmp_path, "a", [1, 255])
    path = tmp_path / "maps" / "a.png"
    assert read_map(
        path, InputSpec("map", names=("a", "b"), void=255)
    ).pixels.unique().tolist() == [1, 255]
    with pytest.raises(DataError, match=r"has the value 255, .*void 255"):
        read_map(path, InputSpec("map", names=("a", "b")))


@pytest.mark.parametrize("void", [-1, 256, 1.5, True])
def test_impossible_void_values(void: Any) -> None:
    with pytest.raises(DataError, match="void must be a whole number from 0 to 255"):
        Reading(void=void)


def test_void_is_refused_where_it_means_nothing(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="void must be"):
        parse_run("gaugan", ["--void", "300"])
    with pytest.raises(DataError, match="'shapes' is opened without such maps: leave it out"):
        open_dataset("shapes", task="maps", reading=Reading(void=3))
    scene(tmp_path, "a", [0, 1])
    with pytest.raises(DataError, match="fit pad needs void"):
        open_dataset(str(tmp_path), task="maps", reading=Reading(fit="pad"))
