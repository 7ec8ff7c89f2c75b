"""Base of recipes for two domains without pairs: data, directions, a PatchGAN for each domain."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from fastgan.data import Task
from fastgan.losses.stabilizers import feature_matching
from fastgan.networks.translation import PatchDiscriminator
from fastgan.recipes.adversarial import Output
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.pair import Pair
from fastgan.recipes.patches import Patch, discriminator_sizes, patch_logits, patch_size
from fastgan.recipes.players import ABSENT, Batch, DrawRequest, Networks, Player
from fastgan.recipes.signature import Signature, Sizes, Wrap, as_it_is
from fastgan.recipes.stabilizers import NO_DRAWS, SIDES, Draws, ImageSettings, Side
from fastgan.recipes.translation import Translation, plane

DOMAINS = Pair("A", "B")
DISCRIMINATORS = Pair("D_A", "D_B")
NONE = Pair(NO_DRAWS, NO_DRAWS)


@dataclass(frozen=True)
class DomainBatch(Batch):
    """Batch of two domains.

    Attributes:
        fakes: generated images of each domain `[N, C, H, W]`.
        draws: random rows of the stabilisers of each domain's D.
        latent_noise: noise on the latents of each domain's images `[N, C, H, W]`.
        cycle_noise: noise on the latents of their translations `[N, C, H, W]`.
    """

    fakes: Pair[Tensor] = ABSENT
    draws: Pair[Draws] = NONE
    latent_noise: Pair[Tensor] = ABSENT
    cycle_noise: Pair[Tensor] = ABSENT

    @property
    def images(self) -> Pair[Tensor]:
        """Real images of each domain `[N, C, H, W]`."""
        return Pair(self.real, self.inputs["other"])


@dataclass(frozen=True, kw_only=True)
class Domains(ImageSettings, Translation):
    """Translation between two domains without pairs.

    Domain A is the data set's images, domain B its input "other". D_A and D_B tell real images of
    each domain from generated ones. The players' losses are sums over both.
    """

    batch_type: ClassVar[type[Batch]] = DomainBatch
    discriminators: ClassVar[tuple[str, ...]] = tuple(DISCRIMINATORS)
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

    def new_discriminators(self, images: ImageSpec) -> dict[str, nn.Module]:
        """Return freshly initialised D_A and D_B."""
        patch = patch_size(self.name, self.patch, images)
        return {
            name: self.stabilized(PatchDiscriminator(images.channels, patch=patch, ndf=self.ndf))
            for name in DISCRIMINATORS
        }

    def players(self) -> tuple[Player, ...]:
        return self.g_player(), self.d_player()

    @abstractmethod
    def generate(self, networks: Networks, batch: DomainBatch) -> Pair[Tensor]:
        """Return the generated images of each domain."""

    def draw_inputs(self, request: DrawRequest) -> dict[str, Any]:
        """Draw what G's images are made of beside the data."""
        return {}

    def draw_for_g(self, request: DrawRequest) -> dict[str, Any]:
        """Draw for G's phase: G's inputs, then the rows of each D's stabilisers."""
        draws = Pair(*(self.draws_for_g(request, d) for d in DISCRIMINATORS))
        return {**self.draw_inputs(request), "draws": draws}

    def draw_for_d(self, request: DrawRequest) -> dict[str, Any]:
        """Draw for D's phase: G's inputs if it generates images, then the stabilisers' rows."""
        inputs = self.draw_inputs(request) if self.d_makes_fakes else {}
        draws = Pair(*(self.draws_for_d(request, d) for d in DISCRIMINATORS))
        return {**inputs, "draws": draws}

    def with_fakes(self, networks: Networks, batch: DomainBatch) -> DomainBatch:
        """Return the batch of D's phase, with older images among the generated with replay."""
        fakes = batch.fakes
        if self.d_makes_fakes:
            with torch.no_grad():
                fakes = self.generate(networks, batch)
        mix = self.stabilizers.replay.mix
        shown = (
            mix(networks, images, batch.labels, draws, d)[0]
            for d, images, draws in zip(DISCRIMINATORS, fakes, batch.draws)
        )
        return replace(batch, fakes=Pair(*shown))

    def fakes_against_ds(
        self, networks: Networks, batch: DomainBatch, fakes: Pair[Tensor]
    ) -> Pair[Tensor]:
        """Return G's adversarial loss of each domain's generated images."""

        def loss(d: str, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
            def output(ahead: Networks, side: Side) -> Output:
                images = fake if side == "fake" else real
                seen: Output = ahead[d](self.d_inputs(networks, images, draws, side, d))
                return seen

            return self.against_d(networks, output, d).loss

        return Pair(*map(loss, DISCRIMINATORS, batch.images, fakes, batch.draws))

    def d_inputs_of(
        self, networks: Networks, batch: DomainBatch
    ) -> Iterator[tuple[str, Tensor, Tensor, Draws]]:
        """Yield each domain's D, its real and generated images as it sees them, and its draws."""
        for d, real, fake, draws in zip(DISCRIMINATORS, batch.images, batch.fakes, batch.draws):
            yield (
                d,
                self.d_inputs(networks, real, draws, "real", d),
                self.d_inputs(networks, fake, draws, "fake", d),
                draws,
            )

    def penalty_loss(self, networks: Networks, batch: DomainBatch) -> Tensor:
        """Return the penalties on the gradients of D_A and D_B, times their weight."""
        total = torch.zeros((), device=batch.real.device)
        fakes: Any = batch.fakes or Pair(None, None)
        for d, real, fake, draws in zip(DISCRIMINATORS, batch.images, fakes, batch.draws):
            of_real, of_fake = (self.seen_by_d(networks, draws, side, d=d) for side in SIDES)
            total = total + self.weighted_penalty(of_real, of_fake, real, fake, draws)
        return total

    def matching_loss(self, networks: Networks, batch: DomainBatch, fakes: Pair[Tensor]) -> Tensor:
        """Return the distance of mean features of both D (Salimans et al. 2016, section 3.1)."""
        distance = torch.zeros((), device=batch.real.device)
        for d, real, fake, _ in self.d_inputs_of(networks, replace(batch, fakes=fakes)):
            features = cast(Any, networks[d]).features
            with torch.no_grad():
                of_real = features(real)[-1]
            distance = distance + feature_matching(of_real, features(fake)[-1])
        return distance

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
