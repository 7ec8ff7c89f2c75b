"""Historical averaging (Salimans et al. 2016, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class WeightHistory(nn.Module):
    """Mean of a player's weights over all updates, and the distance of the weights from it.

    As a term of the player's loss the distance pulls the weights towards their mean over time,
    which damps orbits around an equilibrium. Call :meth:`follow` first, then :meth:`update` after
    each update. The mean is in buffers, so checkpoints keep it.
    """

    count: Tensor

    @property
    def equal_buffers(self) -> tuple[str, ...]:
        """Buffers that the trainer needn't average over processes: they follow the weights."""
        return tuple(name for name, _ in self.named_buffers())

    def follow(self, weights: Sequence[Tensor]) -> None:
        """Start the mean at these weights."""
        for i, weight in enumerate(weights):
            self.register_buffer(f"mean{i}", weight.detach().clone())
        self.register_buffer("count", torch.ones((), device=weights[0].device))

    def forward(self, weights: Sequence[Tensor]) -> Tensor:
        """Return ‖θ - 1/t·Σ θ[i]‖², a scalar with a gradient in θ alone."""
        distances = [(weight - mean).square().sum() for weight, mean in zip(weights, self._means())]
        return torch.stack(distances).sum()

    @torch.no_grad()
    def update(self, weights: Sequence[Tensor]) -> None:
        """Include these weights in the mean."""
        self.count += 1
        for weight, mean in zip(weights, self._means()):
            mean += (weight - mean) / self.count

    def _means(self) -> list[Tensor]:
        return [mean for name, mean in self.named_buffers() if name != "count"]
