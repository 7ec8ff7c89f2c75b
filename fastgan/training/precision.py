"""Precision of a step: float32, TF32, or half types by autocast."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from torch import Tensor, nn

from fastgan.recipes import Networks

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """Return ``torch.autocast`` to a precision's half type; a null context for the others."""
    if precision not in HALF:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=HALF[precision])


@contextlib.contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """Let CUDA multiply float32 matrices as TF32 inside the block, but exactly for fp32.

    Half types keep fewer bits than TF32, so their float32 parts need no more. A precision that is
    still auto computes as fp32.
    """
    settings: tuple[Any, ...] = (
        torch.backends.cuda.matmul,
        torch.backends.cudnn.conv,  # type: ignore[attr-defined]
    )
    before = [setting.fp32_precision for setting in settings]
    wanted = "ieee" if precision in ("auto", "fp32") else "tf32"
    for setting in settings:
        setting.fp32_precision = wanted
    try:
        yield
    finally:
        for setting, was in zip(settings, before):
            setting.fp32_precision = was


class Float32(nn.Module):
    """Network that computes in float32 under any autocast; floating-point inputs are converted."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor, **options: Any) -> Any:
        return self._in_float32(self.network, inputs, options)

    def features(self, *inputs: Tensor, **options: Any) -> Any:
        """Return the network's features, if it has any."""
        return self._in_float32(cast(Any, self.network).features, inputs, options)

    def _in_float32(
        self, function: Callable[..., Any], inputs: Sequence[Tensor], options: dict[str, Any]
    ) -> Any:
        with torch.autocast(inputs[0].device.type, enabled=False):
            converted = [x.float() if x.is_floating_point() else x for x in inputs]
            return function(*converted, **options)


def with_float32(networks: Networks, names: Sequence[str]) -> dict[str, nn.Module]:
    """Return the networks, with the named ones wrapped in ``Float32``."""
    return {
        name: Float32(network) if name in names else network for name, network in networks.items()
    }
