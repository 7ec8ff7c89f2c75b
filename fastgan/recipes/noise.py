"""What all noise-to-image recipes share: z ~ N(0, 1), one G, one D, an adversarial loss, two Adams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.optim import Adam, Optimizer

from fastgan.losses.adversarial import ADVERSARIAL_LOSSES
from fastgan.recipes.base import Batch, Loss, Networks, Player, Recipe, parameters_of


@dataclass(frozen=True, kw_only=True)
class NoiseToImage(Recipe):
    """G maps z to an image, D maps an image to a logit."""

    z_dim: int = 100
    """Length of the noise vector z."""
    lr: float = 2e-4
    """Adam's learning rate for G and D."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates of the first and second moment."""
    loss: Literal["minimax", "non-saturating"] = "non-saturating"
    """Whether G minimises log(1 - D(G(z))) or maximises log D(G(z))."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("z_dim", self.z_dim >= 1, "at least 1")
        self._require("lr", 0 < self.lr < float("inf"), "a positive number")
        self._require(
            "betas", all(0 <= b < 1 for b in self.betas), "two numbers of at least 0 and less than 1"
        )
        self._require("loss", self.loss in ADVERSARIAL_LOSSES, f"one of {', '.join(ADVERSARIAL_LOSSES)}")

    def build_optimizers(self, networks: Networks) -> dict[str, Optimizer]:
        return {
            player.name: Adam(parameters_of(networks, player.networks), lr=self.lr, betas=self.betas)
            for player in self.players()
        }

    def players(self) -> tuple[Player, ...]:
        return (Player("D", ("D",), self.d_loss), Player("G", ("G",), self.g_loss))

    def d_loss(self, networks: Networks, batch: Batch) -> Loss:
        """D's loss on a real and a generated batch; D(real) and D(fake) are mean probabilities of "real"."""
        with torch.no_grad():
            fake = networks["G"](self.noise(batch))
        real_logits, fake_logits = networks["D"](batch.real), networks["D"](fake)
        return Loss(
            ADVERSARIAL_LOSSES[self.loss].d(real_logits, fake_logits),
            {"D(real)": real_logits.sigmoid().mean(), "D(fake)": fake_logits.sigmoid().mean()},
        )

    def g_loss(self, networks: Networks, batch: Batch) -> Loss:
        """G's loss on a generated batch."""
        fake_logits = networks["D"](networks["G"](self.noise(batch)))
        return Loss(ADVERSARIAL_LOSSES[self.loss].g(fake_logits))

    def noise(self, batch: Batch) -> Tensor:
        """z `[N, z_dim]`, as many as the batch has images, on its device, from torch's global generator."""
        return torch.randn(len(batch.real), self.z_dim, device=batch.real.device)

    def sample(self, networks: Networks, count: int, *, generator: Generator) -> Tensor:
        # One draw per image: the n-th image is the same however many are asked for.
        z = torch.stack([torch.randn(self.z_dim, generator=generator) for _ in range(count)])
        images: Tensor = networks["G"](z.to(next(networks["G"].parameters()).device))
        return images
