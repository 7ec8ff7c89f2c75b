"""Numbers that the host reads from a device without waiting for the work behind them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Reading:
    """Numbers on their way from a device, which only ``numbers`` waits for."""

    def __init__(self, numbers: Tensor) -> None:
        on_gpu = numbers.device.type == "cuda"
        self._here = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=on_gpu)
        self._here.copy_(numbers, non_blocking=on_gpu)
        self._event = torch.cuda.Event() if on_gpu else None
        if self._event is not None:
            self._event.record()

    def numbers(self) -> list[Any]:
        """Return the numbers, as soon as they are here."""
        if self._event is not None:
            self._event.synchronize()
        values: list[Any] = self._here.tolist()
        return values
