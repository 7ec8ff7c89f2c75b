from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fastgan import ops
from tests.ops.contract import OpContract
from tests.specs.bias_act import BIAS_ACT


class TestContract(OpContract):
    spec = BIAS_ACT


@pytest.mark.parametrize("shape", [(2, 3, 40, 50), (300, 20)], ids=["rows", "columns"])
def test_thread_count_does_not_change_a_bit(shape):
    x, b = torch.randn(shape, requires_grad=True), torch.randn(shape[1], requires_grad=True)
    results = []
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            y = ops.bias_act(x, b, act="swish", backend="cpu")
            results.append([y, *torch.autograd.grad(y.square().sum(), (x, b))])
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for later in results[1:] for a, b in zip(results[0], later))


@pytest.mark.parametrize(
    "act", ["linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish"]
)
def test_special_values(backend, device, act):
    """Infinities and NaN are the same as in plain PyTorch, and large arguments don't overflow."""
    x = torch.tensor(
        [[float("inf")], [-float("inf")], [float("nan")], [1e4], [-1e4], [100.0], [-100.0], [0.0]]
    )
    for dtype in (torch.float32, torch.float64):
        t = x.to(device, dtype)
        found = ops.bias_act(t, act=act, backend=backend)
        expected = ops.bias_act(t.double(), act=act, backend="reference")
        assert torch.allclose(found.double(), expected, rtol=1e-5, equal_nan=True), (
            found,
            expected,
        )
        clamped = ops.bias_act(t, act=act, clamp=2.0, backend=backend)
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


def test_silu_is_swish(backend, device):
    x = torch.randn(2, 3, 4, 4, device=device)
    names = ("silu", "swish")
    a, b = (ops.bias_act(x, act=act, backend=backend) for act in names)
    assert torch.equal(a, b)
    a, b = (ops.adaptive_norm(x, act=act, backend=backend) for act in names)
    assert torch.equal(a, b)
    a, b = (ops.scale_bias_act(x, act=act, backend=backend) for act in names)
    assert torch.equal(a, b)


@pytest.mark.parametrize("act,tensors", [("linear", 0), ("lrelu", 1), ("relu", 1), ("swish", 2)])
def test_saves_as_little_as_the_maths_needs(backend, device, act, tensors):
    x = torch.randn(2, 3, 4, 4, device=device, requires_grad=True)
    b = torch.randn(3, device=device, requires_grad=True)
    saved: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: saved.append(t.numel()) or t, lambda t: t
    ):
        ops.bias_act(x, b, act=act, backend=backend)
    if backend != "reference":
        assert sorted(saved) == sorted([[], [x.numel()], [x.numel(), b.numel()]][tensors])


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
