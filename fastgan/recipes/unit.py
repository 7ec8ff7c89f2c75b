"""`unit`: translation between two domains through latents that they share (Liu, Breuel, Kautz 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import l1_loss

from fastgan.losses.adversarial import minimax_d_loss, non_saturating_g_loss
from fastgan.networks.translation import UNITGenerator
from fastgan.recipes.domains import DOMAINS, DomainBatch, Domains
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.players import Batch, DrawRequest, Loss, Networks, Player
from fastgan.recipes.signature import Wrap, called_by

Norm = Literal["instance", "batch", "none"]
TERMS = ("adversarial", "kl", "reconstruction", "cycle_kl", "cycle")  # of G's loss


class LatentNoise(nn.Module):
    """What is added to the means of latents, without weights: it knows their shape.

    Args:
        shape: (C, H, W) of the latents.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape

    def draw(self, count: int, generator: Generator) -> Tensor:
        """N(0, 1), `[count, C, H, W]`, from a CPU generator."""
        return torch.randn(count, *self.shape, generator=generator)


@dataclass(frozen=True, kw_only=True)
class UNIT(Domains):
    """Liu 2017: two variational auto-encoders that share their latents, and a PatchGAN for each domain."""

    name: ClassVar[str] = "unit"
    summary: ClassVar[str] = (
        "Liu 2017: between two domains without pairs, by latents that they share"
    )

    lr: float = 1e-4
    blocks: int = 3
    """Residual blocks of each encoder and decoder; one more of either is shared by the domains."""
    norm: Norm = "instance"
    """Norm of the generator; batch learns faster where batches allow it. Discriminators have instance norm."""
    adversarial_weight: float = 10.0
    """Weight of what D says in G's loss; the paper's λ0."""
    kl_weight: float = 0.1
    """Weight of the latents' divergence from N(0, 1); λ1."""
    reconstruction_weight: float = 100.0
    """Weight of the mean absolute difference of an image from what its latents become in its own domain; λ2."""
    cycle_kl_weight: float = 0.1
    """Weight of the divergences in the cycle: of an image's latents, and of its translation's; λ3."""
    cycle_weight: float = 100.0
    """Weight of the mean absolute difference of an image from what it is after both translations; λ4."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(0, "blocks")
        self._require_at_least(0, *(f"{term}_weight" for term in TERMS))

    @property
    def has_batch_norm(self) -> bool:
        return self.norm == "batch"

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        g = UNITGenerator(images.channels, ngf=self.ngf, blocks=self.blocks, norm=self.norm)
        side = images.resolution // 4
        return {
            "G": g,
            **self.discriminators(images),
            "noise": LatentNoise((g.latent_channels, side, side)),
        }

    def translator(self, source: str, target: str) -> tuple[str, Wrap]:
        here, there = DOMAINS.index(source), DOMAINS.index(target)
        return "G", called_by(lambda network, image: network(image, source=here, target=there))

    def players(self) -> tuple[Player, ...]:
        return (
            Player("G", ("G",), self.g_loss, draw=self.draw_noise),
            Player("D", ("D_A", "D_B"), self.d_loss),
        )

    def draw_noise(self, request: DrawRequest) -> dict[str, Any]:
        """Draw noise on the latents of each domain's images, and of their translations."""
        noise = cast(LatentNoise, request.networks["noise"])
        return {
            name: {domain: noise.draw(request.count, request.generator) for domain in DOMAINS}
            for name in ("latent_noise", "cycle_noise")
        }

    def g_loss(self, networks: Networks, batch: DomainBatch) -> Loss:
        """Both variational auto-encoders', both translations' and both cycles' (eq. 3 to 5), each the mean over entries."""
        g, images = networks["G"], (batch.real, batch.inputs["other"])
        zero = torch.zeros((), device=batch.real.device)
        stats = {f"{term}/G": zero for term in TERMS}
        fakes: dict[str, Tensor] = {}
        for here, there in ((0, 1), (1, 0)):
            image, own, other = images[here], DOMAINS[here], DOMAINS[there]
            mean = g(image, source=here, target=None)
            latents = mean + batch.latent_noise[own]
            again = g(latents, source=None, target=here)
            fakes[other] = fake = g(latents, source=None, target=there)
            fake_mean = g(fake, source=there, target=None)
            back = g(fake_mean + batch.cycle_noise[own], source=None, target=here)
            judged = networks[f"D_{other}"](fake).float()
            terms = {
                "adversarial": non_saturating_g_loss(judged),
                "kl": divergence(mean),
                "reconstruction": l1_loss(again.float(), image),
                "cycle_kl": divergence(mean) + divergence(fake_mean),
                "cycle": l1_loss(back.float(), image),
            }
            stats = {f"{term}/G": stats[f"{term}/G"] + value for term, value in terms.items()}
        total = zero
        for term in TERMS:
            total = total + getattr(self, f"{term}_weight") * stats[f"{term}/G"]
        return Loss(total, stats, {"fakes": fakes})

    def d_loss(self, networks: Networks, batch: DomainBatch) -> Loss:
        """Both discriminators' cross-entropy, on translations alone (section 3). Adam doesn't see that λ0 isn't in it."""
        total = torch.zeros((), device=batch.real.device)
        said: dict[str, list[Tensor]] = {"real": [], "fake": []}
        for domain, images in zip(DOMAINS, (batch.real, batch.inputs["other"])):
            real = networks[f"D_{domain}"](images).float()
            fake = networks[f"D_{domain}"](batch.fakes[domain]).float()
            total = total + minimax_d_loss(real, fake)
            said["real"].append(real.sigmoid().mean())
            said["fake"].append(fake.sigmoid().mean())
        return Loss(
            total, {f"D({side})": torch.stack(means).mean() for side, means in said.items()}
        )

    def translate(
        self, networks: Networks, inputs: Mapping[str, Tensor], *, generator: Generator
    ) -> Tensor:
        """Of "image" images of B, of "other" images of A, without noise; samples are the latter, as with `cyclegan`."""
        (name, images) = next(iter(inputs.items()))
        here, there = (0, 1) if name == "image" else (1, 0)
        translated: Tensor = networks["G"](images, source=here, target=there)
        return translated

    def interpolate(
        self, networks: Networks, start: Tensor, end: Tensor, shares: Sequence[float]
    ) -> tuple[Tensor, Tensor]:
        """Images between pairs of images of A, by latents between theirs: of A, and the same ones of B.

        Args:
            start, end: `[N, C, H, W]` in [-1, 1].
            shares: of `end` in the latents, usually from 0 to 1.

        Returns:
            Two of `[S, N, C, H, W]`.
        """
        g = networks["G"]
        first, last = (g(images, source=0, target=None) for images in (start, end))
        latents = [torch.lerp(first, last, share) for share in shares]
        of_a, of_b = (
            torch.stack([g(between, source=None, target=domain) for between in latents])
            for domain in (0, 1)
        )
        return of_a, of_b

    def views(self, networks: Networks, given: Batch, output: Tensor) -> dict[str, Tensor]:
        """Both ways and back, and what lies halfway between an image of A and the next one, in both domains."""
        g, a, b = networks["G"], given.real, given.inputs["other"]
        there = g(a, source=0, target=1)
        (halfway,), (halfway_there,) = self.interpolate(networks, a, a.roll(-1, 0), [0.5])
        return {
            "A": a, "A again": g(a, source=0, target=0), "A to B": there, "A to B to A": g(there, source=1, target=0),
            "B": b, "B again": g(b, source=1, target=1), "B to A": output, "B to A to B": g(output, source=0, target=1),
            "A halfway to the next": halfway, "the same in B": halfway_there,
        }  # fmt: skip


def divergence(mean: Tensor) -> Tensor:
    """Of N(mean, 1) from N(0, 1), in nats per entry: mean²/2."""
    return mean.float().square().mean() / 2
