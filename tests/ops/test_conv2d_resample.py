from __future__ import annotations

import itertools

import numpy
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fastgan import ops
from tests.ops.contract import OpContract
from tests.specs import evaluate, first_mismatch, poisoned_memory
from tests.specs.conv2d_resample import CONV2D_RESAMPLE, USES, definition, random_sample
from tests.specs.upfirdn2d import taps

COMPOSITE = True


class TestContract(OpContract):
    spec = CONV2D_RESAMPLE


@pytest.mark.parametrize(
    "sample", [s for s in CONV2D_RESAMPLE.samples if "empty" not in s.id], ids=lambda s: s.id
)
def test_short_cuts_equal_the_definition(backend, device, sample):
    tensors = sample.tensors(torch.float64, device)
    op = CONV2D_RESAMPLE.op
    found = evaluate(op, tensors, {**sample.options, "backend": backend}, order=2)
    options = dict(sample.options)
    options["padding"] = _sides(options.get("padding", 0))
    expected = evaluate(definition, [t.cpu() for t in tensors], options, order=2)
    assert (problem := first_mismatch(found, expected, 1e-12)) is None, problem


def _sides(padding) -> tuple[int, ...]:
    sides = padding if isinstance(padding, tuple) else (padding,) * 4
    return sides if len(sides) == 4 else (sides[0],) * 2 + (sides[1],) * 2


#: Sets of random arguments by backend.
FUZZED = {"reference": 400, "cpu": 400, "emulated": 100, "triton": 15, "cuda": 400}


@pytest.mark.usefixtures("one_thread")
def test_random_arguments(backend, device):
    """Check result and first derivatives by the definition; a failure's message has its seed."""
    count = 0
    for seed in itertools.count():
        sample = random_sample(seed)
        tensors = sample.tensors(torch.float64, device)
        try:
            with poisoned_memory():
                found = evaluate(
                    CONV2D_RESAMPLE.op, tensors, {**sample.options, "backend": backend}, order=1
                )
        except ValueError as error:
            assert "to be downsampled by" in str(error), f"random_sample({seed}): {error}"
            with pytest.raises((ValueError, RuntimeError)):
                definition(*(t.cpu() for t in tensors), **sample.options)
            continue
        expected = evaluate(definition, [t.cpu() for t in tensors], dict(sample.options), order=1)
        problem = first_mismatch(found, expected, 1e-11)
        shapes = [list(t.shape) for t in tensors]
        assert problem is None, f"random_sample({seed}) on {shapes}, {sample.options}: {problem}"
        if (count := count + 1) == FUZZED[backend]:
            break


def padded(image: numpy.ndarray, x0: int, x1: int, y0: int, y1: int) -> numpy.ndarray:
    image = numpy.pad(image, ((max(y0, 0), max(y1, 0)), (max(x0, 0), max(x1, 0))))
    return image[max(-y0, 0) : len(image) - max(-y1, 0), max(-x0, 0) : image.shape[1] - max(-x1, 0)]


def by_scipy(x, weight, f, up, down, padding, flip_weight, flip_filter) -> numpy.ndarray:
    """Compute one image without groups, step by step.

    The steps are zeros between pixels, padding, ``f``, ``weight``, ``f`` again, and every
    ``down``-th pixel.
    """
    # A rented machine may lack scipy.
    convolve2d = pytest.importorskip("scipy.signal").convolve2d
    f = numpy.ones((1, 1)) if f is None else numpy.outer(f, f) if f.ndim == 1 else f
    f = f[::-1, ::-1] if flip_filter else f
    t_y, t_x = f.shape
    x0, x1, y0, y1 = padding
    if up > 1:
        x0, x1 = x0 + (t_x + up - 1) // 2, x1 + (t_x - up) // 2
        y0, y1 = y0 + (t_y + up - 1) // 2, y1 + (t_y - up) // 2
    if down > 1:
        x0, x1 = x0 + (t_x - down + 1) // 2, x1 + (t_x - down) // 2
        y0, y1 = y0 + (t_y - down + 1) // 2, y1 + (t_y - down) // 2
    result = 0
    for i, channel in enumerate(x):
        zeros = numpy.zeros((channel.shape[0] * up, channel.shape[1] * up))
        zeros[::up, ::up] = channel * up**2
        t = padded(zeros, x0, x1, y0, y1)
        t = convolve2d(t, f, mode="valid") if up > 1 else t
        kernels = weight[:, i, ::-1, ::-1] if flip_weight else weight[:, i]
        result = result + numpy.stack([convolve2d(t, k, mode="valid") for k in kernels])
    if down > 1:
        result = numpy.stack([convolve2d(r, f, mode="valid")[::down, ::down] for r in result])
    return result


@pytest.mark.parametrize("up,down", [(1, 1), (2, 1), (1, 2), (3, 2), (4, 1), (1, 3)])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 4)], ids=str)
@pytest.mark.parametrize("f", [None, taps(4), taps(3, 2)], ids=["none", "separable", "2d"])
def test_agrees_with_scipy(up, down, kernel, f):
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(2, 3, 9, 10, generator=generator, dtype=torch.float64)
    weight = torch.randn(4, 3, *kernel, generator=generator, dtype=torch.float64)
    taps_ = None if f is None else f.double().numpy()
    for padding in [(1, 1, 1, 1), (3, 0, -1, 2)]:
        for flips in [(True, False), (False, True)]:
            options = {"up": up, "down": down, "padding": padding}
            options |= {"flip_weight": flips[0], "flip_filter": flips[1]}
            found = ops.conv2d_resample(x, weight, f, **options)
            exact = definition(x, weight, f=f, **options)
            expected = [
                by_scipy(i, weight.numpy(), taps_, up, down, padding, *flips) for i in x.numpy()
            ]
            for result in (found, exact):
                assert result.shape == numpy.stack(expected).shape
                assert numpy.allclose(result.numpy(), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    "use,size", [("plain", (6, 7)), ("up2", (12, 14)), ("down2", (3, 3)), ("skip-up2", (12, 14))]
)
@pytest.mark.parametrize("length", [1, 2, 3, 4, 7])
def test_size_does_not_depend_on_the_filter(use, size, length):
    kernel, options = USES[use]
    x, weight = torch.randn(1, 2, 6, 7), torch.randn(3, 2, kernel, kernel)
    assert ops.conv2d_resample(x, weight, taps(length), **options).shape == (1, 3, *size)
    assert ops.conv2d_resample(x, weight, None, **options).shape == (1, 3, *size)


@pytest.mark.parametrize("use", [use for use in USES if use != "plain"])
def test_short_cuts_need_a_quarter_of_the_products(use):
    kernel, options = USES[use]
    x, weight, f = torch.randn(1, 256, 8, 8), torch.randn(256, 256, kernel, kernel), taps(2)
    short, full = FlopCounterMode(display=False), FlopCounterMode(display=False)
    with short:
        ops.conv2d_resample(x, weight, f, **options, backend="reference")
    padding = (kernel // 2,) * 4
    with full:
        definition(x, weight, f=f, **{**options, "padding": padding})
    assert 0 < short.get_total_flops() < 0.3 * full.get_total_flops()
