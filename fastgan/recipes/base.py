"""Base class of recipes: settings of an algorithm, and how to build its networks and players.

State that must be in the checkpoint (an image pool, an augmentation pipe) is a module without
parameters among the networks. Whatever follows an update (weight clipping) is a step hook of the
optimiser.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from fastgan.data import ImageDataset, Reading, Task
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.fields import check_fields
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.players import Batch, Networks, Player
from fastgan.recipes.signature import Signature

EMA_RAMPUP = 0.05  # of the images shown, the longest half-life


@dataclass(frozen=True, kw_only=True)
class Recipe(ABC):
    """The hyper-parameters that every recipe has; a subclass adds its own and says how to build the game."""

    name: ClassVar[str]
    summary: ClassVar[str]  # one line for the command line's list of recipes
    batch_type: ClassVar[type[Batch]] = Batch  # batches of the phases
    averaged: ClassVar[tuple[str, ...]] = ("G",)  # networks that `ema` averages
    task: ClassVar[Task | None] = None  # what is read out of the data beside images
    translates: ClassVar[bool] = (
        False  # whether samples are made of what is in the data, not of noise alone
    )
    paired: ClassVar[bool] = (
        False  # whether each sample has a target: the image of the row that it's made of
    )
    baseline: ClassVar[str | None] = None  # the view that is measured against targets too
    exchanged: ClassVar[str] = ""  # what images of a batch take from each other, in words
    extends: ClassVar[tuple[str, ...]] = ()  # settings that may change when a run goes on
    carried: ClassVar[
        tuple[str, ...]
    ] = ()  # networks without weights that a run takes from trained ones
    usual_data: ClassVar[str] = "mnist5k"  # data set of a run that names none
    usual_resolution: ClassVar[int | None] = None  # of such a run; None is the data set's own
    usual_images: ClassVar[int] = 200_000  # real images that such a run shows in all

    batch: int = 64
    """Real images per update."""
    ema: float = 0.0
    """Decay per step of the moving average of G's weights, which samples come from; 0 for none."""
    ema_kimg: float = 0.0
    """Half-life of that average in thousands of images, a twentieth of those shown at most; --ema goes before it."""
    mirror: bool = False
    """Show every image as it is and mirrored, left for right."""
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    """What the networks compute in: bf16 and fp16 by autocast, fp16 with a loss scale per optimiser."""
    full_precision: tuple[str, ...] = ()
    """Networks that stay in float32 under bf16 and fp16, e.g. D."""
    accumulate: int = 1
    """Micro-batches that an update's images are computed in, to fit in memory; batch norm sees one at a time."""
    sync_batch_norm: bool = True
    """Batch norm over the images of all processes, not of each process alone."""

    def __post_init__(self) -> None:
        check_fields(self, RecipeError)
        self._require_at_least(1, "batch")
        self._require("ema", 0 <= self.ema < 1, "at least 0 and less than 1")
        self._require_at_least(0, "ema_kimg")
        usual = next(f.default for f in fields(self) if f.name == "ema_kimg")
        if self.ema and self.ema_kimg not in (0, usual):
            raise RecipeError(
                f"--ema and --ema-kimg are two ways to say one thing, but both came ({self.ema}, {self.ema_kimg}): "
                "choose one."
            )
        half = self.precision in ("bf16", "fp16")
        if self.full_precision and not half:
            raise RecipeError(
                f"--full-precision is for --precision bf16 and fp16, but {self.precision} came: leave it out."
            )
        self._require_at_least(1, "accumulate")
        self._require(
            "accumulate", self.batch % self.accumulate == 0, f"a divisor of --batch, {self.batch}"
        )
        self.check_batch()

    def _require(self, setting: str, holds: bool, expected: str) -> None:
        """Raises RecipeError saying that `setting` must be `expected`, unless it holds."""
        if not holds:
            option = setting.replace("_", "-")
            raise RecipeError(f"--{option} must be {expected}, but {getattr(self, setting)} came.")

    def _require_at_least(self, least: int, *settings: str) -> None:
        """Raises RecipeError unless all of these are numbers from `least` on."""
        for setting in settings:
            self._require(
                setting, least <= getattr(self, setting) < float("inf"), f"at least {least}"
            )

    def _require_positive(self, *settings: str) -> None:
        """Raises RecipeError unless all of these are above 0."""
        for setting in settings:
            self._require(setting, 0 < getattr(self, setting) < float("inf"), "a positive number")

    def _require_resolution(self, images: ImageSpec, holds: bool, expected: str) -> None:
        """Raises RecipeError saying that the resolution must be `expected`, unless it holds."""
        if not holds:
            raise RecipeError(
                f"{self.name} needs a resolution that is {expected}, but {images.resolution} came: choose one with "
                "--resolution."
            )

    @property
    def has_batch_norm(self) -> bool:
        """True if a network in training normalises over the images computed at once, which must then be two or more."""
        return False

    def check_batch(self, processes: int = 1) -> None:
        """Raise RecipeError unless `batch` has enough images for each of the processes and their micro-batches."""
        parts = processes * self.accumulate
        if self.batch % parts:
            raise RecipeError(
                f"--batch must be a multiple of the processes times --accumulate, {processes} × {self.accumulate}, "
                f"but {self.batch} came."
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
        """The networks that have a moving average."""
        return self.averaged if self.ema or self.ema_kimg else ()

    def ema_decay(self, step: int, nimg: int, images: int, *, ramp: bool = True) -> float:
        """What the averages keep at the end of step number `step`, of `images` images, the last of `nimg`.

        With `ema`, at most (step + 1)/(step + 10); with `ema_kimg`, half after so many images, or after a twentieth
        of those shown (Karras et al. 2020b): the first weights are soon forgotten. Without `ramp`, for an average that
        began with trained weights, it is the full decay from the first step on.
        """
        if self.ema:
            return min(self.ema, (step + 1) / (step + 10)) if ramp else self.ema
        half_life = min(self.ema_kimg * 1000, nimg * EMA_RAMPUP) if ramp else self.ema_kimg * 1000
        return float(0.5 ** (images / half_life))

    def resolved(self, images: ImageSpec) -> dict[str, Any]:
        """Return the settings of the networks' sizes that are None, as they are for these images."""
        return {}

    def begin_with(
        self, networks: Mapping[str, Mapping[str, Tensor]], images: ImageSpec
    ) -> dict[str, Any]:
        """Return settings that follow from trained weights, state dicts by network, that a run begins with."""
        return {}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Recipe:
        """A recipe from saved settings (lists become tuples). Raises RecipeError for an unknown one."""
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

        A schedule's end that follows from the run's length becomes a setting of its own: the
        length may be raised at a resume.

        Args:
            total_images: real images that the run shows in all.
            saved: settings of the run that goes on, whose ends are kept; None for a run that starts.

        Raises:
            RecipeError: the run can't go on with these settings.
        """
        return self

    def adapt_reading(self, reading: Reading) -> Reading:
        """Return a run's settings for reading files with what the recipe knows of them."""
        return reading

    def check_images(self, images: ImageSpec) -> None:  # noqa: B027 - most recipes take any image
        """Raises RecipeError for images that the networks can't be built for."""

    def check_data(self, dataset: ImageDataset) -> None:
        """Raises RecipeError for a data set that the networks can't be trained on."""
        self.check_images(ImageSpec.of(dataset))

    @abstractmethod
    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        """Freshly initialised networks by name, on the CPU, from torch's global random generator."""

    @abstractmethod
    def build_optimizers(self, networks: Networks) -> dict[str, Optimizer]:
        """One optimiser per player, by the player's name."""

    @abstractmethod
    def players(self) -> tuple[Player, ...]:
        """The players in the order in which they move."""

    def before_step(
        self, networks: Networks, ema: Networks, nimg: int, batches: Sequence[Any]
    ) -> Sequence[Any]:
        """The step's batches as the players are to see them; called before every step, outside of what is compiled.

        Networks and their averages may be told here of `nimg`, the images shown so far, which is the same on all ranks.
        """
        return batches

    def lr_lambda(self, nimg: int) -> float:
        """Return the factor of all learning rates after `nimg` images have been shown."""
        return 1.0

    @abstractmethod
    def sample(
        self, networks: Networks, count: int, *, generator: Generator, given: Batch | None = None
    ) -> Tensor:
        """Generated images float32 `[count, C, H, W]` in [-1, 1] on the networks' device.

        generator: a CPU generator, so that its seed gives the same noise for every device.
        given: `count` rows of data that samples are made of where the recipe `translates`; of no meaning elsewhere.
        """

    def signatures(self, networks: Networks, images: ImageSpec) -> dict[str, Signature]:
        """Every network that can be exported, by the name to ask for it; the first is the default."""
        return {}

    def views(self, networks: Networks, given: Batch, output: Tensor) -> dict[str, Tensor]:
        """What a person is shown of samples `output`, made of `given`: images like them by name, in the order to show.

        None for a plain grid of samples.
        """
        return {}
