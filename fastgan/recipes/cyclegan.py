"""`cyclegan`: translation between two domains without pairs (Zhu, Park, Isola, Efros 2017).

A step is an update of G and F, then one of D_A and D_B, on images a of A and b of B. G is G_AB
here, and F is G_BA:

- G and F descend E[(D_B(G(a)) - 1)²] + E[(D_A(F(b)) - 1)²] (eq. 1, in section 4's least squares)
  + λ·(E[‖F(G(a)) - a‖₁] + E[‖G(F(b)) - b‖₁]) (eq. 2), which is eq. 3. The identity loss is
  λ/2·(E[‖G(b) - b‖₁] + E[‖F(a) - a‖₁]) (section 5.2).
- D_A and D_B descend half of E[(D(x) - 1)²] + E[D(x̃)²] (section 4). Half of the x̃ are older ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import l1_loss

from fastgan.losses.adversarial import Adversarial
from fastgan.networks.translation import CycleGANGenerator
from fastgan.recipes.adversarial import mean_verdicts
from fastgan.recipes.domains import DomainBatch, Domains
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.pair import Pair
from fastgan.recipes.players import Batch, Loss, Networks
from fastgan.recipes.presets import Preset

# Resolution from which the ResNet has nine blocks.
DEEP_FROM = 256


@dataclass(frozen=True, kw_only=True)
class CycleGAN(Domains):
    """Zhu 2017: two mutually inverse generators, two PatchGANs, image pools, least squares."""

    name: ClassVar[str] = "cyclegan"
    summary: ClassVar[str] = "Zhu 2017: between two domains without pairs, by cycle consistency"
    generators: ClassVar[tuple[str, ...]] = ("G_AB", "G_BA")
    averaged: ClassVar[tuple[str, ...]] = generators

    loss: Adversarial = "least-squares"
    replay: int = 50
    """Generated images of each domain to keep; D sees half of its fakes from them; 0 for none."""
    blocks: int | None = None
    """Residual blocks of each G; None takes 9, or 6 below 256 pixels."""
    cycle_weight: float = 10.0
    """Weight of the L1 distance between an image and its translation there and back."""
    identity_weight: float = 5.0
    """Weight of the L1 distance between G's input and output in its target domain; 0 for none."""

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        images = total_images or 4_000
        settings = {
            "batch": 8,
            "ngf": 10,
            "ndf": 16,
            "patch": 16 if resolution <= 32 else 34,
            "blocks": 0,
            "lr": 3e-3,
            "identity_weight": 4.0,
            "ema": 0.95,
            "decay_after": max(1, images // 2),
        }
        return Preset(images, settings)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("blocks", self.blocks is None or self.blocks >= 0, "at least 0")
        self._require_at_least(0, "cycle_weight", "identity_weight")

    def resolved(self, images: ImageSpec) -> dict[str, int]:
        return {"blocks": 9 if images.resolution >= DEEP_FROM else 6} if self.blocks is None else {}

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        channels = images.channels
        blocks = self.resolved(images)["blocks"] if self.blocks is None else self.blocks
        return {
            **{
                name: CycleGANGenerator(channels, channels, ngf=self.ngf, blocks=blocks)
                for name in self.generators
            },
            **self.new_discriminators(images),
            **self.extras(images),
        }

    @property
    def factor(self) -> float:
        """Factor of the paper's loss: `adversarial` has half the least squares, all of others."""
        return 2.0 if self.loss == "least-squares" else 1.0

    def generate(self, networks: Networks, batch: DomainBatch) -> Pair[Tensor]:
        a, b = batch.images
        return Pair(networks["G_BA"](b), networks["G_AB"](a))

    def g_loss(self, networks: Networks, batch: DomainBatch) -> Loss:
        """Return the adversarial, cycle and identity losses of both generators (eq. 1 to 3)."""
        a, b = batch.images
        to_b, to_a = networks["G_AB"], networks["G_BA"]
        # One call for both domains shares the preparation of weights; instance norm keeps images
        # independent.
        if self.identity_weight:
            (fake_b, same_b), (fake_a, same_a) = both(to_b, a, b), both(to_a, b, a)
        else:
            fake_b, fake_a = to_b(a), to_a(b)
        fakes = Pair(fake_a, fake_b)
        stats: dict[str, Tensor] = {}
        adversarial = torch.stack(list(self.fakes_against_ds(networks, batch, fakes)))
        stats["adversarial/G"] = self.factor * adversarial.sum()
        stats["cycle/G"] = l1_loss(to_a(fake_b).float(), a) + l1_loss(to_b(fake_a).float(), b)
        total = stats["adversarial/G"] + self.cycle_weight * stats["cycle/G"]
        if self.identity_weight:
            stats["identity/G"] = l1_loss(same_a.float(), a) + l1_loss(same_b.float(), b)
            total = total + self.identity_weight * stats["identity/G"]
        return self.matched(networks, batch, fakes, Loss(total, stats, {"fakes": fakes}))

    def d_loss(self, networks: Networks, batch: DomainBatch) -> Loss:
        """Return half the least-squares loss of D_A and D_B, which slows them down (section 4)."""
        losses = [
            self.against_g(networks, *both(networks[d], real, fake), draws, d)
            for d, real, fake, draws in self.d_inputs_of(networks, batch)
        ]
        total = torch.stack([loss.total for loss in losses]).sum()
        return Loss(self.factor / 2 * total, mean_verdicts([loss.stats for loss in losses]))

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
