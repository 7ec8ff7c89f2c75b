"""Historical averaging (Salimans et al. 2016, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class WeightHistory(nn.Module):
    """The mean of weights over all updates so far, as buffers, and the weights' distance from it.

    The distance as a term of a player's loss draws its weights towards where they have been on the mean, which ends circles
    around an equilibrium. `follow` before anything else, then `update` after each update.
    """

    count: Tensor

    def follow(self, weights: Sequence[Tensor]) -> None:
        """Begins with these weights: their mean is what they are."""
        for i, weight in enumerate(weights):
            self.register_buffer(f"mean{i}", weight.detach().clone())
        self.register_buffer("count", torch.ones((), device=weights[0].device))

    def forward(self, weights: Sequence[Tensor]) -> Tensor:
        """‖θ - 1/t·Σ θ[i]‖², a scalar; its gradient is that of θ alone."""
        distances = [(weight - mean).square().sum() for weight, mean in zip(weights, self._means())]
        return torch.stack(distances).sum()

    @torch.no_grad()
    def update(self, weights: Sequence[Tensor]) -> None:
        """Takes these weights into the mean."""
        self.count += 1
        for weight, mean in zip(weights, self._means()):
            mean += (weight - mean) / self.count

    def _means(self) -> list[Tensor]:
        return [mean for name, mean in self.named_buffers() if name != "count"]
