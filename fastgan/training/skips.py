"""Updates whose gradients aren't finite: they leave no trace and are counted.

On a CPU the host decides. On a GPU the host would wait for the device once per update. So the
optimiser steps in any case there, and the device keeps or undoes what that changed.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from fastgan._torch_private import copy_all_
from fastgan.training.reading import Reading
from fastgan.training.snapshot import Snapshot, restore_where
from fastgan.training.state import TrainState

Stats = dict[str, Tensor]


class Skips(ABC):
    """Decision about each update, and the counters of a state's skipped ones."""

    def __init__(self, state: TrainState, snapshot: Snapshot) -> None:
        self.state, self.snapshot = state, snapshot

    @abstractmethod
    def update(
        self, name: str, norm: Tensor, actions: Callable[[], None], scale: Tensor | None
    ) -> Tensor | bool:
        """Step a player's optimiser and run its actions if the norm of its gradients is finite.

        Otherwise weights, optimiser and buffers are those from before the update. An fp16 loss
        scale above 1 still falls then, which doesn't count towards the skips in a row.

        Args:
            name: the player.
            norm: norm of its gradients.
            actions: its actions after an update.
            scale: loss scale of the update, None without one.

        Returns:
            True if the update was kept.
        """

    @abstractmethod
    def select(self, stats: Stats, kept: Tensor | bool) -> Stats:
        """Return the statistics of an update as its step reports them."""

    def read(self) -> None:  # noqa: B027 - the host's counters always are up to date
        """Update the state's counters at the end of a step, without waiting for that step."""

    def settle(self) -> None:  # noqa: B027
        """Update the state's counters, and wait for the device."""


class HostSkips(Skips):
    """Decision by the host. A skipped update has no statistics."""

    def update(
        self, name: str, norm: Tensor, actions: Callable[[], None], scale: Tensor | None
    ) -> bool:
        state = self.state
        if math.isfinite(norm):
            state.optimizers[name].step()
            actions()
            state.skipped_in_a_row[name] = 0
            return True
        self.snapshot.restore()
        searching = scale is not None and bool(scale > 1)
        state.skipped[name] = state.skipped.get(name, 0) + 1
        state.skipped_in_a_row[name] = state.skipped_in_a_row.get(name, 0) + (not searching)
        return False

    def select(self, stats: Stats, kept: Tensor | bool) -> Stats:
        return stats if kept else {}


class DeviceSkips(Skips):
    """Decision by the device. Statistics of a skipped update are NaN.

    Until ``settle`` is called, the state's counters are those of the step before the last one.

    Attributes:
        counts: skipped updates, in all and in a row, int64 ``[players, 2]`` on the device.
    """

    def __init__(self, state: TrainState, snapshot: Snapshot, device: torch.device) -> None:
        super().__init__(state, snapshot)
        self.names = [player.name for player in state.players]
        counted = (state.skipped, state.skipped_in_a_row)
        self.counts = torch.tensor(
            [[counts.get(name, 0) for counts in counted] for name in self.names], device=device
        )
        self._coming: Reading | None = None

    def update(
        self, name: str, norm: Tensor, actions: Callable[[], None], scale: Tensor | None
    ) -> Tensor:
        kept = norm.isfinite()
        skipped = ~kept
        step_unless(skipped, self.state.optimizers[name])
        # After a skipped update they run too. What they change is in the snapshot, but for weights
        # that they clip, which were clipped before.
        actions()
        self.snapshot.restore(where=skipped)
        in_all, in_a_row = self.counts[self.names.index(name)].unbind()
        in_all += skipped
        in_a_row += skipped if scale is None else skipped & (scale <= 1)
        in_a_row *= skipped
        return kept

    def select(self, stats: Stats, kept: Tensor | bool) -> Stats:
        values = torch.stack([value.float() for value in stats.values()])
        return dict(zip(stats, values.where(torch.as_tensor(kept), math.nan).unbind()))

    def read(self) -> None:
        coming, self._coming = self._coming, Reading(self.counts)
        if coming is not None:
            self._write(coming.numbers())

    def settle(self) -> None:
        self._coming = None
        self._write(Reading(self.counts).numbers())

    def _write(self, counts: list[list[int]]) -> None:
        for name, (in_all, in_a_row) in zip(self.names, counts):
            if in_all:
                self.state.skipped[name] = in_all
            self.state.skipped_in_a_row[name] = in_a_row


def make_skips(state: TrainState, snapshot: Snapshot, device: torch.device) -> Skips:
    """Return the decision by the host for a CPU, else that by the device."""
    if device.type == "cpu":
        return HostSkips(state, snapshot)
    return DeviceSkips(state, snapshot, device)


def skips_on_device(optimizer: Optimizer) -> bool:
    """Return True if ``step_unless`` never asks the host, once the optimiser has a state."""
    return all(group.get("fused") or group.get("capturable") for group in optimizer.param_groups)


def step_unless(skipped: Tensor, optimizer: Optimizer) -> None:
    """Step an optimiser, or leave weights and state as they are; the device decides.

    An optimiser decides by itself if it is fused. For another one, weights and state are copied and
    put back. The host decides if there is no state yet, or if it isn't on the device.

    Args:
        skipped: bool ``[]``, True to leave everything as it is.
        optimizer: optimiser whose parameters have gradients.
    """
    groups = optimizer.param_groups
    if all(group.get("fused") for group in groups):
        # GradScaler passes them in the same way.
        flags: Any = optimizer
        flags.grad_scale, flags.found_inf = None, skipped.float()
        optimizer.step()
        del flags.grad_scale, flags.found_inf
        return
    weights = [p for group in groups for p in group["params"] if p.grad is not None]
    states = [t for p in weights for t in optimizer.state.get(p, {}).values()]
    changing = [*weights, *(t for t in states if isinstance(t, Tensor))]
    begun = all(optimizer.state.get(p) for p in weights)
    if not begun or any(t.device != skipped.device for t in changing):
        if not bool(skipped):
            optimizer.step()
        return
    with torch.no_grad():
        copies = [torch.empty_like(t) for t in changing]
        copy_all_(copies, changing)
    optimizer.step()
    restore_where(skipped, changing, copies)
