"""What all noise-to-image recipes share: z ~ N(0, 1), one G, one D, an adversarial loss, two Adams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Literal, cast, get_args

import torch
from torch import Generator, Tensor, nn
from torch.optim import Adam, Optimizer

from fastgan.augment import ADA, Augment, DiffAugment
from fastgan.losses import penalties
from fastgan.losses.adversarial import AdversarialLoss, adversarial_loss
from fastgan.losses.stabilizers import annealed_std, flip_labels, instance_noise
from fastgan.nn import spectral_norm
from fastgan.recipes.base import (
    Batch,
    Draw,
    ImageSpec,
    Loss,
    Networks,
    Player,
    Recipe,
    RecipeError,
    Regularizer,
    parameters_of,
)

Adversarial = Literal["minimax", "non-saturating", "wasserstein", "hinge", "least-squares", "relativistic"]
Penalty = Literal["none", "wgan-gp", "zero-centered", "r1", "r2", "r1+r2"]
Side = Literal["real", "fake"]
Augmentation = Literal["none", "diffaugment", "ada"]
Pipe = Literal["blit", "geom", "color", "filter", "noise", "cutout", "bg", "bgc", "bgcf", "bgcfn", "bgcfnc"]
OBSERVED = 4  # batches between two moves of ADA's p
HAVE_PROBABILITIES = ("minimax", "non-saturating")  # whose D(x) is sigmoid(logit)


@dataclass(frozen=True, kw_only=True)
class NoiseToImage(Recipe):
    """G maps z to an image, D maps an image to a logit."""

    z_dim: int = 100
    """Length of the noise vector z."""
    conditional: bool = False
    """Give the images' labels to G and D, so that a class can be asked for."""
    lr: float = 2e-4
    """Adam's learning rate for G, and for D unless --d-lr is given."""
    d_lr: float | None = None
    """Adam's learning rate for D (two time scales); None takes --lr."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates of the first and second moment."""
    loss: Adversarial = "non-saturating"
    """The game: what D and G minimise."""
    n_critic: int = 1
    """Updates of D per update of G, each on images of its own."""
    real_label: float = 1.0
    """What D is to say of real images; 0.9 smooths the labels on one side (cross-entropies, least-squares)."""
    fake_label: float = 0.0
    """What D is to say of generated images; 0.1 beside --real-label 0.9 smooths both sides."""
    flip_labels: float = 0.0
    """Probability that D is told the opposite of what an image is."""
    instance_noise: float = 0.0
    """Standard deviation of noise on all that D sees, falling to 0 at --instance-noise-until."""
    instance_noise_until: int = 100_000
    """Real images after which there is no instance noise left."""
    penalty: Penalty = "none"
    """Penalty on D's gradient in the images: at interpolates (wgan-gp, zero-centered), real (r1), generated (r2)."""
    penalty_weight: float | None = None
    """Weight of the penalty: λ of wgan-gp and zero-centered, γ of r1 and r2 (γ/2 times the squared norm); None is 10."""
    penalty_every: int = 1
    """Steps between two penalties; above 1 each is an update of its own, with Adam's rate and decays corrected."""
    drift: float = 0.0
    """Weight of E[D(real)²], which keeps a Wasserstein critic near 0 (ProGAN takes 0.001)."""
    clip_weights: float = 0.0
    """Bound of D's weights after each update (WGAN takes 0.01); 0 for none."""
    spectral_norm: bool = False
    """Divide each weight of D by its spectral norm (SNGAN)."""
    orthogonal: float = 0.0
    """Weight of the orthogonal regularisation of G's weights but embeddings (BigGAN takes 1e-4); 0 for none."""
    augment: Augmentation = "none"
    """Augmentation of all that D sees, for few images: DiffAugment, or ADA, which finds its own probability p."""
    augment_pipe: Pipe = "bgc"
    """What ADA transforms: blitting, geometry, colour, filter, noise, cutout, or the first of them by initials."""
    augment_p: float | None = None
    """A fixed p for ADA; None lets it follow how much D overfits."""
    ada_target: float = 0.6
    """Mean sign of D's logits of real images that p is steered to."""
    ada_kimg: float = 500.0
    """Thousands of images in which p can go from 0 to 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("z_dim", self.z_dim >= 1, "at least 1")
        self._require("lr", 0 < self.lr < float("inf"), "a positive number")
        self._require("d_lr", self.d_lr is None or 0 < self.d_lr < float("inf"), "a positive number")
        self._require(
            "betas", all(0 <= b < 1 for b in self.betas), "two numbers of at least 0 and less than 1"
        )
        self._require(
            "loss", self.loss in get_args(Adversarial), f"one of {', '.join(get_args(Adversarial))}"
        )
        self._require("penalty", self.penalty in get_args(Penalty), f"one of {', '.join(get_args(Penalty))}")
        usual = {f.name: f.default for f in fields(self)}
        of_a_penalty = ("penalty_weight", "penalty_every")
        if self.penalty == "none" and any(getattr(self, name) != usual[name] for name in of_a_penalty):
            raise RecipeError(
                "--penalty-weight and --penalty-every are of a --penalty, but none came: choose one."
            )
        for setting in ("n_critic", "penalty_every", "instance_noise_until"):
            self._require(setting, getattr(self, setting) >= 1, "at least 1")
        self._require("flip_labels", 0 <= self.flip_labels <= 1, "at least 0 and at most 1")
        self._check_augmentation()
        for setting in ("instance_noise", "penalty_weight", "drift", "clip_weights", "orthogonal"):
            self._require(setting, 0 <= (getattr(self, setting) or 0) < float("inf"), "at least 0")
        try:
            adversarial_loss(self.loss, real_label=self.real_label, fake_label=self.fake_label)
        except ValueError as error:
            raise RecipeError(
                f"--real-label and --fake-label don't fit --loss {self.loss}: {error}."
            ) from error

    def _check_augmentation(self) -> None:
        self._require(
            "augment", self.augment in get_args(Augmentation), f"one of {', '.join(get_args(Augmentation))}"
        )
        self._require(
            "augment_pipe", self.augment_pipe in get_args(Pipe), f"one of {', '.join(get_args(Pipe))}"
        )
        self._require("augment_p", 0 <= (self.augment_p or 0) <= 1, "at least 0 and at most 1")
        self._require("ada_target", 0 < self.ada_target < 1, "between 0 and 1")
        self._require("ada_kimg", 0 < self.ada_kimg < float("inf"), "a positive number")
        usual = {f.name: f.default for f in fields(self)}
        of_ada = ("augment_pipe", "augment_p", "ada_target", "ada_kimg")
        if self.augment != "ada" and any(getattr(self, name) != usual[name] for name in of_ada):
            raise RecipeError(
                "--augment-pipe, --augment-p, --ada-target and --ada-kimg are of ADA, but --augment "
                f"{self.augment} came: add --augment ada, or leave them out."
            )

    def check_images(self, images: ImageSpec) -> None:
        if self.conditional and images.num_classes < 2:
            raise RecipeError(
                "--conditional needs labels, but the data set has none: put the images of each class in a folder "
                "of its own, or leave it out."
            )

    def classes(self, images: ImageSpec) -> int:
        """How many classes the networks are told of, 0 for none."""
        return images.num_classes if self.conditional else 0

    @property
    def adversarial(self) -> AdversarialLoss:
        """The loss with its labels."""
        return adversarial_loss(self.loss, real_label=self.real_label, fake_label=self.fake_label)

    def build_optimizers(self, networks: Networks) -> dict[str, Optimizer]:
        optimizers: dict[str, Optimizer] = {}
        for player in self.players():
            rate = self.d_lr if player.name == "D" and self.d_lr is not None else self.lr
            c = player.lazy_correction
            betas = (self.betas[0] ** c, self.betas[1] ** c)
            optimizers[player.name] = Adam(parameters_of(networks, player.networks), lr=rate * c, betas=betas)
        if self.augment == "ada" and self.augment_p is None:
            ada = cast(ADA, networks["augment"])
            optimizers["D"].register_step_post_hook(lambda *_: ada.adjust(OBSERVED * self.batch))
        if self.clip_weights:
            critic = parameters_of(networks, ("D",))
            optimizers["D"].register_step_post_hook(
                lambda *_: penalties.clip_weights_(critic, self.clip_weights)
            )
        return optimizers

    def stabilized(self, discriminator: nn.Module) -> nn.Module:
        """D as the options want it."""
        return spectral_norm(discriminator) if self.spectral_norm else discriminator

    def augmentation(self, images: ImageSpec) -> dict[str, nn.Module]:
        """What augments images of this shape, as a network without parameters; none without --augment."""
        if self.augment == "diffaugment":
            return {"augment": DiffAugment()}
        if self.augment == "ada":
            return {
                "augment": ADA(
                    images.resolution, images.channels, categories=self.augment_pipe, p=self.augment_p or 0.0,
                    target=self.ada_target, kimg=self.ada_kimg,
                )
            }  # fmt: skip
        return {}

    def players(self) -> tuple[Player, ...]:
        terms = []
        if self.penalty != "none":
            takes_fakes = self.penalty != "r1"
            terms.append(
                Regularizer(self.penalty, self.penalty_loss, every=self.penalty_every, prepared=takes_fakes)
            )
        return (
            Player(
                "D",
                ("D",),
                self.d_loss,
                self.n_critic,
                tuple(terms),
                draw=self.draw_for_d,
                prepare=self.with_fakes,
            ),
            Player(
                "G",
                ("G",),
                self.g_loss,
                regularizers=(*self.g_stabilizers(), *self.g_terms()),
                draw=self.draw_for_g,
            ),
        )

    def g_stabilizers(self) -> tuple[Regularizer, ...]:
        """Regularisers of G that are options of every recipe."""
        return (Regularizer("orthogonal", self.orthogonal_loss),) if self.orthogonal else ()

    def orthogonal_loss(self, networks: Networks, batch: Batch) -> Tensor:
        """How far G's filters are from right angles, times its weight (Brock et al. 2019, eq. 3)."""
        return self.orthogonal * penalties.orthogonal(penalties.filters_of(networks["G"]))

    def g_terms(self) -> tuple[Regularizer, ...]:
        """Regularisers of G of the recipe's own."""
        return ()

    def draw_noise(self, draw: Draw) -> dict[str, Tensor]:
        """z `[N, z_dim]`, standard normal, and the standard deviation of the instance noise."""
        rows = {"z": torch.randn(draw.count, self.z_dim, generator=draw.generator)}
        if self.instance_noise:
            std = annealed_std(self.instance_noise, draw.nimg, self.instance_noise_until)
            rows["std"] = torch.full((draw.count,), std)
        return rows

    def draw_for_g(self, draw: Draw) -> dict[str, Tensor]:
        """Noise, and the augmentations of generated images; of real ones too for losses of pairs."""
        sides: tuple[Side, ...] = ("real", "fake") if self.adversarial.pairs else ("fake",)
        return {**self.draw_noise(draw), **self.draw_augmentations(draw, sides)}

    def draw_augmentations(self, draw: Draw, sides: tuple[Side, ...]) -> dict[str, Tensor]:
        """Rows of their own for each side's images."""
        if self.augment == "none":
            return {}
        augment = cast(Augment, draw.networks["augment"])
        return {
            f"augment.{side}.{name}": rows
            for side in sides
            for name, rows in augment.draw(draw.count, draw.generator).items()
        }

    def draw_for_d(self, draw: Draw) -> dict[str, Tensor]:
        """Noise, the augmentations of both sides, flipped labels and the places of interpolates."""
        rows = {**self.draw_noise(draw), **self.draw_augmentations(draw, ("real", "fake"))}
        if self.flip_labels:
            rows["flipped"] = torch.rand(draw.count, generator=draw.generator) < self.flip_labels
        if self.penalty in ("wgan-gp", "zero-centered"):
            rows["alpha"] = torch.rand(draw.count, generator=draw.generator)
        return rows

    def with_fakes(self, networks: Networks, batch: Batch) -> Batch:
        """The batch with generated images, as constants."""
        with torch.no_grad():
            fake = self.generate(networks, batch)
        return replace(batch, random={**batch.random, "fake": fake})

    def generate(self, networks: Networks, batch: Batch) -> Tensor:
        """G's images, one for each of the batch, of its classes."""
        images: Tensor = networks["G"](batch.random["z"], *self.labels(batch))
        return images

    def labels(self, batch: Batch) -> tuple[Tensor, ...]:
        """What the networks take of the batch's labels beside z and images: `(labels,)` or nothing."""
        return (batch.labels,) if self.conditional else ()

    def d_loss(self, networks: Networks, batch: Batch) -> Loss:
        """D's loss on a real and a generated batch, and what it says of them on the mean.

        "D(real)" and "D(fake)" are probabilities of "real"; "logit(real)" and "logit(fake)" for other losses.
        """
        real = self.judge(networks, batch.real, batch, "real")
        fake = self.judge(networks, batch.random["fake"], batch)
        told_real, told_fake = (
            flip_labels(real, fake, batch.random["flipped"]) if self.flip_labels else (real, fake)
        )
        total = self.adversarial.d(told_real, told_fake)
        stats = {}
        if self.augment == "ada":
            ada = cast(ADA, networks["augment"])
            ada.observe(real)
            stats["augment_p"] = ada.p.clone()
        if self.drift:
            total = total + self.drift * penalties.drift(real)
        if self.loss in HAVE_PROBABILITIES:
            return Loss(total, {"D(real)": real.sigmoid().mean(), "D(fake)": fake.sigmoid().mean(), **stats})
        return Loss(total, {"logit(real)": real.mean(), "logit(fake)": fake.mean(), **stats})

    def g_loss(self, networks: Networks, batch: Batch) -> Loss:
        """G's loss on a generated batch."""
        fake = self.judge(networks, self.generate(networks, batch), batch)
        if not self.adversarial.pairs:
            return Loss(self.adversarial.g(fake))
        with torch.no_grad():
            real = self.judge(networks, batch.real, batch, "real")
        return Loss(self.adversarial.g(fake, real))

    def penalty_loss(self, networks: Networks, batch: Batch) -> Tensor:
        """The penalty on D, times its weight."""
        real, of_real, of_fake = (
            batch.real,
            self.critic(networks, batch, "real"),
            self.critic(networks, batch, "fake"),
        )
        if self.penalty == "r1":
            return self.weight_of_penalty(real) * penalties.r1(of_real, real)
        fake = batch.random["fake"].float()
        if self.penalty == "wgan-gp":
            penalty = penalties.wgan_gp(of_real, real, fake, alpha=batch.random["alpha"])
        elif self.penalty == "zero-centered":
            penalty = penalties.zero_centered(of_real, real, fake, alpha=batch.random["alpha"])
        elif self.penalty == "r2":
            penalty = penalties.r2(of_fake, fake)
        else:
            penalty = penalties.r1(of_real, real) + penalties.r2(of_fake, fake)
        return self.weight_of_penalty(real) * penalty

    def weight_of_penalty(self, images: Tensor) -> float:
        """λ or γ, for images of this size."""
        return 10.0 if self.penalty_weight is None else self.penalty_weight

    def critic(self, networks: Networks, batch: Batch, side: Side) -> Callable[[Tensor], Tensor]:
        """D's logits as a function of images, which take the labels of the batch and the augmentations of a `side`."""
        if self.augment == "none":
            return lambda images: self.logits(networks, batch, images)
        prefix = f"augment.{side}."
        rows = {name.removeprefix(prefix): t for name, t in batch.random.items() if name.startswith(prefix)}
        augment = networks["augment"]
        return lambda images: self.logits(networks, batch, augment(images, rows))

    def logits(self, networks: Networks, batch: Batch, images: Tensor) -> Tensor:
        """What D says of images."""
        found: Tensor = networks["D"](images, *self.labels(batch))
        return found

    def judge(self, networks: Networks, images: Tensor, batch: Batch, side: Side = "fake") -> Tensor:
        """D's float32 logits of images, under this step's instance noise."""
        if self.instance_noise:
            std = batch.random["std"].view(-1, *(1,) * (images.ndim - 1))
            images = instance_noise(images, torch.randn_like(images), std)
        return self.critic(networks, batch, side)(images).float()

    def sample(self, networks: Networks, count: int, *, generator: Generator) -> Tensor:
        # One draw per image: the n-th image is the same however many are asked for.
        rows, classes = [], []
        for _ in range(count):
            rows.append(torch.randn(self.z_dim, generator=generator))
            if self.conditional:
                classes.append(torch.randint(int(networks["G"].c_dim), (), generator=generator))
        device = next(networks["G"].parameters()).device
        labels = (torch.stack(classes).to(device),) if classes else ()
        return self.images_of(networks, torch.stack(rows).to(device), *labels)

    def images_of(self, networks: Networks, z: Tensor, *labels: Tensor) -> Tensor:
        """Samples of z `[N, z_dim]` and, where `conditional`, of classes int64 `[N]`, as they are to be looked at."""
        images: Tensor = networks["G"](z, *labels)
        return images
