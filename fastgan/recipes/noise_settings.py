"""Settings that all noise-to-image recipes share; `fastgan.recipes.noise` uses them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from fastgan.losses.adversarial import Adversarial, adversarial_loss
from fastgan.recipes.base import Recipe
from fastgan.recipes.errors import RecipeError

Penalty = Literal["none", "wgan-gp", "zero-centered", "r1", "r2", "r1+r2"]
Optimizing = Literal["adam", "rmsprop"]
Augmentation = Literal["none", "diffaugment", "ada"]
Pipe = Literal[
    "blit", "geom", "color", "filter", "noise", "cutout", "bg", "bgc", "bgcf", "bgcfn", "bgcfnc"
]
PARTS_OF_D = frozenset({"minibatch_discrimination", "minibatch_stddev", "feature_matching"})


@dataclass(frozen=True, kw_only=True)
class NoiseSettings(Recipe):
    """Settings of noise-to-image recipes, and their checks."""

    of_d: ClassVar[frozenset[str]] = frozenset()
    """Settings of PARTS_OF_D for which this recipe's D has the parts. With feature_matching, D has
    a method `features` that takes D's arguments."""

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
    flip_labels: float = 0.0
    """Probability to swap the target of an image in D's loss."""
    instance_noise: float = 0.0
    """Standard deviation of noise on D's inputs; falls to 0 at `instance_noise_until`."""
    instance_noise_until: int = 100_000
    """Real images after which there is no instance noise."""
    penalty: Penalty = "none"
    """Penalty on D's gradient at: interpolates (wgan-gp, zero-centered), reals (r1), fakes (r2)."""
    penalty_weight: float | None = None
    """Weight λ of the penalty, or γ: r1 and r2 take half of it. None is 10."""
    penalty_every: int = 1
    """Steps between penalties; above 1 each is an update of its own, with Adam corrected."""
    drift: float = 0.0
    """Weight of E[D(real)²], which keeps a Wasserstein critic near 0 (ProGAN takes 0.001)."""
    clip_weights: float = 0.0
    """Bound to clip D's weights to after each update (WGAN takes 0.01); 0 for none."""
    spectral_norm: bool = False
    """Divide each weight of D by its spectral norm (SNGAN)."""
    minibatch_discrimination: int = 0
    """Kernels of minibatch discrimination in D (Salimans et al. take 100); 0 for none."""
    minibatch_stddev: int = 0
    """Images per group of minibatch stddev in D (ProGAN takes 4); 0 for none."""
    feature_matching: float = 0.0
    """Weight, in G's loss, of the distance of D's mean features; 0 for none."""
    unroll: int = 0
    """Steps of D that G's loss looks ahead (unrolled GAN); 0 for none."""
    unroll_lr: float = 0.1
    """Learning rate of the unrolled steps."""
    historical_averaging: float = 0.0
    """Weight of the squared distance of all weights from their mean so far; 0 for none."""
    replay: int = 0
    """Generated images to keep, at least `batch`; half of D's fakes are from them; 0 for none."""
    orthogonal: float = 0.0
    """Weight of G's orthogonal regularisation (BigGAN takes 1e-4); 0 for none."""
    augment: Augmentation = "none"
    """Augmentation of D's inputs, for small data sets: DiffAugment, or ADA, which adapts p."""
    augment_pipe: Pipe = "bgc"
    """Transforms of ADA: one kind, or several by initials, such as blit, geom and color in bgc."""
    augment_p: float | None = None
    """Fixed probability p of ADA; None adapts it to D's overfitting."""
    ada_target: float = 0.6
    """Target of ADA for the mean sign of D's logits of real images."""
    ada_kimg: float = 500.0
    """Thousands of images in which p can go from 0 to 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "z_dim")
        self._require_positive("lr")
        self._require(
            "d_lr", self.d_lr is None or 0 < self.d_lr < float("inf"), "a positive number"
        )
        self._require(
            "betas",
            all(0 <= b < 1 for b in self.betas),
            "two numbers of at least 0 and less than 1",
        )
        usual = {f.name: f.default for f in fields(self)}
        of_a_penalty = ("penalty_weight", "penalty_every")
        if self.penalty == "none" and any(
            getattr(self, name) != usual[name] for name in of_a_penalty
        ):
            raise RecipeError(
                "`penalty_weight` and `penalty_every` need a `penalty`, got none: choose one."
            )
        self._require_at_least(1, "n_critic", "n_gen", "penalty_every", "instance_noise_until")
        self._require("flip_labels", 0 <= self.flip_labels <= 1, "at least 0 and at most 1")
        self._check_augmentation()
        self._check_stabilizers()
        try:
            adversarial_loss(self.loss, real_label=self.real_label, fake_label=self.fake_label)
        except ValueError as error:
            raise RecipeError(
                f"`real_label` and `fake_label` don't fit `loss` {self.loss}: {error}."
            ) from error

    def _check_stabilizers(self) -> None:
        for setting in (
            "instance_noise", "penalty_weight", "drift", "clip_weights", "orthogonal",
            "minibatch_discrimination", "minibatch_stddev", "feature_matching", "unroll",
            "historical_averaging",
        ):  # fmt: skip
            self._require(setting, 0 <= (getattr(self, setting) or 0) < float("inf"), "at least 0")
        for setting in sorted(PARTS_OF_D - self.of_d):
            if getattr(self, setting):
                raise RecipeError(
                    f"`{setting}` needs a D with a part for it, and D of {self.name} has none: "
                    f"leave it out."
                )
        self._require_positive("unroll_lr")
        piece, group = self.batch // self.accumulate, self.minibatch_stddev
        self._require(
            "batch", group == 0 or piece <= group or piece % group == 0,
            "such that the images computed at once are a multiple of `minibatch_stddev`, "
            f"{group}, or fewer",
        )  # fmt: skip
        self._require(
            "replay",
            self.replay == 0 or self.replay >= self.batch,
            f"0 or at least `batch`, {self.batch}",
        )
        if self.feature_matching and "D" in self.full_precision:
            raise RecipeError(
                "`feature_matching` looks into D, which `full_precision` D encloses: leave one "
                "of them out."
            )

    def _check_augmentation(self) -> None:
        self._require("augment_p", 0 <= (self.augment_p or 0) <= 1, "at least 0 and at most 1")
        self._require("ada_target", 0 < self.ada_target < 1, "between 0 and 1")
        self._require_positive("ada_kimg")
        usual = {f.name: f.default for f in fields(self)}
        of_ada = ("augment_pipe", "augment_p", "ada_target", "ada_kimg")
        if self.augment != "ada" and any(getattr(self, name) != usual[name] for name in of_ada):
            raise RecipeError(
                "`augment_pipe`, `augment_p`, `ada_target` and `ada_kimg` need `augment` ada, got "
                f"{self.augment}: add `augment` ada, or leave them out."
            )
