"""Ranges of files with more than 8 bits: detection, conversion, and sharing within a set."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fastgan.cli.train import parse_run
from fastgan.data import DataError, Reading, open_dataset
from fastgan.data.folder import FolderDataset
from fastgan.data.levels import Span, eight_bits, levels_for, parse_range, span_of
from fastgan.data.reading import levels_of
from fastgan.errors import FastganError
from fastgan.inference.pictures import read_picture
from fastgan.training.config import ConfigError, RunConfig
from tests.data.deep_files import ramp, write_grey16, write_png16, write_tiff16, write_values


def first_image(root: Path, **options: Any) -> torch.Tensor:
    return open_dataset(str(root), **options).image(0)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_12_bits_use_all_256_levels(tmp_path: Path, ending: str) -> None:
    write_grey16(tmp_path / f"a.{ending}", ramp(4095))
    data = open_dataset(str(tmp_path))
    image = data.image(0)
    assert len(image.unique()) == 256 and (int(image.min()), int(image.max())) == (0, 255)
    assert data.notes == (
        "values: 0 to 4095 in 1 grey picture of more than 8 bits, taken as 0:4095 (12 bits); "
        "`range` 0:65535 takes all 16",
    )
    assert len(first_image(tmp_path, reading=Reading(range="0:65535")).unique()) == 17


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_12_bits_of_colour_files(tmp_path: Path, channels: int) -> None:
    values = ramp(4095, channels)
    if channels % 2 == 0:
        values[..., -1] = 4095
    write_png16(tmp_path / "a.png", values)
    data = open_dataset(str(tmp_path))
    assert len(data.image(0).unique()) == 256 and data.channels == 3
    assert data.notes[0].startswith(
        "values: 0 to 4095 in 1 picture of 16 bits a channel, taken as 0:4095 (12 bits)"
    )
    expected = torch.from_numpy(np.floor(values[..., 0] * (255 / 4095) + 0.5).astype(np.uint8))
    assert torch.equal(data.image(0)[0], expected)


@pytest.mark.parametrize("order", ["<", ">"])
def test_12_bits_of_colour_tiff_files_in_either_order(tmp_path: Path, order: str) -> None:
    values = ramp(4095, 3)
    values[..., 1] //= 2
    write_tiff16(tmp_path / "a.tif", values, order)
    image = first_image(tmp_path)
    assert len(image[0].unique()) == 256 and len(image[1].unique()) == 128


def test_full_16_bits_are_as_they_were(tmp_path: Path) -> None:
    values = np.arange(65536).reshape(256, 256)
    write_grey16(tmp_path / "a.png", values)
    assert torch.equal(
        first_image(tmp_path)[0], torch.from_numpy(((values + 128) // 257).astype(np.uint8))
    )
    write_png16(tmp_path / "deep" / "a.png", np.repeat(values[..., None], 3, 2).astype(np.uint16))
    data = open_dataset(str(tmp_path / "deep"))
    assert torch.equal(data.image(0)[0], torch.from_numpy((values >> 8).astype(np.uint8)))
    assert data.notes == ("values: 0 to 65535 in 1 picture of 16 bits a channel, taken as 0:65535",)
    assert torch.equal(
        first_image(tmp_path / "deep", reading=Reading(range="0:65535")), data.image(0)
    )


def test_8_bits_stay_as_they_are_for_any_range(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 100, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    plain = open_dataset(str(tmp_path))
    ranged = open_dataset(str(tmp_path), reading=Reading(range="0:100"))
    assert torch.equal(plain.image(0), ranged.image(0)) and plain.fingerprint == ranged.fingerprint
    assert plain.notes == ()
    assert ranged.notes == (
        "`range` changes nothing, since no picture has more than 8 bits per value.",
    )


@pytest.mark.parametrize(
    ("kind", "low", "high", "taken"),
    [
        ("grey", 0, 65535, (0, 65535)),
        ("grey", 0, 16384, (0, 65535)),
        ("grey", 3, 16383, (0, 16383)),
        ("grey", 0, 4096, (0, 16383)),
        ("grey", 100, 1023, (0, 1023)),
        ("colour", 0, 255, (0, 255)),
        ("grey", 0, 0, (0, 65535)),
        ("grey", -1024, 3071, (-1024, 3071)),
        ("grey", 0, 100_000, (0, 100_000)),
        ("grey", -5, -5, (-5, -4)),
        ("float", 0, 1, (0, 1)),
        ("float", 0.2, 0.3, (0, 1)),
        ("float", -0.005, 1.005, (0, 1)),
        ("float", -0.7, 0.9, (-1, 1)),
        ("float", 0, 254.5, (0, 255)),
        ("float", 0, 3.5, (0, 3.5)),
        ("float", -40, 1000, (-40, 1000)),
    ],
)
def test_levels_by_the_values_that_occur(
    kind: Any, low: float, high: float, taken: tuple[float, float]
) -> None:
    assert levels_for(Span(kind, low, high)) == taken


@pytest.mark.parametrize(
    "span", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-1024.0, 3071.0), (0.0, 3.5)]
)
def test_floats_use_all_256_levels(tmp_path: Path, span: tuple[float, float]) -> None:
    write_values(tmp_path / "a.tif", np.linspace(*span, 4096, dtype=np.float32).reshape(64, 64))
    image = first_image(tmp_path)
    assert len(image.unique()) == 256 and (int(image[0, 0, 0]), int(image[0, -1, -1])) == (0, 255)


def test_integers_of_32_bits(tmp_path: Path) -> None:
    write_values(
        tmp_path / "a.tif", np.linspace(-1000, 100_000, 4096, dtype=np.int32).reshape(64, 64)
    )
    data = open_dataset(str(tmp_path))
    assert len(data.image(0).unique()) == 256
    assert data.notes[0].endswith("taken as -1000:100000; `range` LOW:HIGH takes another range")


def test_values_that_are_not_finite_do_not_count(tmp_path: Path) -> None:
    values = np.full((8, 8), 0.5, np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    write_values(tmp_path / "a.tif", values)
    assert span_of(tmp_path / "a.tif") == Span("float", 0.5, 0.5)
    assert first_image(tmp_path)[0, 0, :4].tolist() == [0, 255, 0, 128]


@pytest.mark.parametrize("cache_limit", [1 << 30, 0])
@pytest.mark.parametrize("span", ["auto", "0:1"])
def test_a_file_without_a_finite_value_is_left_out_as_unreadable(
    tmp_path: Path, cache_limit: int, span: str
) -> None:
    write_values(tmp_path / "a.tif", np.full((8, 8), np.nan, np.float32))
    write_values(tmp_path / "b.tif", np.full((8, 8), 0.5, np.float32))
    reading = Reading(range=span)
    with pytest.warns(UserWarning, match=r"left out: a\.tif: it has no finite value\.$"):
        data = FolderDataset(tmp_path, cache_limit=cache_limit, reading=reading)
        images, _ = data.batch(torch.arange(len(data)))
    assert images.unique().tolist() == [128]


def test_a_file_without_a_finite_value_is_refused(tmp_path: Path) -> None:
    write_values(tmp_path / "a.tif", np.full((8, 8), np.inf, np.float32))
    with pytest.raises(DataError, match=r"The only image .*a\.tif: it has no finite value\)"):
        open_dataset(str(tmp_path))
    with pytest.raises(ValueError, match="no finite value"):
        read_picture(tmp_path / "a.tif", 1)


@pytest.mark.parametrize("cache_limit", [1 << 30, 0])
def test_all_files_of_a_set_share_the_range(tmp_path: Path, cache_limit: int) -> None:
    write_grey16(tmp_path / "dark.png", np.full((8, 8), 100))
    write_grey16(tmp_path / "light.png", np.full((8, 8), 4095))
    Image.new("L", (8, 8), 77).save(tmp_path / "plain.png")
    data = FolderDataset(tmp_path, cache_limit=cache_limit)
    assert [int(data.image(i)[0, 0, 0]) for i in range(3)] == [6, 255, 77]
    assert data.levels == (("grey", 0, 4095),) and "in 2 grey pictures" in data.notes[0]


def test_an_explicit_range_clips(tmp_path: Path) -> None:
    write_grey16(tmp_path / "a.png", ramp(4000))
    data = open_dataset(str(tmp_path), reading=Reading(range="1000:3000"))
    image = data.image(0)[0].flatten()
    assert (
        int((image == 0).sum()) > 1000
        and int((image == 255).sum()) > 1000
        and len(image.unique()) == 256
    )
    assert data.notes == ()


def test_turned_deep_pictures(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(ramp(4095)).save(tmp_path / "a.png", exif=exif)
    turned = np.rot90(ramp(4095), -1)
    expected = np.floor(turned * (255 / 4095) + 0.5).astype(np.uint8)
    assert torch.equal(first_image(tmp_path)[0], torch.from_numpy(expected))


def test_images_and_inputs_have_ranges_of_their_own(tmp_path: Path) -> None:
    write_grey16(tmp_path / "images" / "a.png", ramp(1023))
    write_grey16(tmp_path / "inputs" / "a.png", ramp(4095))
    data = open_dataset(str(tmp_path), task="pairs")
    assert data.levels == (("grey", 0, 1023),) and data.inputs["input"].levels == (
        ("grey", 0, 4095),
    )
    image, _, inputs = data.examples(torch.tensor([0]))
    assert len(image.unique()) == len(inputs["input"].unique()) == 256
    assert [note.split(" of ")[-1].split("/")[0] for note in data.notes] == ["images", "inputs"]


def test_held_out_files_have_the_range_of_the_trained_ones(tmp_path: Path) -> None:
    for folder, (first, second) in (("train", (4095, 1023)), ("test", (900, 200))):
        write_grey16(tmp_path / f"{folder}A" / "a.png", ramp(first))
        write_grey16(tmp_path / f"{folder}B" / "a.png", ramp(second))
    held_out = open_dataset(str(tmp_path), task="domains").held_out()
    assert held_out is not None
    image, _, inputs = held_out.examples(torch.tensor([0]))
    assert int(image.max()) == round(900 * 255 / 4095) and int(inputs["other"].max()) == round(
        200 * 255 / 1023
    )
    for split, high in (("train", 4095), ("test", 900)):
        values = np.concatenate([ramp(high), ramp(high)], axis=1)
        write_grey16(tmp_path / "sides" / split / "a.png", values)
    sides = open_dataset(str(tmp_path / "sides"), task="pairs").held_out()
    assert sides is not None and int(sides.image(0).max()) == round(900 * 255 / 4095)


def test_a_run_keeps_its_levels(tmp_path: Path) -> None:
    write_grey16(tmp_path / "data" / "a.png", ramp(4095))
    arguments = ["--data", str(tmp_path / "data"), "--resolution", "16"]
    recipe, run = parse_run("dcgan", arguments)
    config = RunConfig.of(recipe, run, run.open_data(recipe))
    saved = RunConfig.from_plain(config.to_plain())
    assert saved.image_spec.levels == (("grey", 0, 4095),)
    assert run.open_data(recipe, saved.image_spec).fingerprint == config.data_fingerprint
    write_grey16(tmp_path / "dark" / "a.png", np.full((64, 64), 200))
    dark = replace(run, data=str(tmp_path / "dark")).open_data(recipe, saved.image_spec)
    assert int(dark.image(0).max()) == round(200 * 255 / 4095)
    recipe, other = parse_run("dcgan", [*arguments, "--range", "0:8191"])
    with pytest.raises(ConfigError, match="started with range auto, got 0:8191"):
        config.check_resumable(RunConfig.of(recipe, other, other.open_data(recipe)))


def test_the_fingerprint_follows_the_range(tmp_path: Path) -> None:
    write_grey16(tmp_path / "a.png", ramp(4095))
    ranges = ("auto", "0:4095", "0:65535", "0:2000")
    prints = [
        open_dataset(str(tmp_path), reading=Reading(range=each)).fingerprint for each in ranges
    ]
    assert prints[0] == prints[1] and len(set(prints)) == 3


def test_a_single_picture_is_read_by_the_levels_of_a_run(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_grey16(path, np.full((8, 8), 200))
    (tmp_path / "broken.tif").write_bytes(b"II*\0broken")
    known = Reading(levels=(("grey", 0, 4095),))
    levels, notes = levels_of([path, tmp_path / "broken.tif"], known)
    assert notes == [] and int(read_picture(path, 1, levels).pixels.max()) == round(
        200 * 255 / 4095
    )
    levels, notes = levels_of([path], known, part=1)
    assert levels == (("grey", 0, 255),) and len(notes) == 1
    assert np.asarray(eight_bits(path, levels)).max() == 200


def test_deep_alpha_is_scaled_with_the_colours(tmp_path: Path) -> None:
    values = ramp(4095, 4)
    for opaque in (4095, 65535):
        values[..., 3] = opaque
        write_png16(tmp_path / "a.png", values)
        assert (
            np.asarray(eight_bits(tmp_path / "a.png", (("colour", 0, 4095),)))[..., 3].min() == 255
        )


@pytest.mark.parametrize(
    "text", ["", "5", "1:1", "9:3", "a:b", "0:nan", "0:inf", "1:2:3", "0-4095"]
)
def test_ranges_that_are_none(text: str) -> None:
    with pytest.raises(DataError, match="range must be auto or LOW:HIGH, two numbers"):
        Reading(range=text)
    with pytest.raises(ConfigError, match="range must be auto or LOW:HIGH"):
        parse_run("gan", [f"--range={text}"])


def test_ranges() -> None:
    assert parse_range("auto") is None and parse_range("-1024:3071") == (-1024, 3071)
    assert parse_range("0:1e3") == (0, 1000)
    assert issubclass(DataError, FastganError)
