"""Base of recipes that generate images from noise: z ~ N(0, 1), one G, one D, two optimisers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from fastgan.augment import ADA, Augment, DiffAugment
from fastgan.data import ImageDataset
from fastgan.losses import penalties
from fastgan.losses.adversarial import AdversarialLoss, adversarial_loss
from fastgan.losses.scale import LossScale
from fastgan.losses.stabilizers import annealed_std, feature_matching, flip_labels, instance_noise
from fastgan.nn import apply_spectral_norm
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.memory import ImagePool, WeightHistory
from fastgan.recipes.noise_settings import Adversarial, Augmentation, NoiseSettings, Penalty, Pipe
from fastgan.recipes.noise_signature import discriminator_signature, generator_signature
from fastgan.recipes.optimizers import OptimizerFactory, adam, rmsprop
from fastgan.recipes.players import (
    ABSENT,
    Batch,
    DrawRequest,
    Loss,
    Networks,
    Player,
    Regularizer,
    parameters_of,
)
from fastgan.recipes.signature import Signature

Side = Literal["real", "fake"]
SIDES: tuple[Side, Side] = ("real", "fake")
# Batches between two updates of ADA's p.
OBSERVED = 4
# Share of the images that go through the pool.
REPLAYED = 0.5

__all__ = ["Adversarial", "Augmentation", "NoiseBatch", "NoiseToImage", "Penalty", "Pipe", "Side"]


@dataclass(frozen=True)
class NoiseBatch(Batch):
    """Batch of recipes that generate images from noise.

    Attributes:
        noise: z, float32 `[N, z_dim]`.
        mixed_noise: z of the styles from `crossover` on, float32 `[N, z_dim]`.
        crossover: place of the first such style, from 0 to 1 (no style), float32 `[N]`.
        instance_noise_std: standard deviation of the instance noise, float32 `[N]`.
        augment_real, augment_fake: random rows of the augmentation, by its own names.
        flipped: images with flipped labels, bool `[N]`.
        alpha: place between a real and a generated image in a penalty, float32 `[N]`.
        replay_mask, replay_slots: images that go through the pool, bool `[N]`, and their places
            there, int64 `[N]`.
        burn_in_left: share of the burn-in that is left, float32 `[N]`.
        fakes: generated images `[N, C, H, W]`.
        fake_labels: their classes, where they differ from `labels`, int64 `[N]`.
    """

    noise: Tensor = ABSENT
    mixed_noise: Tensor = ABSENT
    crossover: Tensor = ABSENT
    instance_noise_std: Tensor = ABSENT
    augment_real: Mapping[str, Tensor] = ABSENT
    augment_fake: Mapping[str, Tensor] = ABSENT
    flipped: Tensor = ABSENT
    alpha: Tensor = ABSENT
    replay_mask: Tensor = ABSENT
    replay_slots: Tensor = ABSENT
    burn_in_left: Tensor = ABSENT
    fakes: Tensor = ABSENT
    fake_labels: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class NoiseToImage(NoiseSettings):
    """G maps z to an image, and D maps an image to a logit."""

    batch_type: ClassVar[type[Batch]] = NoiseBatch

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
        return self.adversarial.pairs or bool(self.feature_matching or self.unroll)

    @property
    def adversarial(self) -> AdversarialLoss:
        return adversarial_loss(self.loss, real_label=self.real_label, fake_label=self.fake_label)

    @property
    def d_loss_scale(self) -> LossScale | None:
        return self.adversarial.scale(self.flip_labels)

    def prepare(self, networks: Networks) -> None:
        if self.historical_averaging:
            for name in ("D", "G"):
                history = cast(WeightHistory, networks[f"history_{name}"])
                history.follow(parameters_of(networks, (name,)))

    def optimizer_of(self, name: str) -> OptimizerFactory:
        """Return the optimiser of a player, by its name."""
        rate = self.d_lr if name == "D" and self.d_lr is not None else self.lr
        return rmsprop(rate) if self.optimizer == "rmsprop" else adam(rate, self.betas)

    def after_update(self, name: str) -> tuple[Callable[[Networks], None], ...]:
        """Return what follows each update of a player, in order: ADA, clipping, its history."""
        actions: list[Callable[[Networks], None]] = []
        if name == "D" and self.augment == "ada" and self.augment_p is None:
            actions.append(lambda n: cast(ADA, n["augment"]).adjust(OBSERVED * self.batch))
        if name == "D" and self.clip_weights:
            actions.append(
                lambda n: penalties.clip_weights_(n["D"].parameters(), self.clip_weights)
            )
        if self.historical_averaging:
            actions.append(
                lambda n: cast(WeightHistory, n[f"history_{name}"]).update(
                    parameters_of(n, (name,))
                )
            )
        return tuple(actions)

    def stabilized(self, discriminator: nn.Module) -> nn.Module:
        """Return D with spectral norm if the settings ask for it."""
        return apply_spectral_norm(discriminator) if self.spectral_norm else discriminator

    def augmentation(self, images: ImageSpec) -> dict[str, nn.Module]:
        """Return modules without parameters for images of this shape.

        They are the augmentation of D's images ("augment"), the image pool ("pool") and the means
        of weights ("history_D", "history_G"), where the settings ask for them.
        """
        extras: dict[str, nn.Module] = {}
        if self.augment == "diffaugment":
            extras["augment"] = DiffAugment()
        if self.augment == "ada":
            extras["augment"] = ADA(
                images.resolution, images.channels, categories=self.augment_pipe,
                p=self.augment_p or 0.0, target=self.ada_target, kimg=self.ada_kimg,
            )  # fmt: skip
        if self.replay:
            extras["pool"] = ImagePool(self.replay, images.shape)
        if self.historical_averaging:
            extras |= {f"history_{name}": WeightHistory() for name in ("D", "G")}
        return extras

    def players(self) -> tuple[Player, ...]:
        terms: list[Regularizer] = []
        if self.penalty != "none":
            needs_fakes = self.penalty != "r1"
            terms.append(
                Regularizer(
                    self.penalty,
                    self.penalty_loss,
                    every=self.penalty_every,
                    needs_fakes=needs_fakes,
                )
            )
        terms += self.history_terms("D")
        return (
            Player(
                "D",
                ("D",),
                self.d_loss,
                self.n_critic,
                tuple(terms),
                draw=self.draw_for_d,
                make_fakes=self.with_fakes,
                optimizer=self.optimizer_of("D"),
                after_update=self.after_update("D"),
            ),
            Player(
                "G",
                ("G",),
                self.g_loss,
                self.n_gen,
                regularizers=(*self.g_stabilizers(), *self.g_terms()),
                draw=self.draw_for_g,
                optimizer=self.optimizer_of("G"),
                after_update=self.after_update("G"),
            ),
        )

    def g_stabilizers(self) -> tuple[Regularizer, ...]:
        """Return G's regularisers that are options of every recipe."""
        terms = self.history_terms("G")
        if self.orthogonal:
            terms.append(Regularizer("orthogonal", self.orthogonal_loss))
        return tuple(terms)

    def history_terms(self, name: str) -> list[Regularizer]:
        """Return historical averaging of a player, if it is on (Salimans et al. 2016, section 3.3).

        The term is the squared distance of the weights from their mean over all updates so far.
        """
        if not self.historical_averaging:
            return []

        def loss(networks: Networks, batch: NoiseBatch) -> Tensor:
            distance: Tensor = networks[f"history_{name}"](parameters_of(networks, (name,)))
            return self.historical_averaging * distance

        return [Regularizer("history", loss)]

    def orthogonal_loss(self, networks: Networks, batch: NoiseBatch) -> Tensor:
        """Return the weighted orthogonal regularisation of G (Brock et al. 2019, eq. 3)."""
        return self.orthogonal * penalties.orthogonal(penalties.filters_of(networks["G"]))

    def g_terms(self) -> tuple[Regularizer, ...]:
        """Return G's regularisers that only this recipe has."""
        return ()

    def draw_noise(self, request: DrawRequest) -> dict[str, Tensor]:
        """Draw z `[N, z_dim]`, standard normal, and set the deviation of the instance noise."""
        rows = {"noise": torch.randn(request.count, self.z_dim, generator=request.generator)}
        if self.instance_noise:
            std = annealed_std(self.instance_noise, request.nimg, self.instance_noise_until)
            rows["instance_noise_std"] = torch.full((request.count,), std)
        return rows

    def draw_for_g(self, request: DrawRequest) -> dict[str, Any]:
        """Draw for G's phase: noise, and augmentations of the images that D sees in it.

        D sees generated images, and real ones too if `g_sees_real_images`.
        """
        sides: tuple[Side, ...] = SIDES if self.g_sees_real_images else ("fake",)
        return {**self.draw_noise(request), **self.draw_augmentations(request, sides)}

    def draw_augmentations(self, request: DrawRequest, sides: tuple[Side, ...]) -> dict[str, Any]:
        """Draw augmentations for each side's images separately."""
        if self.augment == "none":
            return {}
        augment = cast(Augment, request.networks["augment"])
        return {f"augment_{side}": augment.draw(request.count, request.generator) for side in sides}

    def draw_for_d(self, request: DrawRequest) -> dict[str, Any]:
        """Draw for D's phase: noise, augmentations, flipped labels, places in penalty and pool."""
        rows = {**self.draw_noise(request), **self.draw_augmentations(request, SIDES)}
        if self.flip_labels:
            rows["flipped"] = (
                torch.rand(request.count, generator=request.generator) < self.flip_labels
            )
        if self.penalty in ("wgan-gp", "zero-centered"):
            rows["alpha"] = torch.rand(request.count, generator=request.generator)
        if self.replay:
            rows["replay_mask"] = torch.rand(request.count, generator=request.generator) < REPLAYED
            rows["replay_slots"] = torch.randperm(self.replay, generator=request.generator)[
                : request.count
            ]
        return rows

    def with_fakes(self, networks: Networks, batch: NoiseBatch) -> NoiseBatch:
        """Return the batch with generated images as constants.

        With `replay`, some of them are older images from the pool, so the batch gets their classes
        too.
        """
        with torch.no_grad():
            fakes = self.generate(networks, batch)
        if not self.replay:
            return replace(batch, fakes=fakes)
        fakes, labels = networks["pool"](
            fakes, batch.labels, swapped=batch.replay_mask, place=batch.replay_slots
        )
        return replace(batch, fakes=fakes, fake_labels=labels)

    def generate(self, networks: Networks, batch: NoiseBatch) -> Tensor:
        """Return G's images for the noise and labels of the batch."""
        images: Tensor = networks["G"](batch.noise, *self.labels(batch))
        return images

    def labels(self, batch: NoiseBatch) -> tuple[Tensor, ...]:
        """Return the labels as further arguments of the networks: `(labels,)` or `()`."""
        return (batch.labels,) if self.conditional else ()

    def d_loss(self, networks: Networks, batch: NoiseBatch) -> Loss:
        """Return D's loss on real and generated images, and the means of D's verdicts."""
        real = self.logits(networks, batch, batch.real, "real")
        fake = self.logits(networks, batch, batch.fakes, "fake")
        if self.flip_labels:
            total = self.adversarial.d(*flip_labels(real, fake, batch.flipped))
        else:
            total = self.adversarial.d(real, fake)
        stats = {}
        if self.augment == "ada":
            ada = cast(ADA, networks["augment"])
            ada.observe(real)
            stats["augment_p"] = ada.p.clone()
        if self.drift:
            total = total + self.drift * penalties.drift(real)
        return Loss(total, {**self.adversarial.verdicts(real=real, fake=fake), **stats})

    def g_loss(self, networks: Networks, batch: NoiseBatch) -> Loss:
        """Return G's loss on generated images."""
        images = self.generate(networks, batch)
        unrolled = self.unrolled(networks, batch, images) if self.unroll else networks
        fake = self.logits(unrolled, batch, images, "fake")
        if self.adversarial.pairs:
            # An unrolled D depends on G even for real images.
            with torch.set_grad_enabled(self.unroll > 0):
                real = self.logits(unrolled, batch, batch.real, "real")
            total = self.adversarial.g(fake, real)
        else:
            total = self.adversarial.g(fake)
        # Dynamo can't trace Loss's default, a mapping proxy, together with functional_call.
        stats = {}
        if self.feature_matching:
            stats["feature_matching/G"] = self.matching_loss(networks, batch, images)
            total = total + self.feature_matching * stats["feature_matching/G"]
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

    def unrolled(self, networks: Networks, batch: NoiseBatch, images: Tensor) -> Networks:
        """Return the networks with D after `unroll` steps of gradient descent.

        A step is θ_{k+1} = θ_k - η·∇L_D(θ_k), with a graph to G's images (Metz et al. 2017). The
        weights of D itself don't change.
        """
        D = networks["D"]
        weights = {name: p.detach().requires_grad_(True) for name, p in D.named_parameters()}

        def with_weights(weights: dict[str, Tensor]) -> Networks:
            def call(images: Tensor, *labels: Tensor) -> Tensor:
                logits: Tensor = functional_call(D, weights, (images, *labels))
                return logits

            return {**networks, "D": cast(nn.Module, call)}

        for _ in range(self.unroll):
            ahead = with_weights(weights)
            real = self.logits(ahead, batch, batch.real, "real")
            loss = self.adversarial.d(real, self.logits(ahead, batch, images, "fake"))
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            weights = {n: p - self.unroll_lr * g for (n, p), g in zip(weights.items(), gradients)}
        return with_weights(weights)

    def penalty_loss(self, networks: Networks, batch: NoiseBatch) -> Tensor:
        """Return the penalty on D's gradient, times its weight."""
        real = batch.real
        d_of_real = self.critic(networks, batch, "real")
        d_of_fake = self.critic(networks, batch, "fake")
        if self.penalty == "r1":
            return self.weight_of_penalty(real) * penalties.r1(d_of_real, real)
        fake = batch.fakes.float()
        if self.penalty == "wgan-gp":
            penalty = penalties.wgan_gp(d_of_real, real, fake, alpha=batch.alpha)
        elif self.penalty == "zero-centered":
            penalty = penalties.zero_centered(d_of_real, real, fake, alpha=batch.alpha)
        elif self.penalty == "r2":
            penalty = penalties.r2(d_of_fake, fake)
        else:
            penalty = penalties.r1(d_of_real, real) + penalties.r2(d_of_fake, fake)
        return self.weight_of_penalty(real) * penalty

    def weight_of_penalty(self, images: Tensor) -> float:
        """Return λ or γ of the penalty, for images of this size."""
        return 10.0 if self.penalty_weight is None else self.penalty_weight

    def critic(
        self, networks: Networks, batch: NoiseBatch, side: Side
    ) -> Callable[[Tensor], Tensor]:
        """Return D's logits as a function of images.

        The function takes labels and one side's augmentations from the batch.
        """
        if side == "fake" and batch.fake_labels is not None:
            batch = replace(batch, labels=batch.fake_labels)
        augment, labels, D = (
            self.augmenter(networks, batch, side),
            self.labels(batch),
            networks["D"],
        )

        def critic(images: Tensor) -> Tensor:
            logits: Tensor = D(augment(images), *labels)
            return logits

        return critic

    def augmenter(
        self, networks: Networks, batch: NoiseBatch, side: Side
    ) -> Callable[[Tensor], Tensor]:
        """Return the augmentation of one side as a function of images; the identity without one."""
        if self.augment == "none":
            return lambda images: images
        rows = batch.augment_real if side == "real" else batch.augment_fake
        augment = networks["augment"]
        return lambda images: augment(images, rows)

    def logits(self, networks: Networks, batch: NoiseBatch, images: Tensor, side: Side) -> Tensor:
        """Return D's float32 logits of images, under this step's instance noise."""
        return self.critic(networks, batch, side)(self.add_instance_noise(images, batch)).float()

    def d_inputs(self, networks: Networks, images: Tensor, batch: NoiseBatch, side: Side) -> Tensor:
        """Return images as D sees them: with instance noise and one side's augmentations."""
        return self.augmenter(networks, batch, side)(self.add_instance_noise(images, batch))

    def add_instance_noise(self, images: Tensor, batch: NoiseBatch) -> Tensor:
        """Add this step's instance noise to images."""
        if not self.instance_noise:
            return images
        std = batch.instance_noise_std.view(-1, *(1,) * (images.ndim - 1))
        return instance_noise(images, torch.randn_like(images), std)

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
