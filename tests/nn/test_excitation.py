"""Skip-layer excitation: the paper's formula, its gradients, and shapes that it refuses."""

from __future__ import annotations

import pytest
import torch

from fastgan.nn import SkipLayerExcitation


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("size", [(4, 4), (8, 12)])
def test_the_layer_is_the_papers(size):
    """A channel is weighted by the sigmoid of what 4×4 averages of the small features say."""
    torch.manual_seed(0)
    layer = SkipLayerExcitation(3, 5).double()
    high, low = draw(2, 5, 6, 7), draw(2, 3, *size, seed=1)
    averages = low.unflatten(3, (4, -1)).unflatten(2, (4, -1)).mean((3, 5))
    hidden = torch.einsum("ocij,ncij->no", layer.pooled.weight, averages)
    hidden = torch.where(hidden < 0, 0.2 * hidden, hidden)
    expected = torch.einsum("oc,nc->no", layer.mixed.weight[..., 0, 0], hidden).sigmoid()
    assert torch.allclose(layer.weights(low)[..., 0, 0], expected)
    assert torch.allclose(layer(high, low), high * expected[..., None, None])


def test_both_inputs_have_gradients():
    layer = SkipLayerExcitation(2, 3).double()
    high, low = draw(1, 3, 2, 2).requires_grad_(), draw(1, 2, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(layer, (high, low))


@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (1, 2, 6, 4), (2, 4, 4), (1, 2, 0, 4)])
def test_other_features_are_refused(shape):
    with pytest.raises(ValueError, match=r"low must have shape \[N, 2, H, W\] with H and W mult"):
        SkipLayerExcitation(2, 3)(torch.zeros(1, 3, 8, 8), torch.zeros(shape))


def test_other_sizes_are_refused():
    with pytest.raises(ValueError, match="low_channels must be"):
        SkipLayerExcitation(0, 3)
