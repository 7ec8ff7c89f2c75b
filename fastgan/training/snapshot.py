"""Copies of the buffers that an update can change, so that a skipped update leaves no trace."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from fastgan._torch_private import copy_all_


def changing_buffers(network: nn.Module) -> Iterator[Tensor]:
    """Yield the buffers of a network but those that modules name in ``constant_buffers``."""
    for module in network.modules():
        constant: tuple[str, ...] = getattr(module, "constant_buffers", ())
        for name, buffer in module.named_buffers(recurse=False):
            if name not in constant:
                yield buffer


@torch.no_grad()
def restore_where(condition: Tensor, tensors: Sequence[Tensor], copies: Sequence[Tensor]) -> None:
    """Write copies back if the condition, bool ``[]`` on their device, is True."""
    for tensor, copy in zip(tensors, copies):
        torch.where(condition, copy, tensor, out=tensor)


class Snapshot:
    """Copies of the changing buffers of networks, in memory that every update uses again.

    Attributes:
        buffers: the buffers when the copies were made.
        copies: their values then.
        generation: number of times that memory was allocated, which changes with the buffers.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        self.networks = list(networks)
        self.buffers: list[Tensor] = []
        self.copies: list[Tensor] = []
        self.generation = 0

    @torch.no_grad()
    def take(self) -> None:
        """Copy the buffers."""
        buffers = [b for network in self.networks for b in changing_buffers(network)]
        if len(buffers) == len(self.buffers) and all(map(operator.is_, buffers, self.buffers)):
            copy_all_(self.copies, buffers)
        else:
            self.buffers, self.copies = buffers, [buffer.clone() for buffer in buffers]
            self.generation += 1

    @torch.no_grad()
    def restore(self, where: Tensor | None = None) -> None:
        """Write the copies back.

        Args:
            where: bool ``[]`` on the buffers' device, False to leave them; None to write them.
        """
        if where is None:
            copy_all_(self.buffers, self.copies)
        else:
            restore_where(where, self.buffers, self.copies)

    def own(self) -> list[tuple[Tensor, Tensor]]:
        """Return the floating-point buffers that each process changes for itself, and their copies.

        Modules name buffers that are equal on all processes in ``equal_buffers``.
        """
        equal = {
            id(getattr(module, name))
            for network in self.networks
            for module in network.modules()
            for name in getattr(module, "equal_buffers", ())
        }
        pairs = zip(self.buffers, self.copies)
        return [(b, copy) for b, copy in pairs if b.is_floating_point() and id(b) not in equal]


@torch.no_grad()
def changes(pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Return 1 for each tensor that differs from its copy, else 0: float32, on their device."""
    return torch.stack([(tensor != copy).any() for tensor, copy in pairs]).float()
