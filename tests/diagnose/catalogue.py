"""Runs that the thresholds of a diagnosis were set on: healthy ones, and ones broken on purpose."""

from __future__ import annotations

from dataclasses import dataclass

SEEDS = (0, 1, 2)
"""Seeds of the runs that the thresholds were set on."""
HELD_OUT = 3
"""Seed of the runs that the thresholds are only tested on."""

_GAN = (
    "gan --data digits --resolution 8 --batch 32 --z-dim 32 --g-hidden 64 128 --d-hidden 128 64 "
    "--lr 4e-4"
)
_CRITIC = f"{_GAN} --loss wasserstein --penalty wgan-gp --dropout 0"
_SHAPES = "--data shapes --resolution 16"
_COLORIZE = (
    f"colorize {_SHAPES} --batch 16 --ngf 16 --ndf 8 --patch 16 --norm batch --dropout 0 "
    "--ema 0.9 --decay-after 2000 --total-images 4000"
)
_CYCLEGAN = (
    f"cyclegan {_SHAPES} --batch 8 --ngf 8 --ndf 8 --patch 16 --blocks 0 --identity-weight 2 "
    "--ema 0.95 --total-images 1600"
)
_STARGAN = (
    f"stargan {_SHAPES} --batch 16 --ngf 16 --ndf 16 --blocks 0 --skip --n-critic 2 "
    "--penalty-weight 1 --identity-weight 10 --ema 0.97 --total-images 3200"
)
_GAUGAN = (
    f"gaugan {_SHAPES} --batch 16 --ngf 6 --ndf 8 --hidden 12 --patch 16 --scales 1 --d-lr 2e-3 "
    "--ema 0.9 --total-images 2400"
)
_TEXT = (
    f"text2image {_SHAPES} --encoder mean --batch 32 --z-dim 16 --text-dim 64 --ngf 8 --ndf 16 "
    "--d-lr 1e-3 --ema 0.97 --total-images 8000"
)


@dataclass(frozen=True)
class Trial:
    """Settings of runs that only differ by their seed.

    Attributes:
        name: name of the row, which says how the run was broken.
        options: recipe and options of `fastgan train`, without `--seed`.
        shows: failures that every run shows; none for healthy runs.
    """

    name: str
    options: str
    shows: tuple[str, ...] = ()


TRIALS: tuple[Trial, ...] = (
    Trial("gan", f"{_GAN} --total-images 16000"),
    Trial("gan, hinge", f"{_GAN} --loss hinge --total-images 16000"),
    Trial("gan, least squares", f"{_GAN} --loss least-squares --total-images 16000"),
    Trial("gan, relativistic", f"{_GAN} --loss relativistic --total-images 16000"),
    Trial("gan, WGAN-GP's loss", f"{_CRITIC} --n-critic 2 --total-images 24000"),
    Trial(
        "gan, D's rate ×10, no dropout",
        f"{_GAN} --d-lr 4e-3 --dropout 0 --total-images 4000",
        ("D too strong",),
    ),
    Trial(
        "gan, minimax, D's rate 1e-2, four updates of D",
        f"{_GAN} --loss minimax --d-lr 1e-2 --n-critic 4 --dropout 0 --total-images 16000",
        ("D too strong", "vanishing gradients"),
    ),
    Trial(
        "gan, D's rate ÷10",
        f"{_GAN} --d-lr 4e-5 --total-images 12000",
        ("G too strong",),
    ),
    Trial(
        "gan, no batch norm",
        f"{_GAN} --no-batch-norm --total-images 12000",
        ("mode collapse",),
    ),
    Trial(
        "gan, minimax, D's rate ×10, no batch norm",
        f"{_GAN} --loss minimax --d-lr 4e-3 --no-batch-norm --total-images 8000",
        ("mode collapse",),
    ),
    Trial(
        "gan, G of width 4",
        f"{_GAN} --g-hidden 4 --total-images 16000",
        ("poor quality",),
    ),
    Trial(
        "gan, 3,000 images",
        f"{_GAN} --total-images 3000",
        ("poor quality",),
    ),
    Trial(
        "gan, least squares, D's rate ×10, G's ×50, ReLU, no batch norm",
        f"{_GAN} --loss least-squares --lr 2e-2 --d-lr 4e-3 --g-act relu --no-batch-norm "
        "--dropout 0 --total-images 8000",
        ("vanishing gradients",),
    ),
    Trial(
        "gan, Wasserstein loss without a bound, rates ×25",
        f"{_GAN} --loss wasserstein --lr 1e-2 --dropout 0 --total-images 8000",
        ("oscillation",),
    ),
    Trial(
        "gan, WGAN-GP's loss, G's rate ×10, D's ÷10",
        f"{_CRITIC} --lr 4e-3 --d-lr 4e-5 --total-images 12000",
        ("G too strong",),
    ),
    Trial(
        "gan, Wasserstein loss without a bound, D's rate ×10, four updates of D",
        f"{_GAN} --loss wasserstein --dropout 0 --d-lr 4e-3 --n-critic 4 --total-images 12000",
        ("mode collapse",),
    ),
    Trial("colorize", f"{_COLORIZE} --lr 4e-3"),
    Trial("colorize, no L1", f"{_COLORIZE} --lr 4e-3 --l1-weight 0", ("poor quality",)),
    Trial("colorize, rates ×25, no norm", f"{_COLORIZE} --lr 0.1 --norm none", ("mode collapse",)),
    Trial("cyclegan", f"{_CYCLEGAN} --lr 2e-3"),
    Trial("cyclegan, rates ×100", f"{_CYCLEGAN} --lr 0.2", ("mode collapse", "oscillation")),
    Trial("stargan", f"{_STARGAN} --lr 2e-3"),
    Trial("stargan, rates ×150", f"{_STARGAN} --lr 0.3", ("mode collapse",)),
    Trial("gaugan", f"{_GAUGAN} --lr 4e-3"),
    Trial(
        "gaugan, G's rate 1, no feature matching",
        f"{_GAUGAN} --lr 1 --feature-matching 0",
        ("mode collapse",),
    ),
    Trial("text2image", f"{_TEXT} --lr 1e-3"),
    Trial("text2image, G's rate ×300", f"{_TEXT} --lr 0.3", ("mode collapse",)),
)
