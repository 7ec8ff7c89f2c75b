"""Pictures of any size through a network that takes few sizes: padding, cropping, tiles."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fastgan.inference.tiles import padded, tiled


def picture(height, width):
    return torch.rand(
        1, 3, height, width, generator=torch.Generator().manual_seed(height * 100 + width)
    )


def strict(divisor, min_size, scale=1):
    """Return a function that doubles values, enlarges by `scale`, and takes few sizes."""

    def translate(inputs):
        images = inputs["image"]
        assert all(side % divisor == 0 and side >= min_size for side in images.shape[2:]), (
            images.shape
        )
        return 2 * images.repeat_interleave(scale, 2).repeat_interleave(scale, 3)

    return translate


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (8, 8), (9, 31), (16, 24)])
@pytest.mark.parametrize(
    ("divisor", "min_size", "scale"), [(8, 8, 1), (4, 8, 2), (16, 16, 4), (1, 1, 1)]
)
def test_padding_is_cropped_again(size, divisor, min_size, scale):
    images = picture(*size)
    given = {"image": images}
    found = padded(
        strict(divisor, min_size, scale), given, divisor=divisor, min_size=min_size, scale=scale
    )
    assert torch.equal(found, strict(1, 1, scale)(given))


def test_padding_is_the_mirror_image():
    images, seen = picture(6, 10), []

    def translate(inputs):
        seen.append(inputs["image"])
        return seen[-1]

    padded(translate, {"image": images}, divisor=4, min_size=4, scale=1)
    assert torch.equal(seen[0], F.pad(images, (1, 1, 1, 1), "reflect"))
    padded(translate, {"image": images[:, :, :, :2]}, divisor=8, min_size=8, scale=1)
    assert torch.equal(seen[1][0, 0, 1], images[0, 0, 0, [1, 0, 1, 0, 1, 0, 1, 0]])


@pytest.mark.parametrize("size", [(20, 50), (16, 16), (17, 16), (33, 90)])
@pytest.mark.parametrize("scale", [1, 2])
def test_tiles_of_a_pixelwise_network_make_up_the_whole(size, scale):
    images, sizes = picture(*size), []

    def translate(part):
        sizes.append(part["image"].shape[2:])
        return strict(1, 1, scale)(part)

    found = tiled(translate, {"image": images}, tile=16, scale=scale)
    assert torch.allclose(found, strict(1, 1, scale)({"image": images}), atol=1e-6)
    assert max(max(size) for size in sizes) <= 16
    assert len(sizes) == 1 or size != (16, 16)


def test_tiles_that_differ_are_blended():
    """Each tile has a brightness of its own; steps between pixels stay smaller than that."""
    images, brightness = torch.zeros(1, 1, 16, 90), iter(range(10))
    found = tiled(
        lambda part: part["image"] + next(brightness), {"image": images}, tile=32, scale=1
    )
    steps = (found[..., 1:] - found[..., :-1]).abs()
    assert 0 < steps.max() <= 0.25 and found.max() == found[..., -1].max() >= 2


@pytest.mark.parametrize("size", [(5, 7), (20, 40)])
def test_all_inputs_are_padded_and_tiled(size):
    """A map is continued and cut like the picture; attributes stay those of the whole."""
    classes = torch.randint(0, 9, (1, *size), generator=torch.Generator().manual_seed(0))
    given = {
        "image": classes[:, None].float(),
        "map": classes,
        "attributes": torch.tensor([[0.0, 1, 1]]),
    }

    def translate(inputs):
        assert torch.equal(inputs["image"][:, 0], inputs["map"].float())
        assert torch.equal(inputs["attributes"], given["attributes"])
        return inputs["map"][:, None].float()

    found = tiled(
        lambda part: padded(translate, part, divisor=8, min_size=8, scale=1),
        given,
        tile=16,
        scale=1,
    )
    torch.testing.assert_close(found, given["image"])
