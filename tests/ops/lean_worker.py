"""Gradients of a network of ops in each of several processes, compared with those of one."""

from __future__ import annotations

import os
import sys

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from tests.ops.lean_network import Layers, leaves


def expected(images: list[Tensor]) -> dict[str, Tensor]:
    """Return the mean of the gradients over the images of all processes."""
    network = Layers()
    for x in images:
        (network(x) / len(images)).backward()
    return {name: p.grad for name, p in network.named_parameters()}


def check(name: str, found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    for parameter, gradient in wanted.items():
        torch.testing.assert_close(found[parameter], gradient, rtol=1e-5, atol=1e-5)
    # One write: the processes share the output, and unbuffered print writes the newline apart.
    os.write(sys.stdout.fileno(), f"{name}\n".encode())


def main() -> None:
    dist.init_process_group("gloo")
    rank, count = dist.get_rank(), dist.get_world_size()
    images = [leaves()[0].detach() + i for i in range(count)]
    wanted = expected(images)

    for name, options in (("ddp", {}), ("ddp_static", {"static_graph": True})):
        network = DistributedDataParallel(Layers(), **options)
        for _ in range(2):
            network.zero_grad()
            network(images[rank]).backward()
        found = {key: p.grad for key, p in network.module.named_parameters()}
        check(name, found, wanted)

    mesh = init_device_mesh("cpu", (count,))
    sharded = fully_shard(Layers(), mesh=mesh)
    for _ in range(2):
        sharded.zero_grad()
        sharded(images[rank]).backward()
    check("fsdp", {key: p.grad.full_tensor() for key, p in sharded.named_parameters()}, wanted)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
