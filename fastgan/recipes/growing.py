"""What recipes that grow share: the schedule, and images of the current resolution on both sides (Karras et al. 2018)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

from torch import Tensor, nn

from fastgan.networks import growing
from fastgan.networks.stylegan2 import RESOLUTIONS
from fastgan.recipes.base import Recipe
from fastgan.recipes.errors import RecipeError, one_of
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.noise import NoiseBatch, NoiseToImage
from fastgan.recipes.players import Networks


@dataclass(frozen=True, kw_only=True)
class Growing(NoiseToImage):
    """G and D grow together; what they are at a step follows from the images shown before it."""

    lowest: ClassVar[int] = 4  # resolution of the networks' first level

    batch: int = 16
    z_dim: int = 512
    lr: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.99)
    ema: float = 0.999
    stable_kimg: float = 800.0
    """Thousands of images to show at a resolution once it is there."""
    fade_kimg: float = 800.0
    """Thousands of images in which a new resolution fades in."""
    start_resolution: int | None = None
    """Resolution that growth begins at; None takes the lowest, or with --from the highest that was trained."""
    channel_base: int = 16384
    """Feature maps at resolution r: this by r."""
    channel_max: int = 512
    """Feature maps at most."""
    group_size: int = 16
    """Images that minibatch stddev compares; 1 for none to compare."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_positive("fade_kimg")
        self._require_at_least(0, "stable_kimg")
        self._require_at_least(8, "channel_base")
        self._require_at_least(1, "channel_max", "group_size")
        piece, group = self.batch // self.accumulate, self.group_size
        self._require(
            "batch", piece <= group or piece % group == 0,
            f"such that the images computed at once are a multiple of --group-size, {group}, or fewer",
        )  # fmt: skip
        if self.augment == "ada":
            raise RecipeError(
                f"{self.name} shows D images of a resolution that grows, but --augment ada is made for one: use "
                "--augment diffaugment."
            )
        if self.spectral_norm:
            raise RecipeError(
                f"{self.name} scales the weights of its layers itself, but --spectral-norm came: leave it out."
            )
        for setting in ("replay", "unroll"):
            if getattr(self, setting):
                raise RecipeError(
                    f"{self.name} grows, but --{setting} is for images and networks that don't: leave it out."
                )

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        self._require_resolution(images, images.resolution in RESOLUTIONS, one_of(RESOLUTIONS))
        if self.channel_base < images.resolution:
            raise RecipeError(
                f"--channel-base must be at least the resolution, {images.resolution}, but {self.channel_base} came."
            )

        if self.start_resolution is not None:
            possible = [r for r in (4, *RESOLUTIONS) if self.lowest <= r <= images.resolution]
            self._require("start_resolution", self.start_resolution in possible, one_of(possible))

    def settled(self, total_images: int, saved: Recipe | None = None) -> Recipe:
        begun = getattr(saved, "start_resolution", None)
        return (
            replace(self, start_resolution=begun)
            if self.start_resolution is None and begun
            else self
        )

    def begin_with(
        self, networks: Mapping[str, Mapping[str, Tensor]], images: ImageSpec
    ) -> dict[str, Any]:
        """Growth goes on where that of the trained weights is: at the highest resolution that has faded in."""
        grown = [
            t for key, t in networks.get("G", {}).items() if key.rpartition(".")[2] == "growth"
        ]
        if not grown or self.start_resolution is not None:
            return {}
        return {"start_resolution": min(self.lowest * 2 ** int(grown[0]), images.resolution)}

    def growth(self, nimg: int) -> float:
        """How far networks have grown after `nimg` images, were there no highest level: 2.3 fades level 3 in.

        The first level, that of `start_resolution`, is shown `stable_kimg`; each one above fades in and is stable then.
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
    """What grows in networks."""
    return (m for network in networks for m in network.modules() if isinstance(m, growing.Growing))


def newborn(network: nn.Module) -> nn.Module:
    """The network at its lowest resolution."""
    for part in growing_parts([network]):
        part.grow(0)
    return network
