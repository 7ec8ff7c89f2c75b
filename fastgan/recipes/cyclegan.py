"""`cyclegan`: translation between two domains without pairs (Zhu, Park, Isola, Efros 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import l1_loss

from fastgan.losses.adversarial import Adversarial
from fastgan.networks.translation import CycleGANGenerator
from fastgan.recipes.domains import DISCRIMINATORS, DomainBatch, Domains, mean_verdicts
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.memory import ImagePool
from fastgan.recipes.pair import Pair
from fastgan.recipes.players import Batch, DrawRequest, Loss, Networks, Player

POOLS = Pair("pool_A", "pool_B")
# Share of the generated images that go through a pool.
SWAPPED = 0.5
# Resolution from which the ResNet has nine blocks.
DEEP_FROM = 256


@dataclass(frozen=True, kw_only=True)
class CycleGAN(Domains):
    """Zhu 2017: two mutually inverse generators, two PatchGANs, image pools, least squares."""

    name: ClassVar[str] = "cyclegan"
    summary: ClassVar[str] = "Zhu 2017: between two domains without pairs, by cycle consistency"
    averaged: ClassVar[tuple[str, ...]] = ("G_AB", "G_BA")
    objective: ClassVar[Adversarial] = "least-squares"

    blocks: int | None = None
    """Residual blocks of each G; None takes 9, or 6 below 256 pixels."""
    cycle_weight: float = 10.0
    """Weight of the L1 distance between an image and its translation there and back."""
    identity_weight: float = 5.0
    """Weight of the L1 distance between G's input and output in its target domain; 0 for none."""
    pool: int = 50
    """Generated images of each domain to keep; D sees half of its fakes from them; 0 for none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("blocks", self.blocks is None or self.blocks >= 0, "at least 0")
        self._require_at_least(0, "cycle_weight", "identity_weight")
        self._require(
            "pool",
            self.pool == 0 or self.pool >= self.batch,
            f"0, or at least `batch`, {self.batch}",
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
            networks |= {name: ImagePool(self.pool, images.shape) for name in POOLS}
        return networks

    def players(self) -> tuple[Player, ...]:
        return (
            Player("G", ("G_AB", "G_BA"), self.g_loss, optimizer=self.adam),
            Player(
                "D",
                ("D_A", "D_B"),
                self.d_loss,
                optimizer=self.adam,
                draw=self.draw_places,
                make_fakes=self.with_older_fakes,
            ),
        )

    def g_loss(self, networks: Networks, batch: DomainBatch) -> Loss:
        """Return the adversarial, cycle and identity losses of both generators (section 3)."""
        a, b = batch.images
        to_b, to_a = networks["G_AB"], networks["G_BA"]
        # One call for both domains shares the preparation of weights; instance norm keeps images
        # independent.
        if self.identity_weight:
            (fake_b, same_b), (fake_a, same_a) = both(to_b, a, b), both(to_a, b, a)
        else:
            fake_b, fake_a = to_b(a), to_a(b)
        stats: dict[str, Tensor] = {}
        adversarial = torch.stack(
            [
                self.adversarial.g(networks[name](fake).float())
                for name, fake in zip(DISCRIMINATORS, (fake_a, fake_b))
            ]
        )
        # least-squares has a factor 1/2 that the paper doesn't have.
        stats["adversarial/G"] = 2 * adversarial.sum()
        stats["cycle/G"] = l1_loss(to_a(fake_b).float(), a) + l1_loss(to_b(fake_a).float(), b)
        total = stats["adversarial/G"] + self.cycle_weight * stats["cycle/G"]
        if self.identity_weight:
            stats["identity/G"] = l1_loss(same_a.float(), a) + l1_loss(same_b.float(), b)
            total = total + self.identity_weight * stats["identity/G"]
        return Loss(total, stats, {"fakes": Pair(fake_a, fake_b)})

    def draw_places(self, request: DrawRequest) -> dict[str, Any]:
        """Draw which generated images of each domain go through its pool, and to which slots."""
        if not self.pool:
            return {}
        generator = request.generator

        def places() -> tuple[Tensor, Tensor]:
            mask = torch.rand(request.count, generator=generator) < SWAPPED
            return mask, torch.randperm(self.pool, generator=generator)[: request.count]

        of_a, of_b = places(), places()
        masks, slots = zip(of_a, of_b)
        return {"pool_mask": Pair(*masks), "pool_slots": Pair(*slots)}

    def with_older_fakes(self, networks: Networks, batch: DomainBatch) -> DomainBatch:
        """Return the batch with older images among those of G's phase."""
        if not self.pool:
            return batch
        shown = [
            networks[name](fakes, batch.labels, swapped=mask, place=slots)[0]
            for name, fakes, mask, slots in zip(
                POOLS, batch.fakes, batch.pool_mask, batch.pool_slots
            )
        ]
        return replace(batch, fakes=Pair(*shown))

    def d_loss(self, networks: Networks, batch: DomainBatch) -> Loss:
        """Return half the least-squares loss of D_A and D_B, which slows them down (section 4)."""
        total = torch.zeros((), device=batch.real.device)
        verdicts: list[dict[str, Tensor]] = []
        for name, images, fakes in zip(DISCRIMINATORS, batch.images, batch.fakes):
            real, fake = (logits.float() for logits in both(networks[name], images, fakes))
            total = total + self.adversarial.d(real, fake)
            verdicts.append(self.adversarial.verdicts(real=real, fake=fake))
        return Loss(total, mean_verdicts(verdicts))

    def translate(
        self, networks: Networks, inputs: Mapping[str, Tensor], *, generator: Generator
    ) -> Tensor:
        """Return translations: A to B for the input "image", B to A for "other".

        Samples translate "other", so that they are compared with the data set's images.
        """
        (name, images) = next(iter(inputs.items()))
        translated: Tensor = networks["G_AB" if name == "image" else "G_BA"](images)
        return translated

    def views(self, networks: Networks, rows: Batch, output: Tensor) -> dict[str, Tensor]:
        a, b = rows.real, rows.inputs["other"]
        to_b, to_a = networks["G_AB"], networks["G_BA"]
        there = to_b(a)
        return {"A": a, "A to B": there, "A to B to A": to_a(there),
                "B": b, "B to A": output, "B to A to B": to_b(output)}  # fmt: skip


def both(network: nn.Module, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Apply a network to two batches of the same size in one call.

    The network must treat images independently.
    """
    one, other = network(torch.cat([first, second])).chunk(2)
    return one, other
