"""`unit`: translation between two domains by shared latents (Liu, Breuel, Kautz 2017).

A step is an update of G, then one of D_A and D_B. Each domain's encoder gives the mean μ of a
latent z = μ + ε with ε ~ N(0, I). x̃ is the translation of x. For each domain (section 3):

- G descends L_VAE, which is λ1·KL(N(μ, I) ‖ N(0, I)) + λ2·L1 of x and its reconstruction.
- G descends L_GAN, which is -λ0·E[log D(x̃)] with the D of the other domain.
- G descends L_CC, which is λ3·KL of the latents of x and x̃ + λ4·L1 of x and its way back.
- D descends -E[log D(x)] - E[log(1 - D(x̃))] (L_GAN).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import l1_loss

from fastgan.networks.translation import UNITGenerator
from fastgan.recipes.adversarial import mean_verdicts
from fastgan.recipes.domains import DOMAINS, DomainBatch, Domains
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.pair import Pair
from fastgan.recipes.players import Batch, DrawRequest, Loss, Networks
from fastgan.recipes.presets import Preset
from fastgan.recipes.signature import Wrap, called_by

Norm = Literal["instance", "batch", "none"]
# Terms of G's loss.
TERMS = ("adversarial", "kl", "reconstruction", "cycle_kl", "cycle")


class LatentNoise(nn.Module):
    """Noise for the means of latents; a module without weights that knows their shape.

    Args:
        shape: (C, H, W) of the latents.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape

    def draw(self, count: int, generator: Generator) -> Tensor:
        """Draw N(0, 1), `[count, C, H, W]`, from a CPU generator."""
        return torch.randn(count, *self.shape, generator=generator)


@dataclass(frozen=True, kw_only=True)
class UNIT(Domains):
    """Liu 2017: two variational auto-encoders with a shared latent space, a PatchGAN per domain."""

    name: ClassVar[str] = "unit"
    summary: ClassVar[str] = (
        "Liu 2017: between two domains without pairs, by latents that they share"
    )

    lr: float = 1e-4
    blocks: int = 3
    """Residual blocks of each encoder and decoder, plus one each that the domains share."""
    norm: Norm = "instance"
    """Norm of G; batch learns faster if the batch is large enough. D always has instance norm."""
    adversarial_weight: float = 10.0
    """Weight of the adversarial loss in G's loss; λ0 of the paper."""
    kl_weight: float = 0.1
    """Weight of the latents' KL divergence from N(0, 1); λ1."""
    reconstruction_weight: float = 100.0
    """Weight of the L1 distance between an image and its reconstruction; λ2."""
    cycle_kl_weight: float = 0.1
    """Weight of the KL divergences of the latents in the cycle; λ3."""
    cycle_weight: float = 100.0
    """Weight of the L1 distance between an image and its translation there and back; λ4."""

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        settings = {
            "batch": 8,
            "ngf": 8,
            "ndf": 16,
            "patch": 16 if resolution <= 32 else 34,
            "blocks": 0,
            "norm": "batch",
            "lr": 3e-3,
            "ema": 0.97,
        }
        return Preset(4_000, settings)

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
            **self.new_discriminators(images),
            "noise": LatentNoise((g.latent_channels, side, side)),
            **self.extras(images),
        }

    def translator(self, source: str, target: str) -> tuple[str, Wrap]:
        here, there = (0, 1) if source == DOMAINS.a else (1, 0)
        return "G", called_by(lambda network, image: network(image, source=here, target=there))

    def draw_inputs(self, request: DrawRequest) -> dict[str, Any]:
        """Draw noise on the latents of each domain's images, and of their translations."""
        noise = cast(LatentNoise, request.networks["noise"])
        latents, back = (
            Pair(*(noise.draw(request.count, request.generator) for _ in DOMAINS)) for _ in range(2)
        )
        return {"latent_noise": latents, "cycle_noise": back}

    def generate(self, networks: Networks, batch: DomainBatch) -> Pair[Tensor]:
        g, (a, b), (noise_a, noise_b) = networks["G"], batch.images, batch.latent_noise
        # Domain A is 0 in G, and B is 1.
        to_b = g(g(a, source=0, target=None) + noise_a, source=None, target=1)
        return Pair(g(g(b, source=1, target=None) + noise_b, source=None, target=0), to_b)

    def g_loss(self, networks: Networks, batch: DomainBatch) -> Loss:
        """Return the losses of auto-encoders, translations and cycles, both ways."""
        g, zero = networks["G"], torch.zeros((), device=batch.real.device)
        fakes: list[Tensor] = []
        ways = []
        for here, image, noise, cycle_noise in zip(
            (0, 1), batch.images, batch.latent_noise, batch.cycle_noise
        ):
            there = 1 - here
            mean = g(image, source=here, target=None)
            latents = mean + noise
            reconstruction = g(latents, source=None, target=here)
            fake = g(latents, source=None, target=there)
            fake_mean = g(fake, source=there, target=None)
            back = g(fake_mean + cycle_noise, source=None, target=here)
            fakes.append(fake)
            ways.append(
                {
                    "kl": divergence(mean),
                    "reconstruction": l1_loss(reconstruction.float(), image),
                    "cycle_kl": divergence(mean) + divergence(fake_mean),
                    "cycle": l1_loss(back.float(), image),
                }
            )
        of_b, of_a = fakes
        generated = Pair(of_a, of_b)
        against = self.fakes_against_ds(networks, batch, generated).swapped
        stats = {f"{term}/G": zero for term in TERMS}
        for terms, adversarial in zip(ways, against):
            for term, value in ({"adversarial": adversarial} | terms).items():
                stats[f"{term}/G"] = stats[f"{term}/G"] + value
        total = zero
        for term in TERMS:
            total = total + getattr(self, f"{term}_weight") * stats[f"{term}/G"]
        return self.matched(networks, batch, generated, Loss(total, stats, {"fakes": generated}))

    def d_loss(self, networks: Networks, batch: DomainBatch) -> Loss:
        """Return the cross-entropy of both discriminators on translations.

        λ0 is left out, since Adam doesn't depend on the scale of a loss.
        """
        losses = [
            self.against_g(networks, networks[d](real), networks[d](fake), draws, d)
            for d, real, fake, draws in self.d_inputs_of(networks, batch)
        ]
        total = torch.stack([loss.total for loss in losses]).sum()
        return Loss(total, mean_verdicts([loss.stats for loss in losses]))

    def translate(
        self, networks: Networks, inputs: Mapping[str, Tensor], *, generator: Generator
    ) -> Tensor:
        """Return translations without noise: A to B for the input "image", B to A for "other".

        Samples translate "other", as in `cyclegan`.
        """
        (name, images) = next(iter(inputs.items()))
        here, there = (0, 1) if name == "image" else (1, 0)
        translated: Tensor = networks["G"](images, source=here, target=there)
        return translated

    def interpolate(
        self, networks: Networks, start: Tensor, end: Tensor, shares: Sequence[float]
    ) -> tuple[Tensor, Tensor]:
        """Return images between pairs of images of A, interpolated in the latent space.

        Args:
            start: images of A, `[N, C, H, W]` in [-1, 1].
            end: images of A, `[N, C, H, W]` in [-1, 1].
            shares: S shares of `end` in the latents, usually from 0 to 1.

        Returns:
            Images of A and their translations to B, `[S, N, C, H, W]` each.
        """
        g = networks["G"]
        first, last = (g(images, source=0, target=None) for images in (start, end))
        latents = [torch.lerp(first, last, share) for share in shares]
        in_a, in_b = (
            torch.stack([g(between, source=None, target=domain) for between in latents])
            for domain in (0, 1)
        )
        return in_a, in_b

    def views(self, networks: Networks, rows: Batch, output: Tensor) -> dict[str, Tensor]:
        """Return reconstructions, translations, cycles, and interpolations of neighbours."""
        g, a, b = networks["G"], rows.real, rows.inputs["other"]
        there = g(a, source=0, target=1)
        (halfway,), (halfway_there,) = self.interpolate(networks, a, a.roll(-1, 0), [0.5])
        return {
            "A": a, "A again": g(a, source=0, target=0),
            "A to B": there, "A to B to A": g(there, source=1, target=0),
            "B": b, "B again": g(b, source=1, target=1),
            "B to A": output, "B to A to B": g(output, source=0, target=1),
            "A halfway to the next": halfway, "the same in B": halfway_there,
        }  # fmt: skip


def divergence(mean: Tensor) -> Tensor:
    """Return the KL divergence of N(mean, 1) from N(0, 1) in nats per entry: mean²/2."""
    return mean.float().square().mean() / 2
