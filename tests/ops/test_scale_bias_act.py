from __future__ import annotations

import pytest
import torch

from fastgan import ops
from tests.ops.contract import OpContract
from tests.specs import evaluate, first_mismatch
from tests.specs.layouts import channels_last
from tests.specs.scale_bias_act import SCALE_BIAS_ACT


class TestContract(OpContract):
    spec = SCALE_BIAS_ACT


LAYOUTS = pytest.mark.parametrize(
    "layout", [torch.clone, channels_last], ids=["rows", "channels_last"]
)


def tensors(shape, noise_batch, device="cpu", dtype=torch.float32):
    n, c, h, w = shape
    sizes = [shape, (n, c), (noise_batch, 1, h, w), (c,)]
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, generator=generator).to(device, dtype) for size in sizes]


@LAYOUTS
@pytest.mark.parametrize("shape,noise_batch", [((3, 40, 40, 50), 3), ((5, 20, 30, 41), 1)])
def test_thread_count_does_not_change_a_bit(layout, shape, noise_batch):
    x, *rest = tensors(shape, noise_batch)
    results = []
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            options = {"act": "swish", "backend": "cpu"}
            results.append(evaluate(ops.scale_bias_act, [layout(x), *rest], options, order=2))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(results[0][k], later[k]) for later in results[1:] for k in results[0])


@pytest.mark.parametrize(
    "act", ["linear", "relu", "lrelu", "tanh", "elu", "selu", "softplus", "swish"]
)
def test_special_values(backend, device, act):
    """Infinities and NaN are the same as in plain PyTorch, and large arguments don't overflow."""
    values = [float("inf"), -float("inf"), float("nan"), 1e4, -1e4, 100.0, -100.0, 0.0]
    x = torch.tensor(values).reshape(1, 2, 2, 2)
    scale, noise, b = torch.tensor([[0.5, 2.0]]), torch.ones(1, 1, 2, 2), torch.tensor([-1.0, 1.0])
    for dtype in (torch.float32, torch.float64):
        given = [t.to(device, dtype) for t in (x, scale, noise, b)]
        found = ops.scale_bias_act(*given, act=act, backend=backend)
        expected = ops.scale_bias_act(*(t.double() for t in given), act=act, backend="reference")
        assert torch.allclose(found.double(), expected, rtol=1e-5, equal_nan=True), (
            found,
            expected,
        )
        clamped = ops.scale_bias_act(*given, act=act, clamp=2.0, backend=backend)
        assert torch.allclose(clamped.double(), expected.clamp(-2, 2), equal_nan=True)


@LAYOUTS
@pytest.mark.parametrize("act", ["linear", "lrelu", "softplus"])
def test_without_scale_and_noise_it_is_bias_act(backend, device, layout, act):
    x, _, _, b = tensors((3, 5, 6, 7), 1, device)
    x = layout(x)
    options = {"act": act, "clamp": 1.5, "backend": backend}
    found = evaluate(
        lambda x, b, **o: ops.scale_bias_act(x, None, None, b, **o), (x, b), options, order=2
    )
    expected = evaluate(ops.bias_act, (x, b), options, order=2)
    assert torch.equal(found["y"], expected["y"])
    problem = first_mismatch(found, expected, 4e-6)
    assert problem is None, problem


@LAYOUTS
def test_one_noise_for_all_images_is_the_same_noise_for_each(backend, device, layout):
    x, scale, noise, b = tensors((4, 5, 6, 7), 1, device)
    given = (layout(x), scale, noise, b)
    copies = (layout(x), scale, noise.expand(4, 1, 6, 7), b)
    options = {"act": "swish", "backend": backend}
    one, each = (evaluate(ops.scale_bias_act, t, options, order=1) for t in (given, copies))
    assert torch.equal(one["y"], each["y"])
    assert one["d2"].shape == noise.shape
    assert torch.allclose(one["d2"], each["d2"].sum(0, keepdim=True), atol=1e-5)


@pytest.mark.parametrize("act", ["linear", "lrelu", "swish"])
def test_each_first_gradient_alone_can_be_derived_again(backend, device, act):
    """The other directions are absent then, including that of x."""
    found = {}
    for side in (backend, "reference"):
        given = [t.requires_grad_() for t in tensors((2, 3, 4, 5), 1, device, torch.float64)]
        dy = torch.cos(given[0].detach() * 3).requires_grad_()
        y = ops.scale_bias_act(*given, act=act, clamp=3.0 if act == "lrelu" else None, backend=side)
        first = torch.autograd.grad(y, given, dy, create_graph=True)
        found[side] = [
            torch.autograd.grad(
                g.square().sum(),
                [dy, *given],
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
            for g in first
        ]
    for ours, expected in zip(found[backend], found["reference"]):
        assert all(torch.allclose(a, b, rtol=1e-10, atol=1e-10) for a, b in zip(ours, expected))


@pytest.mark.parametrize(
    "act,clamp,wanted,kept",
    [
        ("linear", None, "xsnb", "xsn"),
        ("linear", None, "xnb", "sn"),
        ("linear", None, "x", "s"),
        ("linear", 1.0, "x", "xsnb"),
        ("lrelu", None, "xsnb", "xsnb"),
    ],
)
def test_saves_as_little_as_the_maths_needs(backend, device, act, clamp, wanted, kept):
    """x is saved for a slope or the gradient of scale, noise and b with it; never the output."""
    if backend == "reference":
        pytest.skip("plain PyTorch saves what its own operations need")
    given = dict(zip("xsnb", tensors((2, 3, 4, 5), 2, device)))
    for name in wanted:
        given[name].requires_grad_()
    saved: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: saved.append(t.data_ptr()) or t, lambda t: t
    ):
        ops.scale_bias_act(*given.values(), act=act, clamp=clamp, backend=backend)
    assert sorted(saved) == sorted(given[name].data_ptr() for name in kept)


def test_directions_that_are_absent_cost_nothing(backend, device):
    """A penalty on the gradient in x alone needs no sums and no second result of zeros."""
    if backend == "reference":
        pytest.skip("plain PyTorch: nothing is registered")
    given = [t.requires_grad_() for t in tensors((2, 3, 4, 5), 2, device)]
    asked = []

    class Recorder(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if function._schema.name.endswith("scale_bias_act_double_backward"):
                asked.append((args[1:4], args[-4:]))
            return function(*args, **(kwargs or {}))

    y = ops.scale_bias_act(*given, act="lrelu", backend=backend)
    (dx,) = torch.autograd.grad(y.sum(), given[0], create_graph=True)
    with Recorder():
        dx.square().sum().backward()
    assert asked == [((None, None, None), (False, True, False, False))]
    assert given[1].grad is not None and all(given[i].grad is None for i in (2, 3))
