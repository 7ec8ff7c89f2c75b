"""Base of recipes that generate images from noise: z ~ N(0, 1), one G, one D, two optimisers.

A step is algorithm 1 of Goodfellow et al. 2014: `n_critic` updates of D, then `n_gen` updates of G.
Stabilisers (`fastgan.recipes.stabilizers`) act at fixed places of it; those that a recipe doesn't
have do nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Generator, Tensor, nn

from fastgan.data import ImageDataset
from fastgan.losses.adversarial import Adversarial, AdversarialLoss, adversarial_loss
from fastgan.losses.scale import LossScale
from fastgan.losses.stabilizers import feature_matching
from fastgan.recipes.base import Recipe
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.noise_batch import SIDES, NoiseBatch, Side
from fastgan.recipes.noise_signature import discriminator_signature, generator_signature
from fastgan.recipes.optimizers import OptimizerFactory, adam, rmsprop
from fastgan.recipes.players import Batch, DrawRequest, Loss, Networks, Player, Regularizer
from fastgan.recipes.signature import Signature
from fastgan.recipes.stabilizers import Augmentation, Penalty, Pipe, Stabilizers

Optimizing = Literal["adam", "rmsprop"]

__all__ = ["Adversarial", "Augmentation", "NoiseBatch", "NoiseToImage", "Penalty", "Pipe", "Side"]


@dataclass(frozen=True, kw_only=True)
class NoiseToImage(Recipe):
    """G maps z to an image, and D maps an image to a logit.

    A recipe derives from the settings of each stabiliser that it supports, as in
    `class MyGAN(PenaltySettings, NoiseToImage)`.
    """

    batch_type: ClassVar[type[Batch]] = NoiseBatch

    z_dim: int = 100
    """Length of the noise vector z."""
    conditional: bool = False
    """Give the labels to G and D, so that images of a class can be sampled."""
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
    """Updates of G per step, each on its own noise."""
    real_label: float = 1.0
    """D's target for real images; 0.9 is one-sided smoothing (cross-entropies, least-squares)."""
    fake_label: float = 0.0
    """D's target for generated images; 0.1 with `real_label` 0.9 smooths both sides."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "z_dim", "n_critic", "n_gen")
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
        # Made once, outside of compiled code; labels are checked then.
        _ = self.adversarial, self.d_loss_scale

    @cached_property
    def stabilizers(self) -> Stabilizers:
        """Stabilisers with this recipe's settings."""
        return Stabilizers.of(self)

    def check_images(self, images: ImageSpec) -> None:
        if self.conditional and images.num_classes < 2:
            raise RecipeError(
                "`conditional` needs labels, but the data set has none: put the images of each "
                "class in a folder of its own, or train without `conditional`."
            )

    def check_data(self, dataset: ImageDataset) -> None:
        if self.conditional and dataset.unlabelled:
            raise RecipeError(
                f"`conditional` needs labels, but there are none in {dataset.name!r}: "
                f"{dataset.unlabelled}; mend that, or leave it out."
            )
        if self.conditional and dataset.num_classes == 1 and dataset.class_names:
            raise RecipeError(
                f"`conditional` needs two classes or more, but {dataset.name!r} has one, "
                f"{dataset.class_names[0]!r}: add another, or leave it out."
            )
        super().check_data(dataset)

    def classes(self, images: ImageSpec) -> int:
        """Return the number of classes that the networks are conditioned on, 0 for none."""
        return images.num_classes if self.conditional else 0

    @property
    def g_sees_real_images(self) -> bool:
        """True if G's loss depends on D's logits or features of real images."""
        stabilizers = self.stabilizers
        return self.adversarial.pairs or bool(
            stabilizers.feature_matching.feature_matching or stabilizers.unroll.unroll
        )

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

    @cached_property
    def d_loss_scale(self) -> LossScale | None:
        return self.adversarial.scale(self.stabilizers.label_noise.flip_labels)

    def extras(self, images: ImageSpec) -> dict[str, nn.Module]:
        """Return modules without parameters for images of this shape, as the settings ask for.

        They are the augmentation of D's images ("augment"), the image pool ("pool") and the means
        of weights ("history_D", "history_G").
        """
        parts = self.stabilizers
        return {
            **parts.augmenting.modules(images),
            **parts.replay.modules(images),
            **parts.history.modules(images),
        }

    def stabilized(self, discriminator: nn.Module) -> nn.Module:
        """Return D with spectral norm if the settings ask for it."""
        return self.stabilizers.spectral_norm.normalised(discriminator)

    def prepare(self, networks: Networks) -> None:
        self.stabilizers.history.prepare(networks)

    def optimizer_of(self, name: str) -> OptimizerFactory:
        """Return the optimiser of a player, by its name."""
        rate = self.d_lr if name == "D" and self.d_lr is not None else self.lr
        return rmsprop(rate) if self.optimizer == "rmsprop" else adam(rate, self.betas)

    def players(self) -> tuple[Player, ...]:
        parts = self.stabilizers
        return (
            Player(
                "D",
                ("D",),
                self.d_loss,
                self.n_critic,
                (*self.penalty_terms(), *parts.history.terms("D")),
                draw=self.draw_for_d,
                make_fakes=self.with_fakes,
                optimizer=self.optimizer_of("D"),
                after_update=(
                    *parts.augmenting.after_update(self.batch),
                    *parts.clipping.after_update(),
                    *parts.history.after_update("D"),
                ),
            ),
            Player(
                "G",
                ("G",),
                self.g_loss,
                self.n_gen,
                (*parts.history.terms("G"), *parts.orthogonal.terms(), *self.g_terms()),
                draw=self.draw_for_g,
                optimizer=self.optimizer_of("G"),
                after_update=tuple(parts.history.after_update("G")),
            ),
        )

    def g_terms(self) -> tuple[Regularizer, ...]:
        """Return G's regularisers that only this recipe has."""
        return ()

    def draw_for_d(self, request: DrawRequest) -> dict[str, Any]:
        """Draw for D's phase: noise, augmentations, flipped labels, places in penalty and pool."""
        parts = self.stabilizers
        return {
            **self.draw_noise(request),
            **parts.augmenting.draw(request, SIDES),
            **parts.label_noise.draw(request),
            **parts.penalty.draw(request),
            **parts.replay.draw(request),
        }

    def draw_for_g(self, request: DrawRequest) -> dict[str, Any]:
        """Draw for G's phase: noise, and augmentations of the images that D sees in it.

        D sees generated images, and real ones too if `g_sees_real_images`.
        """
        sides: tuple[Side, ...] = SIDES if self.g_sees_real_images else ("fake",)
        return {
            **self.draw_noise(request),
            **self.stabilizers.augmenting.draw(request, sides),
        }

    def draw_noise(self, request: DrawRequest) -> dict[str, Tensor]:
        """Draw z `[N, z_dim]`, standard normal, and set the deviation of the instance noise."""
        z = torch.randn(request.count, self.z_dim, generator=request.generator)
        return {"noise": z, **self.stabilizers.instance_noise.draw(request)}

    def generate(self, networks: Networks, batch: NoiseBatch) -> Tensor:
        """Return G's images for the noise and labels of the batch."""
        images: Tensor = networks["G"](batch.noise, *self.labels(batch))
        return images

    def labels(self, batch: NoiseBatch) -> tuple[Tensor, ...]:
        """Return the labels as further arguments of the networks: `(labels,)` or `()`."""
        return (batch.labels,) if self.conditional else ()

    def with_fakes(self, networks: Networks, batch: NoiseBatch) -> NoiseBatch:
        """Return the batch with generated images as constants, some of them older with replay."""
        with torch.no_grad():
            fakes = self.generate(networks, batch)
        return self.stabilizers.replay.mix(networks, replace(batch, fakes=fakes))

    def d_loss(self, networks: Networks, batch: NoiseBatch) -> Loss:
        """Return D's loss on real and generated images, and the means of D's verdicts."""
        parts = self.stabilizers
        real = self.logits(networks, batch, batch.real, "real")
        fake = self.logits(networks, batch, batch.fakes, "fake")
        total = self.adversarial.d(*parts.label_noise.flip(real, fake, batch))
        scale = self.d_loss_scale
        certainty = None if scale is None else scale.certainty(total.detach())
        stats = parts.augmenting.observe(networks, real)
        total = parts.drift.add(total, real)
        verdicts = self.adversarial.verdicts(real=real, fake=fake, certainty=certainty)
        return Loss(total, {**verdicts, **stats})

    def g_loss(self, networks: Networks, batch: NoiseBatch) -> Loss:
        """Return G's loss on generated images."""
        parts = self.stabilizers
        images = self.generate(networks, batch)

        def d_loss(ahead: Networks) -> Tensor:
            real = self.logits(ahead, batch, batch.real, "real")
            return self.adversarial.d(real, self.logits(ahead, batch, images, "fake"))

        unrolled = parts.unroll.ahead(networks, d_loss)
        fake = self.logits(unrolled, batch, images, "fake")
        if self.adversarial.pairs:
            # An unrolled D depends on G even for real images.
            with torch.set_grad_enabled(parts.unroll.unroll > 0):
                real = self.logits(unrolled, batch, batch.real, "real")
            total = self.adversarial.g(fake, real)
        else:
            total = self.adversarial.g(fake)
        # Dynamo can't trace Loss's default, a mapping proxy, together with functional_call.
        stats = {}
        if weight := parts.feature_matching.feature_matching:
            stats["feature_matching/G"] = self.matching_loss(networks, batch, images)
            total = total + weight * stats["feature_matching/G"]
        return Loss(total, stats)

    def matching_loss(self, networks: Networks, batch: NoiseBatch, images: Tensor) -> Tensor:
        """Return the distance of D's mean features of generated images from those of real ones.

        This is feature matching of Salimans et al. 2016, section 3.1.
        """
        features: Callable[..., Tensor] = cast(Any, networks["D"]).features
        with torch.no_grad():
            real = features(self.d_inputs(networks, batch.real, batch, "real"), *self.labels(batch))
        fake = features(self.d_inputs(networks, images, batch, "fake"), *self.labels(batch))
        return feature_matching(real, fake)

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

    def penalty_loss(self, networks: Networks, batch: NoiseBatch) -> Tensor:
        """Return the penalty on D's gradient, times its weight."""
        d_of_real = self.critic(networks, batch, "real")
        d_of_fake = self.critic(networks, batch, "fake")
        penalty = self.stabilizers.penalty.compute(d_of_real, d_of_fake, batch)
        return self.weight_of_penalty(batch.real) * penalty

    def weight_of_penalty(self, images: Tensor) -> float:
        """Return λ or γ of the penalty, for images of this size."""
        weight = self.stabilizers.penalty.penalty_weight
        return self.default_penalty_weight(images) if weight is None else weight

    def default_penalty_weight(self, images: Tensor) -> float:
        """Return λ or γ of the papers, for images of this size."""
        return 10.0

    def critic(
        self, networks: Networks, batch: NoiseBatch, side: Side
    ) -> Callable[[Tensor], Tensor]:
        """Return D's logits as a function of images.

        The function takes labels and one side's augmentations from the batch.
        """
        if side == "fake" and batch.fake_labels is not None:
            batch = replace(batch, labels=batch.fake_labels)
        augment = self.stabilizers.augmenting.of_side(networks, batch, side)
        labels, D = self.labels(batch), networks["D"]

        def critic(images: Tensor) -> Tensor:
            logits: Tensor = D(augment(images), *labels)
            return logits

        return critic

    def logits(self, networks: Networks, batch: NoiseBatch, images: Tensor, side: Side) -> Tensor:
        """Return D's float32 logits of images, under this step's instance noise."""
        images = self.stabilizers.instance_noise.add(images, batch)
        return self.critic(networks, batch, side)(images).float()

    def d_inputs(self, networks: Networks, images: Tensor, batch: NoiseBatch, side: Side) -> Tensor:
        """Return images as D sees them: with instance noise and one side's augmentations."""
        parts = self.stabilizers
        augment = parts.augmenting.of_side(networks, batch, side)
        return augment(parts.instance_noise.add(images, batch))

    def sample(
        self,
        networks: Networks,
        count: int,
        *,
        generator: Generator,
        rows: Batch | None = None,
        label: int | None = None,
    ) -> Tensor:
        """Return generated images.

        The n-th image depends neither on their number nor on `label`.

        Args:
            label: class of all images, for conditional networks; None draws a class for each.
        """
        # Draw image by image, and a class even with `label`: so the n-th image's noise is fixed.
        noise, classes = [], []
        for _ in range(count):
            noise.append(torch.randn(self.z_dim, generator=generator))
            if self.conditional:
                drawn = torch.randint(cast(Any, networks["G"]).c_dim, (), generator=generator)
                classes.append(drawn if label is None else torch.tensor(label))
        device = next(networks["G"].parameters()).device
        labels = (torch.stack(classes).to(device),) if classes else ()
        return self.images_of(networks, torch.stack(noise).to(device), *labels)

    def signatures(self, networks: Networks, images: ImageSpec) -> dict[str, Signature]:
        names = images.class_names
        return {
            "G": generator_signature(networks["G"], images.shape, names, noise=self.noise_meaning),
            "D": discriminator_signature(networks["D"], images.shape, names),
        }

    @property
    def noise_meaning(self) -> str:
        """Meaning of z, for the signature."""
        return "noise"

    def images_of(self, networks: Networks, z: Tensor, *labels: Tensor) -> Tensor:
        """Return the samples of noise.

        Args:
            z: noise `[N, z_dim]`.
            labels: classes int64 `[N]`, if `conditional`.
        """
        images: Tensor = networks["G"](z, *labels)
        return images
