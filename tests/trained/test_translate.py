"""Translations: the same kind of picture out as in, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fastgan
from fastgan.data import to_float, to_uint8
from fastgan.errors import FastganError

PIL = pytest.importorskip("PIL.Image")


@pytest.fixture
def pixels():
    """A picture of 20 by 28 pixels, uint8 `[H, W, 3]`."""
    return np.random.default_rng(0).integers(0, 256, (20, 28, 3), dtype=np.uint8)


def test_every_kind_of_picture_gives_the_same_kind(run_of, pixels, tmp_path):
    gan = fastgan.load(run_of("cyclegan"))
    path = tmp_path / "a.png"
    PIL.fromarray(pixels).save(path)
    stored = torch.from_numpy(pixels).permute(2, 0, 1)
    output = gan.translate(to_float(stored))
    assert output.dtype == torch.float32 and output.shape == (3, 20, 28)
    assert torch.equal(gan.translate(to_float(stored)[None].repeat(2, 1, 1, 1))[1], output)
    expected = to_uint8(output)
    assert torch.equal(gan.translate(stored), expected)
    array = gan.translate(pixels)
    assert array.dtype == np.uint8 and np.array_equal(array, expected.permute(1, 2, 0))
    for picture in (path, str(path), PIL.fromarray(pixels)):
        image = gan.translate(picture)
        assert image.size == (28, 20) and np.array_equal(np.array(image), array)
    back = gan.translate(pixels, direction="BtoA")
    assert not np.array_equal(back, array)


def test_alpha_orientation_grey_and_16_bits(run_of, pixels, tmp_path):
    gan = fastgan.load(run_of("pix2pix"))
    alpha = np.random.default_rng(1).integers(0, 256, (20, 28, 1), dtype=np.uint8)
    with_alpha = np.concatenate([pixels, alpha], axis=2)
    assert np.array_equal(gan.translate(with_alpha)[:, :, 3], alpha[:, :, 0])
    grey = gan.translate(pixels[:, :, 0])
    assert np.array_equal(grey, gan.translate(pixels[:, :, :1].repeat(3, axis=2)))
    exif = PIL.Exif()
    exif[0x0112] = 6
    PIL.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    with PIL.open(tmp_path / "turned.jpg") as turned:
        assert gan.translate(turned).size == gan.translate(tmp_path / "turned.jpg").size == (20, 28)
    deep = PIL.fromarray(pixels[:, :, 0].astype(np.uint16) * 257)
    assert np.array_equal(np.array(gan.translate(deep)), grey)


def test_maps_are_translated(run_of, tmp_path):
    gan = fastgan.load(run_of("gaugan"))
    classes = np.random.default_rng(2).integers(0, 3, (16, 16), dtype=np.uint8)
    PIL.fromarray(classes).save(tmp_path / "map.png")
    array = gan.translate(classes)
    assert array.shape == (16, 16, 3)
    for picture in (tmp_path / "map.png", PIL.fromarray(classes)):
        assert np.array_equal(np.array(gan.translate(picture)), array)
    output = gan.translate(torch.from_numpy(classes).long())
    assert np.array_equal(to_uint8(output).permute(1, 2, 0), array)
    assert gan.translate(torch.zeros(2, 16, 16, dtype=torch.int64)).shape == (2, 3, 16, 16)
    with pytest.raises(FastganError, match=r"must hold -1 \(no class\) to 2, got 0 to 3\."):
        gan.translate(torch.full((16, 16), 3).triu())
    with pytest.raises(FastganError, match=r"must be an image of mode L or P, .* got mode RGB"):
        gan.translate(PIL.new("RGB", (16, 16)))
    with pytest.raises(TypeError, match=r"must be integers, got torch\.float32"):
        gan.translate(torch.zeros(16, 16))


def test_attributes_and_sizes(run_of, pixels):
    stars = fastgan.load(run_of("stargan"))
    blue = stars.translate(pixels, attributes=["blue", "striped"])
    assert blue.shape == pixels.shape
    assert np.array_equal(stars.translate(pixels, attributes="red").shape, pixels.shape)
    with pytest.raises(
        FastganError, match=r"Unknown attribute 'stripes': did you mean 'striped'\?"
    ):
        stars.translate(pixels, attributes=["stripes"])
    assert fastgan.load(run_of("srgan")).translate(pixels).shape == (40, 56, 3)


def test_holes_are_filled(run_of, pixels, tmp_path):
    gan = fastgan.load(run_of("inpaint"))
    hole = np.zeros((20, 28), dtype=bool)
    hole[4:9, 6:12] = True
    alpha = np.where(hole, 0, 255).astype(np.uint8)[:, :, None]
    with_hole = np.concatenate([pixels, alpha], axis=2)
    filled = gan.translate(with_hole)
    assert filled.shape == pixels.shape and np.array_equal(filled[~hole], pixels[~hole])
    PIL.fromarray(with_hole).save(tmp_path / "hole.png")
    PIL.fromarray(pixels).save(tmp_path / "whole.png")
    assert np.array_equal(np.array(gan.translate(tmp_path / "hole.png")), filled)
    by_mask = gan.translate(pixels, mask=hole)
    assert np.array_equal(by_mask[~hole], pixels[~hole])
    assert np.array_equal(np.array(gan.translate(tmp_path / "whole.png", mask=hole)), by_mask)
    stored = torch.from_numpy(pixels).permute(2, 0, 1)
    output = gan.translate(to_float(stored), mask=torch.from_numpy(hole))
    assert np.array_equal(to_uint8(output).permute(1, 2, 0), by_mask)
    two = gan.translate(torch.stack([stored, stored]), mask=np.stack([hole, hole]))
    assert np.array_equal(two[1].permute(1, 2, 0), by_mask)
    for picture, mask, said in (
        (pixels, None, "fills the transparent part of a picture, but 'array' is opaque"),
        (stored, None, r"fills a hole in a picture: give mask, nonzero there\."),
        (pixels, hole[:3], r"mask must be \[20, 28\], as the picture, got \[3, 28\]\."),
        (torch.stack([stored, stored]), hole, r"mask must be \[N, H, W\], got \[20, 28\]\."),
    ):
        with pytest.raises(FastganError, match=said):
            gan.translate(picture, mask=mask)


@pytest.mark.parametrize(
    ("picture", "options", "said"),
    [
        ("nothing.png", {}, r"There is no picture 'nothing\.png': check the path\."),
        (torch.zeros(1, 16, 16), {}, r"\[3, H, W\], with or without N, got \[1, 16, 16\]\."),
        (np.zeros((16, 16, 2), np.uint8), {}, r"must be an array \[H, W\] or .* got \[16, 16, 2\]"),
        (torch.full((3, 16, 16), torch.nan), {}, r"in \[-1, 1\], got NaN or infinite values"),
        (torch.full((3, 16, 16), 255.0), {}, r"in \[-1, 1\], got values from 255 to 255: scale"),
        (torch.zeros(0, 3, 16, 16), {}, r"picture must have a pixel, got \[0, 3, 16, 16\]"),
        (np.zeros((0, 16, 3), np.uint8), {}, r"picture must have a pixel, got \[0, 16, 3\]"),
        (torch.zeros(3, 16, 16), {"direction": "AtoB"}, "pix2pix translates one way only"),
        (torch.zeros(3, 16, 16), {"mask": torch.ones(16, 16)}, "fills no holes: leave mask out"),
        (torch.zeros(3, 16, 16), {"attributes": ["red"]}, "attributes must be empty for pix2pix"),
        (torch.zeros(3, 16, 16), {"tile": 8}, "tile must be a whole number from 16 on, got 8"),
    ],
)
def test_what_cannot_be_translated_is_said(run_of, picture, options, said):
    with pytest.raises(FastganError, match=said):
        fastgan.load(run_of("pix2pix")).translate(picture, **options)


def test_folders_and_broken_files_are_refused(run_of, tmp_path):
    gan = fastgan.load(run_of("pix2pix"))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(FastganError, match=r"broken\.png' can't be read: "):
        gan.translate(tmp_path / "broken.png")
    with pytest.raises(FastganError, match=r"must be one picture, got the folder .*: call it for"):
        gan.translate(tmp_path)


def test_other_types_and_recipes_are_refused(run_of):
    gan = fastgan.load(run_of("pix2pix"))
    for picture, said in (
        (3, "picture must be a path, a Pillow image, an array or a tensor, got int"),
        (np.zeros((16, 16, 3)), "picture must be an array of uint8, got float64"),
        (torch.zeros(3, 16, 16).int(), r"float in \[-1, 1\] or uint8, got torch\.int32"),
    ):
        with pytest.raises(TypeError, match=said):
            gan.translate(picture)
    for recipe in ("gan", "text2image"):
        said = f"{recipe} translates no pictures: draw images with sample"
        with pytest.raises(FastganError, match=said):
            fastgan.load(run_of(recipe)).translate(torch.zeros(3, 16, 16))
    with pytest.raises(FastganError, match="direction 'AtoC': did you mean 'AtoB'"):
        fastgan.load(run_of("cyclegan")).translate(torch.zeros(3, 16, 16), direction="AtoC")
