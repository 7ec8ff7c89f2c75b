"""Experiments of recipes that draw digits from noise.

The figure is the Fréchet distance of 500 samples in the digit classifier's features, also as a
share of the untrained network's distance. For cgan the classifier also counts samples with the
requested digit.
"""

from __future__ import annotations

import torch

from benchmarks.bounds import least, most
from fastgan.data import ImageDataset, open_dataset, to_float
from fastgan.evaluation.measures import evaluate
from fastgan.inference.samples import evaluation
from fastgan.metrics.digits import load_digit_classifier
from fastgan.training.run_settings import RunSettings
from tests.learning.experiment import Experiment, Figures, Trial

SHARED = "--data mnist5k --resolution 16"
EIGHT = "--data mnist5k --resolution 8"
TINY = (
    f"{EIGHT} --batch 16 --z-dim 32 --w-dim 32 --mapping-layers 2 --channel-base 128 "
    "--channel-max 32 --penalty-weight 1 --style-mixing 0 --lr 3e-3 --ema 0.99"
)
CONVOLUTIONS = "--batch 16 --z-dim 32 --ngf 16 --ndf 16"
RESIDUAL = "--batch 16 --ngf 4 --ndf 8"
GROWING = (
    "--batch 16 --channel-base 128 --channel-max 32 --z-dim 32 --stable-kimg 0.8 --fade-kimg 0.8 "
    "--lr 3e-3 --ema 0.98"
)
ALIAS_FREE = (
    "--batch 16 --z-dim 32 --w-dim 32 --channel-base 256 --channel-max 32 --num-layers 4 "
    "--margin 2 --augment none --group-size 16 --penalty-weight 2 --penalty-every 1 --lr 3e-3 "
    "--d-lr 3e-3 --ema 0.97 --images 2400"
)
FD, OF_UNTRAINED = "FD", "FD, share of untrained"
SHARE = "digit as asked"


def digits(run: RunSettings) -> ImageDataset:
    return open_dataset(run.data, resolution=run.resolution)


def distance(trial: Trial) -> float:
    """Return the Fréchet distance of 500 samples from 1,000 digits."""
    result = evaluate(
        trial.recipe,
        trial.state.sampler,
        trial.dataset,
        ("fd",),
        features="digits",
        samples=500,
        real=1_000,
    )
    return float(result["measures"]["fd_digits"])


def distances(trial: Trial) -> Figures:
    """Measure the distance before and after training."""
    untrained = distance(trial)
    trial.learn()
    trained = distance(trial)
    return {FD: trained, OF_UNTRAINED: trained / untrained, "untrained FD": untrained}


def obedience(trial: Trial) -> Figures:
    """Measure the distance, and the share of 500 samples with the requested digit."""
    count = 500
    classes = torch.arange(count) % 10
    z = torch.randn(count, 32, generator=torch.Generator().manual_seed(0))
    images, labels = trial.dataset.batch(torch.arange(count) * len(trial.dataset) // count)
    classifier = load_digit_classifier()

    def share() -> float:
        with evaluation(trial.state.sampler) as networks:
            samples = networks["G"](z, classes).clamp(-1, 1)
        return (classifier.logits(samples).argmax(1) == classes).float().mean().item()

    untrained = share()
    figures = distances(trial)
    real = (classifier.logits(to_float(images)).argmax(1) == labels).float().mean().item()
    return figures | {SHARE: share(), "untrained " + SHARE: untrained, "real " + SHARE: real}


def by_distance(
    recipe: str, settings: str, limit: float, share: float = 0.8, *, shared: str = SHARED
) -> Experiment:
    bounds = {FD: most(limit), OF_UNTRAINED: most(share)}
    return Experiment(recipe, f"{shared} {settings}", digits, distances, bounds)


EXPERIMENTS = (
    by_distance(
        "gan",
        "--batch 32 --images 8000 --lr 4e-4 --g-hidden 128 256 --d-hidden 256 128",
        70,
        0.6,
        shared=EIGHT,
    ),
    by_distance("dcgan", f"{CONVOLUTIONS} --images 4768 --lr 6e-4", 250),
    Experiment(
        "cgan",
        f"{SHARED} {CONVOLUTIONS} --images 4768 --lr 6e-4",
        digits,
        obedience,
        {
            FD: most(250),
            OF_UNTRAINED: most(0.8),
            SHARE: least(0.3),
            "untrained " + SHARE: most(0.16),
        },
    ),
    by_distance("wgan", f"{CONVOLUTIONS} --images 3360 --lr 5e-4 --n-critic 2", 230),
    by_distance("wgan-gp", f"{CONVOLUTIONS} --images 3360 --lr 1e-3 --n-critic 2", 230),
    by_distance("lsgan", f"{CONVOLUTIONS} --images 4768 --lr 6e-4", 250),
    by_distance("sngan", f"{RESIDUAL} --images 3200 --z-dim 32 --n-critic 2 --lr 2e-3", 150, 0.75),
    by_distance("sagan", f"{RESIDUAL} --images 1680 --z-dim 32 --lr 1e-3 --d-lr 2e-3", 240),
    by_distance(
        "biggan",
        f"{RESIDUAL} --images 2000 --z-dim 21 --embedding-dim 8 --lr 1e-3 --d-lr 2e-3 "
        "--ema 0.98 --n-critic 1",
        230,
    ),
    by_distance("progan", f"{GROWING} --images 3200", 30, 0.5, shared=EIGHT),
    # Styles need many images, so these are of 8×8 pixels.
    by_distance(
        "stylegan", "--images 4800 --stable-kimg 0.8 --fade-kimg 0.8", 30, 0.5, shared=TINY
    ),
    by_distance(
        "stylegan2",
        "--images 4000 --group-size 16 --penalty-every 1 --path-length-weight 0",
        30,
        0.5,
        shared=TINY,
    ),
    # These only begin to learn here; the zoo trains them until digits can be read.
    by_distance("stylegan3-t", ALIAS_FREE, 260, 0.8),
    by_distance("stylegan3-r", f"{ALIAS_FREE} --blur-sigma 0", 260, 0.8),
    by_distance(
        "lightgan",
        "--batch 16 --images 2400 --z-dim 32 --ngf 4 --ndf 4 --lr 1e-3 --ema 0.98",
        200,
        0.6,
    ),
    by_distance(
        "r3gan",
        "--images 2400 --channel-base 128 --channel-max 32 --z-dim 32 --batch 16 --lr 2e-3 "
        "--ema 0.98 --penalty-weight 1 --blocks 1",
        30,
        0.5,
        shared=EIGHT,
    ),
    by_distance(
        "stylegan2-ada",
        "--images 4000 --conditional --no-mirror --group-size 16 --penalty-every 1 "
        "--path-length-weight 0",
        30,
        0.5,
        shared=TINY,
    ),
)
