"""What a recipe is: hyper-parameters, and how to build the players of a game from them.

A step (`fastgan.train.step`) visits the players in order. A player owns an optimiser and some of the
networks, makes one or several updates, and minimises its loss plus its regularisers, each of which may come
only every so many steps. That covers n_critic (`updates`), lazy regularisation (`every`), two generators or
two discriminators under one optimiser (`networks`) and two time scales (an optimiser per player). Whatever
else has state and must be in the checkpoint (an image pool, an augmentation pipe) is a module without
parameters among the networks; what follows an update (weight clipping) is a step hook of the optimiser.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from fastgan.errors import FastganError

Networks = Mapping[str, nn.Module]


class RecipeError(FastganError):
    """An unknown recipe, or a hyper-parameter that a recipe can't take; the message says which and why."""


@dataclass(frozen=True)
class ImageSpec:
    """The images that networks are built for: square, float32 in [-1, 1] when a network sees them."""

    channels: int
    resolution: int
    num_classes: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (self.channels, self.resolution, self.resolution)


class Batch(NamedTuple):
    """Real images float32 `[N, C, H, W]` in [-1, 1] and their classes int64 `[N]` (0 without labels)."""

    real: Tensor
    labels: Tensor


class Loss(NamedTuple):
    """A scalar to minimise, and scalars worth logging by the name they're logged under."""

    total: Tensor
    stats: Mapping[str, Tensor] = MappingProxyType({})


@dataclass(frozen=True)
class Regularizer:
    """A term added to a player's loss at every `every`-th step, times `every` to keep its mean weight."""

    name: str
    loss: Callable[[Networks, Batch], Tensor]
    every: int = 1


@dataclass(frozen=True)
class Player:
    """One side of the game.

    name: names its optimiser and its logged loss. networks: the networks it trains; all others are frozen
    while it moves. updates: how many updates it makes per step, each on a batch of its own (n_critic).
    """

    name: str
    networks: tuple[str, ...]
    loss: Callable[[Networks, Batch], Loss]
    updates: int = 1
    regularizers: tuple[Regularizer, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Recipe(ABC):
    """The hyper-parameters that every recipe has; a subclass adds its own and says how to build the game."""

    name: ClassVar[str]
    summary: ClassVar[str]  # one line for the command line's list of recipes
    averaged: ClassVar[tuple[str, ...]] = ("G",)  # networks that `ema` averages

    data: str = "mnist5k"
    """Data set: mnist5k, digits, shapes, or the path of a folder of images."""
    resolution: int | None = None
    """Height and width of the images in pixels; None takes the data set's own."""
    batch: int = 64
    """Real images per update."""
    images: int = 200_000
    """Real images to show in all; the run ends after the step that reaches it."""
    seed: int = 0
    """Seed of everything random: weights, noise, dropout, the order of the images."""
    ema: float = 0.0
    """Decay per step of the moving average of G's weights, which samples come from; 0 for none."""

    def __post_init__(self) -> None:
        self._require("batch", self.batch >= 2, "at least 2 (batch norm needs it)")
        self._require("images", self.images >= 1, "at least 1")
        self._require("ema", 0 <= self.ema < 1, "at least 0 and less than 1")

    def _require(self, setting: str, holds: bool, expected: str) -> None:
        """Raises RecipeError saying that `setting` must be `expected`, unless it holds."""
        if not holds:
            option = setting.replace("_", "-")
            raise RecipeError(f"--{option} must be {expected}, but {getattr(self, setting)} came.")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Recipe:
        """A recipe from saved settings (lists become tuples). Raises RecipeError for an unknown one."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(settings) - known):
            raise RecipeError(
                f"The saved configuration has settings that recipe {cls.name!r} doesn't know "
                f"({', '.join(unknown)}): it was made by another version of fastgan."
            )
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        return cls(**values)

    def check_images(self, images: ImageSpec) -> None:  # noqa: B027 - most recipes take any image
        """Raises RecipeError for images that the networks can't be built for."""

    @abstractmethod
    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        """Freshly initialised networks by name, on the CPU, from torch's global random generator."""

    @abstractmethod
    def build_optimizers(self, networks: Networks) -> dict[str, Optimizer]:
        """One optimiser per player, by the player's name."""

    @abstractmethod
    def players(self) -> tuple[Player, ...]:
        """The players in the order in which they move."""

    @abstractmethod
    def sample(self, networks: Networks, count: int, *, generator: Generator) -> Tensor:
        """Generated images float32 `[count, C, H, W]` in [-1, 1] on the networks' device.

        generator: a CPU generator, so that its seed gives the same noise for every device.
        """


def parameters_of(networks: Networks, names: tuple[str, ...]) -> list[nn.Parameter]:
    """All parameters of the named networks, for one optimiser."""
    return [p for name in names for p in networks[name].parameters()]
