from __future__ import annotations

import pytest
import torch

from fastgan import ops
from tests.ops.contract import OpContract
from tests.specs import evaluate
from tests.specs.layouts import channels_last
from tests.specs.pixel_norm import PIXEL_NORM


class TestPixelNorm(OpContract):
    spec = PIXEL_NORM


def test_a_pixel_gets_unit_mean_square(backend, device):
    x = 3 * torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0)).to(device)
    y = ops.pixel_norm(x, backend=backend)
    assert torch.allclose(y.square().mean(1), torch.ones(2, 3, 4, device=device), atol=1e-5)
    assert torch.allclose(y / x, (y / x)[:, :1].expand_as(x))
    # The square of 1000 is infinite in float16.
    large = torch.full((1, 4), 1000.0, dtype=torch.float16, device=device)
    assert torch.equal(ops.pixel_norm(large, backend=backend), torch.ones_like(large))
    assert not ops.pixel_norm(torch.zeros(2, 3, device=device), backend=backend).any()


def test_nothing_but_x_is_saved(backend, device):
    if backend == "reference":
        pytest.skip("plain PyTorch saves what its own operations need")
    x = torch.randn(2, 3, 4, device=device, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: saved.append(t.data_ptr()) or t, lambda t: t
    ):
        ops.pixel_norm(x, backend=backend)
    assert saved == [x.data_ptr()]


@pytest.mark.parametrize("shape", [(3, 40, 2000), (500, 130)], ids=["strips", "rows"])
def test_thread_count_does_not_change_a_bit(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    results = []
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(evaluate(ops.pixel_norm, [x], {"backend": "cpu"}, order=2))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(later[k], results[0][k]) for later in results[1:] for k in later)


def test_only_what_is_needed_of_the_second_derivative_is_computed(backend, device):
    if backend == "reference":
        pytest.skip("plain PyTorch: nothing is registered")
    op = ops._library.ops_of(backend).pixel_norm_double_backward
    given = [
        t.to(device)
        for t in (torch.randn(4, 3, 2, 5), torch.randn(4, 3, 2, 5), torch.randn(4, 3, 2, 5))
    ]
    ddy, dx = op(*given, 1, 1e-8, True, True)
    alone, nothing = op(*given, 1, 1e-8, True, False)
    assert torch.equal(alone, ddy) and nothing.numel() == 0
    nothing, alone = op(*given, 1, 1e-8, False, True)
    assert torch.equal(alone, dx) and nothing.numel() == 0


@pytest.mark.backends
@pytest.mark.parametrize("dtype,capability", [(torch.float32, 90), (torch.bfloat16, 100)])
@pytest.mark.parametrize("layout", [torch.clone, channels_last], ids=["strips", "rows"])
def test_triton_kernels_compile_ahead_of_time(layout, dtype, capability, tmp_path):
    """There are no spills, and accesses have 128 bits."""
    from fastgan.ops.pixel_norm import triton as kernels
    from tests.ops import triton_target

    x = layout(torch.empty(8, 256, 32, 32, dtype=dtype))
    with triton_target.launches(capability) as launched:
        kernels.pixel_norm(x, 1, 1e-8)
        kernels.pixel_norm_double_backward(x, x, x, 1, 1e-8, True, True)
    for compiled in launched:
        triton_target.check(compiled, capability, tmp_path)
        assert triton_target.widths(compiled) == (16, 16)


def test_launches_refuse_what_their_numbers_cannot_hold():
    from fastgan.ops.pixel_norm import triton as kernels

    with pytest.raises(ValueError, match=r"pixel_norm.*\[1, 2147483648\].*too large"):
        kernels.pixel_norm(torch.empty(1, 2**31, device="meta"), 1, 1e-8)
