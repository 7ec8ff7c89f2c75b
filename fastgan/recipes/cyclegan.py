"""`cyclegan`: translation between two domains without pairs (Zhu, Park, Isola, Efros 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import l1_loss

from fastgan.losses.adversarial import least_squares_d_loss, least_squares_g_loss
from fastgan.networks.translation import CycleGANGenerator
from fastgan.recipes.domains import DOMAINS, DomainBatch, Domains
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.memory import ImagePool
from fastgan.recipes.players import Batch, DrawRequest, Loss, Networks, Player

SWAPPED = 0.5  # share of the generated images that go through a pool
DEEP_FROM = 256  # pixels from which the ResNet has nine blocks


@dataclass(frozen=True, kw_only=True)
class CycleGAN(Domains):
    """Zhu 2017: two generators that undo each other, two PatchGANs with pools of images, least squares."""

    name: ClassVar[str] = "cyclegan"
    summary: ClassVar[str] = "Zhu 2017: between two domains without pairs, by cycle consistency"
    averaged: ClassVar[tuple[str, ...]] = ("G_AB", "G_BA")

    blocks: int | None = None
    """Residual blocks of G; None takes 9, or 6 below 256 pixels."""
    cycle_weight: float = 10.0
    """Weight of the mean absolute difference of an image from what it is after both generators."""
    identity_weight: float = 5.0
    """Weight of the mean absolute difference that a generator makes to an image of its own domain; 0 for none."""
    pool: int = 50
    """Generated images of each domain that are kept to show half of them to D again later; 0 for none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("blocks", self.blocks is None or self.blocks >= 0, "at least 0")
        self._require_at_least(0, "cycle_weight", "identity_weight")
        self._require(
            "pool",
            self.pool == 0 or self.pool >= self.batch,
            f"0, or at least --batch, {self.batch}",
        )

    def resolved(self, images: ImageSpec) -> dict[str, int]:
        return {"blocks": 9 if images.resolution >= DEEP_FROM else 6} if self.blocks is None else {}

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        channels = images.channels
        blocks = self.resolved(images)["blocks"] if self.blocks is None else self.blocks
        networks: dict[str, nn.Module] = {}
        for name in ("G_AB", "G_BA"):
            networks[name] = CycleGANGenerator(channels, channels, ngf=self.ngf, blocks=blocks)
        networks |= self.discriminators(images)
        if self.pool:
            networks |= {name: ImagePool(self.pool, images.shape) for name in ("pool_A", "pool_B")}
        return networks

    def players(self) -> tuple[Player, ...]:
        return (
            Player("G", ("G_AB", "G_BA"), self.g_loss),
            Player(
                "D",
                ("D_A", "D_B"),
                self.d_loss,
                draw=self.draw_places,
                make_fakes=self.with_older_fakes,
            ),
        )

    def g_loss(self, networks: Networks, batch: DomainBatch) -> Loss:
        """What D makes of images of both, cycles, and what both do to images of their own domains (eq. 3, section 5.2)."""
        a, b = batch.real, batch.inputs["other"]
        to_b, to_a = networks["G_AB"], networks["G_BA"]
        # Images of both domains at once: each is normalised by itself, and what a convolution makes of weights serves both.
        if self.identity_weight:
            (fake_b, same_b), (fake_a, same_a) = both(to_b, a, b), both(to_a, b, a)
        else:
            fake_b, fake_a = to_b(a), to_a(b)
        stats: dict[str, Tensor] = {}
        judged = torch.stack(
            [
                least_squares_g_loss(networks[judge](fake).float())
                for judge, fake in (("D_A", fake_a), ("D_B", fake_b))
            ]
        )
        stats["adversarial/G"] = 2 * judged.sum()  # the paper has no half in it
        stats["cycle/G"] = l1_loss(to_a(fake_b).float(), a) + l1_loss(to_b(fake_a).float(), b)
        total = stats["adversarial/G"] + self.cycle_weight * stats["cycle/G"]
        if self.identity_weight:
            stats["identity/G"] = l1_loss(same_a.float(), a) + l1_loss(same_b.float(), b)
            total = total + self.identity_weight * stats["identity/G"]
        return Loss(total, stats, {"fakes": {"A": fake_a, "B": fake_b}})

    def draw_places(self, request: DrawRequest) -> dict[str, Any]:
        """Draw which of each domain's generated images go into its pool, and where."""
        if not self.pool:
            return {}
        mask, slots = {}, {}
        for domain in DOMAINS:
            mask[domain] = torch.rand(request.count, generator=request.generator) < SWAPPED
            order = torch.randperm(self.pool, generator=request.generator)
            slots[domain] = order[: request.count]
        return {"pool_mask": mask, "pool_slots": slots}

    def with_older_fakes(self, networks: Networks, batch: DomainBatch) -> DomainBatch:
        """Return the batch with older images among those of G's phase."""
        if not self.pool:
            return batch
        fakes = {}
        for domain in DOMAINS:
            fakes[domain], _ = networks[f"pool_{domain}"](
                batch.fakes[domain],
                batch.labels,
                swapped=batch.pool_mask[domain],
                place=batch.pool_slots[domain],
            )
        return replace(batch, fakes=fakes)

    def d_loss(self, networks: Networks, batch: DomainBatch) -> Loss:
        """Both discriminators', each half the paper's, which slows them down (section 4)."""
        total = torch.zeros((), device=batch.real.device)
        said: dict[str, list[Tensor]] = {"real": [], "fake": []}
        for domain, images in zip(DOMAINS, (batch.real, batch.inputs["other"])):
            judged = both(networks[f"D_{domain}"], images, batch.fakes[domain])
            real, fake = (logits.float() for logits in judged)
            total = total + least_squares_d_loss(real, fake)
            said["real"].append(real.mean())
            said["fake"].append(fake.mean())
        return Loss(
            total, {f"logit({side})": torch.stack(means).mean() for side, means in said.items()}
        )

    def translate(
        self, networks: Networks, inputs: Mapping[str, Tensor], *, generator: Generator
    ) -> Tensor:
        """Of "image" images of B, of "other" images of A, which samples are: they are compared with the data set's."""
        (name, images) = next(iter(inputs.items()))
        translated: Tensor = networks["G_AB" if name == "image" else "G_BA"](images)
        return translated

    def views(self, networks: Networks, given: Batch, output: Tensor) -> dict[str, Tensor]:
        a, b = given.real, given.inputs["other"]
        to_b, to_a = networks["G_AB"], networks["G_BA"]
        there = to_b(a)
        return {"A": a, "A to B": there, "A to B to A": to_a(there),
                "B": b, "B to A": output, "B to A to B": to_b(output)}  # fmt: skip


def both(network: nn.Module, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """What a network that takes each image by itself makes of two batches of a size, in one call."""
    one, other = network(torch.cat([first, second])).chunk(2)
    return one, other
