from __future__ import annotations

import pytest
import torch

from fastgan import nn, ops


def test_the_layer_is_the_op():
    layer = nn.BiasAct(5, act="swish", gain=2.0, clamp=1.5)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 5, 3, 3)
    assert torch.equal(layer(x), ops.bias_act(x, layer.bias, act="swish", gain=2.0, clamp=1.5))


def test_a_layer_without_bias_has_no_parameters():
    layer = nn.BiasAct(None, act="relu", gain=1.0)
    assert not list(layer.parameters()) and not layer.state_dict()
    x = torch.randn(2, 5)
    assert torch.equal(layer(x), x.relu())


def test_bias_starts_at_zero_and_learns():
    layer = nn.BiasAct(4, act="lrelu", dim=-1)
    assert layer.bias.shape == (4,) and not layer.bias.any()
    layer(torch.ones(3, 7, 4)).sum().backward()
    assert torch.allclose(layer.bias.grad, torch.full((4,), 21 * 2**0.5))


def test_defaults_are_those_of_the_op():
    x = torch.randn(2, 3, 4)
    assert torch.equal(nn.BiasAct(3)(x), x)
    assert torch.equal(nn.BiasAct(3, act="relu")(x), x.relu() * 2**0.5)


def test_repr_has_the_settings():
    assert repr(nn.BiasAct(8, act="lrelu", alpha=0.1)) == "BiasAct(8, act='lrelu', alpha=0.1)"


def test_compiles_and_moves_dtype():
    layer = nn.BiasAct(3, act="lrelu").double()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = torch.randn(2, 3, 4, dtype=torch.float64)
    assert torch.equal(compiled(x), layer(x))


@pytest.mark.parametrize(
    ("channels", "act", "says"),
    [(3, "rleu", "act must be one of .* got 'rleu'"), (0, "relu", "num_channels must be .* got 0")],
)
def test_settings_are_checked(channels, act, says):
    with pytest.raises(ValueError, match=says):
        nn.BiasAct(channels, act=act)
