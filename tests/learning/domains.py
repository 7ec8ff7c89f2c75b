"""Experiments of recipes for two domains without pairs: plain and striped shapes."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from benchmarks.bounds import least, most
from fastgan.data import ImageDataset, open_dataset, to_uint8
from fastgan.data.shapes_oracle import STRIPED, shape_mask, stripedness
from fastgan.inference.samples import evaluation
from fastgan.training.run_settings import RunSettings
from tests.learning.experiment import Experiment, Figures, Trial

COUNT = 100
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
# Least distance between two centres, as a share of the side.
FAR = 0.2


def plain_and_striped(run: RunSettings) -> ImageDataset:
    return open_dataset("shapes", task="domains", resolution=run.resolution)


def overlap(images: Tensor, others: Tensor) -> float:
    """Return the mean intersection over union of the shapes in two sets of images."""
    here, there = shape_mask(to_uint8(images)), shape_mask(to_uint8(others))
    return ((here & there).sum((1, 2)) / (here | there).sum((1, 2)).clamp(min=1)).mean().item()


def striped(images: Tensor) -> float:
    """Return the share of images with striped shapes."""
    return (stripedness(to_uint8(images)) > STRIPED).float().mean().item()


def stripes_in_place(trial: Trial) -> Figures:
    """Measure the shares of shapes that gain or lose stripes, and their overlap with the inputs."""
    trial.learn()
    held_out = trial.rows(COUNT)
    plain, other = held_out.real, held_out.inputs["other"]
    to_b, to_a = trial.translate(image=plain), trial.translate(other=other)
    return {
        "striped": striped(to_b),
        "IoU": overlap(plain, to_b),
        "plain on the way back": 1 - striped(to_a),
        "striped inputs": striped(plain),
        "real striped": striped(other),
        "IoU with the next image": overlap(plain.roll(-1, 0), to_b),
    }


def centre(images: Tensor) -> Tensor:
    """Return the centre of each shape, (x, y) in shares of the side, `[N, 2]`."""
    inside = shape_mask(to_uint8(images)).float()
    steps = torch.linspace(0, 1, images.shape[-1])
    moments = torch.stack(
        [(inside * steps).sum((1, 2)), (inside * steps[:, None]).sum((1, 2))], dim=1
    )
    return moments / inside.sum((1, 2)).clamp(min=1)[:, None]


def progress(images: Tensor, start: Tensor, end: Tensor) -> float:
    """Return how far the shapes are on the way from `start` to `end`, as a mean share of it.

    Short ways don't count.
    """
    way = centre(end) - centre(start)
    done = ((centre(images) - centre(start)) * way).sum(1) / way.square().sum(1).clamp(min=1e-9)
    return done[way.norm(dim=1) > FAR].mean().item()


def stripes_and_moves(trial: Trial) -> Figures:
    """Measure the translation, and how shapes move when latents are interpolated."""
    figures = stripes_in_place(trial)
    start = trial.rows(COUNT).real
    end = start.roll(-1, 0)
    with evaluation(trial.state.sampler) as networks:
        domains = trial.recipe.interpolate(networks, start, end, STEPS)
    ways = [[progress(between, start, end) for between in images] for images in domains]
    return figures | {
        "ends of the way, error": max(max(abs(way[0]), abs(way[-1] - 1)) for way in ways),
        "middle of the way, error": max(abs(way[2] - 0.5) for way in ways),
        "least step of the way": min(b - a for way in ways for a, b in pairwise(way)),
        "least IoU of the domains": min(overlap(a, b) for a, b in zip(*domains)),
    }


EXPERIMENTS = (
    Experiment(
        "cyclegan",
        "--resolution 32 --batch 8 --ngf 8 --ndf 16 --lr 2e-3 --patch 16 --blocks 0 "
        "--identity-weight 2 "
        "--ema 0.95 --images 2000",
        plain_and_striped,
        stripes_in_place,
        {"striped": least(0.8), "IoU": least(0.65), "striped inputs": most(0.05)},
    ),
    Experiment(
        "unit",
        "--resolution 32 --batch 8 --ngf 16 --ndf 24 --blocks 0 --patch 16 --norm batch "
        "--images 3200 "
        "--lr 2e-3 --ema 0.97 --adversarial-weight 15",
        plain_and_striped,
        stripes_and_moves,
        {
            "striped": least(0.85),
            "IoU": least(0.8),
            "IoU with the next image": most(0.3),
            "striped inputs": most(0.05),
            "ends of the way, error": most(0.1),
            "middle of the way, error": most(0.2),
            "least step of the way": least(0.01),
            "least IoU of the domains": least(0.6),
        },
    ),
)
