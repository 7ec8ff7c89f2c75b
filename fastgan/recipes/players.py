"""Players of a game: their phases, losses, regularisers, and the batch that these share.

A step (`fastgan.training.step`) runs one phase per player, in the recipe's order. A player owns an
optimiser and trains some of the networks. It makes one or several updates per phase, each of its
loss and regularisers. So n_critic is `updates` and lazy regularisation is `every`. Two generators
under one optimiser are two `networks`; two time scales are an optimiser for each player.

Losses are pure: random tensors are drawn before, with one row per image. So neither torch.compile
nor the number of processes and micro-batches changes them. Networks alone draw for themselves, such
as dropout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from fastgan.recipes.optimizers import OptimizerFactory

Networks = Mapping[str, nn.Module]
P = TypeVar("P", bound="PerImage")
B = TypeVar("B", bound="Batch")
ABSENT: Any = None
"""Default of a batch's field that a phase fills in."""


@dataclass(frozen=True)
class PerImage:
    """Base of dataclasses whose tensors have one row per image.

    A field is a tensor, a mapping of tensors, another `PerImage`, or None.
    """

    def each_tensor(self: P, function: Callable[[Tensor], Tensor]) -> P:
        """Return these fields with a function applied to every tensor."""
        return type(self)(
            **{e.name: each_tensor(getattr(self, e.name), function) for e in fields(self)}
        )


@dataclass(frozen=True)
class Batch(PerImage):
    """Images and further tensors that losses take, each with one row per image.

    A recipe's own batch adds typed fields for what its phases draw and pass on, such as noise and
    generated images. Such a field is None until a phase has filled it in.

    Attributes:
        real: real images, float32 `[N, C, H, W]` in [-1, 1].
        labels: their classes, int64 `[N]`; 0 without labels.
        inputs: further data of each image by name, as in `ImageDataset.inputs`: images float32 in
            [-1, 1], maps int64, attributes float32, captions int64.
    """

    real: Tensor
    labels: Tensor
    inputs: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls: type[B], batch: Batch) -> B:
        """Return a batch of this class with the fields of another one."""
        if isinstance(batch, cls):
            return batch
        return cls(**{entry.name: getattr(batch, entry.name) for entry in fields(batch)})

    def rows(self: B, part: slice) -> B:
        """Return some of the images with all that belongs to them."""
        return self.each_tensor(lambda rows: rows[part])


def concatenate(values: Sequence[Any]) -> Any:
    """Join the rows of tensors, of mappings with the same keys, or of fields; None stays None."""
    first = values[0]
    if isinstance(first, Mapping):
        return {name: concatenate([value[name] for value in values]) for name in first}
    if isinstance(first, PerImage):
        names = [entry.name for entry in fields(first)]
        return type(first)(**{n: concatenate([getattr(v, n) for v in values]) for n in names})
    return None if first is None else torch.cat(list(values))


def each_tensor(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Apply a function to a tensor, or to every tensor of a mapping or of fields."""
    if isinstance(value, PerImage):
        return value.each_tensor(function)
    if isinstance(value, Mapping):
        return {name: each_tensor(part, function) for name, part in value.items()}
    return None if value is None else function(value)


@dataclass(frozen=True)
class DrawRequest:
    """Request for random rows.

    Attributes:
        count: number of rows, the images of all processes.
        nimg: real images shown before the step.
        generator: CPU generator to draw from.
        networks: all networks of the recipe, for those that know what to draw.
        shape: (C, H, W) of the step's images.
    """

    count: int
    nimg: int
    generator: Generator
    networks: Networks = field(default_factory=dict)
    shape: tuple[int, ...] = ()


def draw_nothing(request: DrawRequest) -> dict[str, Any]:
    """Draw nothing, for losses without randomness."""
    return {}


def keep_batch(networks: Networks, batch: Any) -> Any:
    """Return the batch, for phases that generate no images first."""
    return batch


class Loss(NamedTuple):
    """Loss of a player.

    Attributes:
        total: scalar to minimise.
        stats: scalars to log, by name.
        outputs: fields of the batch for later phases of the step, such as generated images. The
            later phases get them as constants; the i-th update gets those of the i-th update.
    """

    total: Tensor
    stats: Mapping[str, Tensor] = MappingProxyType({})
    outputs: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Regularizer:
    """Term of a player's loss.

    Attributes:
        name: name of the logged value.
        loss: term as a function of networks and batch.
        every: 1 adds the term to the loss of each update. Above 1 it is lazy (Karras et al. 2020,
            appendix B): every `every`-th step ends with an update of this term alone, times
            `every`, which keeps its mean weight. `Player.lazy_correction` then corrects the
            optimiser.
        float32: True computes the term outside of autocast, as the papers do.
        draw: draws fields of the batch beside those of the player.
        needs_fakes: True if the term uses the images of `Player.make_fakes`.
    """

    name: str
    loss: Callable[[Networks, Any], Tensor]
    every: int = 1
    float32: bool = True
    draw: Callable[[DrawRequest], dict[str, Any]] = draw_nothing
    needs_fakes: bool = True


@dataclass(frozen=True)
class Player:
    """One side of the game, with an optimiser of its own.

    Attributes:
        name: name of the optimiser and of the logged loss.
        networks: networks to train; all others are frozen in its phase.
        loss: loss as a function of networks and batch.
        updates: updates per step (n_critic), each on a batch of its own.
        regularizers: further terms.
        draw: draws fields of the batch for the loss.
        make_fakes: fills generated images into the batch, once for the loss and all terms.
        optimizer: makes the player's optimiser, such as `fastgan.recipes.optimizers.adam`.
        after_update: functions of the networks to call after each update, in this order. They
            aren't called for an update that was skipped.
        start: real images shown before the first phase.
        end: real images shown after which there are no more phases; None for no end.
    """

    name: str
    networks: tuple[str, ...]
    loss: Callable[[Networks, Any], Loss]
    updates: int = 1
    regularizers: tuple[Regularizer, ...] = ()
    draw: Callable[[DrawRequest], dict[str, Any]] = draw_nothing
    make_fakes: Callable[[Networks, Any], Any] = keep_batch
    optimizer: OptimizerFactory = field(kw_only=True)
    after_update: tuple[Callable[[Networks], None], ...] = ()
    start: int = 0
    end: int | None = None

    def is_active(self, nimg: int) -> bool:
        """Tell whether a step after `nimg` images has a phase of this player."""
        return self.start <= nimg and (self.end is None or nimg < self.end)

    @property
    def lazy_correction(self) -> float:
        """Share of the loss among this player's updates: c in lr' = c·lr and β' = β^c.

        A step has `updates` of the loss and, on average, 1/every of each lazy term. So c is
        every / (every + 1) for one lazy term.
        """
        lazy = sum(1 / term.every for term in self.regularizers if term.every > 1)
        return self.updates / (self.updates + lazy)

    def build_optimizer(self, networks: Networks) -> Optimizer:
        """Return a new optimiser of the player's networks, corrected for lazy regularisers."""
        return self.optimizer(parameters_of(networks, self.networks), self.lazy_correction)


def parameters_of(networks: Networks, names: tuple[str, ...]) -> list[nn.Parameter]:
    """Return all parameters of the named networks, for one optimiser."""
    return [p for name in names for p in networks[name].parameters()]
