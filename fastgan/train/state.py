"""All that changes while training, in one object, and where its randomness comes from.

Every step reseeds torch's generators from (seed, step), and the batch it shows follows from (seed, nimg). So
no generator has to be saved, and a run that resumes at step k goes on exactly as one that never stopped.
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from fastgan.recipes import ImageSpec, Networks, Recipe


def derive_seed(seed: int, *path: object) -> int:
    """An independent seed for each purpose, e.g. `derive_seed(0, "step", 17)`: 63 bits of a SHA-256."""
    digest = hashlib.sha256("/".join(map(str, (seed, *path))).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def seed_everything(seed: int) -> None:
    """Seeds the CPU's and every CUDA device's default generator."""
    # Where CUDA isn't in use, torch.manual_seed queues a stack trace at every call: 1 ms and a leak per step.
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


@dataclass
class TrainState:
    """networks: all of the recipe's, by name. ema: averages of some of them, empty if the recipe has `ema` 0.
    optimizers: one per player, by its name. step: steps done. nimg: real images shown. seconds: time trained.
    """

    recipe: Recipe
    networks: dict[str, nn.Module]
    ema: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]
    step: int = 0
    nimg: int = 0
    seconds: float = field(default=0.0, compare=False)

    @classmethod
    def create(cls, recipe: Recipe, images: ImageSpec, *, device: torch.device | str = "cpu") -> TrainState:
        """The state before the first step: networks drawn from the recipe's seed, the same for any device."""
        with torch.random.fork_rng(devices=()):
            seed_everything(derive_seed(recipe.seed, "networks"))
            networks = {name: network.to(device) for name, network in recipe.build_networks(images).items()}
        averaged = recipe.averaged if recipe.ema else ()
        ema = {name: copy.deepcopy(networks[name]).eval().requires_grad_(False) for name in averaged}
        return cls(recipe, networks, ema, recipe.build_optimizers(networks))

    @property
    def sampler(self) -> Networks:
        """The networks that samples come from: the averaged ones where there are any."""
        return {**self.networks, **self.ema}

    def reseed(self) -> None:
        """Sets torch's generators (all devices) to what the coming step draws from."""
        seed_everything(derive_seed(self.recipe.seed, "step", self.step))

    @torch.no_grad()
    def update_ema(self) -> None:
        """ema ← β·ema + (1 - β)·network for parameters and float buffers; other buffers are copied.

        β is the recipe's `ema`, but at most (step + 1)/(step + 10): the first weights are soon forgotten.
        """
        beta = min(self.recipe.ema, (self.step + 1) / (self.step + 10))
        for name, average in self.ema.items():
            for mean, value in zip(average.state_dict().values(), self.networks[name].state_dict().values()):
                if mean.is_floating_point():
                    mean.lerp_(value, 1 - beta)
                else:
                    mean.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """Everything as tensors and plain data. The tensors are the live ones, not copies."""
        return {
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "ema": {name: network.state_dict() for name, network in self.ema.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "step": self.step,
            "nimg": self.nimg,
            "seconds": self.seconds,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Undoes `state_dict`. Raises KeyError, RuntimeError or ValueError where `saved` doesn't fit."""
        for name, network in self.networks.items():
            network.load_state_dict(saved["networks"][name])
        for name, network in self.ema.items():
            network.load_state_dict(saved["ema"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(saved["optimizers"][name])
        self.step, self.nimg = int(saved["step"]), int(saved["nimg"])
        self.seconds = float(saved["seconds"])
