from __future__ import annotations

import pytest
import torch

from fastgan import ops
from tests.ops.contract import OpContract
from tests.specs.layouts import channels_last
from tests.specs.minibatch_stddev import MINIBATCH_STDDEV


class TestMinibatchStddev(OpContract):
    spec = MINIBATCH_STDDEV


def test_groups_and_parts(backend, device):
    """Samples m, m + M, ... are a group; each part of the channels has its number at all pixels."""
    x = torch.randn(6, 4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(
        device
    )
    y = ops.minibatch_stddev(x, group_size=3, num_channels=2, backend=backend)
    assert torch.equal(y[:, :4], x)
    for members in ([0, 2, 4], [1, 3, 5]):
        for part in range(2):
            stddev = (x[members, 2 * part : 2 * part + 2].var(0, correction=0) + 1e-8).sqrt().mean()
            assert torch.allclose(y[members, 4 + part], stddev.expand(3, 2, 3))
    alone = ops.minibatch_stddev(x[:1], backend=backend)
    assert torch.allclose(alone[:, 4], torch.full((1, 2, 3), 1e-4, dtype=x.dtype, device=device))


def test_images_far_from_zero_lose_nothing(backend, device):
    x = 1000 + torch.randn(4, 8, 4, 4, generator=torch.Generator().manual_seed(0)).to(device)
    found = ops.minibatch_stddev(x, backend=backend)[:, 8]
    assert torch.allclose(
        found.double(), ops.minibatch_stddev(x.double(), backend="reference")[:, 8], rtol=1e-4
    )


@pytest.mark.backends
@pytest.mark.parametrize(
    "layout", [torch.clone, channels_last], ids=["contiguous", "channels_last"]
)
@pytest.mark.parametrize("dtype,capability", [(torch.float32, 90), (torch.bfloat16, 100)])
def test_triton_kernels_compile_ahead_of_time(layout, dtype, capability, tmp_path):
    """There are no spills and no atomics for sums; long rows have 128-bit accesses."""
    from fastgan.ops.minibatch_stddev import triton as kernels
    from tests.ops import triton_target

    x = layout(torch.empty(8, 256, 4, 4, dtype=dtype))
    y = layout(torch.empty(8, 257, 4, 4, dtype=dtype))
    with triton_target.launches(capability) as launched:
        kernels.minibatch_stddev(x, 4, 1)
        kernels.minibatch_stddev_double_backward(x, y, x, 4, 1, True, True)
    for compiled in launched:
        triton_target.check(compiled, capability, tmp_path)
        load, store = triton_target.widths(compiled)
        assert load == (16 if layout is torch.clone else 4 * dtype.itemsize)
        assert store == load or layout is channels_last
