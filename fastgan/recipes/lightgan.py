"""`lightgan`: light networks for few images, in hours (Liu, Zhu, Song, Elgammal 2021).

A step is one update of each player, with z ~ N(0, I) and T(x) an image x as D sees it, augmented:

- D descends E[max(0, 1 - D(T(x)))] + E[max(0, 1 + D(T(G(z))))] + E‖decoder(f) - T(x)‖ (eq. 2, 3).
  The last term is the reconstruction of real images from D's features f.
- G descends -E[D(T(G(z)))] (eq. 4).

Two decoders draw the whole image of D's features at 8×8, and a random part of it of those at 16×16
(section 3.2). `fastgan.recipes.noise` takes the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan.data import ImageDataset
from fastgan.metrics import PerceptualDistance
from fastgan.networks.lightgan import (
    PART,
    RESOLUTIONS,
    LightDecoders,
    LightDiscriminator,
    LightGenerator,
)
from fastgan.networks.projected import FrozenFeatures, ProjectedDiscriminator
from fastgan.recipes.errors import RecipeError, one_of
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.noise import Adversarial, Augmentation, NoiseBatch, NoiseToImage
from fastgan.recipes.noise_signature import generator_signature
from fastgan.recipes.patches import patch_logits
from fastgan.recipes.players import ABSENT, Batch, DrawRequest, Loss, Networks, Player
from fastgan.recipes.presets import Preset
from fastgan.recipes.signature import Port, Signature, called_by
from fastgan.recipes.stabilizers import FixedSizeSettings

Reconstruction = Literal["perceptual", "l1"]


@dataclass(frozen=True)
class LightBatch(NoiseBatch):
    """Batch with places of the parts that D's features are decoded to.

    Attributes:
        places: first row and column among D's features at 16×16, int64 `[N, 2]` from 0 to 8.
    """

    places: Tensor = ABSENT


@dataclass(frozen=True, kw_only=True)
class LightGAN(FixedSizeSettings, NoiseToImage):
    """Liu 2021: skip-layer excitation in G, and a D that learns to draw what it sees.

    It is for a folder of pictures, some hundreds of them, and an hour.
    """

    name: ClassVar[str] = "lightgan"
    summary: ClassVar[str] = "Liu 2021: light networks and a self-supervised D, for few images"
    batch_type: ClassVar[type[Batch]] = LightBatch

    batch: int = 8
    z_dim: int = 256
    lr: float = 2e-4
    ema: float = 0.999
    loss: Adversarial = "hinge"
    augment: Augmentation = "diffaugment"
    spectral_norm: bool = True
    ngf: int = 64
    """Channels of G at 64×64; twice as many at half the resolution, up to 16 times."""
    ndf: int = 64
    """Channels of D at 64×64; twice as many at half the resolution, up to 16 times."""
    projected: bool = False
    """Let D judge frozen features of MobileNetV2, at four scales, in place of pixels."""
    projected_weights: str | None = None
    """File of torchvision's MobileNetV2 weights for them; None takes those of the installed
    package."""
    reconstruction: Reconstruction = "perceptual"
    """Distance of what D's decoders draw from the image: a perceptual one, or that of pixels."""
    reconstruction_weight: float = 1.0
    """Weight of that distance in D's loss; 0 for no decoders."""

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        return Preset(40_000, {"ngf": 16, "ndf": 16, "z_dim": 64, "batch": 8, "ema": 0.998})

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "ngf", "ndf")
        self._require_at_least(0, "reconstruction_weight")
        if self.projected_weights is not None and not self.projected:
            raise RecipeError("`projected_weights` needs `projected`: add it, or leave this out.")
        self._require("conditional", not self.conditional, "off: the networks know no classes")

    @property
    def has_batch_norm(self) -> bool:
        return True

    @property
    def reconstructs(self) -> bool:
        """True if D has decoders."""
        return self.reconstruction_weight > 0 and not self.projected

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        self._require_resolution(images, images.resolution in RESOLUTIONS, one_of(RESOLUTIONS))

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        size = (images.resolution, images.channels)
        networks: dict[str, nn.Module] = {
            "G": LightGenerator(*size, z_dim=self.z_dim, ngf=self.ngf),
            "D": self.discriminator(images),
        }
        if self.reconstructs:
            networks["decoders"] = LightDecoders(*size, ndf=self.ndf)
        if self.reconstructs and self.reconstruction == "perceptual":
            networks["content"] = PerceptualDistance()
        return {**networks, **self.extras(images)}

    def discriminator(self, images: ImageSpec) -> nn.Module:
        """Return D for images of this shape."""
        size = (images.resolution, images.channels)
        if not self.projected:
            return self.stabilized(LightDiscriminator(*size, ndf=self.ndf))
        features = self.features()
        larger = 256 if images.resolution > 128 else 128
        discriminator = ProjectedDiscriminator(*size, features, ndf=self.ndf, size=larger)
        self.stabilized(discriminator.heads)
        return discriminator

    def features(self) -> FrozenFeatures:
        """Return the frozen features, whose weights are loaded when they are needed."""
        # Imported here, since other runs need no torchvision.
        from fastgan.metrics.features import STAGES, mobilenet_v2_stages

        weights = None if self.projected_weights is None else Path(self.projected_weights)
        return FrozenFeatures(partial(mobilenet_v2_stages, weights), *zip(*STAGES.values()))

    def check_data(self, dataset: ImageDataset) -> None:
        super().check_data(dataset)
        if self.projected:
            # A missing file shall be found before the run has a folder.
            self.features().load()

    def before_step(
        self, networks: Networks, ema: Networks, nimg: int, batches: Sequence[Any]
    ) -> Sequence[Any]:
        if self.projected:
            try:
                cast(Any, networks["D"]).features.load()
            except ValueError as error:
                raise RecipeError(f"{self.name}: {error}.") from error
        return super().before_step(networks, ema, nimg, batches)

    def d_player(self, *, start: int = 0) -> Player:
        """Return the player D, which trains its decoders too."""
        player = super().d_player(start=start)
        return replace(player, networks=("D", "decoders")) if self.reconstructs else player

    def draw_for_d(self, request: DrawRequest) -> dict[str, Any]:
        """Draw for D's phase: noise, the stabilisers' rows, and places of parts."""
        drawn = super().draw_for_d(request)
        if self.reconstructs:
            size = (request.count, 2)
            drawn["places"] = torch.randint(PART + 1, size, generator=request.generator)
        return drawn

    def d_loss(self, networks: Networks, batch: LightBatch) -> Loss:  # type: ignore[override]
        """Return D's adversarial loss, and that of what it draws of real images."""
        seen = self.d_inputs(networks, batch.real, batch.draws, "real")
        real = networks["D"](seen)
        fake = self.output(networks, batch, batch.fakes, "fake")
        loss = self.against_g(networks, real, fake, batch.draws)
        if not self.reconstructs:
            return loss
        middle, small = real.features[0]
        pairs = networks["decoders"](middle, small, seen, batch.places)
        distance = sum((self.distance(networks, *pair) for pair in pairs), seen.new_zeros(()))
        total = loss.total + self.reconstruction_weight * distance
        return Loss(total, {**loss.stats, "reconstruction/D": distance})

    def distance(self, networks: Networks, drawn: Tensor, image: Tensor) -> Tensor:
        """Return the mean distance of drawn images from those that D saw."""
        drawn, image = drawn.float(), image.float()
        if self.reconstruction == "l1":
            return F.l1_loss(drawn, image)
        distance: Tensor = networks["content"](drawn, image).mean()
        return distance

    def signatures(self, networks: Networks, images: ImageSpec) -> dict[str, Signature]:
        image = Port("images", images.shape, "real or generated images", "image")
        scales = len(cast(Any, networks["D"]).features.widths) if self.projected else 1
        names = [f"logits_{i}" for i in range(scales)] if scales > 1 else ["logits"]
        return {
            "G": generator_signature(networks["G"], images.shape),
            "D": Signature(
                "D", (image,), tuple(map(patch_logits, names)),
                wrap=_judging,
            ),
        }  # fmt: skip


def _judging(network: nn.Module) -> nn.Module:
    """Return the module that a file of D is made of."""
    if isinstance(network, ProjectedDiscriminator):
        # Nothing can be loaded while a network is traced.
        network.features.load()
    return called_by(_logits)(network)


def _logits(network: nn.Module, images: Tensor) -> Tensor | tuple[Tensor, ...]:
    """Return the logits of a network, a tensor for each scale."""
    logits: tuple[Tensor, ...] = network(images).logits
    return logits[0] if len(logits) == 1 else logits
