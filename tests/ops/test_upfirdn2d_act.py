from __future__ import annotations

import itertools
from functools import partial

import pytest
import torch

from fastgan import ops
from fastgan.ops._activations import activation_options
from fastgan.ops._library import ops_of
from tests.ops.contract import OpContract
from tests.specs import evaluate, first_mismatch, poisoned_memory
from tests.specs.layouts import channels_last
from tests.specs.upfirdn2d_act import UPFIRDN2D_ACT, filtered, random_sample


class TestContract(OpContract):
    spec = UPFIRDN2D_ACT


#: Sets of random arguments by backend, for a second or two each.
FUZZED = {"cpu": 250, "emulated": 40, "triton": 8, "cuda": 500}


@pytest.mark.usefixtures("one_thread")
def test_random_arguments(backend, device):
    """Check results and every fourth gradient, in each dtype in turn; a failure has its seed."""
    if backend == "reference":
        pytest.skip("what the others are compared with")
    dtypes = itertools.cycle(UPFIRDN2D_ACT.tolerance)
    for seed, dtype in zip(range(FUZZED[backend]), dtypes):
        sample, order = random_sample(seed), int(seed // 4 % 4 == 0)
        tensors = sample.tensors(dtype, device)
        exact = [None if t is None else t.double().cpu() for t in tensors]
        options = dict(sample.options)
        expected = evaluate(partial(filtered, backend="reference"), exact, options, order=order)
        with poisoned_memory():
            found = evaluate(partial(filtered, backend=backend), tensors, options, order=order)
        problem = first_mismatch(found, expected, UPFIRDN2D_ACT.tolerance[dtype])
        assert problem is None, f"random_sample({seed}) of {dtype}: {problem}"


@pytest.mark.parametrize("layout", [torch.clone, channels_last], ids=["rows", "channels_last"])
@pytest.mark.parametrize("act", ["linear", "lrelu", "swish"])
def test_in_float32_it_has_the_bits_of_both_ops(device, layout, act):
    """The image is filtered in the same order, and the epilogue is the same expression."""
    generator = torch.Generator().manual_seed(0)
    shapes = (3, 20, 9, 11), (3, 20), (3, 1, 8, 10), (20,)
    x, scale, noise, b = (torch.randn(s, generator=generator) for s in shapes)
    options = {"act": act, "clamp": 1.5, "backend": "cpu"}

    def both(x, scale, noise, b, **options):
        f = ops.setup_filter([1, 3, 3, 1])
        z = ops.upfirdn2d(x, f, padding=1, gain=4, backend="cpu")
        return ops.scale_bias_act(z, scale, noise, b, **options)

    one = partial(filtered, sides=(1, 1, 1, 1), filter_gain=4.0)
    tensors = layout(x), scale, noise, b
    found, expected = (evaluate(op, tensors, options, order=1) for op in (one, both))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_without_the_filtered_image_it_is_computed_again(backend, device):
    """The registered op can be called without keeping it; the derivative is the same."""
    generator = torch.Generator().manual_seed(0)
    x, scale = (
        torch.randn(s, generator=generator).to(device).requires_grad_()
        for s in ((2, 3, 5, 6), (2, 3))
    )
    f = ops.setup_filter([1, 3, 3, 1]).to(device)
    settings = (
        [1, 1],
        [1, 1],
        [1, 1],
        [5, 4],
        False,
        1.0,
        *activation_options("swish", *[None] * 3),
    )
    call = ops_of(backend).upfirdn2d_act if backend != "reference" else ops_of("cpu").upfirdn2d_act
    gradients = []
    for keep in (True, False):
        y, z = call(x, f, scale, None, None, *settings, keep)
        assert z.numel() == (y.numel() if keep else 0)
        gradients.append(torch.autograd.grad(y.square().sum(), [x, scale]))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients))


@pytest.mark.backends
@pytest.mark.parametrize(
    "f,layout,dtype,capability",
    [
        pytest.param(torch.empty(4), torch.contiguous_format, torch.float32, 90, id="rows"),
        pytest.param(torch.empty(4), torch.channels_last, torch.bfloat16, 100, id="channels_last"),
        pytest.param(torch.empty(4), torch.channels_last, torch.float32, 80, id="channels_last-80"),
        pytest.param(torch.empty(13, 13), torch.contiguous_format, torch.half, 90, id="direct"),
    ],
)
@pytest.mark.parametrize("keep", [False, True])
def test_triton_kernels_compile_ahead_of_time(f, layout, dtype, capability, keep, tmp_path):
    from fastgan.ops.upfirdn2d_act import triton as kernels
    from tests.ops import triton_target

    x = torch.empty(2, 128, 65, 65, dtype=dtype, memory_format=layout)
    size = [67 - f.shape[-1]] * 2
    rest = [torch.empty(s, dtype=dtype) for s in ((2, 128), (2, 1, size[1], size[0]), (128,))]
    settings = ([1, 1], [1, 1], [1, 1], size, False, 4.0, "lrelu", 0.2, 1.4, 256.0, keep)
    with triton_target.launches(capability) as launched:
        kernels.upfirdn2d_act(x, f, *rest, *settings)
    (compiled,) = launched
    triton_target.check(compiled, capability, tmp_path)
