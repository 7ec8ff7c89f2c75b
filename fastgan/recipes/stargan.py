"""`stargan`: one generator for all attributes (Choi, Choi, Kim, Ha, Kim, Choo 2018)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from fastgan.data import InputSpec, Task
from fastgan.losses.adversarial import wasserstein_d_loss, wasserstein_g_loss
from fastgan.losses.penalties import wgan_gp
from fastgan.networks import DiscriminatorOutput
from fastgan.networks.translation.stargan import StarGANDiscriminator, StarGANGenerator
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.patches import patch_logits
from fastgan.recipes.players import ABSENT, Batch, DrawRequest, Loss, Networks, Player, Regularizer
from fastgan.recipes.signature import Port, Signature, Sizes, called_by
from fastgan.recipes.translation import Translation, TranslationBatch, plane


class Attributes(nn.Module):
    """What attributes there are, without weights: what D's logits of them are worth, and which can be asked for.

    Args:
        spec: their names and groups, of which an image has exactly one each.
    """

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.names, self.groups = spec.names, spec.groups
        grouped = {place for group in self.groups for place in group}
        self.free = tuple(place for place in range(len(self.names)) if place not in grouped)

    def forward(self, logits: Tensor, attributes: Tensor) -> Tensor:
        """Cross-entropy of logits `[N, A]` in nats, the sum over groups and single attributes, the mean over images.

        attributes: 0 or 1 `[N, A]`, what the logits should say.
        """
        total = logits.new_zeros(())
        for group in self.groups:
            members = list(group)
            total = total + F.cross_entropy(logits[:, members], attributes[:, members])
        for place in self.free:
            total = total + F.binary_cross_entropy_with_logits(
                logits[:, place], attributes[:, place]
            )
        return total

    def likeliest(self, logits: Tensor) -> Tensor:
        """Attributes 0 or 1 `[N, A]` of D's logits: one of each group, and whatever is likelier than not."""
        found = (logits > 0).to(logits.dtype)
        for group in self.groups:
            members = list(group)
            found[:, members] = F.one_hot(logits[:, members].argmax(1), len(members)).to(
                logits.dtype
            )
        return found

    def changed(self, attributes: Tensor, place: int) -> Tensor:
        """Attributes `[N, A]` with one of them in place of others of its group, or, if it is free, the other way round."""
        attributes = attributes.clone()
        for group in self.groups:
            if place in group:
                attributes[:, list(group)] = 0
        attributes[:, place] = 1 - attributes[:, place]
        return attributes

    def set(self, attributes: Tensor, wanted: Sequence[str]) -> Tensor:
        """Attributes `[N, A]` with what is wanted: a name, what follows `=` in it, or "not" and the name of a free one.

        Raises RecipeError for a name that isn't known, "not" before one of a group, and two that exclude each other.
        """
        attributes = attributes.clone()
        given: dict[tuple[int, ...], str] = {}
        for name in wanted:
            place = self._place(name.removeprefix("not "))
            group = next((group for group in self.groups if place in group), (place,))
            if name.startswith("not ") and len(group) > 1:
                others = " or ".join(self.names[other] for other in group if other != place)
                raise RecipeError(
                    f"An image has one of several, so {name!r} isn't enough: say {others}."
                )
            if group in given:
                raise RecipeError(f"{given[group]!r} and {name!r} exclude each other: choose one.")
            given[group] = name
            attributes[:, list(group)] = 0
            attributes[:, place] = 0 if name.startswith("not ") else 1
        return attributes

    def _place(self, name: str) -> int:
        found = [
            i for i, known in enumerate(self.names) if name in (known, known.partition("=")[2])
        ]
        if len(found) == 1:
            return found[0]
        near = difflib.get_close_matches(name, self.names, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise RecipeError(
            f"Unknown attribute {name!r}: {hint}The attributes are {', '.join(self.names)}."
        )


@dataclass(frozen=True)
class StarGANBatch(TranslationBatch):
    """Batch of images with attributes to give them.

    Attributes:
        target_attributes: 0 or 1, float32 `[N, A]`.
        alpha: place between a real and a generated image in the penalty, float32 `[N]`.
    """

    target_attributes: Tensor = ABSENT
    alpha: Tensor = ABSENT


@dataclass(frozen=True, kw_only=True)
class StarGAN(Translation):
    """Choi 2018: G is told attributes, D tells them and judges patches; WGAN-GP, five updates of D, cycle consistency.

    The attributes that an image is to have are those of the image before it in its batch.
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
    """Channels of D's first layer; each layer after it has twice as many."""
    blocks: int = 6
    """Residual blocks of G."""
    skip: bool = False
    """G's first layer without norm and joined to its last, not the paper's: attributes then reach all of an image."""
    n_critic: int = 5
    """Updates of D per step, each on images of its own."""
    penalty_weight: float = 10.0
    """Weight of the gradient penalty on D."""
    class_weight: float = 1.0
    """Weight of the cross-entropy of attributes in both players' losses."""
    reconstruction_weight: float = 10.0
    """Weight of the mean absolute difference of an image from what it is with its own attributes again."""
    identity_weight: float = 0.0
    """Weight of the mean absolute difference that G makes to an image whose attributes stay; the paper has none, 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "ngf", "ndf", "n_critic")
        self._require_at_least(0, "blocks")
        self._require_at_least(
            0, "penalty_weight", "class_weight", "reconstruction_weight", "identity_weight"
        )

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
            "D": StarGANDiscriminator(images.resolution, channels, c_dim=c_dim, ndf=self.ndf),
            "attributes": Attributes(spec),
        }

    def players(self) -> tuple[Player, ...]:
        penalty = Regularizer("wgan-gp", self.penalty_loss)
        return (
            Player(
                "D", ("D",), self.d_loss, self.n_critic, (penalty,),
                draw=self.draw_places, make_fakes=self.with_fakes,
            ),
            Player("G", ("G",), self.g_loss),
        )  # fmt: skip

    def before_step(
        self, networks: Networks, ema: Networks, nimg: int, batches: Sequence[StarGANBatch]
    ) -> Sequence[StarGANBatch]:
        """The batches with the attributes that their images are to have: images come in random order, so these are too."""
        return [
            replace(batch, target_attributes=_others(batch.inputs["attributes"]))
            for batch in batches
        ]

    def draw_places(self, request: DrawRequest) -> dict[str, Tensor]:
        """Where between real and generated images the penalty is taken."""
        return {"alpha": torch.rand(request.count, generator=request.generator)}

    def with_fakes(self, networks: Networks, batch: StarGANBatch) -> StarGANBatch:
        """The batch with generated images, as constants."""
        with torch.no_grad():
            fakes = networks["G"](batch.real, batch.target_attributes)
        return replace(batch, fakes=fakes)

    def d_loss(self, networks: Networks, batch: StarGANBatch) -> Loss:
        """Real against generated patches, and the attributes of real images (eq. 2 and 5)."""
        judged: DiscriminatorOutput = networks["D"](batch.real)
        fake = networks["D"](batch.fakes).logits[0].float()
        real, told = judged.logits[0].float(), class_logits_of(judged)
        attributes = networks["attributes"](told.float(), batch.inputs["attributes"])
        total = wasserstein_d_loss(real, fake) + self.class_weight * attributes
        stats = {"logit(real)": real.mean(), "logit(fake)": fake.mean(), "attributes/D": attributes}
        return Loss(total, stats)

    def penalty_loss(self, networks: Networks, batch: StarGANBatch) -> Tensor:
        """The penalty on the gradient of D's patches, times its weight (eq. 8)."""
        fake = batch.fakes.float()
        return self.penalty_weight * wgan_gp(networks["D"], batch.real, fake, alpha=batch.alpha)

    def g_loss(self, networks: Networks, batch: StarGANBatch) -> Loss:
        """What D makes of images, whether it tells the attributes wanted, and the way back (eq. 3, 4 and 6)."""
        wanted = batch.target_attributes
        fake = networks["G"](batch.real, wanted)
        judged: DiscriminatorOutput = networks["D"](fake)
        back = networks["G"](fake, batch.inputs["attributes"])
        stats = {
            "adversarial/G": wasserstein_g_loss(judged.logits[0].float()),
            "attributes/G": networks["attributes"](class_logits_of(judged).float(), wanted),
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
        return Loss(total, stats)

    def source(self, given: Batch) -> Mapping[str, Tensor]:
        return {"image": given.real, "attributes": _others(given.inputs["attributes"])}

    def translate(
        self, networks: Networks, inputs: Mapping[str, Tensor], *, generator: Generator
    ) -> Tensor:
        """Of "image" images with the "attributes" that they are to have, such as `wanted` gives; RecipeError without."""
        if "attributes" not in inputs:
            raise RecipeError(
                f'{self.name} gives images the attributes that it is told, but none came: give translate "attributes" '
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
                f"{self.name} gives pictures attributes, but none came: name some with --attributes, of {known}."
            )
        return {**inputs, "attributes": self.wanted(networks, inputs["image"], attributes)}

    def wanted(self, networks: Networks, images: Tensor, names: Sequence[str]) -> Tensor:
        """Attributes `[N, A]` for images `[N, C, H, W]` of any size: those that D tells, but for the ones asked for by name.

        Raises RecipeError for names as `Attributes.set` does.
        """
        judge = cast(StarGANDiscriminator, networks["D"])
        attributes = cast(Attributes, networks["attributes"])
        size = (judge.resolution, judge.resolution)
        if images.shape[2:] != size:
            images = F.interpolate(images, size=size, mode="bilinear", antialias=True)
        return attributes.set(attributes.likeliest(class_logits_of(judge(images))), names)

    def signatures(self, networks: Networks, images: ImageSpec) -> dict[str, Signature]:
        spec, channels = images.inputs["attributes"], images.channels
        wanted = Port(
            "attributes",
            (len(spec.names),),
            "attributes to give, 1 for yes",
            "flags",
            spec.names,
            spec.groups,
        )
        told = Port(
            "attributes",
            (len(spec.names),),
            "a logit for each attribute",
            "real",
            spec.names,
            spec.groups,
        )
        image = plane("image", channels, "image to translate")
        judged = Port("image", images.shape, "image to judge", "image")
        made = plane("output", channels, "the image with these attributes")
        sizes = Sizes(self.size_divisor(networks), self.min_size)
        return {
            "G": Signature("G", (image, wanted), (made,), sizes),
            "D": Signature(
                "D", (judged,), (patch_logits(), told), wrap=called_by(patches_and_attributes)
            ),
        }

    def size_divisor(self, networks: Networks) -> int:
        return 4

    def views(self, networks: Networks, given: Batch, output: Tensor) -> dict[str, Tensor]:
        """Images, and each attribute in turn: in place of others of its group, or, if free, the other way round."""
        attributes = cast(Attributes, networks["attributes"])
        rows = {"input": given.real}
        for place, name in enumerate(attributes.names):
            wanted = attributes.changed(given.inputs["attributes"], place)
            rows[f"{name} changed" if place in attributes.free else name] = networks["G"](
                given.real, wanted
            )
        return rows


def class_logits_of(output: DiscriminatorOutput) -> Tensor:
    """Return the logits of attributes ``[N, A]`` of StarGAN's discriminator."""
    assert output.class_logits is not None
    return output.class_logits


def patches_and_attributes(network: nn.Module, image: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits of patches and of attributes, as exported files give them."""
    output = network(image)
    return output.logits[0], class_logits_of(output)


def _others(attributes: Tensor) -> Tensor:
    """For each row the one before it."""
    return attributes.roll(1, 0)
