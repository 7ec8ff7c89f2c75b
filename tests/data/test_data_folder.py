"""Folders of images: decoding, classes, corrupt files, large sets, errors."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn_files import RED, WHITE, corrupt, noise, write
from PIL import Image

from fastgan.data import DataError, open_dataset
from fastgan.data.folder import FolderDataset

# -- files and classes -----------------------------------------------------------------------------


def test_files_of_every_kind_sorted_and_recursive(tmp_path: Path) -> None:
    names = ["a.PNG", "b.jpg", "c/d/e.webp", "c/f.bmp", "g.jpeg"]
    for i, name in enumerate(names):
        write(tmp_path / name, (50 * i, 50 * i, 50 * i), quality=100, lossless=True)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_text("no image")
    (tmp_path / ".thumbs").mkdir()
    write(tmp_path / ".thumbs" / "x.png")
    dataset = open_dataset(str(tmp_path))
    assert dataset.name == tmp_path.name and len(dataset) == 5 and dataset.skipped == ()
    assert (dataset.resolution, dataset.channels, dataset.num_classes) == (8, 3, 0)
    values = [int(dataset.image(i)[0, 4, 4]) for i in range(5)]
    assert values == pytest.approx([0, 50, 100, 150, 200], abs=2)


def test_pixels_at_native_size_are_untouched(tmp_path: Path) -> None:
    pixels = noise(tmp_path / "a.png")
    dataset = open_dataset(str(tmp_path))
    assert torch.equal(dataset.image(0), torch.from_numpy(pixels).permute(2, 0, 1))


def test_first_level_folders_are_classes(tmp_path: Path) -> None:
    for name in ["dog/1.png", "cat/2.png", "cat/deep/er/3.png"]:
        write(tmp_path / name)
    (tmp_path / "empty").mkdir()
    dataset = open_dataset(str(tmp_path))
    assert dataset.class_names == ("cat", "dog") and dataset.num_classes == 2
    assert dataset.batch(torch.tensor([0, 1, 2, 2]))[1].tolist() == [0, 0, 1, 1]
    assert dataset.notes == ("Not a class, since no picture in it can be read: empty.",)


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "x.png")
    root = tmp_path / "root"
    write(root / "a.png")
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (root / "loop").symlink_to(root)
    assert len(open_dataset(str(root))) == 2


def test_home_and_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "digits" / "x.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert len(open_dataset("~/digits")) == len(open_dataset("./digits")) == 1
    # A name takes precedence over a folder.
    assert len(open_dataset("digits")) == 1797
    with pytest.raises(
        DataError, match=r"'~no-such-user/digits' is in the home of an unknown user: write"
    ):
        open_dataset("~no-such-user/digits")


# -- decoding --------------------------------------------------------------------------------------


def test_centre_crop_and_resize(tmp_path: Path) -> None:
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = (10, 200, 30)
    Image.fromarray(wide).save(tmp_path / "a.png")
    for resolution in (None, 4, 32):
        image = open_dataset(str(tmp_path), resolution=resolution).image(0)
        assert image.shape[1] == (resolution or 8)
        assert (image == torch.tensor([10, 200, 30]).view(3, 1, 1)).all()


def test_exif_orientation(tmp_path: Path) -> None:
    picture = Image.new("RGB", (16, 16))
    # The top half, which a rotation of 90 degrees clockwise makes the right half.
    picture.paste(WHITE, (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.png", exif=exif)
    image = open_dataset(str(tmp_path)).image(0)
    assert (image[:, :, 8:] == 255).all() and (image[:, :, :8] == 0).all()


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),
        ("LA", (0, 51), (204, 204, 204)),
        ("L", 7, (7, 7, 7)),
        ("1", 1, (255, 255, 255)),
        ("I;16", 65535, (255, 255, 255)),
        ("I;16", 257 * 128, (128, 128, 128)),
        ("P", 0, (0, 0, 0)),
    ],
)
def test_modes(tmp_path: Path, mode: str, colour: Any, expected: tuple[int, ...]) -> None:
    write(tmp_path / "a.png", colour, mode=mode)
    dataset = open_dataset(str(tmp_path), channels=3)
    assert dataset.image(0)[:, 3, 3].tolist() == list(expected)
    grey = {"RGBA": 3, "P": 3}.get(mode, 1)
    assert open_dataset(str(tmp_path)).channels == grey


def test_palette_transparency_and_cmyk(tmp_path: Path) -> None:
    write(tmp_path / "a.png", 0, mode="P", transparency=0)
    write(tmp_path / "b.jpg", (0, 0, 0, 0), mode="CMYK")
    images, _ = open_dataset(str(tmp_path)).batch(torch.arange(2))
    assert (images == 255).all()


def test_channels(tmp_path: Path) -> None:
    write(tmp_path / "a.png", 100, mode="L")
    write(tmp_path / "b.png", 200, mode="L")
    assert open_dataset(str(tmp_path)).image(1).shape == (1, 8, 8)
    assert open_dataset(str(tmp_path), channels=3).image(1)[:, 0, 0].tolist() == [200] * 3
    write(tmp_path / "c.png", RED)
    assert open_dataset(str(tmp_path)).channels == 3
    assert open_dataset(str(tmp_path), channels=1).image(2)[0, 0, 0] == 76


# -- the fingerprint -------------------------------------------------------------------------------


@pytest.mark.parametrize("cache_limit", [1 << 30, 0])
def test_fingerprint_follows_the_content(tmp_path: Path, cache_limit: int) -> None:
    def fingerprint(root: Path, **options: Any) -> str:
        return FolderDataset(root, cache_limit=cache_limit, **options).fingerprint

    for folder in ("one", "two"):
        noise(tmp_path / folder / "a.png", seed=1)
        noise(tmp_path / folder / "b.png", seed=2)
    first = fingerprint(tmp_path / "one")
    # The path of the folder doesn't matter.
    assert fingerprint(tmp_path / "two") == first
    assert len({first, *(fingerprint(tmp_path / "one", resolution=r) for r in (4, 16))}) == 3
    noise(tmp_path / "two" / "b.png", seed=3)
    assert fingerprint(tmp_path / "two") != first
    noise(tmp_path / "two" / "b.png", seed=2)
    assert fingerprint(tmp_path / "two") == first
    (tmp_path / "two" / "b.png").rename(tmp_path / "two" / "c.png")
    assert fingerprint(tmp_path / "two") != first


# -- sets too large to keep in memory --------------------------------------------------------------


def test_large_sets_give_the_same_images(tmp_path: Path) -> None:
    for i in range(9):
        noise(tmp_path / f"{i % 2}" / f"{i}.png", seed=i, size=(12 + i, 15))
    small = FolderDataset(tmp_path, resolution=10)
    large = FolderDataset(tmp_path, resolution=10, cache_limit=0)
    rows = torch.tensor([8, 0, 3, 3])
    for a, b in zip(small.batch(rows), large.batch(rows)):
        assert torch.equal(a, b)
    assert torch.equal(small.image(5), large.image(5)) and small.label(5) == large.label(5)
    with pytest.raises(IndexError, match="outside"):
        large.batch(torch.tensor([9]))


def test_corrupt_file_of_a_large_set_is_replaced_within_its_class(tmp_path: Path) -> None:
    write(tmp_path / "a" / "0.png", RED)
    corrupt(tmp_path / "a" / "1.jpg")
    write(tmp_path / "b" / "2.png", WHITE)
    dataset = FolderDataset(tmp_path, resolution=8, cache_limit=0)
    assert len(dataset) == 3 and dataset.skipped == ()
    with pytest.warns(UserWarning, match="a/1.jpg"):
        images, labels = dataset.batch(torch.tensor([1, 0, 2]))
    assert torch.equal(images[0], images[1]) and labels.tolist() == [0, 0, 1]
    assert len(dataset.skipped) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(dataset.image(1), images[0])
    (tmp_path / "a" / "0.png").unlink()
    with pytest.raises(DataError, match=r"No image of the class of 'a/1\.jpg'"):
        dataset.image(1)


# -- bad input -------------------------------------------------------------------------------------


def test_corrupt_files_are_left_out_and_counted(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    corrupt(tmp_path / "b.jpg")
    (tmp_path / "c.png").write_bytes(b"")
    (tmp_path / "d.jpg").write_text("not an image")
    write(tmp_path / "e.png")
    with pytest.warns(UserWarning, match=r"3 unreadable .*b\.jpg.*c\.png.*d\.jpg") as caught:
        dataset = open_dataset(str(tmp_path))
    assert len(caught) == 1
    assert len(dataset) == 2 and dataset.batch(torch.arange(2))[0].shape == (2, 3, 8, 8)
    names = [entry.split(": ", 1)[0] for entry in dataset.skipped]
    assert names == ["b.jpg", "c.png", "d.jpg"]
    assert "truncated" in dataset.skipped[0] and dataset.skipped[2] == "d.jpg: not an image"


def test_files_that_turn_out_corrupt_later_are_named_too(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    corrupt(tmp_path / "b.jpg")
    (tmp_path / "README").write_text("x")
    with pytest.warns(UserWarning, match=r"1 unreadable file of .*: README"):
        dataset = FolderDataset(tmp_path, resolution=8, cache_limit=0)
    for warned in (1, 0):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            dataset.batch(torch.tensor([1]))
        assert len(caught) == warned and all("1 unreadable file" in str(w.message) for w in caught)
        assert all(": b.jpg: " in str(w.message) for w in caught)


def test_warning_names_only_the_first_few(tmp_path: Path) -> None:
    write(tmp_path / "z.png")
    for i in range(5):
        (tmp_path / f"{i}.png").write_text("x")
    with pytest.warns(UserWarning, match=r"5 unreadable .*2\.png: not an image and 2 more\.$"):
        open_dataset(str(tmp_path))


@pytest.mark.parametrize("make", [corrupt, lambda path: path.write_text("x")])
def test_no_readable_image_left(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "a.jpg")
    (tmp_path / "README").write_bytes(b"x")
    with pytest.raises(DataError, match=r"The only image in .* can't be read \(.*a\.jpg"):
        open_dataset(str(tmp_path))
    make(tmp_path / "b.jpg")
    with pytest.raises(DataError, match=r"None of the 2 images .* \(the first: .*a\.jpg"):
        open_dataset(str(tmp_path))


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'.*/nowhere' doesn't exist"):
        open_dataset(str(tmp_path / "nowhere"))


def test_path_is_a_file(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png' must be a folder of images, got a file: pass"):
        open_dataset(str(tmp_path / "a.png"))


def test_path_is_an_archive_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"x")
    with pytest.raises(DataError, match=r"a\.tar' .*, got a file: unpack it and pass the folder\."):
        open_dataset(str(tmp_path / "a.tar"))


def test_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("x")
    with pytest.raises(DataError, match=r"must hold images, got none: add pictures of any kind"):
        open_dataset(str(tmp_path))


@pytest.mark.parametrize("inner", ["", "sub"])
def test_unreadable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inner: str) -> None:
    write(tmp_path / "sub" / "a.png")
    locked = str(tmp_path / inner)
    real = os.scandir

    # Not by chmod, since root may read everything.
    def scandir(path: Any) -> Any:
        if os.path.normpath(path) == os.path.normpath(locked):
            raise PermissionError(13, "Permission denied", locked)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"can't be read \(Permission denied\)"):
        open_dataset(str(tmp_path))


@pytest.mark.parametrize(("size", "text"), [((2, 9), "2x9"), ((5000, 4097), "5000x4097")])
def test_native_size_out_of_range(tmp_path: Path, size: tuple[int, int], text: str) -> None:
    write(tmp_path / "a.png", 0, size=size, mode="L")
    with pytest.raises(DataError, match=rf"'a\.png', is {text}.*4 to 4096.*set the resolution"):
        open_dataset(str(tmp_path))
    assert open_dataset(str(tmp_path), resolution=4).image(0).shape == (1, 4, 4)


def test_missing_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    write(tmp_path / "a.png")
    real = importlib.import_module

    def broken(name: str) -> Any:
        if name.startswith("PIL"):
            raise ModuleNotFoundError("No module named 'PIL'")
        return real(name)

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(DataError, match="pip install pillow"):
        open_dataset(str(tmp_path))
