"""Base of recipes that generate images from noise: z ~ N(0, 1), one G, one D, two optimisers.

A step is algorithm 1 of Goodfellow et al. 2014: `n_critic` updates of D, then `n_gen` updates of G.
Stabilisers (`fastgan.recipes.stabilizers`) act at fixed places of it; those that a recipe doesn't
have do nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, cast

import torch
from torch import Generator, Tensor

from fastgan.data import ImageDataset
from fastgan.losses.adversarial import Adversarial
from fastgan.losses.penalties import Critic
from fastgan.losses.scale import LossScale
from fastgan.losses.stabilizers import feature_matching
from fastgan.recipes.adversarial import AdversarialRecipe, Optimizing, Output
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.noise_batch import NoiseBatch
from fastgan.recipes.noise_signature import discriminator_signature, generator_signature
from fastgan.recipes.players import Batch, DrawRequest, Loss, Networks, Player
from fastgan.recipes.signature import Signature
from fastgan.recipes.stabilizers import Augmentation, Penalty, Pipe, Side

__all__ = [
    "Adversarial",
    "Augmentation",
    "NoiseBatch",
    "NoiseToImage",
    "Optimizing",
    "Penalty",
    "Pipe",
]


@dataclass(frozen=True, kw_only=True)
class NoiseToImage(AdversarialRecipe):
    """G maps z to an image, and D maps an image to a logit."""

    batch_type: ClassVar[type[Batch]] = NoiseBatch

    z_dim: int = 100
    """Length of the noise vector z."""
    conditional: bool = False
    """Give the labels to G and D, so that images of a class can be sampled."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "z_dim")
        # Made outside of compiled code.
        _ = self.d_loss_scale

    @cached_property
    def d_loss_scale(self) -> LossScale | None:
        return self.adversarial.scale(self.stabilizers.label_noise.flip_labels)

    def _require_whole_groups(self, group: int) -> None:
        """Raise RecipeError unless minibatch stddev can form groups of this many images."""
        piece = self.batch // self.accumulate
        self._require(
            "batch", piece <= group or piece % group == 0,
            f"such that the images computed at once are a multiple of `group_size`, {group}, or "
            "fewer",
        )  # fmt: skip

    def check_images(self, images: ImageSpec) -> None:
        self.stabilizers.augmenting.check_images(images)
        self._require("mirror", not self.mirror or images.resolution > 1, "off for points")
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

    def players(self) -> tuple[Player, ...]:
        return self.d_player(), self.g_player()

    def draw_for_d(self, request: DrawRequest) -> dict[str, Any]:
        """Draw for D's phase: noise, then the rows of the stabilisers."""
        return {**self.draw_noise(request), "draws": self.draws_for_d(request)}

    def draw_for_g(self, request: DrawRequest) -> dict[str, Any]:
        """Draw for G's phase: noise, then the rows of the stabilisers."""
        return {**self.draw_noise(request), "draws": self.draws_for_g(request)}

    def draw_noise(self, request: DrawRequest) -> dict[str, Tensor]:
        """Draw z `[N, z_dim]`, standard normal."""
        return {"noise": torch.randn(request.count, self.z_dim, generator=request.generator)}

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
        replay = self.stabilizers.replay
        if not replay.replay:
            return replace(batch, fakes=fakes)
        fakes, labels = replay.mix(networks, fakes, batch.labels, batch.draws, "D")
        return replace(batch, fakes=fakes, fake_labels=labels)

    def d_loss(self, networks: Networks, batch: NoiseBatch) -> Loss:
        """Return D's loss on real and generated images, and the means of D's verdicts."""
        real = self.output(networks, batch, batch.real, "real")
        fake = self.output(networks, batch, batch.fakes, "fake")
        return self.against_g(networks, real, fake, batch.draws)

    def g_loss(self, networks: Networks, batch: NoiseBatch) -> Loss:
        """Return G's loss on generated images."""
        images = self.generate(networks, batch)

        def output(ahead: Networks, side: Side) -> Output:
            return self.output(ahead, batch, images if side == "fake" else batch.real, side)

        # Dynamo can't trace Loss's default, a mapping proxy, together with functional_call.
        loss = Loss(self.against_d(networks, output).loss, {})
        return self.matched(networks, batch, images, loss)

    def matching_loss(self, networks: Networks, batch: NoiseBatch, fakes: Tensor) -> Tensor:
        """Return the distance of D's mean features (Salimans et al. 2016, section 3.1)."""
        features: Callable[..., Tensor] = cast(Any, networks["D"]).features
        labels, draws = self.labels(batch), batch.draws
        with torch.no_grad():
            real = features(self.d_inputs(networks, batch.real, draws, "real"), *labels)
        fake = features(self.d_inputs(networks, fakes, draws, "fake"), *labels)
        return feature_matching(real, fake)

    def penalty_loss(self, networks: Networks, batch: NoiseBatch) -> Tensor:
        """Return the penalty on D's gradient, times its weight."""
        d_of_real = self.critic(networks, batch, "real")
        d_of_fake = self.critic(networks, batch, "fake")
        return self.weighted_penalty(d_of_real, d_of_fake, batch.real, batch.fakes, batch.draws)

    def critic(self, networks: Networks, batch: NoiseBatch, side: Side) -> Critic:
        """Return D's logits as a function of images.

        The function takes labels and one side's augmentations from the batch.
        """
        if side == "fake" and batch.fake_labels is not None:
            batch = replace(batch, labels=batch.fake_labels)
        return self.seen_by_d(networks, batch.draws, side, self.labels(batch))

    def output(self, networks: Networks, batch: NoiseBatch, images: Tensor, side: Side) -> Output:
        """Return D's output for images, under this step's instance noise."""
        images = self.stabilizers.instance_noise.add(images, batch.draws, side)
        return self.critic(networks, batch, side)(images)

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
        drawn = self.draw_inputs(networks, count, generator=generator, label=label)
        return self.images_of(networks, *drawn)

    def draw_inputs(
        self, networks: Networks, count: int, *, generator: Generator, label: int | None = None
    ) -> tuple[Tensor, ...]:
        """Return the noise of `sample`, and its classes if `conditional`, on G's device."""
        # Draw image by image, and a class even with `label`: so the n-th image's noise is fixed.
        noise, classes = [], []
        for _ in range(count):
            noise.append(torch.randn(self.z_dim, generator=generator))
            if self.conditional:
                drawn = torch.randint(cast(Any, networks["G"]).c_dim, (), generator=generator)
                classes.append(drawn if label is None else torch.tensor(label))
        device = next(networks["G"].parameters()).device
        return tuple(torch.stack(part).to(device) for part in (noise, classes) if part)

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
