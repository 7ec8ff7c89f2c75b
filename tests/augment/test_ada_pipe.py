"""Each transformation of ADA against its formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fastgan.augment import ADA, PRESETS, TRANSFORMATIONS
from fastgan.augment.ada import GATES
from fastgan.augment.filtering import EXPECTED_POWER, band_filters, band_gains
from fastgan.augment.settings import Strengths
from tests.augment.rows import rows_with


def applied(images, *on, categories="bgcfnc", drawn=None, **values):
    """Return images under ADA at p = 1 with the gates ``on`` alone."""
    pipe = ADA(tuple(images.shape[2:]), images.shape[1], categories=categories, p=1.0)
    rows = rows_with(*on, count=len(images), **values)
    rows["noise"] = torch.zeros_like(images) if drawn is None else drawn
    return pipe(images, rows)


@pytest.mark.parametrize("categories", PRESETS)
def test_images_are_unchanged_at_p_0(categories):
    images, pipe = torch.randn(4, 3, 10, 12), ADA((10, 12), 3, categories=categories)
    rows = pipe.draw(4, torch.Generator().manual_seed(0))
    assert torch.equal(pipe(images, rows), images)
    pipe.p.fill_(1.0)
    assert not torch.equal(pipe(images, rows), images)


def test_blitting_copies_pixels():
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(applied(images, "flip", flip=0.1), images.flip(3))
    assert torch.equal(applied(images, "flip", flip=0.9), images)
    turned = [applied(images, "rotate90", rotate90=(k + 0.5) / 4) for k in range(4)]
    for k, found in enumerate(turned):
        assert torch.equal(found, images.rot90(k, (2, 3)))
    # u = 0.999 shifts by 0.125 of 16 pixels, right and down; the image is mirrored at the border.
    moved = applied(images, "integer_translation", integer_x=0.999, integer_y=0.001)
    assert torch.equal(moved[:, :, :14, 2:], images[:, :, 2:, :14])
    assert torch.equal(moved[:, :, :14, :2], images[:, :, 2:, :2].flip(3))
    assert torch.equal(moved[:, :, 14:, 2:], images[:, :, 14:, :14].flip(2))


def test_images_that_are_not_square_are_rotated_by_180_degrees():
    images = torch.randn(1, 1, 8, 6)
    turned = [applied(images, "rotate90", rotate90=(k + 0.5) / 4) for k in range(4)]
    assert all(torch.equal(turned[k], images.rot90(2 * (k // 2), (2, 3))) for k in range(4))


def blobs(x, y):
    """Return a smooth image without symmetry, 0 at the borders of 64×64 pixels."""
    first = torch.exp(-((x - 6) ** 2 + (y + 3) ** 2) / (2 * 5.0**2))
    second = torch.exp(-((x + 9) ** 2 / (2 * 4.5**2) + (y - 4) ** 2 / (2 * 6.0**2)))
    return first - 0.7 * second


def forward_map(a, b, c=0.0, d=None, e=None, f=0.0):
    return np.array([[a, b, c], [d, e, f], [0, 0, 1.0]])


MOVES = {
    "flip": ({"flip": 0.2}, forward_map(-1, 0, 0, 0, 1)),
    "rotate90": ({"rotate90": 0.3}, forward_map(0, 1, 0, -1, 0)),
    "integer_translation": ({"integer_x": 0.75, "integer_y": 0.25}, forward_map(1, 0, 4, 0, 1, -4)),
    "scale": ({"scale": 1.5}, forward_map(2**0.3, 0, 0, 0, 2**0.3)),
    "rotation_before": (
        {"rotation_before": 0.6},
        forward_map(
            math.cos(math.pi / 5),
            math.sin(math.pi / 5),
            0,
            -math.sin(math.pi / 5),
            math.cos(math.pi / 5),
        ),
    ),
    "anisotropic_scale": ({"anisotropic_scale": 1.0}, forward_map(2**0.2, 0, 0, 0, 2**-0.2)),
    "rotation_after": (
        {"rotation_after": 0.4},
        forward_map(
            math.cos(math.pi / 5),
            -math.sin(math.pi / 5),
            0,
            math.sin(math.pi / 5),
            math.cos(math.pi / 5),
        ),
    ),
    "fractional_translation": (
        {"fractional_x": 0.3, "fractional_y": -0.7},
        forward_map(1, 0, 2.4, 0, 1, -5.6),
    ),
}


@pytest.mark.parametrize(
    "names", [*[(name,) for name in MOVES], tuple(MOVES)], ids=lambda names: "+".join(names)
)
def test_geometry_samples_the_image_at_transformed_positions(names):
    place = torch.arange(64.0) - 31.5
    y, x = torch.meshgrid(place, place, indexing="ij")
    values = {key: value for name in names for key, value in MOVES[name][0].items()}
    moved = np.eye(3)
    # In the order of the paper.
    for name in names:
        moved = MOVES[name][1] @ moved
    back = torch.from_numpy(np.linalg.inv(moved)).float()
    from_x, from_y = (row[0] * x + row[1] * y + row[2] for row in back[:2])
    found = applied(blobs(x, y)[None, None], *names, categories="bg", **values)[0, 0]
    # Positions farther out are mirrored.
    inside = (from_x.abs() < 30) & (from_y.abs() < 30)
    torch.testing.assert_close(found[inside], blobs(from_x, from_y)[inside], atol=0.01, rtol=0)


def test_up_and_downsampling_are_inverse():
    """Up- and downsampling are inverse to each other, even for noise.

    Rotations that add up to 360° give the image again.
    """
    images = torch.randn(1, 2, 24, 24)
    pipe = ADA(24, 2, categories="geom", p=1.0)
    found = pipe(images, rows_with("fractional_translation", fractional_x=1e-7))
    torch.testing.assert_close(found[..., 3:-3, 3:-3], images[..., 3:-3, 3:-3], atol=1e-4, rtol=0)


def test_colours_follow_their_formulas():
    x = torch.rand(2, 3, 4, 4) * 2 - 1
    grey = x.mean(1, keepdim=True)
    expected = {
        ("brightness", 1.5): x + 0.3,
        ("contrast", 2.0): x * 2,
        ("luma_flip", 0.2): x - 2 * grey,
        ("luma_flip", 0.8): x,
        # A rotation by 120° maps red to green, green to blue and blue to red.
        ("hue", 0.5 + 1 / 3): x.roll(1, 1),
        ("saturation", -1.0): grey + (x - grey) / 2,
    }
    for (name, value), y in expected.items():
        torch.testing.assert_close(applied(x, name, **{name: value}), y, atol=1e-6, rtol=1e-5)
    together = {
        "brightness": 1.5,
        "contrast": 2.0,
        "luma_flip": 0.2,
        "hue": 0.7,
        "saturation": -1.0,
    }
    in_turn = x
    for name, value in together.items():
        in_turn = applied(in_turn, name, **{name: value})
    torch.testing.assert_close(applied(x, *together, **together), in_turn, atol=1e-5, rtol=1e-5)
    stronger = ADA(4, 3, categories="color", p=1.0, strengths=Strengths(brightness=0.5))
    torch.testing.assert_close(
        stronger(x, rows_with("brightness", count=2, brightness=1.5)), x + 0.75
    )


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_grey_is_that_of_rgb_and_alpha_stays(channels):
    x = torch.rand(3, channels, 6, 6) * 2 - 1
    colours = 3 if channels == 4 else 1
    noise = torch.randn(3, channels, 6, 6)
    on = [*TRANSFORMATIONS["color"], "noise"]
    values = {
        "brightness": 1.5,
        "contrast": 2.0,
        "luma_flip": 0.2,
        "hue": 0.7,
        "saturation": -1.0,
        "noise": 1.0,
    }
    found = applied(x, *on, drawn=noise, **values)
    rgb, rgb_noise = (t[:, :colours].expand(-1, 3, -1, -1) for t in (x, noise))
    torch.testing.assert_close(
        found[:, :colours], applied(rgb, *on, drawn=rgb_noise, **values)[:, :colours]
    )
    assert torch.equal(found[:, colours:], x[:, colours:])


def test_a_band_amplifies_its_frequencies():
    """Cosines, eigenvectors of the mirrored axis, are multiplied by the response exactly."""
    for k, band in ((0, 0), (6, 1), (12, 2), (31, 3)):
        wave = torch.cos(math.pi * k * (torch.arange(32) + 0.5) / 32)
        # The wave runs along x.
        images = wave.expand(1, 1, 32, 32)
        on = f"filter{band}"
        raised = rows_with(on, **{on: 1.0})
        names = [f"filter{i}" for i in range(4)]
        gates = {name: raised["gate"][:, GATES.index(name)] < 1 for name in names}
        normal = {name: torch.tensor([float(name == on)]) for name in names}
        gains = band_gains(gates, normal, Strengths())
        assert gains[0, band] == 2 * gains[0, band - 1]
        assert float(gains.square() @ torch.tensor(EXPECTED_POWER)) == pytest.approx(1)
        taps = torch.from_numpy(band_filters()).float()
        at_k = taps @ torch.cos(math.pi * k / 32 * torch.arange(-21.0, 22.0))
        expected = (gains @ at_k) * gains[0, 0] * images
        torch.testing.assert_close(applied(images, on, **{on: 1.0}), expected, atol=1e-5, rtol=1e-5)


def test_noise_has_the_drawn_strength():
    images, noise = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(
        applied(images, "noise", drawn=noise, noise=-2.0), images + 0.2 * noise
    )


def test_cutout_zeroes_a_square_of_half_the_side():
    images = torch.rand(1, 2, 16, 12) + 1
    for x, y, columns, rows in ((0.5, 0.5, (3, 9), (4, 12)), (0.0, 0.99, (0, 3), (12, 16))):
        expected = images.clone()
        expected[..., slice(*rows), slice(*columns)] = 0
        assert torch.equal(applied(images, "cutout", cutout_x=x, cutout_y=y), expected)
