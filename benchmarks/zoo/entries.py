"""Settings of each recipe in the zoo, with networks small enough for a CPU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from fastgan.cli.train import parse_run
from fastgan.recipes import Recipe

DIGITS = "--data mnist5k --resolution 32"
SMALL_DIGITS = "--data mnist5k --resolution 16"
SHAPES = "--data shapes --resolution 32"
SMALL_SHAPES = "--data shapes --resolution 16"
IMAGES = 30_000
"""Real digits per run. A recipe with several updates of D per step has fewer of G."""


@dataclass(frozen=True)
class Entry:
    """One row of the zoo.

    Args:
        options: options of `fastgan train` besides those of the data.
        images: the budget, if it differs.
    """

    name: str
    paper: str
    options: str = ""
    images: int = IMAGES
    why: str = ""
    data: str = DIGITS

    @property
    def arguments(self) -> list[str]:
        # Outcomes don't depend on the CPU's precisions.
        return (
            f"{self.data} --total-images {self.images} --preset paper --precision fp32 "
            f"{self.options}"
        ).split()

    @property
    def command(self) -> str:
        return " ".join(["fastgan train", self.name, *self.arguments])

    @cached_property
    def recipe(self) -> Recipe:
        """Return the recipe of the command line."""
        return parse_run(self.name, self.arguments)[0]


_DCGAN = "--ngf 32 --ndf 32 --batch 32"
_RESIDUAL = "--ngf 8 --ndf 16 --batch 32"
_NARROW = "--channel-base 512 --channel-max 64 --z-dim 64 --batch 16"
_GROWING = f"{_NARROW} --stable-kimg 2 --fade-kimg 4"
_MAPPED = "--w-dim 64 --mapping-layers 2"
_STYLES = f"{_NARROW} --conditional {_MAPPED} --penalty-weight 1"
_ALIAS_FREE = (
    f"{_NARROW} --w-dim 64 --num-layers 6 --margin 4 --augment none --group-size 16 "
    "--penalty-weight 2 --penalty-every 1 --lr 3e-3 --d-lr 3e-3"
)
_SLOW = "Alias-free layers are slow on a CPU, so these digits are of 16×16 pixels."

_OF_NOISE = (
    Entry("gan", "Goodfellow et al. 2014", "--lr 4e-4 --batch 32"),
    Entry("dcgan", "Radford et al. 2016", f"{_DCGAN} --lr 4e-4 --ema 0.995"),
    Entry("cgan", "Mirza and Osindero 2014", f"{_DCGAN} --lr 4e-4 --ema 0.995"),
    Entry("wgan", "Arjovsky et al. 2017", f"{_DCGAN} --lr 2e-4 --n-critic 3"),
    Entry(
        "wgan-gp",
        "Gulrajani et al. 2017",
        "--ngf 32 --ndf 32 --batch 16 --lr 1e-3 --n-critic 2 --ema 0.99",
    ),
    Entry("lsgan", "Mao et al. 2017", f"{_DCGAN} --lr 6e-4 --d-lr 2e-4 --ema 0.99"),
    Entry("sngan", "Miyato et al. 2018", f"{_RESIDUAL} --z-dim 64 --lr 5e-4 --n-critic 2"),
    Entry("sagan", "Zhang et al. 2019", f"{_RESIDUAL} --z-dim 64 --lr 5e-4 --d-lr 1e-3"),
    Entry(
        "biggan",
        "Brock et al. 2019",
        f"{_RESIDUAL} --z-dim 64 --embedding-dim 32 --lr 5e-4 --d-lr 1e-3 --ema 0.99",
    ),
    Entry("progan", "Karras et al. 2018", f"{_GROWING} --lr 2e-3 --ema 0.99"),
    Entry(
        "stylegan",
        "Karras et al. 2019",
        f"{_GROWING} --lr 1e-3 --ema 0.99 {_MAPPED} --penalty-weight 10",
    ),
    Entry("stylegan2", "Karras et al. 2020", _STYLES),
    Entry("stylegan2-ada", "Karras et al. 2020b", f"{_STYLES} --no-mirror --ada-kimg 50"),
    Entry("stylegan3-t", "Karras et al. 2021", _ALIAS_FREE, 90_000, _SLOW, SMALL_DIGITS),
    Entry(
        "stylegan3-r",
        "Karras et al. 2021",
        f"{_ALIAS_FREE} --blur-sigma 0",
        100_000,
        _SLOW,
        SMALL_DIGITS,
    ),
    Entry(
        "r3gan",
        "Huang et al. 2024",
        "--channel-base 768 --channel-max 48 --blocks 1 --z-dim 32 --batch 16 --lr 2e-3 "
        "--penalty-weight 1 "
        "--burn-in-kimg 30 --ema-kimg 1",
    ),
    Entry(
        "lightgan",
        "Liu et al. 2021",
        "--ngf 8 --ndf 8 --z-dim 64 --batch 16 --lr 5e-4 --ema 0.995",
    ),
)


def _of_images(name: str, paper: str, options: str, images: int, *, data: str = SHAPES) -> Entry:
    """Return a row on rendered shapes, which have all kinds of pairs; for about two minutes."""
    return Entry(name, paper, options, images, data=data)


_PAIRED = "--batch 16 --ngf 16 --ndf 8 --patch 16 --dropout 0 --lr 4e-3 --decay-after 8000"

_OF_IMAGES = (
    _of_images("pix2pix", "Isola et al. 2017", f"{_PAIRED} --norm batch --ema 0.9", 16_000),
    _of_images(
        "cyclegan",
        "Zhu et al. 2017",
        "--batch 8 --ngf 10 --ndf 16 --patch 16 --blocks 0 --lr 3e-3 --identity-weight 4 "
        "--ema 0.95 --decay-after 2000",
        4_000,
    ),
    _of_images(
        "unit",
        "Liu et al. 2017",
        "--batch 8 --ngf 8 --ndf 16 --patch 16 --blocks 0 --norm batch --lr 3e-3 --ema 0.97",
        1_600,
    ),
    _of_images(
        "stargan",
        "Choi et al. 2018",
        "--batch 16 --ngf 16 --ndf 16 --blocks 0 --skip --lr 2e-3 --n-critic 2 --penalty-weight 1 "
        "--identity-weight 10 --ema 0.97",
        19_200,
        data=SMALL_SHAPES,
    ),
    _of_images(
        "gaugan",
        "Park et al. 2019",
        "--batch 16 --ngf 6 --ndf 8 --hidden 12 --patch 16 --scales 1 --lr 4e-3 --d-lr 2e-3 "
        "--ema 0.9",
        8_000,
    ),
    _of_images(
        "srgan",
        "Ledig et al. 2017",
        "--batch 16 --scale 2 --ngf 24 --blocks 3 --residual --ndf 8 --lr 3e-3 --pretrain 9600",
        12_800,
    ),
    _of_images("colorize", "Isola et al. 2017", _PAIRED, 16_000),
    _of_images(
        "inpaint",
        "Pathak et al. 2016",
        "--batch 32 --ngf 12 --ndf 8 --patch 16 --norm batch --lr 6e-3 --ema 0.95 "
        "--decay-after 12000",
        24_000,
    ),
    _of_images(
        "text2image",
        "Reed et al. 2016",
        "--batch 32 --ngf 8 --ndf 16 --text-dim 64 --z-dim 16 --encoder mean --lr 1e-3 "
        "--d-lr 1e-3 --ema 0.97",
        32_000,
    ),
)

ENTRIES: tuple[Entry, ...] = (*_OF_NOISE, *_OF_IMAGES)
