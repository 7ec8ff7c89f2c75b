"""Base class of recipes: settings of an algorithm, and how to build its networks and players.

State that belongs in the checkpoint (an image pool, an augmentation) is a module without parameters
among the networks. An action after an update (weight clipping) is in `Player.after_update`.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, TypeVar

from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from fastgan.data import ImageDataset, Reading, Task
from fastgan.data.discovery import few
from fastgan.losses.adversarial import AdversarialLoss
from fastgan.losses.scale import LossScale
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.fields import check_fields
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.players import Batch, Networks, Player
from fastgan.recipes.presets import PRESETS, Preset, PresetName
from fastgan.recipes.signature import Signature

Precision = Literal["auto", "fp32", "tf32", "bf16", "fp16"]
HALF_TYPES = ("bf16", "fp16")
R = TypeVar("R", bound="Recipe")
# Longest half-life of an average, as a share of the images shown.
EMA_RAMPUP = 0.05


@dataclass(frozen=True, kw_only=True)
class Recipe(ABC):
    """Base of recipes: common settings, and methods that build networks, optimisers and players.

    A recipe is a frozen dataclass; a subclass adds settings as fields with a string below each.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    """Line of the command line's list of recipes."""
    batch_type: ClassVar[type[Batch]] = Batch
    """Class of the phases' batches."""
    averaged: ClassVar[tuple[str, ...]] = ("G",)
    """Networks that `ema` averages."""
    task: ClassVar[Task | None] = None
    """Data to read beside the images."""
    translates: ClassVar[bool] = False
    """True if samples are made from rows of data, not from noise alone."""
    paired: ClassVar[bool] = False
    """True if each sample has a target, the real image of its row."""
    baseline: ClassVar[str | None] = None
    """View that is measured against the targets as well."""
    exchanged: ClassVar[str] = ""
    """Data that images of a batch take from each other, in words."""
    extends: ClassVar[tuple[str, ...]] = ()
    """Settings that may change when a run is resumed."""
    carried: ClassVar[tuple[str, ...]] = ()
    """Networks without weights that are transferred with trained ones."""
    default_data: ClassVar[str] = "mnist5k"
    """Default data set of a run."""
    default_resolution: ClassVar[int | None] = None
    """Resolution of the default data set; None is its own."""
    default_images: ClassVar[int] = 200_000
    """Default of the real images that a run shows in all."""

    batch: int = 64
    """Real images per update."""
    ema: float = 0.0
    """Decay per step of the moving average of G's weights, which makes the samples; 0 for none."""
    ema_kimg: float = 0.0
    """Half-life of that average in thousands of images, at most a twentieth of those shown; `ema`
    takes precedence."""
    mirror: bool = False
    """Show every image and its mirror image, left for right."""
    precision: Precision = "auto"
    """Precision of the networks; auto takes the fastest that learns as well on the device. tf32
    rounds products on a GPU; bf16 and fp16 autocast all but weights, optimisers and penalties."""
    full_precision: tuple[str, ...] = ()
    """Networks that stay in float32 under bf16 and fp16, such as D."""
    accumulate: int = 1
    """Micro-batches per update, to save memory; batch norm sees one at a time."""
    sync_batch_norm: bool = True
    """Take batch norm statistics over all processes, not over each process alone."""

    def __new__(cls, *args: Any, **settings: Any) -> Any:
        """Refuse an unknown setting with the nearest name.

        Raises:
            TypeError: there is no such setting.
        """
        known = [f.name for f in fields(cls)]
        for name in settings:
            if name not in known:
                kind = getattr(cls, "name", cls.__name__)
                own = vars(cls)
                if "__dataclass_fields__" not in own and name in own.get("__annotations__", ()):
                    raise TypeError(
                        f"{name!r} is no setting of {kind} yet: decorate the class "
                        f"{cls.__name__} with @dataclass(frozen=True, kw_only=True)"
                    )
                near = hint_for(name, known)
                hint = f": {near}" if near else f", of {', '.join(known)}."
                raise TypeError(f"{name!r} is no setting of {kind}{hint}")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        check_fields(self, RecipeError)
        self._require_at_least(1, "batch")
        self._require("ema", 0 <= self.ema < 1, "at least 0 and less than 1")
        self._require_at_least(0, "ema_kimg")
        usual = next(f.default for f in fields(self) if f.name == "ema_kimg")
        if self.ema and self.ema_kimg not in (0, usual):
            raise RecipeError(
                f"`ema` and `ema_kimg` exclude each other, got {self.ema} and {self.ema_kimg}: "
                f"choose one."
            )
        self._require_at_least(1, "accumulate")
        self._require(
            "full_precision",
            not self.full_precision or self.precision in HALF_TYPES,
            f"empty where `precision` is {self.precision}",
            "leave it out, or set `precision` to bf16 or fp16",
        )
        self._require(
            "accumulate", self.batch % self.accumulate == 0, f"a divisor of `batch`, {self.batch}"
        )
        self.check_batch()

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings alone: what was made of them may hold functions of no name."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    def _require(self, setting: str, holds: bool, expected: str, advice: str = "") -> None:
        """Raise RecipeError, saying what is expected of a setting, unless it holds."""
        if not holds:
            raise RecipeError.of(setting, expected, getattr(self, setting), advice)

    def _require_at_least(self, least: int, *settings: str) -> None:
        """Raise RecipeError unless all of these are finite numbers from `least` on."""
        for setting in settings:
            self._require(
                setting, least <= getattr(self, setting) < float("inf"), f"at least {least}"
            )

    def _require_positive(self, *settings: str) -> None:
        """Raise RecipeError unless all of these are finite and above 0."""
        for setting in settings:
            self._require(setting, 0 < getattr(self, setting) < float("inf"), "a positive number")

    def _require_resolution(self, images: ImageSpec, holds: bool, expected: str) -> None:
        """Raise RecipeError, saying what is expected of the resolution, unless it holds."""
        if not holds:
            raise RecipeError.of("resolution", f"{expected} for {self.name}", images.resolution)

    @property
    def adversarial(self) -> AdversarialLoss | None:
        """Adversarial loss of D and G, which gives D's logits their meaning; None without one."""
        return None

    @property
    def d_loss_scale(self) -> LossScale | None:
        """Scale of the logged loss of D; None if it has none."""
        return None

    @property
    def scales_losses(self) -> bool:
        """True if losses are scaled, since gradients in float16 underflow."""
        return self.precision == "fp16"

    @property
    def has_batch_norm(self) -> bool:
        """True if a network normalises over a batch in training, which needs two images or more."""
        return False

    def check_batch(self, processes: int = 1) -> None:
        """Check that each process and each micro-batch has enough images.

        Args:
            processes: number of processes that share the batch.

        Raises:
            RecipeError: `batch` is too small, or can't be divided.
        """
        parts = processes * self.accumulate
        if self.batch % parts:
            raise RecipeError.of(
                "batch",
                f"a multiple of the processes times `accumulate`, {processes} × {self.accumulate}",
                self.batch,
            )
        if self.exchanged:
            of_each = (
                f"2 for each of {processes} processes, {2 * processes}" if processes > 1 else "2"
            )
            self._require(
                "batch",
                self.batch >= 2 * processes,
                f"at least {of_each} (images take each other's {self.exchanged})",
            )
        if self.has_batch_norm:
            # Batch norm over all processes sees the images of all of them at once.
            parts = self.accumulate if self.sync_batch_norm else parts
            of_each = f"2 for each of {parts} micro-batches, {2 * parts}" if parts > 1 else "2"
            self._require(
                "batch", self.batch >= 2 * parts, f"at least {of_each} (batch norm needs it)"
            )

    @property
    def averages(self) -> tuple[str, ...]:
        """Networks that have a moving average."""
        return self.averaged if self.ema or self.ema_kimg else ()

    def ema_decay(self, step: int, nimg: int, images: int, *, ramp: bool = True) -> float:
        """Return the decay of the moving averages for one step.

        With `ema`, the decay is at most (step + 1)/(step + 10). With `ema_kimg`, it is a half-life
        of that many thousands of images, at most a twentieth of those shown (Karras et al. 2020b).
        So the first weights are soon forgotten.

        Args:
            step: number of the step.
            nimg: images shown at its end.
            images: images of the step.
            ramp: False for the full decay from the first step on, for averages of trained weights.
        """
        if self.ema:
            return min(self.ema, (step + 1) / (step + 10)) if ramp else self.ema
        half_life = min(self.ema_kimg * 1000, nimg * EMA_RAMPUP) if ramp else self.ema_kimg * 1000
        return float(0.5 ** (images / half_life))

    def resolved(self, images: ImageSpec) -> dict[str, Any]:
        """Return values for these images of the settings that are None."""
        return {}

    def begin_with(
        self, networks: Mapping[str, Mapping[str, Tensor]], images: ImageSpec
    ) -> dict[str, Any]:
        """Return settings that follow from the trained weights that a run begins with.

        Args:
            networks: trained state dicts by network.
            images: images of the new run.
        """
        return {}

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset | None:
        """Return the values of the preset `small`, for a CPU or an hour; None if there are none.

        A subclass doesn't inherit them, since it may have other defaults.

        Args:
            resolution: height and width of the images in pixels.
            total_images: real images that the run shows, None for the preset's own number.
        """
        return None

    @classmethod
    def find_preset(
        cls, name: PresetName, *, resolution: int, total_images: int | None = None
    ) -> Preset:
        """Return a preset of this recipe.

        Args:
            name: `paper` for the recipe's defaults, or `small` for a CPU or an hour.
            resolution: height and width of the images in pixels.
            total_images: real images that the run shows, None for the preset's own number.

        Raises:
            RecipeError: the recipe has no such preset.
        """
        if name == "paper":
            return Preset(total_images or cls.default_images, {}, None)
        if name not in PRESETS:
            raise RecipeError.of("preset", f"one of {', '.join(PRESETS)}", name)
        own = "small_preset" in vars(cls)
        small = cls.small_preset(resolution, total_images) if own else None
        if small is None:
            raise RecipeError.of(
                "preset", f"paper for {cls.name}, which defines no small_preset", name
            )
        return small

    @classmethod
    def with_preset(
        cls: type[R],
        name: PresetName,
        *,
        resolution: int,
        total_images: int | None = None,
        **settings: Any,
    ) -> R:
        """Return the recipe with the values of a preset, except for the settings given here.

        Args:
            name: as for ``find_preset``.
            resolution: height and width of the images in pixels.
            total_images: real images that the run shows, None for the preset's own number.
            **settings: settings of the recipe by name.

        Raises:
            RecipeError: the recipe has no such preset, or a value can't be used.
            TypeError: there is no such setting.

        Example:
            >>> StyleGAN2.with_preset("small", resolution=32, lr=2e-3)
        """
        found = cls.find_preset(name, resolution=resolution, total_images=total_images)
        return cls(**{**found.settings, **settings})

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Recipe:
        """Return the recipe with saved settings, in which lists become tuples.

        Raises:
            RecipeError: a setting is unknown.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(settings) - known):
            raise RecipeError(
                f"The saved configuration has settings that recipe {cls.name!r} doesn't know "
                f"({', '.join(unknown)}): it was made by another version of fastgan."
            )
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()
        }
        return cls(**values)

    def settled(self, total_images: int, saved: Recipe | None = None) -> Recipe:
        """Return the settings that a run is stored with.

        A default end of a schedule becomes an explicit setting, since a resumed run may be longer.

        Args:
            total_images: real images that the run shows in all.
            saved: settings of a run that is resumed, whose ends are kept; None for a new run.

        Raises:
            RecipeError: the run can't continue with these settings.
        """
        return self

    def adapt_reading(self, reading: Reading) -> Reading:
        """Return settings for reading files, with those that the recipe knows."""
        return reading

    def check_images(self, images: ImageSpec) -> None:  # noqa: B027 - most recipes take any image
        """Raise RecipeError for images that the networks can't be built for."""

    def check_data(self, dataset: ImageDataset) -> None:
        """Raise RecipeError for a data set that the networks can't be trained on."""
        self.check_images(ImageSpec.of(dataset))

    @abstractmethod
    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        """Return new networks by name, on the CPU, initialised from torch's global generator."""

    @abstractmethod
    def players(self) -> tuple[Player, ...]:
        """Return the players in the order of their phases."""

    def prepare(self, networks: Networks) -> None:  # noqa: B027 - most networks need nothing
        """Prepare networks for training, once they have their first weights and their device."""

    def before_step(
        self, networks: Networks, ema: Networks, nimg: int, batches: Sequence[Any]
    ) -> Sequence[Any]:
        """Return the batches of a step as the players need them.

        It runs before every step, outside of compiled code, and may also change networks and
        averages.

        Args:
            networks: all networks by name.
            ema: averaged networks by name.
            nimg: images shown so far, the same on all ranks.
            batches: batches of the step.
        """
        return batches

    def lr_lambda(self, nimg: int) -> float:
        """Return the factor of all learning rates after `nimg` images."""
        return 1.0

    def anneal(
        self, players: Sequence[Player], optimizers: Mapping[str, Optimizer], nimg: int
    ) -> None:
        """Set the optimisers' rates for the step after `nimg` images, by `lr_lambda`.

        First rates stay in the optimisers' groups, and so in checkpoints.

        Args:
            players: players of the game.
            optimizers: their optimisers by name.
            nimg: images shown so far, the same on all ranks.
        """
        factor = self.lr_lambda(nimg)
        for optimizer in optimizers.values():
            for group in optimizer.param_groups:
                if factor != 1 or "initial_lr" in group:
                    group["lr"] = factor * group.setdefault("initial_lr", group["lr"])

    @abstractmethod
    def sample(
        self, networks: Networks, count: int, *, generator: Generator, rows: Batch | None = None
    ) -> Tensor:
        """Return generated images, float32 `[count, C, H, W]` in [-1, 1], on the networks' device.

        Args:
            networks: all networks by name.
            count: number of images.
            generator: CPU generator, so that a seed gives the same noise on every device.
            rows: `count` rows of data to make the samples from, if the recipe `translates`.
        """

    def signatures(self, networks: Networks, images: ImageSpec) -> dict[str, Signature]:
        """Return the signatures of exportable networks by name; the first one is the default."""
        return {}

    def views(self, networks: Networks, rows: Batch, output: Tensor) -> dict[str, Tensor]:
        """Return images to show in a grid beside samples, by name and in order.

        Args:
            networks: all networks by name.
            rows: rows of data that the samples were made from.
            output: samples.

        Returns:
            Images with the shape of the samples; empty for a plain grid of samples.
        """
        return {}


def hint_for(setting: str, known: Sequence[str]) -> str:
    """Return what an unknown setting may be: another recipe's, or a misspelt one of `known`.

    It is empty if it is neither.
    """
    others = [
        kind.name
        for kind in imported_kinds(Recipe)  # type: ignore[type-abstract]
        if "name" in vars(kind) and setting in {entry.name for entry in fields(kind)}
    ]
    near = difflib.get_close_matches(setting, known, n=1)
    if others:
        return f"it is for {few(others)}."
    return f"did you mean {near[0]!r}?" if near else ""


def imported_kinds(kind: type[Recipe]) -> Iterator[type[Recipe]]:
    """Yield all subclasses that were defined."""
    for child in kind.__subclasses__():
        yield child
        yield from imported_kinds(child)
