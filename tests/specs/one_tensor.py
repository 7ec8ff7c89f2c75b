"""Samples of ops of one tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tests.specs.spec import Sample

Layout = Callable[[Tensor], Tensor]


def random_values(shape: Sequence[int], seed: int) -> Tensor:
    """Draw values that bfloat16 holds exactly."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(list(shape), generator=generator, dtype=torch.float64).bfloat16().double()


def tensors_of(
    shape: Sequence[int], layout: Layout | None
) -> Callable[[torch.dtype, torch.device], Sequence[Tensor | None]]:
    def tensors(dtype: torch.dtype, device: torch.device) -> Sequence[Tensor | None]:
        # The seed is none of those of the directions of derivatives.
        x = random_values(shape, 9).to(device, dtype)
        return [x if layout is None else layout(x)]

    return tensors


def sample(
    id: str,
    shape: Sequence[int],
    layout: Layout | None = None,
    *,
    large: bool = False,
    **options: Any,
) -> Sample:
    return Sample(id, tensors_of(shape, layout), options, large=large, small=id.startswith("small"))
