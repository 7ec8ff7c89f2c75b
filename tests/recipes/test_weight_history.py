"""Historical averaging: the mean of weights over updates and the pull towards it."""

from __future__ import annotations

import torch
from torch import nn

from fastgan.recipes.memory import WeightHistory


def test_mean_and_distance():
    weights = [nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor(0.0))]
    history = WeightHistory()
    history.follow(weights)
    assert history(weights) == 0
    with torch.no_grad():
        weights[0].copy_(torch.tensor([5.0, 2.0]))
    assert history(weights) == 16
    # The mean of 1 and 5 is 3.
    history.update(weights)
    assert history.mean0.tolist() == [3, 2] and history(weights) == 4
    history(weights).backward()
    assert weights[0].grad.tolist() == [4, 0]
    history.update(weights)
    torch.testing.assert_close(history.mean0, torch.tensor([11 / 3, 2]))


def circled(weight):
    """Run gradient descent-ascent on x·y from (1, 0); return the final distance from (0, 0)."""
    point, history = nn.Parameter(torch.tensor([1.0, 0.0])), WeightHistory()
    history.follow([point])
    for _ in range(400):
        distance = weight * history([point])
        (pull,) = torch.autograd.grad(distance, point)
        x, y = point.detach().clone()
        with torch.no_grad():
            point -= 0.05 * (torch.stack([y, -x]) + pull)
        history.update([point])
    return point.detach().norm().item()


def test_averaging_damps_orbits_around_an_equilibrium():
    assert circled(0.0) > 1.2
    assert circled(0.5) < 0.5
