"""Whether a file computes what the network does."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from fastgan.export.files import ExportError

TOLERANCE = 1e-4
Tensors = tuple[Tensor, ...]


def compare(
    module: nn.Module, run: Callable[..., Tensor], example: Tensors, *, dynamic_batch: bool, kind: str
) -> float:
    """The largest difference between ``module`` and ``run``, relative to the module's largest output where that is over 1.

    Both run on ``example`` and, with ``dynamic_batch``, on twice as many samples, from the same seed of torch's generators.

    Raises ExportError, naming ``kind``, where it is above :data:`TOLERANCE`.
    """
    batches = [example]
    if dynamic_batch:
        batches.append(tuple(torch.cat([x, x.flip(0)]) for x in example))
    largest = 0.0
    for inputs in batches:
        expected, got = (_seeded(function, inputs) for function in (module, run))
        if expected.shape != got.shape:
            raise ExportError(
                f"The {kind} file gives outputs {list(got.shape)} where the network gives {list(expected.shape)}: it was "
                f"not kept."
            )
        scale = max(1.0, expected.abs().max().item())
        difference = (expected.double() - got.double()).abs().max().item() / scale
        if not difference <= TOLERANCE:  # nor NaN
            raise ExportError(
                f"The {kind} file differs from the network by {difference:.1e}, more than {TOLERANCE:.0e}: it was not kept."
            )
        largest = max(largest, difference)
    return largest


@torch.no_grad()
def _seeded(function: Callable[..., Tensor], inputs: Tensors) -> Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return function(*inputs)
