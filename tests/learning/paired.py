"""Experiments of recipes that learn from pairs of an image and its target."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.bounds import least, most
from fastgan.data import ImageDataset, InMemoryDataset, open_dataset, to_float
from fastgan.data.shapes import ShapesDataset
from fastgan.metrics import frechet_distance, statistics_of
from fastgan.metrics.features import mobilenet_v2
from fastgan.training.run_settings import RunSettings
from tests.learning.experiment import Experiment, Figures, Trial
from tests.learning.striped import Striped

# Colours that luma tells apart.
SEPARABLE = ("blue", "green", "cyan", "yellow")


def stripes(trial: Trial) -> Figures:
    """Measure the L1 distance from the target, as a share of that of the best baseline."""
    trial.learn()
    held_out = trial.rows(100)
    training = to_float(trial.dataset.batch(torch.arange(500))[0])
    images = {
        "output": trial.samples(100),
        "input": held_out.inputs["input"],
        "mean image": training.mean(0).expand_as(held_out.real),
        "other real images": training[:100],
    }
    l1 = {name: (some - held_out.real).abs().mean().item() for name, some in images.items()}
    return {
        "L1, share of baseline": l1["output"] / min(l1["input"], l1["mean image"]),
        **{f"L1 of {name}": value for name, value in l1.items()},
    }


def separable_rows(shapes: ShapesDataset, count: int) -> Tensor:
    """Return the first scenes with colours that luma tells apart, int64 `[count]`."""
    rows = (i for i in range(len(shapes)) if shapes.attributes(i).colour in SEPARABLE)
    return torch.tensor([next(rows) for _ in range(count)])


def four_colours(_: RunSettings) -> ImageDataset:
    """Return shapes of four colours whose luma differs by at least 25 of 255."""
    shapes = ShapesDataset()
    return InMemoryDataset("told", *shapes.batch(separable_rows(shapes, 4_000)))


def colours(trial: Trial) -> Figures:
    """Measure the L1 distance of chroma, a colour less its luma, on held-out scenes.

    Luma doesn't tell the tinge of the background, which is half of all chroma.
    """
    trial.learn()
    shapes = ShapesDataset().held_out()
    rows = separable_rows(shapes, 100)
    real, mask = to_float(shapes.batch(rows)[0]), shapes.masks(rows)[:, None]

    def chroma(images: Tensor) -> Tensor:
        return images - trial.recipe.condition({"image": images})

    mean = to_float(trial.dataset.batch(torch.arange(500))[0]).mean(0)
    images = {
        "output": trial.translate(image=real),
        "grey": torch.zeros_like(real),
        "mean": mean.expand_as(real),
    }
    away = {
        name: (chroma(some) - chroma(real)).abs().mean(1, keepdim=True)
        for name, some in images.items()
    }
    inside = {name: a[mask].mean().item() for name, a in away.items()}
    everywhere = {name: a.mean().item() for name, a in away.items()}
    return {
        "chroma in shapes, share of baseline": inside["output"]
        / min(inside["grey"], inside["mean"]),
        "chroma, share of baseline": everywhere["output"]
        / min(everywhere["grey"], everywhere["mean"]),
        **{f"chroma in shapes of {name}": value for name, value in inside.items()},
    }


def enlargement(trial: Trial) -> Figures:
    """Measure PSNR of 400 images after the first stage, then FD of 100 images after the second.

    FD is the Fréchet distance of MobileNetV2's features.
    """
    count = 400
    held_out = trial.rows(count)

    def psnr(images: Tensor) -> float:
        """Return the mean PSNR of images in [-1, 1], in decibels."""
        return (
            (10 * torch.log10(4 / (images - held_out.real).square().mean((1, 2, 3)))).mean().item()
        )

    trial.learn(trial.recipe.pretrain)
    early = trial.samples(count)
    bicubic = trial.recipe.views(trial.state.networks, held_out, early)["bicubic"]
    trial.learn()
    sets = (held_out.real, trial.samples(count), bicubic)
    real, output, baseline = (statistics_of([images[:100]], mobilenet_v2()) for images in sets)
    fd, fd_bicubic = (
        float(frechet_distance(s.mean, s.covariance, real.mean, real.covariance))
        for s in (output, baseline)
    )
    return {
        "PSNR above bicubic": psnr(early) - psnr(bicubic),
        "FD, share of bicubic": fd / fd_bicubic,
        "PSNR of output": psnr(early),
        "FD of output": fd,
    }


def holes(trial: Trial) -> Figures:
    """Measure the L1 distance in holes, as a share of the best baseline's."""
    held_out = trial.rows(200)
    mask = trial.recipe.source(held_out)["mask"]

    def error(images: Tensor) -> float:
        return (((images - held_out.real).abs() * mask).sum() / (3 * mask.sum())).item()

    known = 1 - mask
    of_image = (held_out.real * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
    of_data = to_float(trial.dataset.batch(torch.arange(500))[0]).mean(0, keepdim=True)
    untrained = error(trial.samples(200))
    trial.learn()
    output = error(trial.samples(200))
    baselines = {"mean of the image": error(of_image), "mean image": error(of_data)}
    return {
        "L1 in holes, share of baseline": output / min(untrained, *baselines.values()),
        "L1 in holes of output": output,
        "L1 in holes, untrained": untrained,
        **{f"L1 in holes of {name}": value for name, value in baselines.items()},
    }


EXPERIMENTS = (
    Experiment(
        "pix2pix",
        "--resolution 16 --batch 16 --images 4000 --ngf 16 --ndf 8 --lr 4e-3 --patch 16 "
        "--dropout 0 "
        "--norm batch --ema 0.9 --decay-after 2000",
        lambda run: Striped(resolution=run.resolution),
        stripes,
        {"L1, share of baseline": most(0.25)},
    ),
    Experiment(
        "colorize",
        "--batch 16 --images 4000 --ngf 8 --ndf 8 --lr 4e-3 --patch 16 --dropout 0 "
        "--decay-after 2000",
        four_colours,
        colours,
        {"chroma in shapes, share of baseline": most(0.6), "chroma, share of baseline": most(0.9)},
    ),
    Experiment(
        "srgan",
        "--scale 2 --batch 16 --ngf 16 --blocks 2 --residual --ndf 8 --lr 3e-3 --pretrain 3200 "
        "--images 3840",
        lambda _: open_dataset("shapes"),
        enlargement,
        {"PSNR above bicubic": least(2), "FD, share of bicubic": most(0.8)},
    ),
    Experiment(
        "inpaint",
        "--batch 32 --images 9600 --decay-after 4800 --ngf 12 --ndf 8 --lr 6e-3 --patch 16 "
        "--norm batch "
        "--ema 0.95",
        lambda _: open_dataset("shapes"),
        holes,
        {"L1 in holes, share of baseline": most(0.8)},
    ),
)
