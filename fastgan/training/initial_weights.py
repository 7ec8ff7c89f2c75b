"""Trained weights for a run's networks, chosen and converted: what a first state loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from fastgan.training.config import Beginning

StateDict = Mapping[str, Tensor]


@dataclass(frozen=True)
class Plan:
    """Tensors that a run's networks take of trained weights.

    Attributes:
        beginning: origin of the weights, for the run's configuration.
        live: tensors to load by network and name.
        averages: tensors of the moving averages by network and name.
        news: lines that tell a person what is loaded and what starts fresh.
    """

    beginning: Beginning
    live: Mapping[str, StateDict]
    averages: Mapping[str, StateDict]
    news: Sequence[str]

    def load(self, networks: Mapping[str, nn.Module], tensors: Mapping[str, StateDict]) -> None:
        """Load ``live`` or ``averages`` into the networks of these names; other weights stay."""
        for name, network in networks.items():
            if not (own := tensors.get(name)):
                continue
            network.load_state_dict(own, strict=False)
            for path, module in network.named_modules():
                weight, vector = f"{path.removesuffix('.0')}.original", f"{path}._u"
                if hasattr(module, "settle") and weight in own and vector not in own:
                    module.settle(network.get_parameter(weight))
