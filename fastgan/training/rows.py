"""Random rows of a step, drawn before its first update and moved to the device in one copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan.recipes.players import each_tensor

Rows = dict[str, Any]

# Kernels load vectors of up to 16 bytes; CUDA's own allocator aligns to more.
ALIGNMENT = 256


def staging(size: int, device: torch.device) -> Tensor:
    """Return memory of so many bytes from which a copy to the device needs no waiting."""
    return torch.empty(size, dtype=torch.uint8, pin_memory=device.type == "cuda")


def move_rows(rows: Sequence[Rows], device: torch.device) -> list[Rows]:
    """Copy the rows of all updates of a step to the device, in one copy that nothing waits for.

    Args:
        rows: fields of batches on the CPU, a dict for each update.
        device: the device. On the CPU the rows are returned as they are.
    """
    if device.type == "cpu":
        return list(rows)
    tensors: list[Tensor] = []
    for fields in rows:
        each_tensor(fields, lambda t: tensors.append(t) or t)  # type: ignore[func-returns-value]
    places, size = [], 0
    for t in tensors:
        places.append(slice(size, size + t.numel() * t.element_size()))
        size += -(-(places[-1].stop - size) // ALIGNMENT) * ALIGNMENT
    here = staging(size, device)

    def view(memory: Tensor, place: slice, t: Tensor) -> Tensor:
        return memory[place].view(t.dtype).view(t.shape)

    for t, place in zip(tensors, places):
        view(here, place, t).copy_(t)
    there = here.to(device, non_blocking=True)
    moved = (view(there, place, t) for t, place in zip(tensors, places))
    return [each_tensor(fields, lambda t: next(moved)) for fields in rows]
