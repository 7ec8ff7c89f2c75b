"""Program of each rank of tests/training/test_distributed.py: `torchrun … ranks.py FOLDER`.

It is no test itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

from fastgan.nn import convert_sync_batchnorm
from fastgan.recipes import DCGAN, GAN, Batch, ImageSpec, ProGAN
from fastgan.training.distributed import join_world
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

CONVOLUTIONS = {"z_dim": 4, "ngf": 4, "ndf": 4, "batch": 8, "ema": 0.9}
PERCEPTRONS = {
    "z_dim": 4,
    "g_hidden": (8,),
    "d_hidden": (8,),
    "batch": 8,
    "batch_norm": False,
    "dropout": 0.0,
}
GROWING = {
    "z_dim": 4,
    "channel_base": 32,
    "channel_max": 4,
    "batch": 8,
    "stable_kimg": 0.004,
    "fade_kimg": 0.016,
}
# Each rank compares its own images.
GROWING |= {"group_size": 1}
GAMES = {
    "wgan-gp": DCGAN(**CONVOLUTIONS, loss="wasserstein", penalty="wgan-gp", n_critic=2),
    "lazy r1": DCGAN(**CONVOLUTIONS, penalty="r1", penalty_every=2, flip_labels=0.3),
    "in pieces": GAN(**PERCEPTRONS, loss="hinge", penalty="r2", accumulate=2, clip_weights=0.5),
    "remembering": GAN(**PERCEPTRONS, replay=12, historical_averaging=0.5),
    "fp16": GAN(**PERCEPTRONS, precision="fp16"),
    "fading in": ProGAN(**GROWING),
}
OWN_STATISTICS = DCGAN(**CONVOLUTIONS, sync_batch_norm=False)


def images(steps, updates):
    """Return the global batches, the same in every process."""
    generator = torch.Generator().manual_seed(0)
    return [
        [torch.rand(8, 1, 16, 16, generator=generator) for _ in range(updates)]
        for _ in range(steps)
    ]


def trained(recipe, world, steps=3):
    """Return the state after `steps` steps on this rank's part of the global batches."""
    step = TrainStep(TrainState.create(recipe, ImageSpec(1, 16)), world=world)
    share = recipe.batch // world.size
    mine = slice(world.rank * share, (world.rank + 1) * share)
    for batches in images(steps, step.batches):
        step([Batch(real[mine], torch.zeros(share)) for real in batches])
    return step.state


def normalised(part):
    """Apply batch norm to a part of 12 samples in float64.

    Returns output and gradients to second order, gradients of parameters, and running statistics.
    """
    torch.manual_seed(0)
    x, probe = torch.randn(2, 12, 3, 4, 5, dtype=torch.float64)
    layer = nn.BatchNorm2d(3).double()
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2)
        layer.bias.normal_()
    if part is not None:
        convert_sync_batchnorm(layer)
    else:
        part = slice(None)
    x = x[part].requires_grad_(True)
    y = layer(x)
    (first,) = torch.autograd.grad((y.tanh() * probe[part]).sum(), x, create_graph=True)
    first.square().sum().backward()
    own = {"y": y.detach(), "first": first.detach(), "second": x.grad}
    return own, [p.grad for p in layer.parameters()], list(layer.buffers())


def main(folder):
    with join_world("cpu") as world:
        games = GAMES | {"own batch norm": OWN_STATISTICS}
        states = {name: trained(recipe, world).state_dict() for name, recipe in games.items()}
        size = 12 // world.size
        own, shared, statistics = normalised(slice(world.rank * size, (world.rank + 1) * size))
        world.average_(shared)
        messages = {
            "any": [world.any(world.rank == 1), world.any(False)],
            "mean": world.mean({"rank": float(world.rank)}),
            "broadcast": world.broadcast(
                {"rank": world.rank, "tensor": torch.full((3,), world.rank)}
            ),
            "same": [
                world.same([torch.ones(5), torch.tensor([True])]),
                world.same([torch.ones(5) + world.rank * 1e-6]),
                world.same([torch.arange(3).roll(world.rank)]),
            ],
        }
        torch.save(
            {"trained": states, "norm": (own, shared, statistics), "messages": messages},
            folder / f"{world.rank}.pt",
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
