"""Counting the convolutions that a piece of code runs."""

from __future__ import annotations

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

#: The matrix products that 1x1 convolutions may be, and linear layers are.
PRODUCTS = frozenset({"mm", "addmm", "bmm", "baddbmm"})


class ConvolutionCalls(TorchDispatchMode):
    """Within it, ``count`` goes up by one for every convolution that runs on any backend, in every derivative.

    A backward pass of torch counts once for the image and once for the weights, where it computes them. Matrix products
    count too, since a 1x1 convolution may be one: so linear layers are in the number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.partition("::")[2]
        if "convolution_backward" in name:
            self.count += sum(args[-1][:2])  # the output mask: image, weights, bias
        elif (
            "convolution" in name or name.startswith(("winograd_", "grouped_")) or name in PRODUCTS
        ):
            self.count += 1
        return func(*args, **(kwargs or {}))
