"""Minibatch discrimination: its formula, its gradient and collapsed batches."""

from __future__ import annotations

import pytest
import torch

from fastgan.nn import MinibatchDiscrimination


def test_values_are_the_formula_pair_by_pair():
    layer = MinibatchDiscrimination(6, kernels=3, dims=2).double()
    x = torch.randn(4, 6, dtype=torch.float64)
    m = (x @ layer.weight).view(4, 3, 2)
    for i in range(4):
        for b in range(3):
            others = [torch.exp(-(m[i, b] - m[j, b]).abs().sum()) for j in range(4) if j != i]
            torch.testing.assert_close(layer(x)[i, b], sum(others) / 3)


def test_a_collapsed_batch_differs_from_a_varied_one():
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(16, kernels=8)
    same, varied = torch.randn(1, 16).expand(8, 16), torch.randn(8, 16)
    torch.testing.assert_close(layer(same), torch.ones(8, 8))
    assert layer(varied).max() < 0.5
    partly = layer(torch.cat([same[:4], varied[4:]]))
    # Each of the first four equals three of the seven others.
    assert partly[:4].min() > 3 / 7 > partly[4:].max()


def test_the_gradient_separates_equal_images_and_derivatives_are_right():
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(4, kernels=2, dims=3).double()
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,), fast_mode=True)
    assert torch.autograd.gradgradcheck(layer, (x,), fast_mode=True)
    closer = x.detach()[:1] + 0.01 * torch.randn(3, 4, dtype=torch.float64)
    closer.requires_grad_()
    (gradient,) = torch.autograd.grad(layer(closer).sum(), closer)
    spread = closer.detach() - 0.001 * gradient
    assert layer(spread).sum() < layer(closer).sum()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_compared_in_float32(dtype):
    layer = MinibatchDiscrimination(4, kernels=2).to(dtype)
    assert layer(torch.randn(3, 4).to(dtype)).dtype == torch.float32


def test_a_batch_of_one_image_gives_zero():
    assert torch.equal(MinibatchDiscrimination(4, 2)(torch.randn(1, 4)), torch.zeros(1, 2))


def test_error():
    with pytest.raises(ValueError, match="kernels must be a whole number of at least 1, got 0"):
        MinibatchDiscrimination(4, 0)
