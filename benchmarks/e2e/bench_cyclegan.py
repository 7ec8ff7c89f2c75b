"""CycleGAN's step at 128×128: the recipe's phases of both generators and both discriminators."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.e2e.steps import Step, time_step
from benchmarks.harness import Run, bytes_of
from benchmarks.measures import Results
from fastgan.data import InputSpec
from fastgan.recipes import CycleGAN, ImageSpec
from fastgan.recipes.domains import DomainBatch
from fastgan.recipes.players import each_tensor

RESOLUTION = 128
GENERATORS, DISCRIMINATORS = ("G_AB", "G_BA"), ("D_A", "D_B")
TOLERANCE = 2e-2  # relative to a gradient's norm


@dataclass(frozen=True)
class Game:
    """The recipe without pools, its networks, and a batch of one image of each domain."""

    recipe: CycleGAN
    networks: dict[str, nn.Module]
    batch: DomainBatch

    @classmethod
    def of(cls, device: torch.device) -> Game:
        torch.manual_seed(0)
        recipe = CycleGAN(replay=0)
        spec = ImageSpec(3, RESOLUTION, 0, inputs={"other": InputSpec("image", channels=3)})
        networks = {
            name: network.to(device) for name, network in recipe.build_networks(spec).items()
        }
        a, b = (torch.rand(1, 3, RESOLUTION, RESOLUTION).mul(2).sub(1).to(device) for _ in range(2))
        return cls(
            recipe, networks, DomainBatch(a, torch.zeros(1, dtype=torch.int64), inputs={"other": b})
        )

    def exact(self) -> Game:
        """Return the same in float64, on the CPU."""
        networks = {
            name: copy.deepcopy(network).cpu().double() for name, network in self.networks.items()
        }
        real, other = (t.cpu().double() for t in (self.batch.real, self.batch.inputs["other"]))
        return Game(
            self.recipe,
            networks,
            DomainBatch(real, self.batch.labels.cpu(), inputs={"other": other}),
        )

    def parameters(self, names: tuple[str, ...]) -> dict[str, Tensor]:
        return {
            f"{name}.{key}": p
            for name in names
            for key, p in self.networks[name].named_parameters()
        }


def gradients(game: Game) -> list[Tensor | None]:
    """Return gradients of the generators' loss, and of the discriminators' on the new images."""
    loss = game.recipe.g_loss(game.networks, game.batch)
    of_g = torch.autograd.grad(loss.total, list(game.parameters(GENERATORS).values()))
    assert loss.outputs is not None
    outputs = each_tensor(loss.outputs, Tensor.detach)
    turn = DomainBatch(game.batch.real, game.batch.labels, game.batch.inputs, **outputs)
    loss = game.recipe.d_loss(game.networks, turn)
    of_d = torch.autograd.grad(loss.total, list(game.parameters(DISCRIMINATORS).values()))
    return [*of_g, *of_d]


def take(function: Callable[[Game], list[Tensor | None]], game: Game) -> Results:
    """Return the results of the step by name."""
    return dict(zip(game.parameters(GENERATORS + DISCRIMINATORS), function(game), strict=True))


def flops_of(game: Game) -> float:
    """Return the operations of the direct form in the step, two for each product.

    A layer's products count once for its output, once for the gradient of its input, and once for
    that of its weights. A generator has two images of the data, whose gradient isn't needed, and
    one of the other generator. A discriminator first passes one gradient to the generator, without
    its weights'. Then it judges two images.
    """
    (g, g_first), (d, d_first) = (
        _products(game.networks[name], game.batch.real) for name in ("G_AB", "D_A")
    )
    return 2 * ((9 * g - 2 * g_first) + 2 * d + 2 * (3 * d - d_first))


def _products(network: nn.Module, images: Tensor) -> tuple[float, float]:
    """Return the operations of a network's convolutions for an image, and of the first one."""
    counted: list[float] = []

    def count(layer: Any, inputs: Any, output: Tensor) -> None:
        pixels = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        counted.append(2.0 * layer.weight.numel() * pixels[0, 0].numel())

    layers = [
        layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
    ]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return sum(counted), counted[0]


def test_step(benchmark: Any, run: Run) -> None:
    if run.dtype != torch.float32:
        pytest.skip("the step is timed in float32")
    game = Game.of(run.device)
    time_step(
        benchmark,
        run,
        Step(
            op="cyclegan",
            case=f"{RESOLUTION}×{RESOLUTION}",
            name="step",
            gradients=gradients,
            take=take,
            game=game,
            exact=game.exact(),
            tolerance=TOLERANCE,
            images=game.batch.real,
            flops=flops_of(game),
            weights=sum(map(bytes_of, game.parameters(GENERATORS + DISCRIMINATORS).values())),
            rounds=5,
            whole=True,
        ),
    )
