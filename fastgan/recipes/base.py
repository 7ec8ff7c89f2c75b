"""What a recipe is: hyper-parameters, and how to build the players of a game from them.

A step (`fastgan.training.step`) visits the players in order. A player owns an optimiser and some of the
networks, makes one or several updates, and minimises its loss plus its regularisers, each of which may come
only every so many steps. That covers n_critic (`updates`), lazy regularisation (`every`), two generators or
two discriminators under one optimiser (`networks`) and two time scales (an optimiser per player). Whatever
else has state and must be in the checkpoint (an image pool, an augmentation pipe) is a module without
parameters among the networks; what follows an update (weight clipping) is a step hook of the optimiser.

Losses are pure: what is random in them is drawn before, one row per image (`draw`), so that neither
torch.compile nor the number of processes and micro-batches changes it. Only what networks draw for themselves
(dropout, noise inputs) isn't.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple

from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from fastgan.data import ImageDataset, InputSpec, Reading, Task
from fastgan.data.inputs import Levels
from fastgan.errors import FastganError
from fastgan.recipes.fields import check_fields
from fastgan.recipes.signature import Signature

Networks = Mapping[str, nn.Module]
EMA_RAMPUP = 0.05  # of the images shown, the longest half-life


class RecipeError(FastganError):
    """An unknown recipe, or a hyper-parameter that a recipe can't take; the message says which and why."""


@dataclass(frozen=True)
class ImageSpec:
    """The images that networks are built for: square, float32 in [-1, 1] when a network sees them.

    inputs: what else the data set gives with each of them, by name (`ImageDataset.inputs`).
    class_names: one for each class, in the order of their numbers; empty where they have no names.
    levels: values that become black and white in files of more than 8 bits (`ImageDataset.levels`).
    """

    channels: int
    resolution: int
    num_classes: int = 0
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    levels: Levels = field(default=(), compare=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (self.channels, self.resolution, self.resolution)

    @classmethod
    def of(cls, dataset: ImageDataset) -> ImageSpec:
        """The images of a data set."""
        return cls(
            dataset.channels,
            dataset.resolution,
            dataset.num_classes,
            dict(dataset.inputs),
            tuple(dataset.class_names),
            dataset.levels,
        )

    def reading(self, settings: Reading) -> Reading:
        """Settings for reading other files as those of these images were read."""
        of_inputs = (spec.levels for spec in self.inputs.values() if spec.kind == "image")
        return replace(settings, levels=self.levels, input_levels=next(of_inputs, ()))

    def to_plain(self) -> dict[str, Any]:
        """Strings, numbers, lists and dicts only."""
        plain: dict[str, Any] = _lists(asdict(self))
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> ImageSpec:
        """Undoes `to_plain`. Raises TypeError for anything else."""
        inputs = {
            name: InputSpec(**{key: _tuples(value) for key, value in spec.items()})
            for name, spec in plain.get("inputs", {}).items()
        }
        class_names = tuple(plain.get("class_names", ()))  # older files have none
        return cls(
            **{
                **plain,
                "inputs": inputs,
                "class_names": class_names,
                "levels": _tuples(plain.get("levels", ())),
            }
        )


@dataclass(frozen=True)
class Batch:
    """What a loss is computed of.

    real: images float32 `[N, C, H, W]` in [-1, 1]. labels: their classes int64 `[N]` (0 without labels).
    random: what the player's `draw` and its regularisers' gave, each with one row per image.
    inputs: what the data set gives with the images (`ImageDataset.inputs`), by name, one row per image: images float32 in
    [-1, 1], maps int64, attributes float32, captions int64.
    """

    real: Tensor
    labels: Tensor
    random: Mapping[str, Tensor] = field(default_factory=dict)
    inputs: Mapping[str, Tensor] = field(default_factory=dict)

    def rows(self, part: slice) -> Batch:
        """Some of its images with all that belongs to them."""
        return Batch(
            self.real[part],
            self.labels[part],
            {name: t[part] for name, t in self.random.items()},
            {name: t[part] for name, t in self.inputs.items()},
        )


@dataclass(frozen=True)
class Draw:
    """What is to be drawn: rows for `count` images after `nimg` have been shown, from a CPU `generator`.

    networks: all of the recipe's, for what says itself what it draws, such as an augmentation.
    """

    count: int
    nimg: int
    generator: Generator
    networks: Networks = field(default_factory=dict)


def draw_nothing(draw: Draw) -> dict[str, Tensor]:
    """For losses without randomness."""
    return {}


def as_it_is(networks: Networks, batch: Batch) -> Batch:
    """For losses that share nothing with regularisers."""
    return batch


class Loss(NamedTuple):
    """A scalar to minimise, and scalars worth logging by the name they're logged under.

    made: what players that move later in the step find in `Batch.random`, as constants, such as generated images: one row
    per image. A player's i-th update finds what the others made in their i-th.
    """

    total: Tensor
    stats: Mapping[str, Tensor] = MappingProxyType({})
    made: Mapping[str, Tensor] | None = None


@dataclass(frozen=True)
class Regularizer:
    """A term of a player's loss.

    every: 1 adds it to the loss of each update. Above that it is lazy (Karras et al. 2020, appendix B): every
    `every`-th step ends with an update on this term alone, times `every`, which keeps its mean weight; the
    optimiser's rate and decays are to be corrected then (`Player.lazy_correction`).
    float32: compute it outside autocast, as the papers do. draw: random rows that it takes beside the player's.
    prepared: whether it takes what the player's `prepare` adds; False spares a lazy one that.
    """

    name: str
    loss: Callable[[Networks, Batch], Tensor]
    every: int = 1
    float32: bool = True
    draw: Callable[[Draw], dict[str, Tensor]] = draw_nothing
    prepared: bool = True


@dataclass(frozen=True)
class Player:
    """One side of the game.

    name: names its optimiser and its logged loss. networks: the networks it trains; all others are frozen
    while it moves. updates: how many updates it makes per step, each on a batch of its own (n_critic).
    draw: the random rows that its loss takes. prepare: adds to a batch what its loss and regularisers share,
    such as generated images, so that they are computed once.
    """

    name: str
    networks: tuple[str, ...]
    loss: Callable[[Networks, Batch], Loss]
    updates: int = 1
    regularizers: tuple[Regularizer, ...] = ()
    draw: Callable[[Draw], dict[str, Tensor]] = draw_nothing
    prepare: Callable[[Networks, Batch], Batch] = as_it_is
    begins: int = 0
    ends: int | None = None

    def moves(self, nimg: int) -> bool:
        """Whether it takes part in a step after `nimg` images."""
        return self.begins <= nimg and (self.ends is None or nimg < self.ends)

    @property
    def lazy_correction(self) -> float:
        """c in lr' = c·lr, β' = β^c: the share of the loss among this player's updates.

        A step has `updates` of the loss and, on average, 1/every of each lazy term: every / (every + 1) for one.
        """
        lazy = sum(1 / term.every for term in self.regularizers if term.every > 1)
        return self.updates / (self.updates + lazy)


@dataclass(frozen=True, kw_only=True)
class Recipe(ABC):
    """The hyper-parameters that every recipe has; a subclass adds its own and says how to build the game."""

    name: ClassVar[str]
    summary: ClassVar[str]  # one line for the command line's list of recipes
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
        self, networks: Networks, ema: Networks, nimg: int, batches: Sequence[Batch]
    ) -> Sequence[Batch]:
        """The step's batches as the players are to see them; called before every step, outside of what is compiled.

        Networks and their averages may be told here of `nimg`, the images shown so far, which is the same on all ranks.
        """
        return batches

    def rate(self, nimg: int) -> float:
        """What the optimisers' learning rates are multiplied by after `nimg` images have been shown."""
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


def _lists(plain: Any) -> Any:
    """`plain` with lists in place of tuples."""
    if isinstance(plain, dict):
        return {name: _lists(value) for name, value in plain.items()}
    return [_lists(value) for value in plain] if isinstance(plain, (list, tuple)) else plain


def _tuples(plain: Any) -> Any:
    return tuple(_tuples(value) for value in plain) if isinstance(plain, (list, tuple)) else plain


def one_of(choices: Sequence[object]) -> str:
    """The choices as errors name them."""
    return f"one of {', '.join(map(str, choices))}"


def parameters_of(networks: Networks, names: tuple[str, ...]) -> list[nn.Parameter]:
    """All parameters of the named networks, for one optimiser."""
    return [p for name in names for p in networks[name].parameters()]
