"""A counter of the convolutions that code runs."""

from __future__ import annotations

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

#: Matrix products, which linear layers run, and 1x1 convolutions may run.
PRODUCTS = frozenset({"mm", "addmm", "bmm", "baddbmm"})


class ConvolutionCalls(TorchDispatchMode):
    """A context that counts convolutions on any backend, in every derivative, in ``count``.

    A backward pass of torch counts once for the image and once for the weights, if it computes
    them. Matrix products count too, since a 1x1 convolution may be one. So linear layers count.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.partition("::")[2]
        if "convolution_backward" in name:
            # The output mask: image, weights, bias.
            self.count += sum(args[-1][:2])
        elif (
            "convolution" in name or name.startswith(("winograd_", "grouped_")) or name in PRODUCTS
        ):
            self.count += 1
        return func(*args, **(kwargs or {}))
