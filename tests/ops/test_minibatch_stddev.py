from __future__ import annotations

import pytest
import torch

from fastgan import ops
from tests.ops.contract import OpContract
from tests.specs import evaluate
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


def test_nothing_but_x_is_saved(backend, device):
    if backend == "reference":
        pytest.skip("plain PyTorch saves what its own operations need")
    x = torch.randn(4, 3, 2, 2, device=device, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: saved.append(t.data_ptr()) or t, lambda t: t
    ):
        ops.minibatch_stddev(x, backend=backend)
    assert saved == [x.data_ptr()]


@pytest.mark.parametrize(
    "layout", [torch.clone, channels_last], ids=["contiguous", "channels_last"]
)
def test_thread_count_does_not_change_a_bit(layout):
    x = layout(torch.randn(8, 16, 50, 40, generator=torch.Generator().manual_seed(0)))
    results = []
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(evaluate(ops.minibatch_stddev, [x], {"backend": "cpu"}, order=2))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(later[k], results[0][k]) for later in results[1:] for k in later)


def test_only_what_is_needed_of_the_second_derivative_is_computed(backend, device):
    if backend == "reference":
        pytest.skip("plain PyTorch: nothing is registered")
    op = ops._library.ops_of(backend).minibatch_stddev_double_backward
    given = [
        t.to(device)
        for t in (torch.randn(4, 3, 2, 5), torch.randn(4, 4, 2, 5), torch.randn(4, 3, 2, 5))
    ]
    ddy, dx = op(*given, 2, 1, True, True)
    alone, nothing = op(*given, 2, 1, True, False)
    assert torch.equal(alone, ddy) and nothing.numel() == 0
    nothing, alone = op(*given, 2, 1, False, True)
    assert torch.equal(alone, dx) and nothing.numel() == 0


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
        assert "atom" not in compiled.asm["ptx"] and "red.global" not in compiled.asm["ptx"]
        load, store = triton_target.widths(compiled)
        assert load == (16 if layout is torch.clone else 4 * dtype.itemsize)
        assert store == load or layout is channels_last


def test_launches_refuse_what_their_numbers_cannot_hold():
    from fastgan.ops.minibatch_stddev import triton as kernels

    with pytest.raises(ValueError, match=r"minibatch_stddev.*\[1, 1, 65536, 32768\].*too large"):
        kernels.minibatch_stddev(torch.empty(1, 1, 65536, 32768, device="meta"), 4, 1)
