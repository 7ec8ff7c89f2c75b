"""Conversion between uint8 and [-1, 1]; grids; PNG files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fastgan.data import DataError, image_grid, save_png, to_float, to_uint8
from fastgan.data.images import resize, with_channels


def test_round_trip_is_exact() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    floats = to_float(values)
    assert floats.dtype == torch.float32
    assert floats[0] == -1 and floats[255] == 1
    assert torch.equal(to_uint8(floats), values)
    assert torch.equal(to_uint8(floats.double()), values)


def test_to_uint8_clamps_and_survives_nan() -> None:
    x = torch.tensor([-9.0, 9.0, float("nan"), float("inf"), float("-inf")])
    assert to_uint8(x).tolist() == [0, 255, 128, 255, 0]
    # The input is unchanged.
    assert torch.isnan(x[2])


def test_conversions_refuse_the_wrong_dtype() -> None:
    with pytest.raises(TypeError, match="uint8"):
        to_float(torch.zeros(3))
    with pytest.raises(TypeError, match="floating-point"):
        to_uint8(torch.zeros(3, dtype=torch.int64))


def test_resize_keeps_constants_and_size() -> None:
    x = torch.full((2, 3, 10, 10), 77, dtype=torch.uint8)
    for side in (4, 10, 33):
        y = resize(x, side)
        assert y.shape == (2, 3, side, side) and (y == 77).all()
    stripes = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    stripes[..., ::2] = 255
    # Antialiasing makes the stripes grey.
    assert (resize(stripes, 16).int() - 127).abs().max() <= 12


def test_with_channels() -> None:
    rgb = torch.tensor([255, 0, 0, 0, 255, 0, 0, 0, 255], dtype=torch.uint8).view(3, 3, 1, 1)
    assert with_channels(rgb, 1).flatten().tolist() == [76, 150, 29]
    grey = torch.arange(4, dtype=torch.uint8).view(1, 1, 2, 2)
    assert torch.equal(with_channels(grey, 3), grey.repeat(1, 3, 1, 1))
    assert torch.equal(with_channels(with_channels(grey, 3), 1), grey)


def test_image_grid_places_every_image() -> None:
    images = torch.arange(1, 6, dtype=torch.uint8).view(5, 1, 1, 1).expand(5, 1, 3, 4)
    grid = image_grid(images, 3)
    assert grid.dtype == torch.uint8
    assert grid.shape == (3, 2 * (3 + 2) + 2, 3 * (4 + 2) + 2)
    for i in range(5):
        row, column = divmod(i, 3)
        top, left = 2 + row * 5, 2 + column * 6
        assert (grid[:, top : top + 3, left : left + 4] == i + 1).all()
    assert int((grid != 0).sum()) == 3 * 5 * 12


def test_image_grid_of_one_and_of_colour() -> None:
    one = image_grid(torch.full((1, 3, 4, 4), 9, dtype=torch.uint8), 8)
    assert one.shape == (3, 8, 8) and int(one.sum()) == 9 * 48


def test_image_grid_errors() -> None:
    with pytest.raises(TypeError, match="uint8"):
        image_grid(torch.zeros(1, 3, 2, 2), 1)
    with pytest.raises(ValueError, match="N at least 1"):
        image_grid(torch.zeros(0, 3, 2, 2, dtype=torch.uint8), 1)
    with pytest.raises(ValueError, match="columns"):
        image_grid(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), 0)


@pytest.mark.parametrize("channels", [1, 3])
def test_save_png_round_trip(tmp_path: Path, channels: int) -> None:
    image = torch.randint(0, 256, (channels, 5, 7), dtype=torch.uint8)
    path = tmp_path / "new" / "x.png"
    save_png(path, image)
    back = torch.from_numpy(np.array(Image.open(path))).reshape(5, 7, channels).permute(2, 0, 1)
    assert torch.equal(back, image)
    assert [p.name for p in path.parent.iterdir()] == ["x.png"]


def test_save_png_keeps_the_old_file_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.png"
    save_png(path, torch.zeros(3, 4, 4, dtype=torch.uint8))
    before = path.read_bytes()

    def full(self: Image.Image, target: Path, **_: object) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(DataError, match="can't be written: No space left on device"):
        save_png(path, torch.ones(3, 4, 4, dtype=torch.uint8))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]


def test_save_png_errors(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="can't be written"):
        save_png(tmp_path / "file" / "x.png", torch.zeros(3, 2, 2, dtype=torch.uint8))
    with pytest.raises(ValueError, match="1 to 4"):
        save_png(tmp_path / "x.png", torch.zeros(5, 2, 2, dtype=torch.uint8))
    with pytest.raises(TypeError, match="uint8"):
        save_png(tmp_path / "x.png", torch.zeros(3, 2, 2))
