from __future__ import annotations

import itertools
from functools import partial

import numpy
import pytest
import torch

from fastgan import ops
from tests.ops.contract import OpContract
from tests.specs import evaluate, first_mismatch, poisoned_memory
from tests.specs.upfirdn2d import UPFIRDN2D, USES, random_sample, taps


class TestContract(OpContract):
    spec = UPFIRDN2D


def refused(seed: int) -> bool:
    sample = random_sample(seed)
    try:
        UPFIRDN2D.op(
            *sample.tensors(torch.float32, torch.device("meta")),
            **sample.options,
            backend="reference",
        )
    except ValueError:
        return True
    return False


#: Sets of random arguments by backend, for a few seconds each.
FUZZED = {"cpu": 1000, "emulated": 150, "triton": 24, "cuda": 2000}


@pytest.mark.usefixtures("one_thread")
def test_random_arguments(backend, device):
    """Check results and every fourth gradient, in each dtype in turn; a failure has its seed."""
    if backend == "reference":
        pytest.skip("what the others are compared with")
    seeds = itertools.islice((s for s in itertools.count() if not refused(s)), FUZZED[backend])
    dtypes = itertools.cycle(UPFIRDN2D.tolerance)
    for count, (seed, dtype) in enumerate(zip(seeds, dtypes)):
        sample, order = random_sample(seed), int(count % 4 == 0)
        tensors = sample.tensors(dtype, device)
        exact = [t.double().cpu() for t in tensors]
        expected = evaluate(
            partial(UPFIRDN2D.op, backend="reference"), exact, dict(sample.options), order=order
        )
        with poisoned_memory():
            found = evaluate(
                partial(UPFIRDN2D.op, backend=backend), tensors, dict(sample.options), order=order
            )
        problem = first_mismatch(found, expected, UPFIRDN2D.tolerance[dtype])
        assert problem is None, (
            f"random_sample({seed}) on {list(tensors[0].shape)} of {dtype}: {problem}"
        )


def by_scipy(
    signal: numpy.ndarray, h: numpy.ndarray, up: int, down: int, before: int, after: int
) -> numpy.ndarray:
    """Filter one axis. scipy starts the upsampled signal ``taps - 1`` before its first sample."""
    # A rented machine may lack scipy.
    full = pytest.importorskip("scipy.signal").upfirdn(h, signal, up=up)
    at = (
        numpy.arange((len(signal) * up + before + after - len(h)) // down + 1) * down
        - before
        + len(h)
        - 1
    )
    there = (at >= 0) & (at < len(full))
    return numpy.where(there, full[numpy.clip(at, 0, len(full) - 1)], 0)


@pytest.mark.parametrize("up,down", [(1, 1), (2, 1), (1, 2), (3, 2), (2, 3), (4, 4)])
@pytest.mark.parametrize("length", [1, 3, 4, 7, 12])
def test_agrees_with_scipy(backend, device, up, down, length):
    f, (x0, x1, y0, y1) = taps(length), (5, 9, 12, 4)
    x = torch.randn(1, 2, 7, 10, dtype=torch.float64)
    found = ops.upfirdn2d(
        *(x.to(device), f.to(device)), up=up, down=down, padding=(x0, x1, y0, y1), backend=backend
    )
    h = f.double().numpy()
    rows = numpy.apply_along_axis(by_scipy, 3, x.numpy(), h, up, down, x0, x1)
    expected = numpy.apply_along_axis(by_scipy, 2, rows, h, up, down, y0, y1)
    assert found.shape == expected.shape
    assert numpy.allclose(found.cpu().numpy(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("use", USES)
def test_no_memory_beyond_the_output(use):
    """A call allocates only its output from torch."""
    from benchmarks.memory import peak_extra_bytes

    x, f = torch.randn(2, 16, 64, 64), taps(4)
    size = ops.upfirdn2d(x, f, **USES[use](4)).numel() * 4
    peak = peak_extra_bytes(lambda: ops.upfirdn2d(x, f, **USES[use](4), backend="cpu"), x.device)
    assert size <= peak <= size + 64


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("size", [(6, 8), (7, 9)])
def test_filter_keeps_the_size(length, size):
    assert ops.filter2d(torch.ones(1, 2, *size), taps(length)).shape[2:] == size


@pytest.mark.parametrize(
    "length,up", [(2, 2), (3, 2), (4, 2), (5, 3), (12, 2), (4, 4), (6, (2, 3))]
)
def test_upsampling_multiplies_the_size_and_keeps_the_brightness(length, up):
    x_up, y_up = up if isinstance(up, tuple) else (up, up)
    f = ops.setup_filter(torch.hann_window(length + 2, periodic=False)[1:-1])
    y = ops.upsample2d(torch.ones(1, 1, 30, 30), f, up=up)
    assert y.shape[2:] == (30 * y_up, 30 * x_up)
    assert y[..., 12:-12, 12:-12].mean().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("length,down", [(2, 2), (3, 2), (4, 2), (5, 3), (12, 2), (6, (1, 3))])
def test_downsampling_divides_the_size_and_keeps_the_brightness(length, down):
    x_down, y_down = down if isinstance(down, tuple) else (down, down)
    f = ops.setup_filter(torch.hann_window(length + 2, periodic=False)[1:-1])
    y = ops.downsample2d(torch.ones(1, 1, 30, 30), f, down=down)
    assert y.shape[2:] == (30 // y_down, 30 // x_down)
    assert torch.allclose(y[..., 3:-3, 3:-3], torch.ones(()))


def test_resampling_is_centred():
    """A symmetric image stays symmetric, for any parity of taps and factor."""
    x = torch.rand(1, 1, 6, 6)
    x = x + x.flip(3)
    for f in ([1, 1], [1, 3, 3, 1], [1, 4, 6, 6, 4, 1]):
        for y in (ops.upsample2d(x, ops.setup_filter(f)), ops.downsample2d(x, ops.setup_filter(f))):
            assert torch.allclose(y, y.flip(3), atol=1e-6)
    y = ops.filter2d(x, ops.setup_filter([1, 2, 1]))
    assert torch.allclose(y, y.flip(3), atol=1e-6)


def test_known_values():
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    box = ops.setup_filter([1, 1])
    assert torch.equal(ops.upsample2d(x, box), x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert torch.equal(ops.downsample2d(x, box), torch.full((1, 1, 1, 1), 2.5))
    row = ops.upfirdn2d(x[:, :, :1], torch.tensor([[1.0, 10.0]]), padding=(1, 1, 0, 0))
    assert row.flatten().tolist() == [1, 12, 20]  # convolution
    row = ops.upfirdn2d(
        x[:, :, :1], torch.tensor([[1.0, 10.0]]), padding=(1, 1, 0, 0), flip_filter=True
    )
    assert row.flatten().tolist() == [10, 21, 2]  # correlation


def test_setup_filter():
    assert ops.setup_filter(None) is None
    assert torch.equal(ops.setup_filter([1, 3, 3, 1]), torch.tensor([1, 3, 3, 1]) / 8)
    assert torch.equal(ops.setup_filter([1, 2, 1], normalize=False), torch.tensor([1.0, 2, 1]))
    assert torch.equal(ops.setup_filter([1, 3], flip_filter=True), torch.tensor([0.75, 0.25]))
    assert torch.equal(
        ops.setup_filter([[1, 3], [0, 0]], flip_filter=True), torch.tensor([[0, 0], [0.75, 0.25]])
    )
    assert torch.equal(
        ops.setup_filter([1, 3], separable=False), torch.tensor([[1.0, 3], [3, 9]]) / 16
    )
    assert ops.setup_filter(2).tolist() == [1]
    x = torch.rand(1, 1, 5, 5)
    for separable in (True, False):  # the gain applies to the image
        f = ops.setup_filter([1, 3, 1], gain=4.0, separable=separable)
        assert torch.allclose(
            ops.filter2d(x, f), 4 * ops.filter2d(x, ops.setup_filter([1, 3, 1])), atol=1e-5
        )
    given = torch.tensor([1.0, 2.0], requires_grad=True)
    assert not ops.setup_filter(given).requires_grad and given.tolist() == [1, 2]
