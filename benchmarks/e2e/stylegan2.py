"""Five parts of StyleGAN2's training as pure functions, and their numbers of operations."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from fastgan.losses import penalties
from fastgan.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from fastgan.nn import EqualConv2d, EqualLinear, ModulatedConv2d

Gradients = list[Tensor | None]
GAMMA = 10.0


@dataclass(frozen=True)
class Game:
    """Both networks, and one batch: real images, z, and the noise of the path length."""

    g: StyleGAN2Generator
    d: StyleGAN2Discriminator
    real: Tensor
    fake: Tensor
    z: Tensor
    noise: Tensor

    def exact(self) -> Game:
        """Return the same in float64, on the CPU."""
        networks = [copy.deepcopy(network).cpu().double() for network in (self.g, self.d)]
        tensors = [t.detach().cpu().double() for t in (self.real, self.fake, self.z, self.noise)]
        return Game(*networks, *tensors)  # type: ignore[arg-type]

    @classmethod
    def of(cls, resolution: int, batch: int, device: torch.device, **widths: int) -> Game:
        """Build new networks whose noise and biases aren't zero, so that no gradient is."""
        torch.manual_seed(0)
        g = StyleGAN2Generator(resolution, z_dim=512, w_dim=512, **widths)
        d = StyleGAN2Discriminator(resolution, **widths)
        with torch.no_grad():
            for name, p in [*g.named_parameters(), *d.named_parameters()]:
                if name.endswith(("noise.strength", ".bias")) and "affine" not in name:
                    p.copy_(0.1 * torch.randn(p.shape))
        shape = (batch, 3, resolution, resolution)
        tensors = [torch.randn(shape), torch.randn(shape), torch.randn(batch, 512)]
        tensors.append(torch.randn(-(-batch // 2), 3, resolution, resolution))
        return cls(g.to(device), d.to(device), *(t.to(device) for t in tensors))


def g_forward(game: Game) -> Gradients:
    """Return G's images, without a graph."""
    with torch.no_grad():
        return [game.g(game.z, noise_mode="const")]


def d_step(game: Game) -> Gradients:
    """Return gradients of D's loss on real and generated images."""
    loss = softplus(-game.d(game.real)).mean() + softplus(game.d(game.fake)).mean()
    return list(torch.autograd.grad(loss, list(game.d.parameters())))


def r1_step(game: Game) -> Gradients:
    """Return gradients of ``γ·R1``; None for parameters that only shift the logits."""
    loss = GAMMA * penalties.r1(game.d, game.real)
    return list(torch.autograd.grad(loss, list(game.d.parameters()), allow_unused=True))


def g_step(game: Game) -> Gradients:
    """Return gradients of G's loss."""
    loss = softplus(-game.d(game.g(game.z, noise_mode="const"))).mean()
    return list(torch.autograd.grad(loss, list(game.g.parameters())))


def path_length_step(game: Game) -> Gradients:
    """Return gradients of the path length penalty on half of the batch."""
    ws = game.g.mapping(game.z[: len(game.noise)])
    images = game.g.synthesis(ws, noise_mode="const")
    loss, _ = penalties.path_length(images, ws, game.noise, torch.zeros((), device=ws.device))
    return list(torch.autograd.grad(loss, list(game.g.parameters()), allow_unused=True))


STEPS: dict[str, Callable[[Game], Gradients]] = {
    "G forward": g_forward,
    "D step": d_step,
    "R1 step": r1_step,
    "G step": g_step,
    "path length step": path_length_step,
}


def take(step: str, function: Callable[[Game], Gradients], game: Game) -> dict[str, Tensor]:
    """Return a step's results by name, zeros for omitted gradients; the other network is frozen."""
    network = game.d if step in ("D step", "R1 step") else game.g
    for player in (game.g, game.d):
        player.requires_grad_(player is network)
    found = function(game)
    if step == "G forward":
        return {"images": found[0]} if found[0] is not None else {}
    named = zip(network.named_parameters(), found, strict=True)
    return {
        name: torch.zeros_like(p) if gradient is None else gradient for (name, p), gradient in named
    }


def flops_of(step: str, game: Game) -> float:
    """Return the operations of the direct form in a step, two for each product.

    They are those of convolutions and linear layers. A layer's products count once for its output,
    once for the gradient of its input, and once for that of its weights.

    The second derivative has the layer's output for the gradient of its input, and the weights'
    gradient from there. If values are in the gradient, not only slopes, it also has all three
    backward passes. lrelu is piecewise linear and has no second derivative. Values are in the
    gradient through the minibatch's standard deviation in D, and through the styles in G, which
    multiply the layers' inputs.
    """
    g, d = (
        _products(game.g, lambda: g_forward(game)),
        _products(game.d, lambda: _no_grad(game.d, game.real)),
    )
    of_g, of_d = sum(g.values()), sum(d.values())
    first = game.d.get_submodule(f"b{game.d.resolution}.fromrgb")
    if step == "G forward":
        return of_g
    # Real and generated images: output, weights, and input except for the first layer.
    if step == "D step":
        return 2 * (3 * of_d - d[first])
    if step == "R1 step":
        early = sum(n for layer, n in d.items() if layer not in set(game.d.b4.modules()))
        return 4 * of_d + 2 * early - d[first]
    mapping = sum(n for layer, n in g.items() if layer in set(game.g.mapping.modules()))
    first_of_mapping = g[game.g.mapping.get_submodule("fc0")]
    if step == "G step":
        return 3 * of_g - first_of_mapping + 2 * of_d
    # Half the batch; w's own gradient needs no derivative of the mapping. Synthesis runs forward
    # and backward to the inputs. The second derivative runs forward again, twice for the weights,
    # and backward to the inputs.
    share = len(game.noise) / len(game.z)
    return share * (6 * (of_g - mapping) + 3 * mapping - first_of_mapping)


def _no_grad(network: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        network(x)


def _products(network: nn.Module, call: Callable[[], object]) -> dict[nn.Module, float]:
    """Return each layer's operations in one call: multiplications of weights, and additions."""
    counted: dict[nn.Module, float] = {}

    def count(layer: Any, inputs: Any, output: Tensor) -> None:
        # An upsampling convolution multiplies each pixel of its input by every weight, once.
        pixels = inputs[0] if getattr(layer, "up", 1) > 1 else output
        places = pixels.numel() / pixels.shape[1]
        counted[layer] = counted.get(layer, 0.0) + 2.0 * layer.weight.numel() * places

    kinds = (EqualConv2d, EqualLinear, ModulatedConv2d)
    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, kinds)]
    try:
        call()
    finally:
        for hook in hooks:
            hook.remove()
    return counted
