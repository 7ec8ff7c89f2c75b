"""Measurements of shapes are right on rendered scenes, with noise too."""

import pytest
import torch
from torch import Tensor

from fastgan.data.shapes import COLOURS
from fastgan.data.shapes_oracle import (
    STRIPED,
    dominant_colour,
    light_background,
    shape_mask,
    stripedness,
)
from fastgan.data.shapes_tasks import ShapesForTask

ROWS = torch.arange(200)
NAMES = list(COLOURS)


def noisy(images: Tensor, deviation: float) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0)) * deviation
    return (images + noise).round().clamp(0, 255).to(torch.uint8)


def iou(one: Tensor, other: Tensor) -> Tensor:
    return (one & other).sum((1, 2)) / (one | other).sum((1, 2))


@pytest.mark.parametrize("deviation", [0.0, 5.0])
def test_stripes_masks_and_colours_of_both_domains(deviation: float) -> None:
    data = ShapesForTask("domains")
    plain, _, inputs = data.examples(ROWS)
    plain, striped = noisy(plain, deviation), noisy(inputs["other"], deviation)
    assert (stripedness(plain) < STRIPED).float().mean() > 0.98
    assert (stripedness(striped) > STRIPED).float().mean() > 0.98
    assert (iou(shape_mask(plain), data.masks(ROWS)) > 0.8).float().mean() > 0.98
    for images, scene_of in ((plain, data.attributes), (striped, data.other)):
        scenes = [scene_of(i) for i in ROWS.tolist()]
        colours = torch.tensor([NAMES.index(scene.colour) for scene in scenes])
        light = torch.tensor([scene.light for scene in scenes])
        assert (dominant_colour(images) == colours).float().mean() > 0.98
        assert (light_background(images) == light).float().mean() > 0.98


def test_attributes_and_masks_of_striped_shapes() -> None:
    data = ShapesForTask("attributes")
    images, _, inputs = data.examples(ROWS)
    bits = inputs["attributes"].bool()
    assert ((stripedness(images) > STRIPED) == bits[:, 3]).float().mean() > 0.98
    assert (light_background(images) == bits[:, 4]).all()
    colours = torch.tensor([NAMES.index(name) for name in ("red", "green", "blue")])
    assert (dominant_colour(images) == colours[bits[:, :3].int().argmax(1)]).float().mean() > 0.98
    assert (iou(shape_mask(images), data.masks(ROWS))[bits[:, 3]] > 0.8).float().mean() > 0.98


def test_neither_stripes_elsewhere_nor_an_empty_picture_count() -> None:
    striped = ShapesForTask("domains").batch_inputs(ROWS[:100])["other"]
    upright = striped.transpose(2, 3)
    assert (stripedness(upright) > STRIPED).float().mean() < 0.02
    empty = torch.full((2, 3, 32, 32), 200, dtype=torch.uint8)
    assert not shape_mask(empty).any() and stripedness(empty).tolist() == [0, 0]
    assert dominant_colour(empty).shape == (2,)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 3, 32, 32),
        torch.zeros(2, 1, 32, 32, dtype=torch.uint8),
        torch.zeros(2, 3, 8, 8).byte(),
    ],
)
def test_wrong_images(images: Tensor) -> None:
    for function in (shape_mask, stripedness, dominant_colour, light_background):
        with pytest.raises(ValueError, match=r"uint8 \[N, 3, R, R\] with R at least 16, got"):
            function(images)
