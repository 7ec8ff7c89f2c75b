"""Base of recipes with progressive growing: its schedule, and images of the current resolution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

from torch import Tensor, nn

from fastgan.networks import growing
from fastgan.networks.stylegan2 import RESOLUTIONS
from fastgan.recipes.base import Recipe
from fastgan.recipes.errors import one_of
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.noise import NoiseBatch, NoiseToImage
from fastgan.recipes.players import Networks
from fastgan.recipes.stabilizers import DiffAugmentSettings, GeneralSettings


@dataclass(frozen=True, kw_only=True)
class Growing(DiffAugmentSettings, GeneralSettings, NoiseToImage):
    """Progressive growing of G and D together (Karras et al. 2018).

    The growth at a step follows from the number of images shown before it.
    """

    # Resolution of the networks' first level.
    lowest: ClassVar[int] = 4

    batch: int = 16
    z_dim: int = 512
    lr: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.99)
    ema: float = 0.999
    stable_kimg: float = 800.0
    """Thousands of images to train each resolution with, once it has faded in."""
    fade_kimg: float = 800.0
    """Thousands of images over which a new resolution fades in."""
    start_resolution: int | None = None
    """First resolution; None takes the lowest, or the highest that transferred weights know."""
    channel_base: int = 16384
    """Channels times resolution: a layer at resolution r has channel_base / r channels."""
    channel_max: int = 512
    """Most channels of a layer."""
    group_size: int = 16
    """Images per group of minibatch stddev; 1 compares none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_positive("fade_kimg")
        self._require_at_least(0, "stable_kimg")
        self._require_at_least(8, "channel_base")
        self._require_at_least(1, "channel_max", "group_size")
        self._require_whole_groups(self.group_size)

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        self._require_resolution(images, images.resolution in RESOLUTIONS, one_of(RESOLUTIONS))
        self._require(
            "channel_base",
            self.channel_base >= images.resolution,
            f"at least the resolution, {images.resolution}",
        )

        if self.start_resolution is not None:
            possible = [r for r in (4, *RESOLUTIONS) if self.lowest <= r <= images.resolution]
            self._require("start_resolution", self.start_resolution in possible, one_of(possible))

    def settled(self, total_images: int, saved: Recipe | None = None) -> Recipe:
        start = getattr(saved, "start_resolution", None)
        if self.start_resolution is None and start:
            return replace(self, start_resolution=start)
        return self

    def begin_with(
        self, networks: Mapping[str, Mapping[str, Tensor]], images: ImageSpec
    ) -> dict[str, Any]:
        """Start growth at the highest resolution that has faded in in the trained weights."""
        grown = [
            t for key, t in networks.get("G", {}).items() if key.rpartition(".")[2] == "growth"
        ]
        if not grown or self.start_resolution is not None:
            return {}
        return {"start_resolution": min(self.lowest * 2 ** int(grown[0]), images.resolution)}

    def growth(self, nimg: int) -> float:
        """Return the growth after `nimg` images, as if there were no last level.

        A growth of 2.3 blends level 3 in with a weight of 0.3. The level of `start_resolution` is
        trained for `stable_kimg`. Each later level fades in for `fade_kimg`, then is stable for
        `stable_kimg`.
        """
        first = ((self.start_resolution or self.lowest) // self.lowest).bit_length() - 1
        stable, fade = 1000 * self.stable_kimg, 1000 * self.fade_kimg
        if nimg < stable:
            return float(first)
        level, within = divmod(nimg - stable, fade + stable)
        return first + level + min(1.0, within / fade)

    def before_step(
        self, networks: Networks, ema: Networks, nimg: int, batches: Sequence[Any]
    ) -> Sequence[Any]:
        growth = self.growth(nimg)
        for part in growing_parts([*networks.values(), *ema.values()]):
            part.grow(min(growth, len(part.resolutions) - 1))
        d = cast(growing.Growing, networks["D"])
        return [replace(batch, real=d.fade_real(batch.real)) for batch in batches]

    def generate(self, networks: Networks, batch: NoiseBatch) -> Tensor:
        images: Tensor = networks["G"](batch.noise, *self.labels(batch), enlarge=False)
        return images


def growing_parts(networks: Sequence[nn.Module]) -> Iterator[growing.Growing]:
    """Yield the growing modules of networks."""
    return (m for network in networks for m in network.modules() if isinstance(m, growing.Growing))


def at_lowest_resolution(network: nn.Module) -> nn.Module:
    """Set a network to its lowest resolution and return it."""
    for part in growing_parts([network]):
        part.grow(0)
    return network
