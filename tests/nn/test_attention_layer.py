"""Self-attention as a layer: the paper's equations, its initial state and gradient penalties."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck

from fastgan.nn import SelfAttention2d


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def layer(channels=8, gain=0.5):
    torch.manual_seed(0)
    made = SelfAttention2d(channels).double()
    made.gain.data.fill_(gain)
    return made


def test_the_layer_is_the_papers():
    """The layer is x + γ·W_o·(softmax(queries·keysᵀ)·values), Zhang et al. 2019, eq. 1 to 3.

    Keys and values are max-pooled 2×2.
    """
    made, x = layer(16), draw(2, 16, 4, 6)
    assert made.query.out_channels == made.key.out_channels == 2 and made.value.out_channels == 8
    with torch.no_grad():
        q, k, v = (
            torch.einsum("oc,nchw->nohw", m.weight[..., 0, 0], x)
            for m in (made.query, made.key, made.value)
        )
        k, v = (t.unflatten(3, (3, 2)).unflatten(2, (2, 2)).amax((3, 5)).flatten(2) for t in (k, v))
        shares = torch.einsum("ncq,nck->nqk", q.flatten(2), k).softmax(2)
        taken = torch.einsum("nqk,nck->ncq", shares, v)
        expected = x + 0.5 * torch.einsum(
            "oc,ncq->noq", made.out.weight[..., 0, 0], taken
        ).unflatten(2, (4, 6))
        assert torch.allclose(made(x), expected)


def test_the_layer_starts_as_the_identity_and_learns_its_gain():
    made, x = SelfAttention2d(8).double(), draw(2, 8, 4, 4)
    assert torch.equal(made(x), x)
    made(x).square().sum().backward()
    assert made.gain.grad.abs() > 0 and not made.value.weight.grad.any()


def test_every_position_depends_on_all_others():
    made, x = layer(), draw(1, 8, 4, 4)
    other = x.clone()
    other[..., 3, 3] += 3
    assert ((made(other) - made(x)).abs().amax(1) > 1e-9).all()


# With 2 channels keys are as long as values, a case that torch fuses on the CPU.
@pytest.mark.parametrize("channels", [2, 8])
def test_a_penalty_on_the_layers_gradient(channels):
    made, x = layer(channels), draw(1, channels, 2, 4).requires_grad_()

    def gradient(x, *weights):
        names = [name for name, _ in made.named_parameters()]
        y = torch.func.functional_call(made, dict(zip(names, weights)), x)
        return torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)[0]

    assert gradcheck(gradient, (x, *made.parameters()), fast_mode=True)


@pytest.mark.backends
def test_a_penalty_in_one_compiled_graph():
    made, x = layer(), draw(1, 8, 4, 4).requires_grad_()

    def gradients():
        y = made(x)
        (inner,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
        return torch.autograd.grad(y.sum() + inner.square().sum(), list(made.parameters()))

    compiled = torch.compile(gradients, fullgraph=True, backend="aot_eager")
    with torch._dynamo.config.patch(trace_autograd_ops=True):
        found = compiled()
    for ours, expected in zip(found, gradients()):
        assert torch.allclose(ours, expected)


def test_channels_are_checked():
    with pytest.raises(ValueError, match="channels must be a whole number of at least 1, got 0"):
        SelfAttention2d(0)
    assert SelfAttention2d(1)(torch.ones(1, 1, 2, 2)).shape == (1, 1, 2, 2)
