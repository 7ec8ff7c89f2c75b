"""`pix2pix`: image-to-image translation from pairs (Isola, Zhu, Zhou, Efros 2017).

A step is an update of G, then one of D, on pairs of an input x and a target y. Dropout is the
noise z:

- G descends -E[log D(x, G(x, z))] + λ·E[‖y - G(x, z)‖₁] (eq. 4; section 3.3).
- D descends half of -E[log D(x, y)] - E[log(1 - D(x, G(x, z)))] (eq. 1; section 3.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

from torch import Generator, Tensor, nn
from torch.nn.functional import l1_loss

from fastgan.data import Task
from fastgan.networks.translation import PatchDiscriminator, UNetGenerator
from fastgan.recipes.direct import DirectTranslation, TranslationBatch
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.patches import Patch, discriminator_sizes, patch_logits, patch_size
from fastgan.recipes.players import Batch, Loss, Networks
from fastgan.recipes.presets import Preset
from fastgan.recipes.signature import Port, Signature, Sizes
from fastgan.recipes.stabilizers import ConditionSettings, Side
from fastgan.recipes.translation import plane, seeded

Norm = Literal["instance", "batch", "none"]
# Resolution at which the U-Net has the paper's eight levels.
LARGEST = 256


@dataclass(frozen=True, kw_only=True)
class Pix2Pix(ConditionSettings, DirectTranslation):
    """Isola 2017: a U-Net translates the input, a PatchGAN sees both; cross-entropy and 100·L1.

    Dropout in the U-Net is the only noise.
    """

    name: ClassVar[str] = "pix2pix"
    summary: ClassVar[str] = "Isola 2017: image to image from pairs, U-Net and PatchGAN"
    task: ClassVar[Task | None] = "pairs"
    paired: ClassVar[bool] = True
    baseline: ClassVar[str | None] = "input"

    ngf: int = 64
    """Channels of the U-Net's first layer; each later layer has twice as many, up to 8 times."""
    ndf: int = 64
    """Channels of D's first layer; each later layer has twice as many, up to 8 times."""
    patch: Patch | None = None
    """Pixels that a logit of D sees; None takes 70, or the most that smaller images allow."""
    norm: Norm = "instance"
    """Norm of both networks; instance equals the paper's batch norm with a batch of 1."""
    dropout: float = 0.5
    """Dropout in the U-Net's decoder, in samples too; it is the only noise."""
    l1_weight: float = 100.0
    """Weight of the L1 distance from the target in G's loss."""

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        images = total_images or 16_000
        settings = {**small_settings(resolution, images), "norm": "batch", "ema": 0.9}
        return Preset(images, settings)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "ngf", "ndf")
        self._require("dropout", 0 <= self.dropout < 1, "at least 0 and less than 1")
        self._require_at_least(0, "l1_weight")

    @property
    def has_batch_norm(self) -> bool:
        return self.norm == "batch"

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        self._require_resolution(images, _levels_at(images.resolution) >= 8, "a multiple of 8")
        patch_size(self.name, self.patch, images)

    def condition_channels(self, images: ImageSpec) -> int:
        """Return the number of channels of `condition`."""
        return images.inputs["input"].channels

    def condition(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the condition of G and D, made from inputs by name."""
        return inputs["input"]

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        condition_channels = self.condition_channels(images)
        patch = patch_size(self.name, self.patch, images)
        return {
            "G": UNetGenerator(
                condition_channels, images.channels, resolution=_levels_at(images.resolution),
                ngf=self.ngf, norm=self.norm, dropout=self.dropout, dropout_in_eval=True,
            ),
            "D": self.stabilized(
                PatchDiscriminator(
                    images.channels, label_channels=condition_channels, patch=patch, ndf=self.ndf,
                    norm=self.norm,
                )
            ),
            **self.extras(images),
        }  # fmt: skip

    def condition_of(self, networks: Networks, batch: TranslationBatch) -> Tensor:
        return self.condition(self.source(batch))

    def pictures(self, condition: Tensor) -> int:
        """Return the number of leading channels of the condition that are a picture."""
        return condition.shape[1]

    def d_condition(
        self, networks: Networks, batch: TranslationBatch, side: Side
    ) -> tuple[Tensor, ...]:
        pictures = self.pictures(batch.condition)
        transform = self.stabilizers.augmenting.of_condition(
            networks, batch.draws, side, "D", pictures
        )
        return (transform(batch.condition),)

    def generate(self, networks: Networks, batch: TranslationBatch) -> Tensor:
        images: Tensor = networks["G"](batch.condition)
        return images

    def g_loss(self, networks: Networks, batch: TranslationBatch) -> Loss:
        """Return D's cross-entropy on the output with its input, and the L1 distance (eq. 4)."""
        batch = self.with_condition(networks, batch)
        fakes = self.generate(networks, batch)
        adversarial = self.fakes_against_d(networks, batch, fakes).loss
        l1 = l1_loss(fakes.float(), batch.real)
        total = adversarial + self.l1_weight * l1
        stats = {"adversarial/G": adversarial, "l1/G": l1}
        return self.matched(networks, batch, fakes, Loss(total, stats, {"fakes": fakes}))

    def d_loss(self, networks: Networks, batch: TranslationBatch) -> Loss:
        """Return half the cross-entropy of D, which slows D down (section 3.3)."""
        loss = super().d_loss(networks, batch)
        return Loss(loss.total / 2, loss.stats)

    def translate(
        self, networks: Networks, inputs: Mapping[str, Tensor], *, generator: Generator
    ) -> Tensor:
        condition = self.condition(inputs)
        with seeded(generator, condition.device):
            images: Tensor = networks["G"](condition)
        return images

    def size_divisor(self, networks: Networks) -> int:
        return int(cast(Any, networks["G"]).resolution)

    @property
    def source_meaning(self) -> str:
        """Meaning of the input, for the signature."""
        return "image to translate"

    def signatures(self, networks: Networks, images: ImageSpec) -> dict[str, Signature]:
        source = plane("image", self.condition_channels(images), self.source_meaning)
        output = plane("output", images.channels, "its translation")
        return {
            "G": Signature("G", (source,), (output,), Sizes(self.size_divisor(networks))),
            "D": self.discriminator_signature(networks, images, source),
        }

    def discriminator_signature(
        self, networks: Networks, images: ImageSpec, source: Port
    ) -> Signature:
        """Return the signature of D.

        Args:
            source: port of the condition that D sees beside an output.
        """
        output = plane("output", images.channels, "target or translation")
        return Signature(
            "D", (output, source), (patch_logits(),), discriminator_sizes(networks["D"])
        )

    def views(self, networks: Networks, rows: Batch, output: Tensor) -> dict[str, Tensor]:
        return {"input": self.condition(self.source(rows)), "output": output, "target": rows.real}


def _levels_at(resolution: int) -> int:
    """Return the resolution at which a U-Net for these images reaches one pixel.

    It is the highest power of 2 that divides the images' resolution, at most 256.
    """
    return min(resolution & -resolution, LARGEST)


def small_settings(resolution: int, images: int) -> dict[str, Any]:
    """Return settings of small networks that translate pairs, for a run of so many images."""
    return {
        "batch": 16,
        "ngf": 16,
        "ndf": 8,
        "patch": 16 if resolution <= 32 else 34,
        "dropout": 0.0,
        "lr": 4e-3,
        "decay_after": max(1, images // 2),
    }
