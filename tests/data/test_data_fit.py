"""Crop, pad and stretch of pictures that aren't square: images, partners, maps and domains."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fastgan.cli.train import parse_run
from fastgan.data import DataError, Reading, Task, open_dataset
from fastgan.data.folder import FolderDataset
from fastgan.data.reading import FITS, crop_note, padded_box
from fastgan.errors import FastganError
from fastgan.training.config import ConfigError, RunConfig

PAD, STRETCH = Reading(fit="pad"), Reading(fit="stretch")


def striped(path: Path, width: int, height: int) -> None:
    """Write a picture whose thirds along the longer side have three greys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((height, width), np.uint8)
    along = pixels if width >= height else pixels.T
    third = along.shape[1] // 3
    for i, value in enumerate((50, 120, 200)):
        along[:, i * third : (i + 1) * third] = value
    Image.fromarray(pixels).save(path)


def first(root: Path, **options: Any) -> torch.Tensor:
    return open_dataset(str(root), **options).image(0)[0]


@pytest.mark.parametrize(("width", "height"), [(48, 16), (16, 48)])
def test_each_fit_of_a_long_picture(tmp_path: Path, width: int, height: int) -> None:
    striped(tmp_path / "a.png", width, height)

    def upright(image: torch.Tensor) -> torch.Tensor:
        return image if width > height else image.T

    assert set(first(tmp_path).unique().tolist()) == {120}
    whole = upright(first(tmp_path, reading=PAD))
    assert whole.shape == (48, 48)
    assert (whole[:16] == 0).all() and (whole[32:] == 0).all()
    assert whole[20, [8, 24, 40]].tolist() == [50, 120, 200]
    stretched = upright(first(tmp_path, resolution=12, reading=STRETCH))
    assert stretched.shape == (12, 12)
    assert torch.equal(stretched[0], stretched[11]) and stretched[
        5, [1, 6, 10]
    ].tolist() == pytest.approx([50, 120, 200], abs=4)
    small = upright(first(tmp_path, resolution=12, reading=PAD))
    assert (small[4:8] > 0).all() and not small[:4].any() and not small[8:].any()


@pytest.mark.parametrize("fit", FITS)
def test_square_pictures_are_the_same_by_every_fit(tmp_path: Path, fit: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for resolution in (16, 8, 20):
        cropped = open_dataset(str(tmp_path), resolution=resolution).image(0)
        fitted = open_dataset(str(tmp_path), resolution=resolution, reading=Reading(fit=fit)).image(
            0
        )
        assert torch.equal(fitted, cropped)


def test_padding_is_centred_and_never_empty() -> None:
    assert padded_box(48, 16, 48) == (0, 16, 48, 16)
    assert padded_box(1000, 1, 8) == (0, 3, 8, 1)
    assert padded_box(3, 4, 8) == (1, 0, 6, 8)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(24, 8), (8, 24), (21, 13)])
def test_partners_and_maps_are_fitted_like_images(
    tmp_path: Path, fit: Any, size: tuple[int, int]
) -> None:
    tasks: tuple[tuple[Task, str], ...] = (("pairs", "inputs"), ("maps", "maps"))
    for task, second in tasks:
        root = tmp_path / task
        for folder in ("images", second):
            (root / folder).mkdir(parents=True)
        halves = np.zeros(size[::-1], np.uint8)
        reading = Reading(fit=fit, void=9 if task == "maps" else None)
        halves[:, : size[0] // 2] = 1
        Image.fromarray(halves * 255).save(root / "images" / "a.png")
        Image.fromarray(halves * (255 if task == "pairs" else 1)).save(root / second / "a.png")
        data = open_dataset(str(root), resolution=8, task=task, reading=reading)
        image, _, inputs = data.examples(torch.tensor([0]))
        if task == "pairs":
            assert torch.equal(inputs["input"], image)
            continue
        around = (inputs["map"][0] == 9).numpy()
        if fit == "pad":
            box = padded_box(*size, 8)
            inside = np.zeros((8, 8), bool)
            inside[box.top : box.top + box.height, box.left : box.left + box.width] = True
            assert np.array_equal(around, ~inside)
        else:
            assert not around.any()
        sure = (image[0, 0] > 230) | (image[0, 0] < 25) & ~torch.from_numpy(around)
        assert torch.equal(inputs["map"][0][sure] == 1, image[0, 0][sure] > 127)


def test_domains_take_the_fit_and_name_their_folder(tmp_path: Path) -> None:
    for folder in ("trainA", "trainB", "testA", "testB"):
        striped(tmp_path / folder / "a.png", 24, 8 if folder.endswith("B") else 24)
    data = open_dataset(str(tmp_path), task="domains")
    assert data.notes == (
        "trainB: cropped: on average 67% of 1 picture; `fit` pad or stretch keeps all",
    )
    padded = open_dataset(str(tmp_path), task="domains", reading=PAD)
    held_out = padded.held_out()
    assert held_out is not None and padded.notes == ()
    for each in (padded, held_out):
        other = each.batch_inputs(torch.tensor([0]))["other"][0, 0]
        assert not other[:8].any() and (other[8:16] > 0).all()


@pytest.mark.parametrize("cache_limit", [1 << 20, 0])
def test_the_note_has_the_cropped_share(tmp_path: Path, cache_limit: int) -> None:
    for i in range(3):
        striped(tmp_path / f"{i}.png", 24, 16)
    data = FolderDataset(tmp_path, cache_limit=cache_limit)
    assert data.notes == (
        "cropped: on average 33% of each of 3 pictures; `fit` pad or stretch keeps all",
    )
    assert FolderDataset(tmp_path, cache_limit=cache_limit, reading=PAD).notes == ()


def test_notes_by_sizes() -> None:
    assert crop_note([(64, 64), (64, 63)]) == ""
    assert crop_note([(64, 64), (64, 32)]).startswith("cropped: on average 50% of 1 picture, of 2;")
    assert crop_note([(10, 40)] * 1200).startswith(
        "cropped: on average 75% of each of 1,200 pictures;"
    )
    assert crop_note([]) == ""


def test_the_fit_belongs_to_the_identity(tmp_path: Path) -> None:
    striped(tmp_path / "a.png", 24, 8)
    prints = {
        open_dataset(str(tmp_path), resolution=8, reading=Reading(fit=f)).fingerprint for f in FITS
    }
    assert len(prints) == 3
    plain = open_dataset(str(tmp_path), resolution=8)
    assert plain.fingerprint in prints
    runs = [
        parse_run("dcgan", ["--fit", fit, "--data", str(tmp_path), "--resolution", "16"])
        for fit in FITS
    ]
    crop, pad, _ = (RunConfig.of(recipe, run, run.open_data(recipe)) for recipe, run in runs)
    assert RunConfig.from_plain(pad.to_plain()).settings.fit == "pad"
    with pytest.raises(ConfigError, match="started with fit crop, got pad"):
        crop.check_resumable(pad)


def test_unknown_fit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fit must be one of crop, pad, stretch, got 'squeeze'"):
        Reading(fit="squeeze")  # type: ignore[arg-type]
    with pytest.raises(FastganError):
        parse_run("gan", ["--fit", "squeeze"])


def test_padding_chooses_the_longer_side_and_says_so(tmp_path: Path) -> None:
    striped(tmp_path / "a.png", 5000, 4)
    assert open_dataset(str(tmp_path)).resolution == 4
    with pytest.raises(DataError, match=r"5000x4, whose longer side can't be"):
        open_dataset(str(tmp_path), reading=PAD)
