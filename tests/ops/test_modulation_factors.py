from __future__ import annotations

import pytest
import torch

from benchmarks.step_launches import DEVICE, StepLaunches, choices_of_a_gpu
from fastgan import ops
from tests.ops.contract import OpContract
from tests.specs.modulation_factors import MODULATION_FACTORS


class TestContract(OpContract):
    spec = MODULATION_FACTORS


def operators(dtype: torch.dtype, up: int, demodulate: bool) -> tuple[StepLaunches, StepLaunches]:
    """Count the operators of a layer's forward and backward pass with the choices of a GPU."""

    def leaf(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.empty(shape, dtype=dtype, device=DEVICE, requires_grad=True)

    x = leaf(2, 8, 8, 16, dtype=dtype).permute(0, 3, 1, 2)
    inputs = [x, leaf(8, 16, 3, 3), leaf(2, 16), leaf(2, 1, 8 * up, 8 * up), leaf(8)]
    f = ops.setup_filter([1, 3, 3, 1]).to(DEVICE)
    forward, backward = StepLaunches(), StepLaunches()
    options = {"act": "lrelu", "clamp": 256.0, "up": up, "demodulate": demodulate}
    with choices_of_a_gpu():
        noise, bias = (t.to(dtype) for t in inputs[3:])
        with forward:
            y = ops.modulated_conv2d(
                *inputs[:3], noise=noise, bias=bias, resample_filter=f, **options
            )
        with backward:
            torch.autograd.grad(y, [*inputs[1:3], noise, bias, x], torch.empty_like(y))
    return forward, backward


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=["bfloat16", "float32"])
@pytest.mark.parametrize("up,demodulate", [(1, True), (2, True), (1, False)])
def test_a_layer_launches_few_operators_on_a_gpu(dtype, up, demodulate):
    """modulation_factors has two kernels each way; plain PyTorch took 31 operators and 27."""
    forward, backward = operators(dtype, up, demodulate)
    names = {name for _, _, name in forward.by_source}
    last = "fastgan::upfirdn2d_act" if up == 2 else "fastgan::scale_bias_act"
    assert {"aten::convolution", last} <= names
    assert ("fastgan::modulation_factors" in names) == (demodulate or dtype == torch.bfloat16)
    kernels = [
        counted.count + sum("modulation_factors" in name for _, _, name in counted.by_source)
        for counted in (forward, backward)
    ]
    assert 3 <= kernels[0] <= 5 and 4 <= kernels[1] <= 7


def test_weights_get_gradients_in_their_layout():
    """An image in channels_last gives its layout to the convolution's gradient of the weights."""
    x = torch.randn(2, 16, 6, 6).half().to(memory_format=torch.channels_last)
    weight = torch.randn(8, 16, 3, 3, requires_grad=True)
    y = ops.modulated_conv2d(x, weight, torch.ones(2, 16), up=2)
    (dweight,) = torch.autograd.grad(y.float().sum(), weight)
    assert dweight.is_contiguous()


@pytest.mark.backends
@pytest.mark.parametrize("dtype,capability", [(torch.float32, 90), (torch.bfloat16, 100)])
def test_triton_kernels_compile_ahead_of_time(dtype, capability, tmp_path):
    from fastgan.ops.modulation_factors import triton as kernels
    from tests.ops import triton_target

    weight, styles = torch.empty(512, 512, 3, 3), torch.empty(8, 512)
    settings = (True, dtype != torch.float32)
    with triton_target.launches(capability) as launched:
        results = kernels.modulation_factors(weight, styles, None, dtype, *settings, True, True)
        kernels.modulation_factors_backward(
            *results[:3], weight, styles, None, *results[3:], dtype, *settings, *[True] * 4
        )
    assert len(launched) == 4
    for compiled in launched:
        triton_target.check(compiled, capability, tmp_path)
