"""Networks to export, with their description."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import nn

from fastgan.recipes.signature import Signature


class Source(NamedTuple):
    """A network to export, as :meth:`fastgan.Trained.source` returns it.

    Attributes:
        network: in eval mode, without gradients.
        name: name of its weights: G, G_ema (a moving average) or D.
        title: name and origin, for a person.
        signature: its inputs and outputs.
        about: recipe, settings and images as plain data, if they are known.
        others: names of the other networks that can be exported.
    """

    network: nn.Module
    name: str
    title: str
    signature: Signature
    about: Mapping[str, Any] = MappingProxyType({})
    others: tuple[str, ...] = ()

    @property
    def described(self) -> dict[str, Any]:
        """Description for a file of its weights, plain data."""
        return {**self.about, **self.signature.to_plain()}
