"""`stargan`: one generator for all attributes (Choi, Choi, Kim, Ha, Kim, Choo 2018).

A step is `n_critic` updates of D, then one of G, on images x with attributes c' and target
attributes c:

- D descends E[D(G(x, c))] - E[D(x)] + λ_gp·E[(‖∇D(x̂)‖ - 1)²] (eq. 8) + λ_cls·L_cls(x, c') (eq. 2),
  which is eq. 5.
- G descends -E[D(G(x, c))] + λ_cls·L_cls(G(x, c), c) (eq. 3) + λ_rec·E[‖x - G(G(x, c), c')‖₁]
  (eq. 4), which is eq. 6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import torch.nn.functional as F
from torch import Generator, Tensor, nn

from fastgan.data import Task
from fastgan.losses.adversarial import Adversarial
from fastgan.networks import DiscriminatorOutput
from fastgan.networks.translation.stargan import StarGANDiscriminator, StarGANGenerator
from fastgan.recipes.adversarial import Output
from fastgan.recipes.attributes import Attributes
from fastgan.recipes.direct import DirectTranslation, TranslationBatch
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.patches import patch_logits
from fastgan.recipes.players import ABSENT, Batch, Loss, Networks, Player
from fastgan.recipes.presets import Preset
from fastgan.recipes.signature import Port, Signature, Sizes, called_by
from fastgan.recipes.stabilizers import ImageSettings, Penalty
from fastgan.recipes.translation import plane


@dataclass(frozen=True)
class StarGANBatch(TranslationBatch):
    """Batch of images with attributes to give them.

    Attributes:
        target_attributes: 0 or 1, float32 `[N, A]`.
    """

    target_attributes: Tensor = ABSENT


@dataclass(frozen=True, kw_only=True)
class StarGAN(ImageSettings, DirectTranslation):
    """Choi 2018: G edits attributes, D classifies them; WGAN-GP, reconstruction, five updates of D.

    In training, the target attributes of an image are those of the image before it in its batch.
    """

    batch_type: ClassVar[type[Batch]] = StarGANBatch
    name: ClassVar[str] = "stargan"
    summary: ClassVar[str] = "Choi 2018: between all attributes with one generator"
    task: ClassVar[Task | None] = "attributes"
    directions: ClassVar[Mapping[str, str]] = {"": "image"}
    min_size: ClassVar[int] = 8
    exchanged: ClassVar[str] = "attributes"

    batch: int = 16
    lr: float = 1e-4
    ngf: int = 64
    """Channels of G's first layer; four times as many in its residual blocks."""
    ndf: int = 64
    """Channels of D's first layer; each later layer has twice as many."""
    blocks: int = 6
    """Residual blocks of G."""
    skip: bool = False
    """No norm after G's first layer, and a skip from it to the last; not in the paper."""
    loss: Adversarial = "wasserstein"
    n_critic: int = 5
    penalty: Penalty = "wgan-gp"
    class_weight: float = 1.0
    """Weight of the attributes' cross-entropy in both losses."""
    reconstruction_weight: float = 10.0
    """Weight of the L1 distance between an image and its reconstruction."""
    identity_weight: float = 0.0
    """Weight of the L1 distance between an image and G's output with its own attributes."""

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        settings = {
            "batch": 16,
            "ngf": 16,
            "ndf": 16,
            "blocks": 0,
            "skip": True,
            "lr": 2e-3,
            "n_critic": 2,
            "penalty_weight": 1.0,
            "identity_weight": 10.0,
            "ema": 0.97,
        }
        return Preset(19_200, settings)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "ngf", "ndf")
        self._require_at_least(0, "blocks")
        self._require_at_least(0, "class_weight", "reconstruction_weight", "identity_weight")

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        self._require_resolution(
            images,
            images.resolution >= 8 and not images.resolution & (images.resolution - 1),
            "a power of 2 and at least 8",
        )

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        spec, channels = images.inputs["attributes"], images.channels
        c_dim = len(spec.names)
        return {
            "G": StarGANGenerator(
                channels, c_dim=c_dim, ngf=self.ngf, blocks=self.blocks, skip=self.skip
            ),
            "D": self.stabilized(
                StarGANDiscriminator(images.resolution, channels, c_dim=c_dim, ndf=self.ndf)
            ),
            "attributes": Attributes(spec),
            **self.extras(images),
        }

    def players(self) -> tuple[Player, ...]:
        return self.d_player(), self.g_player()

    @property
    def d_makes_fakes(self) -> bool:
        """True, since D moves first."""
        return True

    def before_step(
        self, networks: Networks, ema: Networks, nimg: int, batches: Sequence[StarGANBatch]
    ) -> Sequence[StarGANBatch]:
        """Return the batches with target attributes, shuffled like the images."""
        return [
            replace(batch, target_attributes=_others(batch.inputs["attributes"]))
            for batch in batches
        ]

    def generate(self, networks: Networks, batch: StarGANBatch) -> Tensor:
        images: Tensor = networks["G"](batch.real, batch.target_attributes)
        return images

    def d_loss(self, networks: Networks, batch: StarGANBatch) -> Loss:
        """Return the Wasserstein loss of D, and its attribute loss on real images (eq. 2 and 5).

        The penalty (eq. 8) is a regulariser.
        """
        real = self.output(networks, batch, batch.real, "real")
        fake = self.output(networks, batch, batch.fakes, "fake")
        loss = self.against_g(networks, real, fake, batch.draws)
        attributes = networks["attributes"](
            class_logits_of(real).float(), batch.inputs["attributes"]
        )
        total = loss.total + self.class_weight * attributes
        return Loss(total, {**loss.stats, "attributes/D": attributes})

    def g_loss(self, networks: Networks, batch: StarGANBatch) -> Loss:
        """Return G's adversarial, attribute and reconstruction losses (eq. 3, 4 and 6).

        The reconstruction restores an image's own attributes.
        """
        target = batch.target_attributes
        fakes = self.generate(networks, batch)
        against = self.fakes_against_d(networks, batch, fakes)
        back = networks["G"](fakes, batch.inputs["attributes"])
        stats = {
            "adversarial/G": against.loss,
            "attributes/G": networks["attributes"](class_logits_of(against.output).float(), target),
            "reconstruction/G": F.l1_loss(back.float(), batch.real),
        }
        total = (
            stats["adversarial/G"]
            + self.class_weight * stats["attributes/G"]
            + self.reconstruction_weight * stats["reconstruction/G"]
        )
        if self.identity_weight:
            same = networks["G"](batch.real, batch.inputs["attributes"])
            stats["identity/G"] = F.l1_loss(same.float(), batch.real)
            total = total + self.identity_weight * stats["identity/G"]
        return self.matched(networks, batch, fakes, Loss(total, stats))

    def source(self, rows: Batch) -> Mapping[str, Tensor]:
        return {"image": rows.real, "attributes": _others(rows.inputs["attributes"])}

    def translate(
        self, networks: Networks, inputs: Mapping[str, Tensor], *, generator: Generator
    ) -> Tensor:
        """Return images with other attributes.

        Args:
            inputs: `image`, and `attributes` to give, which `wanted` makes from names.

        Raises:
            RecipeError: there are no attributes.
        """
        if "attributes" not in inputs:
            raise RecipeError(
                f"{self.name} needs the attributes to give to images, got none: give translate "
                '"attributes" '
                "beside \"image\", such as wanted(networks, images, ['striped'])."
            )
        images: Tensor = networks["G"](inputs["image"], inputs["attributes"])
        return images

    def complete_inputs(
        self, networks: Networks, inputs: Mapping[str, Tensor], attributes: Sequence[str]
    ) -> Mapping[str, Tensor]:
        if not attributes:
            known = ", ".join(cast(Attributes, networks["attributes"]).names)
            raise RecipeError(
                "`attributes` must name attributes to give to the pictures, got none: choose "
                f"from {known}."
            )
        return {**inputs, "attributes": self.wanted(networks, inputs["image"], attributes)}

    def wanted(self, networks: Networks, images: Tensor, names: Sequence[str]) -> Tensor:
        """Return target attributes `[N, A]`: those that D recognises, changed as the names say.

        Args:
            images: images `[N, C, H, W]` of any size.
            names: attributes to set, as in `Attributes.set`.

        Raises:
            RecipeError: the names don't fit, see `Attributes.set`.
        """
        discriminator = cast(StarGANDiscriminator, networks["D"])
        attributes = cast(Attributes, networks["attributes"])
        size = (discriminator.resolution, discriminator.resolution)
        if images.shape[2:] != size:
            images = F.interpolate(images, size=size, mode="bilinear", antialias=True)
        own = attributes.likeliest(class_logits_of(discriminator(images)))
        return attributes.set(own, names)

    def signatures(self, networks: Networks, images: ImageSpec) -> dict[str, Signature]:
        spec, channels = images.inputs["attributes"], images.channels
        target = Port(
            "attributes",
            (len(spec.names),),
            "attributes to give, 1 for yes",
            "flags",
            spec.names,
            spec.groups,
        )
        class_logits = Port(
            "attributes",
            (len(spec.names),),
            "a logit for each attribute",
            "real",
            spec.names,
            spec.groups,
        )
        image = plane("image", channels, "image to translate")
        either = Port("image", images.shape, "real or translated image", "image")
        output = plane("output", channels, "the image with these attributes")
        sizes = Sizes(self.size_divisor(networks), self.min_size)
        return {
            "G": Signature("G", (image, target), (output,), sizes),
            "D": Signature(
                "D",
                (either,),
                (patch_logits(), class_logits),
                wrap=called_by(patches_and_attributes),
            ),
        }

    def size_divisor(self, networks: Networks) -> int:
        return 4

    def views(self, networks: Networks, rows: Batch, output: Tensor) -> dict[str, Tensor]:
        """Return the images, then their translations with each attribute in turn.

        The attribute replaces the others of its group; a single attribute is flipped.
        """
        attributes = cast(Attributes, networks["attributes"])
        views = {"input": rows.real}
        for place, name in enumerate(attributes.names):
            target = attributes.changed(rows.inputs["attributes"], place)
            views[f"{name} changed" if place in attributes.free else name] = networks["G"](
                rows.real, target
            )
        return views


def class_logits_of(output: Output) -> Tensor:
    """Return the logits of attributes ``[N, A]`` of StarGAN's discriminator."""
    assert isinstance(output, DiscriminatorOutput) and output.class_logits is not None
    return output.class_logits


def patches_and_attributes(network: nn.Module, image: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits of patches and of attributes, as exported files give them."""
    output = network(image)
    return output.logits[0], class_logits_of(output)


def _others(attributes: Tensor) -> Tensor:
    """Return the rows shifted by one: each row becomes the one before it."""
    return attributes.roll(1, 0)
