from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fastgan import ops
from fastgan.ops._activations import ACTIVATIONS
from tests.ops.contract import OpContract
from tests.specs.bias_act import BIAS_ACT


class TestContract(OpContract):
    spec = BIAS_ACT


def special(device, dtype):
    values = [float("inf"), -float("inf"), float("nan"), 1e4, -1e4, 100.0, -100.0, 0.0]
    x = torch.tensor(values).reshape(1, 2, 2, 2)
    scale, noise, b = torch.tensor([[0.5, 2.0]]), torch.ones(1, 1, 2, 2), torch.tensor([-1.0, 1.0])
    return [t.to(device, dtype) for t in (x, scale, noise, b)]


@pytest.mark.parametrize("op", [ops.bias_act, ops.scale_bias_act], ids=lambda op: op.__name__)
@pytest.mark.parametrize("act", ACTIVATIONS)
def test_special_values(backend, device, op, act):
    """Infinities and NaN are the same as in plain PyTorch, and large arguments don't overflow."""
    for dtype in (torch.float32, torch.float64):
        given = special(device, dtype)[: 1 if op is ops.bias_act else 4]
        found = op(*given, act=act, backend=backend)
        expected = op(*(t.double() for t in given), act=act, backend="reference")
        assert torch.allclose(found.double(), expected, rtol=1e-5, equal_nan=True)
        clamped = op(*given, act=act, clamp=2.0, backend=backend)
        assert torch.allclose(clamped.double(), expected.clamp(-2, 2), equal_nan=True)


def test_defaults_are_stylegans(backend, device):
    x = torch.randn(2, 3, 4, 4, device=device)
    assert torch.equal(ops.bias_act(x, backend=backend), x)
    for act, expected in {
        "relu": F.relu(x) * 2**0.5,
        "lrelu": F.leaky_relu(x, 0.2) * 2**0.5,
        "silu": F.silu(x) * 2**0.5,
        "tanh": x.tanh(),
    }.items():
        assert torch.allclose(ops.bias_act(x, act=act, backend=backend), expected, atol=1e-5), act


@pytest.mark.parametrize("op", ["bias_act", "adaptive_norm", "scale_bias_act"])
def test_silu_is_swish(backend, device, op):
    x = torch.randn(2, 3, 4, 4, device=device)
    a, b = (getattr(ops, op)(x, act=act, backend=backend) for act in ("silu", "swish"))
    assert torch.equal(a, b)


def test_every_half_survives_the_identity(backend, device):
    """act="linear" keeps all 65,536 bit patterns of each half type."""
    bits = torch.arange(-32768, 32768, dtype=torch.int32).to(torch.int16)
    for dtype in (torch.float16, torch.bfloat16):
        x = bits.view(dtype).reshape(256, 256).to(device)
        y = ops.bias_act(x, act="linear", backend=backend)
        number = ~x.isnan()
        assert torch.equal(y[number], x[number])
        assert bool(y[~number].isnan().all())


@pytest.mark.parametrize("gain", [1.41, 0.037, 3e-6, 900.0])
def test_halves_are_rounded_to_nearest_even(backend, device, gain):
    bits = torch.arange(0, 65536, 7, dtype=torch.int32).to(torch.int16)
    for dtype in (torch.float16, torch.bfloat16):
        x = bits.view(dtype).reshape(1, -1).to(device)
        y = ops.bias_act(x, act="linear", gain=gain, backend=backend)
        expected = (x.float() * gain).to(dtype)
        assert torch.equal(y.nan_to_num(7.0), expected.nan_to_num(7.0))
