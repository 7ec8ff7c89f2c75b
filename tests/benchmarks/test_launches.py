"""Counts of a step's launches and bytes."""

from __future__ import annotations

import torch

from benchmarks.launches import Launches
from fastgan import ops


def test_views_and_allocations_launch_nothing():
    x = torch.ones(4, 8)
    with Launches() as counted:
        torch.empty(100)
        x.t().reshape(2, 16)[0].detach()  # only the reshape copies
    assert counted.count == 1 and counted.moved == 2 * x.numel() * 4


def test_arguments_and_results_are_moved_once():
    x, y = torch.ones(1000), torch.ones(1000)
    with Launches() as counted:
        x + y
    assert (counted.count, counted.moved) == (1, 3 * 4000)


def test_a_fused_op_is_one():
    x, b = torch.randn(2, 3, 8, 8), torch.zeros(3)
    counts = {}
    for backend in ("reference", "cpu"):
        if ops.backends()[backend].usable:
            with Launches() as counted, torch.no_grad():
                ops.bias_act(x, b, act="lrelu", clamp=1.0, backend=backend)
            counts[backend] = counted.count
    assert counts.get("cpu", 1) == 1 and counts["reference"] > 3
