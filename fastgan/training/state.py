"""Training state: everything that changes while training, and the seeds of its randomness.

Every step seeds torch's generators anew from (seed, step). Its batch follows from (seed, nimg). So
no generator has to be saved, and a run resumed at step k equals one that never stopped.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn

from fastgan.recipes import ImageSpec, Networks, Player, Recipe
from fastgan.seeds import derive_seed, seed_everything
from fastgan.training.initial_weights import Plan


@dataclass
class TrainState:
    """Everything that changes while training.

    Attributes:
        recipe: the GAN, with its settings.
        players: the recipe's players, in the order of their phases.
        networks: all of the recipe's networks by name.
        ema: moving averages of some of them, empty if the recipe has none.
        optimizers: one per player, by the player's name.
        scalers: loss scales by player, empty but for fp16.
        step: steps done.
        nimg: real images shown, by all processes.
        seconds: time trained.
        skipped: updates skipped because they weren't finite, by player.
        skipped_in_a_row: those since the player's last good update.
        best: the best measure so far and its images shown.
        seed: seed of everything random in a step.
        trained: averages that began with trained weights, which the first steps must not forget.
    """

    recipe: Recipe
    players: tuple[Player, ...]
    networks: dict[str, nn.Module]
    ema: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]
    scalers: dict[str, GradScaler] = field(default_factory=dict)
    step: int = 0
    nimg: int = 0
    seconds: float = field(default=0.0, compare=False)
    skipped: dict[str, int] = field(default_factory=dict)
    skipped_in_a_row: dict[str, int] = field(default_factory=dict)
    best: dict[str, float] | None = None
    seed: int = 0
    trained: tuple[str, ...] = ()

    @classmethod
    def create(
        cls,
        recipe: Recipe,
        image_spec: ImageSpec,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        plan: Plan | None = None,
    ) -> TrainState:
        """Return the state before the first step. The seed gives the same networks on any device.

        Args:
            plan: trained weights that replace the random ones, as far as they fit.
        """
        with torch.random.fork_rng(devices=()):
            seed_everything(derive_seed(seed, "networks"))
            networks = recipe.build_networks(image_spec)
            if plan is not None:
                plan.load(networks, plan.live)
            networks = {name: network.to(device) for name, network in networks.items()}
        ema = {
            name: copy.deepcopy(networks[name]).eval().requires_grad_(False)
            for name in recipe.averages
        }
        if plan is not None:
            plan.load(ema, plan.averages)
            # Values that follow from the images shown aren't the source's.
            recipe.before_step(networks, ema, 0, ())
        recipe.prepare(networks)
        players = recipe.players()
        optimizers = {player.name: player.build_optimizer(networks) for player in players}
        scaled = optimizers if recipe.scales_losses else ()
        scalers = {name: GradScaler(torch.device(device).type) for name in scaled}
        trained = plan.beginning.whole if plan is not None else ()
        return cls(recipe, players, networks, ema, optimizers, scalers, seed=seed, trained=trained)

    @property
    def sampler(self) -> Networks:
        """Networks that draw samples: averages where there are any, else live ones."""
        return {**self.networks, **self.ema}

    def reseed(self, rank: int = 0) -> Generator:
        """Seed torch's generators on all devices for the networks' draws in the next step.

        The seed is that of this rank.

        Returns:
            A generator for the draws of losses, the same on all ranks.
        """
        seed_everything(derive_seed(self.seed, "step", self.step, rank))
        return Generator().manual_seed(derive_seed(self.seed, "draw", self.step))

    @torch.no_grad()
    def update_ema(self, images: int) -> None:
        """Update averages: ema ← β·ema + (1 - β)·network for parameters and float buffers.

        Other buffers are copied. β is the recipe's ``ema_decay`` of a step of so many images, which
        ``nimg`` already counts.
        """
        if not self.ema:
            return
        for name, network in self.ema.items():
            decay = self.recipe.ema_decay(
                self.step, self.nimg, images, ramp=name not in self.trained
            )
            average = get_ema_multi_avg_fn(decay)
            pairs = list(
                zip(network.state_dict().values(), self.networks[name].state_dict().values())
            )
            floats = [pair for pair in pairs if pair[0].is_floating_point()]
            average([mean for mean, _ in floats], [value for _, value in floats], None)
            for mean, value in pairs:
                if not mean.is_floating_point():
                    mean.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """Return everything as plain data and tensors, which are the live ones."""
        return {
            **{
                part: {k: v.state_dict() for k, v in getattr(self, part).items()} for part in _PARTS
            },
            **{name: getattr(self, name) for name in _NUMBERS},
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Undo ``state_dict``.

        Raises:
            KeyError, RuntimeError, ValueError: ``saved`` doesn't fit.
        """
        for part in _PARTS:
            for name, value in getattr(self, part).items():
                plain = saved[part][name]
                if isinstance(value, Optimizer):
                    plain = _for_this_device(plain, value)
                value.load_state_dict(plain)
        for name in _NUMBERS:
            setattr(self, name, copy.copy(saved[name]))


def _for_this_device(saved: dict[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """Return an optimiser's saved state with the implementation that it has on this device."""
    groups = [
        {**group, **{name: here[name] for name in _IMPLEMENTATION if name in here}}
        for group, here in zip(saved["param_groups"], optimizer.param_groups, strict=True)
    ]
    return {**saved, "param_groups": groups}


_IMPLEMENTATION = ("foreach", "fused", "capturable")
_PARTS = ("networks", "ema", "optimizers", "scalers")
_NUMBERS = ("step", "nimg", "seconds", "skipped", "skipped_in_a_row", "best")
