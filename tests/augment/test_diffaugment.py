"""DiffAugment against its paper."""

from __future__ import annotations

import pytest
import torch

from fastgan.augment import DiffAugment
from fastgan.augment.diffaugment import UNIFORM


def rows_with(count=1, **values):
    """Return rows that change nothing, except ``values``."""
    table = torch.full((count, len(UNIFORM)), 0.5)
    for name, value in values.items():
        table[:, UNIFORM.index(name)] = value
    return {"uniform": table}


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_colours(channels):
    images = torch.rand(2, channels, 6, 6) * 2 - 1
    x = images[:, : 3 if channels > 2 else 1]
    grey, mean = x.mean(1, keepdim=True), x.mean((1, 2, 3), keepdim=True)
    expected = {
        "brightness": x + 0.25,
        "saturation": grey + (x - grey) * 1.5,
        "contrast": mean + (x - mean) * 1.25,
    }
    for name, y in expected.items():
        found = DiffAugment(["color"])(images, rows_with(2, **{name: 0.75}))
        torch.testing.assert_close(found[:, : x.shape[1]], y)
        assert torch.equal(found[:, x.shape[1] :], images[:, x.shape[1] :])


def test_translation_moves_by_up_to_an_eighth():
    images, move = torch.rand(1, 3, 16, 24) + 1, DiffAugment(["translation"])
    found = move(images, rows_with(shift_x=0.999, shift_y=0.0))
    assert torch.equal(found[:, :, :14, 3:], images[:, :, 2:, :21])
    assert found[:, :, 14:].abs().max() == 0 and found[..., :3].abs().max() == 0
    assert torch.equal(move(images, rows_with()), images)


def test_cutout_is_a_square_of_half_the_side():
    images = torch.rand(1, 3, 8, 8) + 1
    found = DiffAugment(["cutout"])(images, rows_with(cutout_x=0.25, cutout_y=1.0))
    images[:, :, 6:, 0:4] = 0
    assert torch.equal(found, images)


def test_planes_of_data_move_with_their_image_and_keep_their_values():
    rows = rows_with(2, shift_x=1.0, shift_y=0.0, cutout_x=0.2, brightness=1.0, saturation=0.0)
    planes = (torch.rand(2, 7, 16, 16) > 0.5).double()
    moved = DiffAugment().move(planes, rows)
    assert moved.dtype == torch.float64 and set(moved.unique().tolist()) == {0.0, 1.0}
    without_colours = DiffAugment(("translation", "cutout"))
    assert torch.equal(moved[:, :3], without_colours(planes[:, :3], rows))
    assert torch.equal(DiffAugment(("color",)).move(planes, rows), planes)


def test_derivatives_and_dtypes():
    torch.manual_seed(0)
    augment = DiffAugment()
    rows = augment.draw(2, torch.Generator().manual_seed(1))
    images = torch.randn(2, 3, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: augment(x, rows).tanh(), images, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda x: augment(x, rows).tanh(), images, fast_mode=True)
    half = images.detach().half()
    assert torch.equal(augment(half, rows), augment(half.float(), rows).half())


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: DiffAugment(["colour"]), ValueError, ["color", "['colour']"]),
        (lambda: DiffAugment("color"), ValueError, ["policy", "'color'"]),
        (lambda: DiffAugment([]), ValueError, ["policy", "[]"]),
        (
            lambda: DiffAugment()(torch.ones(1, 5, 4, 4), rows_with()),
            ValueError,
            ["1 to 4", "[1, 5, 4, 4]"],
        ),
    ],
)
def test_error(call, error, says):
    with pytest.raises(error) as caught:
        call()
    assert all(words in str(caught.value) for words in says), caught.value
