"""stargan learns, in seconds: what it is told to change changes and the rest stays, in scenes that it hasn't seen.

As measured with seed 0 on 100 held-out images, after 6,400 images: 61% became red as asked, 97% green, 71% blue, 79% striped
or plain, all of light or dark background; after 28,800 93%, 100%, 96%, 94% and all. What isn't asked for stays in 98% then,
but where the background changes: 71% of colours and stripes.
"""

from __future__ import annotations

import pytest
import torch
from test_learning import one_thread
from test_learning_translation import trained
from torch import Tensor

from fastgan.data import open_dataset, to_uint8
from fastgan.data.shapes import COLOURS
from fastgan.data.shapes_oracle import STRIPED, dominant_colour, light_background, shape_mask, stripedness
from fastgan.data.shapes_tasks import ATTRIBUTE_COLOURS, ATTRIBUTES
from fastgan.train.samples import evaluation

OPTIONS = (
    "--resolution 16 --batch 16 --ngf 16 --ndf 16 --blocks 0 --skip --lr 2e-3 --ema 0.97 --n-critic 2 "
    "--penalty-weight 1 --identity-weight 10"
)
KINDS = (3, 1, 1)  # attributes that say one thing: colour, stripes, background


def told(images: Tensor) -> Tensor:
    """The attributes that pictures show, float32 `[N, 5]`."""
    pixels = to_uint8(images)
    colour = dominant_colour(pixels)
    colours = [colour == list(COLOURS).index(name) for name in ATTRIBUTE_COLOURS]
    return torch.stack([*colours, stripedness(pixels) > STRIPED, light_background(pixels)], 1).float()


def overlap(images: Tensor, others: Tensor) -> float:
    """Intersection over union of their shapes, the mean over images."""
    here, there = shape_mask(to_uint8(images)), shape_mask(to_uint8(others))
    return ((here & there).sum((1, 2)) / (here | there).sum((1, 2)).clamp(min=1)).mean().item()


@pytest.mark.parametrize(
    ("images", "least"),
    [
        pytest.param(6_400, (0.45, 0.75), marks=pytest.mark.slow, id="soon"),
        pytest.param(28_800, (0.85, 0.85), marks=pytest.mark.long, id="longer"),
    ],
)
def test_stargan_changes_what_it_is_told_to_and_keeps_the_rest(images, least):
    """`least`: of the images the share that has what was asked for, for each attribute, and that kept what was not."""
    dataset = open_dataset("shapes", task="attributes", resolution=16)
    with one_thread():
        recipe, state, given = trained("stargan", f"{OPTIONS} --images {images}", dataset)
        own, changed, kept, overlaps = given.inputs["attributes"], {}, {}, {}
        with evaluation(state.sampler) as networks:
            for place, name in enumerate(ATTRIBUTES):
                wanted = networks["attributes"].changed(own, place)
                inputs = {"image": given.real, "attributes": wanted}
                made = recipe.translate(networks, inputs, generator=torch.Generator())
                right = torch.stack([part.all(1) for part in (told(made) == wanted).split(KINDS, 1)], 1)
                kind = max(0, place - 2)
                rest = [i for i in range(len(KINDS)) if i != kind]
                changed[name] = right[:, kind].float().mean().item()
                kept[name] = right[:, rest].float().mean().item()
                overlaps[name] = overlap(given.real, made)
    print("stargan", changed, kept, overlaps)
    assert (told(given.real) == own).float().mean() > 0.95
    assert min(changed.values()) > least[0] and sum(kept.values()) / len(kept) > least[1], (changed, kept)
    # A shape that becomes striped or of another colour stays where it is.
    assert min(overlaps[name] for name in ATTRIBUTES[:4]) > 0.5, overlaps
