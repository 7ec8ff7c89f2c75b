"""Signatures: inputs and outputs of exported networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, NamedTuple

import torch
from torch import Generator, Tensor, nn

Wrap = Callable[[nn.Module], nn.Module]
Kind = Literal["normal", "image", "flags", "one-hot", "index", "real"]

EXAMPLE_SEED = 0
_VALUES: dict[Kind, str] = {
    "normal": "N(0, 1)",
    "image": "-1 to 1",
    "flags": "0 or 1",
    "one-hot": "0, and 1 once in each row",
    "index": "0 to {most}",
    "real": "any",
}


@dataclass(frozen=True)
class Port:
    """One input or output of a network; its first dimension is the batch N.

    Attributes:
        name: name in exported files.
        shape: shape without the batch; a text such as ``height`` or ``4*height`` is an open size.
        meaning: meaning, a phrase for people.
        kind: kind of its values; ``index`` is int64, the others are float32.
        names: names of the values of an ``index``, or of the entries of ``flags`` and ``one-hot``.
        groups: indices of ``flags`` of which exactly one is 1; others are independent.
        count: number of values of an ``index`` without names.
    """

    name: str
    shape: tuple[int | str, ...]
    meaning: str
    kind: Kind
    names: tuple[str, ...] = ()
    groups: tuple[tuple[int, ...], ...] = ()
    count: int = 0

    @property
    def dtype(self) -> torch.dtype:
        return torch.int64 if self.kind == "index" else torch.float32

    @property
    def values(self) -> str:
        """Range of its values, for a person."""
        return _VALUES[self.kind].format(most=(self.count or len(self.names)) - 1)

    def to_plain(self) -> dict[str, Any]:
        """Return strings, numbers and lists only."""
        plain: dict[str, Any] = {
            "name": self.name,
            "shape": ["N", *self.shape],
            "dtype": str(self.dtype).removeprefix("torch."),
            "values": self.values,
            "meaning": self.meaning,
        }
        if self.names:
            plain["names"] = list(self.names)
        if self.groups:
            plain["groups"] = [list(group) for group in self.groups]
        return plain

    def example(self, n: int, sides: Mapping[str, int], generator: Generator) -> Tensor:
        """Return an input ``[n, *shape]``; ``sides`` maps open sizes to numbers."""
        shape = (n, *(sides[size] if isinstance(size, str) else size for size in self.shape))
        if self.kind in ("index", "one-hot"):
            # Every value in turn.
            count = self.count or len(self.names) or shape[-1]
            indices = torch.arange(n if self.kind == "one-hot" else prod(shape)) % count
            return torch.eye(count)[indices] if self.kind == "one-hot" else indices.view(shape)
        values = torch.randn(shape, generator=generator)
        if self.kind == "flags":
            return (values > 0).float()
        return values.clamp(-1, 1) if self.kind == "image" else values


class Sizes(NamedTuple):
    """Heights and widths that a network takes.

    Attributes:
        divisor: divides every height and width.
        min_size: smallest height and width.
    """

    divisor: int = 1
    min_size: int = 1

    def at(self, factor: int) -> int:
        """Return the smallest size of at least ``factor`` times the minimum."""
        return self.divisor * factor * -(-self.min_size // self.divisor)

    def __str__(self) -> str:
        min_size = self.at(1)
        if self.divisor == 1:
            return f"of at least {min_size} pixels"
        return f"a multiple of {self.divisor} pixels" + (
            "" if min_size == self.divisor else f" from {min_size} on"
        )


def as_it_is(network: nn.Module) -> nn.Module:
    """Return the network unchanged, for ports that are its arguments and results."""
    return network


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of an exported network, and where its weights are.

    Attributes:
        network: name of the recipe's network that has the weights.
        inputs: ports of the arguments, in order.
        outputs: ports of the results, in order.
        sizes: heights and widths that a fully convolutional network takes; None for one size.
        group: samples that are compared within a batch; a batch holds whole groups.
        wrap: function from the network to a module that takes the tensors of ``inputs`` and returns
            those of ``outputs``: one tensor, or a tuple of several.
    """

    network: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    sizes: Sizes | None = None
    group: int = 1
    wrap: Wrap = as_it_is

    def example(self, n: int, factors: tuple[int, int] = (2, 3)) -> tuple[Tensor, ...]:
        """Return fixed example inputs of ``n`` samples.

        Args:
            n: number of samples.
            factors: height and width as multiples of the least ones, where they are open.
        """
        sides: dict[str, int] = {}
        if self.sizes is not None:
            sides = {
                name: self.sizes.at(factor) for name, factor in zip(("height", "width"), factors)
            }
        generator = Generator().manual_seed(EXAMPLE_SEED)
        return tuple(port.example(n, sides, generator) for port in self.inputs)

    def to_plain(self) -> dict[str, Any]:
        """Return strings, numbers and lists only."""
        plain: dict[str, Any] = {
            "inputs": [port.to_plain() for port in self.inputs],
            "outputs": [port.to_plain() for port in self.outputs],
        }
        if self.sizes is not None:
            plain["sizes"] = {"divisor": self.sizes.divisor, "min_size": self.sizes.at(1)}
        if self.group > 1:
            plain["batch"] = {"multiple": self.group}
        return plain


class Lambda(nn.Module):
    """Module that calls a function of a network and tensors."""

    def __init__(self, network: nn.Module, call: Callable[..., Any]) -> None:
        super().__init__()
        self.network, self.call = network, call

    def forward(self, *inputs: Tensor) -> Any:
        return self.call(self.network, *inputs)


def called_by(call: Callable[..., Any]) -> Wrap:
    """Return a :attr:`Signature.wrap` for ``call(network, *inputs)``."""
    return lambda network: Lambda(network, call).eval()
