from __future__ import annotations

import pytest
import torch

from fastgan import ops
from tests.ops.contract import OpContract
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
