"""Experiments of recipes with a condition: a map, attributes or a caption."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.bounds import least, most
from fastgan.data import open_dataset, to_uint8
from fastgan.data.shapes import COLOURS
from fastgan.data.shapes_oracle import (
    STRIPED,
    dominant_colour,
    light_background,
    shape_mask,
    stripedness,
)
from fastgan.data.shapes_tasks import ATTRIBUTE_COLOURS, ATTRIBUTES, ShapesForTask
from tests.learning.domains import overlap
from tests.learning.experiment import Experiment, Figures, Trial
from tests.learning.shape_kinds import shape_and_colour

# Number of attributes for colour, stripes and background.
KINDS = (3, 1, 1)


def segmented(images: Tensor) -> Tensor:
    """Return the map of rendered scenes, int64 `[N, H, W]`.

    Classes are dark background, light background, then the colours of shapes.
    """
    pixels = to_uint8(images)
    paper, ink = light_background(pixels).long(), 2 + dominant_colour(pixels)
    return torch.where(shape_mask(pixels), ink[:, None, None], paper[:, None, None])


def mean_iou(maps: Tensor, targets: Tensor, classes: int) -> float:
    """Return the intersection over union of each class in all maps, averaged over classes."""
    both = [
        ((maps == c) & (targets == c)).sum() / ((maps == c) | (targets == c)).sum()
        for c in range(classes)
    ]
    return torch.stack(both).mean().item()


def maps(trial: Trial) -> Figures:
    """Measure the mean IoU of held-out maps with maps recovered from the generated images."""
    held_out = trial.rows(200)
    classes = len(trial.dataset.inputs["map"].names)

    def score(images: Tensor) -> float:
        return mean_iou(segmented(images), held_out.inputs["map"], classes)

    untrained = score(trial.samples(200))
    trial.learn()
    return {
        "mean IoU": score(trial.samples(200)),
        "untrained mean IoU": untrained,
        "mean IoU of real images": score(held_out.real),
    }


def shown_attributes(images: Tensor) -> Tensor:
    """Return the attributes that images show, float32 `[N, 5]`."""
    pixels = to_uint8(images)
    colour = dominant_colour(pixels)
    colours = [colour == list(COLOURS).index(name) for name in ATTRIBUTE_COLOURS]
    return torch.stack(
        [*colours, stripedness(pixels) > STRIPED, light_background(pixels)], 1
    ).float()


def attributes(trial: Trial) -> Figures:
    """Measure the share of images with the requested attribute, and of those that kept the rest."""
    trial.learn()
    held_out = trial.rows(100)
    own, head = held_out.inputs["attributes"], trial.state.sampler["attributes"]
    changed: list[float] = []
    kept: list[float] = []
    overlaps: list[float] = []
    for place in range(len(ATTRIBUTES)):
        target = head.changed(own, place)
        images = trial.translate(image=held_out.real, attributes=target)
        right = torch.stack(
            [part.all(1) for part in (shown_attributes(images) == target).split(KINDS, 1)], 1
        )
        kind = max(0, place - KINDS[0] + 1)
        rest = [i for i in range(len(KINDS)) if i != kind]
        changed.append(right[:, kind].float().mean().item())
        kept.append(right[:, rest].float().mean().item())
        overlaps.append(overlap(held_out.real, images))
    return {
        "least share as asked": min(changed),
        "others kept": sum(kept) / len(kept),
        "IoU, colour or stripes": min(overlaps[:-1]),
        "real images judged right": (shown_attributes(held_out.real) == own).float().mean().item(),
        **{f"{name} as asked": share for name, share in zip(ATTRIBUTES, changed)},
    }


class Upright(ShapesForTask):
    """Upright shapes of one size in the middle; a caption describes all but the background's shade.

    The held-out set has one colour of every shape, which the training set lacks.
    """

    def __init__(self, *, unseen: bool = False) -> None:
        super().__init__("captions", resolution=16, length=5000, first=5000 if unseen else 0)
        self._scenes = []
        for i in range(5000):
            scene = super()._scene(i)
            if ((scene.label + list(COLOURS).index(scene.colour)) % len(COLOURS) == 0) == unseen:
                self._scenes.append(replace(scene, centre=(0.5, 0.5), size=0.4, angle=0.0))
        self._length, self.unseen = len(self._scenes), unseen
        # Rendered once, not at every epoch.
        self._rendered = super().examples(torch.arange(self._length))

    def _scene(self, i, *, stream=0):
        return self._scenes[i]

    def examples(self, indices):
        images, labels, inputs = self._rendered
        return images[indices], labels[indices], {"caption": inputs["caption"][indices]}

    def held_out(self):
        return None if self.unseen else Upright(unseen=True)


def captions(trial: Trial) -> Figures:
    """Measure the shares of images with the shape and the colour of an unseen caption."""
    count = 200

    def shares(images: Tensor) -> tuple[float, float]:
        shapes, colours = shape_and_colour(to_uint8(images))
        scenes = [trial.unseen.attributes(i) for i in range(len(images))]
        shape = shapes == torch.tensor([scene.label for scene in scenes])
        colour = colours == torch.tensor([list(COLOURS).index(scene.colour) for scene in scenes])
        return shape.float().mean().item(), colour.float().mean().item()

    untrained = shares(trial.samples(count))
    trial.learn()
    shape, colour = shares(trial.samples(count))
    return {
        "shape as told": shape,
        "colour as told": colour,
        "untrained, better of both": max(untrained),
        "real, worse of both": min(shares(trial.rows(count).real)),
    }


EXPERIMENTS = (
    Experiment(
        "gaugan",
        "--resolution 16 --batch 16 --ngf 6 --ndf 8 --hidden 12 --patch 16 --scales 1 "
        "--lr 4e-3 --d-lr 2e-3 "
        "--ema 0.9 --images 2800",
        lambda run: open_dataset("shapes", task="maps", resolution=run.resolution),
        maps,
        {"mean IoU": least(0.6), "untrained mean IoU": most(0.2)},
    ),
    Experiment(
        "stargan",
        "--resolution 16 --batch 16 --ngf 16 --ndf 16 --blocks 0 --skip --lr 2e-3 --ema 0.97 "
        "--n-critic 2 "
        "--penalty-weight 1 --identity-weight 10 --images 6400",
        lambda run: open_dataset("shapes", task="attributes", resolution=run.resolution),
        attributes,
        {
            "least share as asked": least(0.45),
            "others kept": least(0.75),
            "IoU, colour or stripes": least(0.5),
            "real images judged right": least(0.9),
        },
    ),
    Experiment(
        "text2image",
        "--encoder mean --batch 32 --z-dim 16 --text-dim 64 --ngf 8 --ndf 16 --lr 1e-3 "
        "--d-lr 1e-3 --ema 0.97 "
        "--images 24000",
        lambda _: Upright(),
        captions,
        {
            "shape as told": least(0.6),
            "colour as told": least(0.6),
            "untrained, better of both": most(0.3),
            "real, worse of both": least(0.9),
        },
    ),
)
