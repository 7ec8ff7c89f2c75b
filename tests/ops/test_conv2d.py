from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from fastgan import ops
from fastgan.ops._library import ops_of
from fastgan.ops.conv2d import reference
from tests.ops.contract import Calls, OpContract, same_for_any_thread_count
from tests.specs import evaluate, first_mismatch, poisoned_memory
from tests.specs.build import values
from tests.specs.conv2d import CONV2D, random_call, winograd_everywhere

COMPOSITE = True
TOLERANCE = 1e-5


class TestContract(OpContract):
    spec = CONV2D


def _args(device="cpu", **options):
    x, w = values((2, 64, 24, 24), 1).float(), values((64, 64, 3, 3), 2, 1 / 32).float()
    return (t.to(device).requires_grad_() for t in (x, w))


def test_which_algorithm_runs():
    x, w = _args()
    with Calls() as calls, torch.no_grad():
        ops.conv2d(x, w, padding=1, act="lrelu")
    assert calls.names == ["winograd_conv2d_act"]
    with Calls() as calls, torch.no_grad():
        ops.conv2d(x[:, :, 1:, 1:], w, stride=2)
        ops.conv_transpose2d(x, w, stride=2)
    assert calls.names == ["winograd_conv2d_down", "winograd_conv_transpose2d"]
    with Calls() as calls, torch.no_grad():
        ops.conv2d(x, w, stride=2)  # an even size, which no transposed convolution has
        ops.conv2d(x, w, padding=1, backend="reference")
        ops.conv2d(x.double(), w.double(), padding=1)
        ops.conv2d(x[:, :8], w[:, :8], padding=1)
        ops.conv2d(x, w, padding=1, stride=2)
        ops.conv2d(x[:, :, :6, :6], w, padding=1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            ops.conv2d(x, w, padding=1)
        ops.set_winograd(False)
        try:
            ops.conv2d(x, w, padding=1)
        finally:
            ops.set_winograd(True)
    assert not [name for name in calls.names if name.startswith("winograd")]


def test_a_penalty_computes_no_gradient_that_it_drops():
    """`autograd.grad` in the image alone omits the gradient of the weights, which costs as much."""
    x, w = _args()
    y = ops.conv2d(x, w, padding=1)
    with Calls() as calls:
        (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert calls.names == ["winograd_conv2d"]
    with Calls() as calls:
        torch.autograd.grad(g.square().sum(), w)
    assert calls.names == ["winograd_conv2d_weight"]
    with Calls() as calls:
        ops.conv2d(x, w, padding=1).sum().backward()
    assert calls.names == ["winograd_conv2d", "winograd_conv2d", "winograd_conv2d_weight"]
    assert x.grad is not None and w.grad is not None


def called(op, rest):
    """Return ``op`` as a function of its tensors alone."""
    return lambda *tensors: op(*tensors, *rest)


@pytest.mark.usefixtures("one_thread")
def test_random_arguments():
    """Check results, first and second derivatives; a failure's message has its seed."""
    for seed in range(300):
        name, tensors, rest = random_call(seed)
        single = [None if t is None else t.float() for t in tensors]
        with poisoned_memory():
            found = evaluate(called(getattr(torch.ops.fastgan, name), rest), single, {}, order=2)
        expected = evaluate(called(getattr(reference, name), rest), tensors, {}, order=2)
        # Some results are a single number whose terms cancel.
        problem = first_mismatch(found, expected, 5 * TOLERANCE)
        assert problem is None, f"seed {seed}, {name}: {problem}"


EPILOGUES = list(itertools.product(["linear", "lrelu", "tanh"], [None, 0.8], [False, True], [1, 3]))


@pytest.mark.parametrize("act,clamp,style,batch", EPILOGUES)
def test_epilogue_in_the_convolution(act, clamp, style, batch):
    """Check forward and first derivatives in every tensor; scale, noise and bias may be absent."""
    x, w = values((3, 18, 9, 6), 1), values((20, 18, 3, 3), 2, 1 / 16)
    tensors = [x, w, values((3, 18), 3) if style else None]
    tensors += [values((3, 20), 4), values((batch, 1, 9, 6), 5), values((20,), 6)]
    for absent in (None, 3, 4, 5):
        given = [None if i == absent else t for i, t in enumerate(tensors)]
        rest = (1, 1, act, 0.2, 1.5, clamp)
        single = [None if t is None else t.float() for t in given]
        with poisoned_memory():
            found = evaluate(
                called(torch.ops.fastgan.winograd_conv2d_act, rest), single, {}, order=1
            )
        expected = evaluate(called(reference.winograd_conv2d_act, rest), given, {}, order=1)
        # Rounding may cross a jump of the slope, but no value here is near one.
        assert (problem := first_mismatch(found, expected, TOLERANCE)) is None, problem


@pytest.mark.parametrize("least", [None, 1e-30, 0.0])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradient_through_the_scaled_image(least, layout):
    """The second derivative divides by the styles, except by one that is too small."""
    dz, w, x, style = (
        values((2, 17, 6, 7), 1),
        values((17, 20, 3, 3), 2, 1 / 16),
        values((2, 20, 6, 7), 3).contiguous(memory_format=layout),
        values((2, 20), 4),
    )
    if least is not None:
        style[1, 3] = least

    def both(op):
        def f(*tensors):
            dx, dstyle = op(*tensors, 1, 1)
            return dx + dstyle[:, :, None, None]

        return f

    found = evaluate(
        both(torch.ops.fastgan.winograd_conv2d_input),
        [t.float() for t in (dz, w, x, style)],
        {},
        order=2,
    )
    expected = evaluate(both(reference.winograd_conv2d_input), [dz, w, x, style], {}, order=2)
    assert (problem := first_mismatch(found, expected, TOLERANCE)) is None, problem


def test_third_derivative_through_the_scaled_image():
    """It is recomputed from the convolution, since the second derivative has only the gradient."""
    dz, w, x, style = (
        values((1, 3, 4, 5), 1),
        values((3, 2, 3, 3), 2),
        values((1, 2, 4, 5), 3),
        values((1, 2), 4),
    )

    def third(op, dtype):
        tensors = [t.to(dtype).requires_grad_() for t in (dz, w, x, style)]
        dx, dstyle = op(*tensors, 1, 1)
        first = torch.autograd.grad(
            (dx.sin().sum() + dstyle.square().sum()), tensors, create_graph=True
        )
        second = torch.autograd.grad(sum(t.square().sum() for t in first), tensors)
        return [t.double() for t in second]

    found = third(torch.ops.fastgan.winograd_conv2d_input, torch.float32)
    expected = third(reference.winograd_conv2d_input, torch.float64)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * b.abs().max().item())


@pytest.mark.parametrize("size", [24, 8])
def test_thread_count_does_not_change_a_bit_of_resampling(size):
    """Threads share the weights of many tiles, and the image of few."""
    x, w = (t.detach() for t in _args())
    x, w = x[:, :, :size, :size].clone().requires_grad_(), w.requires_grad_()
    style = values((2, 64), 3).float().requires_grad_()

    def run():
        y = torch.ops.fastgan.winograd_conv2d(x, w, style, 1, 1, False)
        up = torch.ops.fastgan.winograd_conv_transpose2d(x, w, style)
        down = torch.ops.fastgan.winograd_conv2d_down(x[:, :, 1:, 1:], w, style)
        gradients = torch.autograd.grad(y.square().sum(), (x, w, style))
        return y, up, down, *gradients, *torch.autograd.grad(down.square().sum(), w)

    assert same_for_any_thread_count(run)


def test_many_blocks_of_tiles_and_chunks_of_channels():
    """Compare sizes above the working memory with the direct algorithm."""
    x, w = values((2, 256, 44, 40), 1).float(), values((576, 256, 3, 3), 2, 1 / 64).float()
    x = x.to(memory_format=torch.channels_last)
    dy = values((2, 576, 44, 40), 3).float()
    found = ops.conv2d(x, w, padding=1)
    expected = F.conv2d(x, w, padding=1)
    assert first_mismatch({"y": found}, {"y": expected.double()}, TOLERANCE) is None
    dw = torch.ops.fastgan.winograd_conv2d_weight(dy, x, None, 1, 1)
    expected = torch.nn.grad.conv2d_weight(x, w.shape, dy, padding=1)
    assert first_mismatch({"dw": dw}, {"dw": expected.double()}, TOLERANCE) is None
    up = torch.ops.fastgan.winograd_conv_transpose2d(x, w.transpose(0, 1), None)
    expected = F.conv_transpose2d(x, w.transpose(0, 1), stride=2)
    assert first_mismatch({"up": up}, {"up": expected.double()}, TOLERANCE) is None
    down = torch.ops.fastgan.winograd_conv2d_down(x[:, :, 1:, 1:], w, None)
    expected = F.conv2d(x[:, :, 1:, 1:], w, stride=2)
    assert first_mismatch({"down": down}, {"down": expected.double()}, TOLERANCE) is None
    dw = torch.ops.fastgan.winograd_conv2d_down_weight(down, x[:, :, 1:, 1:], None)
    expected = torch.nn.grad.conv2d_weight(x[:, :, 1:, 1:], w.shape, down, stride=2)
    assert first_mismatch({"dw": dw}, {"dw": expected.double()}, TOLERANCE) is None


def test_working_memory_stays_below_32_megabytes():
    sizes = [1, 3, 16, 64, 250, 512, 1024, 4096]
    for c, k in itertools.product(sizes, sizes):
        for n, h, w in ((1, 3, 3), (1, 4, 4), (8, 32, 32), (16, 1024, 1024)):
            for resampling in ((1, 1), (2, 1), (1, 2)):
                scratch = torch.ops.fastgan_runtime.winograd_scratch(n, c, k, h, w, *resampling)
                assert scratch <= 32 << 20, (c, k, n, h, resampling)


def test_special_values_stay_in_their_tiles():
    x, w = values((1, 16, 16, 16), 1).float(), values((16, 16, 3, 3), 2).float()
    x[0, 3, 9, 9] = float("nan")
    y = torch.ops.fastgan.winograd_conv2d(x, w, None, 1, 1, False)
    assert (
        y[:, :, 8:12, 8:12].isnan().all()
        and not y[:, :, :8].isnan().any()
        and not y[:, :, 12:].isnan().any()
    )


def test_conv_transpose2d_is_the_adjoint(backend, device):
    x, w = values((3, 5, 6, 7), 1).to(device), values((5, 8, 3, 3), 2).to(device)
    for options in (
        {"stride": 2},
        {"stride": 2, "padding": 1},
        {"padding": (1, 0)},
        {"stride": 3, "groups": 1},
    ):
        y = ops.conv_transpose2d(x, w, **options, backend=backend)
        assert torch.allclose(y, F.conv_transpose2d(x, w, **options))
        if backend == "cpu":
            with winograd_everywhere():
                found = evaluate(ops.conv_transpose2d, [x.float(), w.float()], options, order=2)
            expected = evaluate(F.conv_transpose2d, [x, w], options, order=2)
            assert (problem := first_mismatch(found, expected, TOLERANCE)) is None, problem


@pytest.mark.parametrize("size", [(2, 33, 9, 8), (1, 64, 5, 13), (3, 16, 3, 3)])
def test_contiguous_images_have_the_bits_of_channels_last_ones(size):
    n, c, height, width = size
    run = ops_of("cpu").winograd_conv2d
    x, w = values(size, 1).float(), values((40, c, 3, 3), 2).float()
    with poisoned_memory():
        contiguous = run(x, w, None, 1, 1, False)
        other = run(x.to(memory_format=torch.channels_last), w, None, 1, 1, False)
    assert contiguous.is_contiguous() and not other.is_contiguous()
    assert torch.equal(contiguous, other)
    gradient = ops_of("cpu").winograd_conv2d_weight
    dy = values((n, 40, height, width), 3).float()
    assert torch.equal(
        gradient(dy, x, None, 1, 1),
        gradient(dy.to(memory_format=torch.channels_last), x, None, 1, 1),
    )
