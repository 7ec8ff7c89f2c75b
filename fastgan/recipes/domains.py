"""Base of recipes for two domains without pairs: data, directions, a PatchGAN for each domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from fastgan.data import Task
from fastgan.networks.translation import PatchDiscriminator
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.pair import Pair
from fastgan.recipes.patches import Patch, discriminator_sizes, patch_logits, patch_size
from fastgan.recipes.players import ABSENT, Batch, Networks
from fastgan.recipes.signature import Signature, Sizes, Wrap, as_it_is
from fastgan.recipes.translation import Translation, plane

DOMAINS = Pair("A", "B")
DISCRIMINATORS = Pair("D_A", "D_B")


@dataclass(frozen=True)
class DomainBatch(Batch):
    """Batch of two domains.

    Attributes:
        fakes: generated images of each domain `[N, C, H, W]`.
        pool_mask, pool_slots: generated images that go through each domain's pool, bool `[N]`, and
            their places there, int64 `[N]`.
        latent_noise: noise on the latents of each domain's images `[N, C, H, W]`.
        cycle_noise: noise on the latents of their translations `[N, C, H, W]`.
    """

    fakes: Pair[Tensor] = ABSENT
    pool_mask: Pair[Tensor] = ABSENT
    pool_slots: Pair[Tensor] = ABSENT
    latent_noise: Pair[Tensor] = ABSENT
    cycle_noise: Pair[Tensor] = ABSENT

    @property
    def images(self) -> Pair[Tensor]:
        """Real images of each domain `[N, C, H, W]`."""
        return Pair(self.real, self.inputs["other"])


@dataclass(frozen=True, kw_only=True)
class Domains(Translation):
    """Translation between two domains without pairs.

    Domain A is the data set's images, domain B its input "other". D_A and D_B tell real images of
    each domain from generated ones.
    """

    batch_type: ClassVar[type[Batch]] = DomainBatch
    task: ClassVar[Task | None] = "domains"
    directions: ClassVar[Mapping[str, str]] = {"AtoB": "image", "BtoA": "other"}
    min_size: ClassVar[int] = 8

    ngf: int = 64
    """Channels of G's first layer; four times as many from its third on."""
    ndf: int = 64
    """Channels of D's first layer; each later layer has twice as many, up to 8 times."""
    patch: Patch | None = None
    """Pixels that a logit of D sees; None takes 70, or the most that smaller images allow."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "ngf", "ndf")

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        self._require_resolution(
            images,
            images.resolution % 4 == 0 and images.resolution >= 8,
            "a multiple of 4 and at least 8",
        )
        patch_size(self.name, self.patch, images)

    def discriminators(self, images: ImageSpec) -> dict[str, nn.Module]:
        """Return freshly initialised D_A and D_B."""
        patch = patch_size(self.name, self.patch, images)
        return {
            name: PatchDiscriminator(images.channels, patch=patch, ndf=self.ndf)
            for name in DISCRIMINATORS
        }

    def signatures(self, networks: Networks, images: ImageSpec) -> dict[str, Signature]:
        signatures = {}
        for source, target in (DOMAINS, DOMAINS.swapped):
            image = plane("image", images.channels, f"image of domain {source}")
            output = plane("output", images.channels, f"its translation to domain {target}")
            network, wrap = self.translator(source, target)
            sizes = Sizes(self.size_divisor(networks), self.min_size)
            signatures[f"G_{source}{target}"] = Signature(
                network, (image,), (output,), sizes, wrap=wrap
            )
        for domain, name in zip(DOMAINS, DISCRIMINATORS):
            image = plane("image", images.channels, f"real or generated image of domain {domain}")
            signatures[name] = Signature(
                name, (image,), (patch_logits(),), discriminator_sizes(networks[name])
            )
        return signatures

    def translator(self, source: str, target: str) -> tuple[str, Wrap]:
        """Return the network that translates from one domain to the other, and its wrapper."""
        return f"G_{source}{target}", as_it_is

    def size_divisor(self, networks: Networks) -> int:
        return 4


def mean_verdicts(verdicts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the means of the verdicts of several discriminators."""
    return {name: torch.stack([each[name] for each in verdicts]).mean() for name in verdicts[0]}
