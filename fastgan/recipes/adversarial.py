"""Base of recipes with an adversarial loss: players, losses and stabilisers that they share.

A step makes `n_critic` updates of the discriminators and `n_gen` of the generators. Stabilisers
(`fastgan.recipes.stabilizers`) act at fixed places of both losses. Those that a recipe doesn't have
do nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from fastgan.losses.adversarial import Adversarial, AdversarialLoss, adversarial_loss
from fastgan.losses.penalties import Critic
from fastgan.networks.protocol import DiscriminatorOutput, logits_of
from fastgan.recipes.base import Recipe
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.optimizers import OptimizerFactory, adam, rmsprop
from fastgan.recipes.players import DrawRequest, Loss, Networks, Player, Regularizer
from fastgan.recipes.stabilizers import SIDES, Draws, Side, Stabilizers

Optimizing = Literal["adam", "rmsprop"]
Output = Tensor | DiscriminatorOutput
"""Output of a discriminator."""


class AgainstD(NamedTuple):
    """Generated images before a D.

    Attributes:
        loss: G's adversarial loss.
        output: D's output for the images.
        networks: networks with the D that made it, which is ahead of D with `unroll`.
    """

    loss: Tensor
    output: Output
    networks: Networks


@dataclass(frozen=True, kw_only=True)
class AdversarialRecipe(Recipe):
    """Generators against discriminators.

    A recipe derives from the settings of each stabiliser that it supports, as in
    `class MyGAN(PenaltySettings, NoiseToImage)`.
    """

    generators: ClassVar[tuple[str, ...]] = ("G",)
    """Networks of the player G."""
    discriminators: ClassVar[tuple[str, ...]] = ("D",)
    """Networks of the player D."""

    optimizer: Optimizing = "adam"
    """Optimiser of G and D: Adam, or RMSprop, which has no momentum (WGAN)."""
    lr: float = 2e-4
    """Learning rate of G, and of D unless `d_lr` is given."""
    d_lr: float | None = None
    """Learning rate of D (two time scales); None takes `lr`."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates of the first and second moment."""
    loss: Adversarial = "non-saturating"
    """Adversarial loss of D and G."""
    n_critic: int = 1
    """Updates of D per step, each on its own images."""
    n_gen: int = 1
    """Updates of G per step, each on its own images or noise."""
    real_label: float = 1.0
    """D's target for real images; 0.9 is one-sided smoothing (cross-entropies, least-squares)."""
    fake_label: float = 0.0
    """D's target for generated images; 0.1 with `real_label` 0.9 smooths both sides."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "n_critic", "n_gen")
        self._require_positive("lr")
        self._require(
            "d_lr", self.d_lr is None or 0 < self.d_lr < float("inf"), "a positive number"
        )
        self._require(
            "betas",
            all(0 <= b < 1 for b in self.betas),
            "two numbers of at least 0 and less than 1",
        )
        for part in self.stabilizers:
            part.check(self)
        # Made once; its labels are checked then.
        _ = self.adversarial

    @cached_property
    def stabilizers(self) -> Stabilizers:
        """Stabilisers with this recipe's settings."""
        return Stabilizers.of(self)

    @cached_property
    def adversarial(self) -> AdversarialLoss:
        try:
            return adversarial_loss(
                self.loss, real_label=self.real_label, fake_label=self.fake_label
            )
        except ValueError as error:
            raise RecipeError(
                f"`real_label` and `fake_label` don't fit `loss` {self.loss}: {error}."
            ) from error

    @property
    def g_sees_real_images(self) -> bool:
        """True if G's loss depends on D's logits or features of real images."""
        stabilizers = self.stabilizers
        return self.adversarial.pairs or bool(
            stabilizers.feature_matching.feature_matching or stabilizers.unroll.unroll
        )

    def extras(self, images: ImageSpec) -> dict[str, nn.Module]:
        """Return modules without parameters for images of this shape, as the settings ask for.

        They are the augmentation of a D's images ("augment", "augment_A"), its pool ("pool",
        "pool_A") and the means of weights ("history_D", "history_G").
        """
        parts = self.stabilizers
        modules: dict[str, nn.Module] = {}
        for d in self.discriminators:
            modules |= {**parts.augmenting.modules(images, d), **parts.replay.modules(images, d)}
        return {**modules, **parts.history.modules()}

    def stabilized(self, discriminator: nn.Module) -> nn.Module:
        """Return D with spectral norm if the settings ask for it."""
        return self.stabilizers.spectral_norm.normalised(discriminator)

    def prepare(self, networks: Networks) -> None:
        self.stabilizers.history.prepare(networks, "D", self.discriminators)
        self.stabilizers.history.prepare(networks, "G", self.generators)

    def optimizer_of(self, name: str) -> OptimizerFactory:
        """Return the optimiser of a player, by its name."""
        rate = self.d_lr if name == "D" and self.d_lr is not None else self.lr
        return rmsprop(rate) if self.optimizer == "rmsprop" else adam(rate, self.betas)

    def d_player(self, *, start: int = 0) -> Player:
        """Return the player D, with its stabilisers.

        Args:
            start: real images shown before its first phase.
        """
        parts, names = self.stabilizers, self.discriminators
        return Player(
            "D",
            names,
            self.d_loss,
            self.n_critic,
            (*self.penalty_terms(), *parts.history.terms("D", names)),
            draw=self.draw_for_d,
            make_fakes=self.with_fakes,
            optimizer=self.optimizer_of("D"),
            after_update=(
                *(action for d in names for action in parts.augmenting.after_update(self.batch, d)),
                *parts.clipping.after_update(names),
                *parts.history.after_update("D", names),
            ),
            start=start,
        )

    def g_player(self, *, start: int = 0) -> Player:
        """Return the player G, with its stabilisers.

        Args:
            start: real images shown before its first phase.
        """
        parts, names = self.stabilizers, self.generators
        return Player(
            "G",
            names,
            self.g_loss,
            self.n_gen,
            (
                *parts.history.terms("G", names),
                *parts.orthogonal.terms(names),
                *self.g_terms(),
            ),
            draw=self.draw_for_g,
            optimizer=self.optimizer_of("G"),
            after_update=tuple(parts.history.after_update("G", names)),
            start=start,
        )

    def g_terms(self) -> tuple[Regularizer, ...]:
        """Return G's regularisers that only this recipe has."""
        return ()

    @abstractmethod
    def draw_for_d(self, request: DrawRequest) -> dict[str, Any]:
        """Draw fields of the batch for D's phase."""

    @abstractmethod
    def draw_for_g(self, request: DrawRequest) -> dict[str, Any]:
        """Draw fields of the batch for G's phase."""

    @abstractmethod
    def with_fakes(self, networks: Networks, batch: Any) -> Any:
        """Return the batch of D's phase with generated images as constants."""

    @abstractmethod
    def d_loss(self, networks: Networks, batch: Any) -> Loss:
        """Return D's loss."""

    @abstractmethod
    def g_loss(self, networks: Networks, batch: Any) -> Loss:
        """Return G's loss."""

    @abstractmethod
    def penalty_loss(self, networks: Networks, batch: Any) -> Tensor:
        """Return the penalty on D's gradient, times its weight."""

    @abstractmethod
    def matching_loss(self, networks: Networks, batch: Any, fakes: Any) -> Tensor:
        """Return the distance of D's features of generated images from those of real ones."""

    def matched(self, networks: Networks, batch: Any, fakes: Any, loss: Loss) -> Loss:
        """Return G's loss with feature matching, if `feature_matching` asks for it."""
        if not (weight := self.stabilizers.feature_matching.feature_matching):
            return loss
        distance = self.matching_loss(networks, batch, fakes)
        stats = {**loss.stats, "feature_matching/G": distance}
        return Loss(loss.total + weight * distance, stats, loss.outputs)

    def draws_for_d(self, request: DrawRequest, d: str = "D") -> Draws:
        """Draw for a D's phase: noise, augmentations, flips, places in penalty and pool."""
        parts = self.stabilizers
        return Draws(
            **parts.instance_noise.draw(request, SIDES),
            **parts.augmenting.draw(request, SIDES, d),
            **parts.label_noise.draw(request),
            **parts.penalty.draw(request),
            **parts.replay.draw(request),
        )

    def draws_for_g(self, request: DrawRequest, d: str = "D") -> Draws:
        """Draw noise and augmentations of the images that a D sees in G's phase.

        They are generated images, and real ones too if `g_sees_real_images`.
        """
        sides: tuple[Side, ...] = SIDES if self.g_sees_real_images else ("fake",)
        parts = self.stabilizers
        return Draws(
            **parts.instance_noise.draw(request, sides), **parts.augmenting.draw(request, sides, d)
        )

    def seen_by_d(
        self,
        networks: Networks,
        draws: Draws,
        side: Side,
        conditions: tuple[Tensor, ...] = (),
        d: str = "D",
    ) -> Critic:
        """Return a D as a function of images, with one side's augmentations.

        Args:
            conditions: further arguments of D, such as labels.
        """
        augment = self.stabilizers.augmenting.of_side(networks, draws, side, d)
        D = networks[d]

        def critic(images: Tensor) -> Output:
            output: Output = D(augment(images), *conditions)
            return output

        return critic

    def d_inputs(
        self, networks: Networks, images: Tensor, draws: Draws, side: Side, d: str = "D"
    ) -> Tensor:
        """Return images as a D sees them: with instance noise and one side's augmentations."""
        parts = self.stabilizers
        augment = parts.augmenting.of_side(networks, draws, side, d)
        return augment(parts.instance_noise.add(images, draws, side))

    def against_g(
        self, networks: Networks, real: Output, fake: Output, draws: Draws, d: str = "D"
    ) -> Loss:
        """Return a D's adversarial loss, the mean over its scales, and the means of its verdicts.

        Args:
            networks: all networks by name.
            real, fake: D's outputs for real and generated images.
            draws: random rows for these images.
            d: name of D.
        """
        parts, scale = self.stabilizers, self.d_loss_scale
        losses, verdicts = [], []
        for of_real, of_fake in zip(logits_of(real), logits_of(fake)):
            of_real, of_fake = of_real.float(), of_fake.float()
            loss = self.adversarial.d(*parts.label_noise.flip(of_real, of_fake, draws))
            certainty = None if scale is None else scale.certainty(loss.detach())
            losses.append(parts.drift.add(loss, of_real))
            verdicts.append(
                self.adversarial.verdicts(real=of_real, fake=of_fake, certainty=certainty)
            )
        stats = parts.augmenting.observe(networks, logits_of(real)[0].float(), d)
        return Loss(mean_of(losses), {**mean_verdicts(verdicts), **stats})

    def against_d(
        self, networks: Networks, output: Callable[[Networks, Side], Output], d: str = "D"
    ) -> AgainstD:
        """Return G's adversarial loss against a D, the mean over D's scales.

        Args:
            networks: all networks by name.
            output: D's output for the images of a side, as a function of networks with D.
            d: name of D.
        """
        unroll = self.stabilizers.unroll

        def d_loss(ahead: Networks) -> Tensor:
            sides = (logits_of(output(ahead, side)) for side in SIDES)
            return mean_of([self.adversarial.d(r.float(), f.float()) for r, f in zip(*sides)])

        ahead = unroll.ahead(networks, d_loss, d)
        fake = output(ahead, "fake")
        logits = [scale.float() for scale in logits_of(fake)]
        if self.adversarial.pairs:
            # An unrolled D depends on G even for real images.
            with torch.set_grad_enabled(unroll.unroll > 0):
                real = [scale.float() for scale in logits_of(output(ahead, "real"))]
            losses = [self.adversarial.g(f, r) for f, r in zip(logits, real)]
        else:
            losses = [self.adversarial.g(f) for f in logits]
        return AgainstD(mean_of(losses), fake, ahead)

    def penalty_terms(self) -> tuple[Regularizer, ...]:
        """Return the penalty on D's gradient, if there is one."""
        penalty = self.stabilizers.penalty
        if penalty.kind is None:
            return ()
        return (
            Regularizer(
                penalty.penalty,
                self.penalty_loss,
                every=penalty.penalty_every,
                needs_fakes=penalty.kind.needs_fakes,
            ),
        )

    def weighted_penalty(
        self, d_of_real: Critic, d_of_fake: Critic, real: Tensor, fake: Tensor, draws: Draws
    ) -> Tensor:
        """Return the penalty on a D's gradient, times its weight.

        Arguments are those of `GradientPenalty.compute`.
        """
        penalty = self.stabilizers.penalty.compute(d_of_real, d_of_fake, real, fake, draws)
        return self.weight_of_penalty(real) * penalty

    def weight_of_penalty(self, images: Tensor) -> float:
        """Return λ or γ of the penalty, for images of this size."""
        weight = self.stabilizers.penalty.penalty_weight
        return self.default_penalty_weight(images) if weight is None else weight

    def default_penalty_weight(self, images: Tensor) -> float:
        """Return λ or γ of the papers, for images of this size."""
        return 10.0


def mean_of(scalars: Sequence[Tensor]) -> Tensor:
    """Return the mean of scalars."""
    return scalars[0] if len(scalars) == 1 else torch.stack(list(scalars)).mean()


def mean_verdicts(verdicts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the means of the verdicts of several discriminators, or of several scales."""
    return {name: mean_of([each[name] for each in verdicts]) for name in verdicts[0]}
