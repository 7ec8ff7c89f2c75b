"""Convolutions in bfloat16 on AMX: values, threads, derivatives and the choice of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fastgan import ops
from fastgan.ops.conv2d import choice
from tests.specs import poisoned_memory
from tests.specs.build import values

RUNTIME = torch.ops.fastgan_runtime
needs_amx = pytest.mark.skipif(
    not choice.has_amx_kernels(),
    reason="needs Linux, a CPU with amx_tile, amx_bf16 and avx512_bf16, and a build with them",
)
# Relative to the largest result: results are rounded to 8 bits.
TOLERANCE = 2**-8

# (image, weights, stride, padding, dilation, groups)
CASES: dict[str, tuple[Any, ...]] = {
    "1x1": ((2, 32, 4, 8), (32, 32, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "1x1-odd": ((2, 33, 5, 5), (18, 33, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "3x3": ((2, 32, 6, 6), (48, 32, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "strided-4x4": ((1, 64, 8, 8), (40, 64, 4, 4), (2, 2), (1, 1), (1, 1), 1),
    "three-channels": ((3, 3, 17, 13), (5, 3, 4, 4), (2, 2), (1, 1), (1, 1), 1),
    "groups-of-16": ((2, 64, 5, 6), (64, 16, 3, 3), (1, 1), (1, 1), (1, 1), 4),
    "groups-of-3": ((2, 6, 7, 6), (8, 3, 3, 2), (2, 1), (1, 2), (2, 1), 2),
    "passed-over": ((2, 8, 9, 9), (8, 8, 2, 2), (3, 3), (0, 0), (1, 1), 1),
    "many-taps": ((1, 8, 9, 9), (6, 8, 5, 5), (3, 2), (2, 1), (1, 1), 1),
    "one-pixel": ((5, 40, 4, 4), (1, 40, 4, 4), (1, 1), (0, 0), (1, 1), 1),
    "deep": ((1, 160, 4, 4), (16, 160, 4, 4), (2, 2), (1, 1), (1, 1), 1),
    "padded": ((2, 64, 16, 16), (40, 32, 3, 3), (1, 1), (1, 1), (1, 1), 2),
    "padded-strided": ((1, 32, 16, 32), (32, 32, 4, 4), (2, 2), (1, 1), (1, 1), 1),
    "padded-dilated": ((1, 32, 9, 16), (16, 32, 3, 3), (1, 1), (2, 1), (2, 1), 1),
    "wide-and-dilated": ((2, 8, 7, 20), (24, 8, 3, 3), (1, 1), (3, 2), (3, 2), 1),
    "beyond-the-image": ((2, 8, 3, 4), (8, 8, 1, 2), (2, 3), (3, 4), (1, 1), 1),
    "several-blocks": ((3, 16, 24, 24), (16, 16, 1, 3), (1, 1), (0, 1), (1, 1), 1),
}


def tensors(case: str) -> tuple[Tensor, Tensor, Tensor, tuple[int, ...]]:
    image, weights, *pairs, groups = CASES[case]
    last = torch.channels_last
    x = values(image, 1).bfloat16().contiguous(memory_format=last)
    w = values(weights, 2).bfloat16()
    y = F.conv2d(x.float(), w.float(), None, *pairs, groups)
    dy = values(tuple(y.shape), 3).bfloat16().contiguous(memory_format=last)
    return x, w, dy, (*(i for pair in pairs for i in pair), groups)


def run(x: Tensor, w: Tensor, dy: Tensor, geometry: tuple[int, ...]) -> list[Tensor]:
    return [
        RUNTIME.amx_conv2d(x, w, True, *geometry),
        RUNTIME.amx_conv2d_input(dy, w, *x.shape[2:], True, *geometry),
        RUNTIME.amx_conv2d_weight(dy, x, *w.shape[2:], *geometry),
    ]


def assert_near(found: Tensor, expected: Tensor, tolerance: float = TOLERANCE) -> None:
    error = (found.float() - expected).abs().max() / expected.abs().max()
    assert found.isfinite().all() and error <= tolerance, f"off by {error:.2g}"


@needs_amx
@pytest.mark.parametrize("case", CASES)
def test_values_are_those_of_float32(case):
    x, w, dy, geometry = tensors(case)
    xf, wf = x.float().requires_grad_(), w.float().requires_grad_()
    y = F.conv2d(xf, wf, None, geometry[:2], geometry[2:4], geometry[4:6], geometry[6])
    expected = [y.detach(), *torch.autograd.grad(y, (xf, wf), dy.float())]
    with poisoned_memory():
        found = run(x, w, dy, geometry)
    for ours, theirs in zip(found, expected):
        assert ours.dtype == torch.bfloat16 and ours.shape == theirs.shape
        assert_near(ours, theirs)


@needs_amx
def test_layouts_of_the_arguments_do_not_matter():
    x, w, dy, geometry = tensors("strided-4x4")
    expected = run(x, w, dy, geometry)
    other = run(x.contiguous(), w.contiguous(memory_format=torch.channels_last), dy.contiguous(),
                geometry)  # fmt: skip
    assert all(torch.equal(a, b) for a, b in zip(other, expected))
    y = RUNTIME.amx_conv2d(x, w, False, *geometry)
    assert y.is_contiguous() and torch.equal(y, expected[0])


@needs_amx
@pytest.mark.parametrize("case", ["several-blocks", "deep", "groups-of-16"])
def test_results_do_not_depend_on_threads(case):
    arguments = tensors(case)
    threads = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(run(*arguments))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*found))


@needs_amx
def test_empty_batches():
    x, w, _, geometry = tensors("3x3")
    x, dy = x[:0], torch.empty(0, 48, 6, 6, dtype=torch.bfloat16)
    y, dx, dw = run(x, w, dy, geometry)
    assert y.shape == dy.shape and dx.shape == x.shape
    assert dw.shape == w.shape and not dw.any()


@needs_amx
def test_other_dtypes_are_refused():
    x, w, _, geometry = tensors("3x3")
    with pytest.raises(RuntimeError, match="w of a convolution on AMX must be a bfloat16 tensor"):
        RUNTIME.amx_conv2d(x, w.float(), True, *geometry)


@needs_amx
@pytest.mark.parametrize("transposed", [False, True])
def test_a_penalty_is_that_of_float32(transposed):
    """Differentiate the norm of an image's gradient, which takes all three kernels again."""

    def penalty(x: Tensor, w: Tensor, backend: str) -> tuple[Tensor, ...]:
        op = ops.conv_transpose2d if transposed else ops.conv2d
        y = op(x, w, stride=2, padding=1, backend=backend)
        (g,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return torch.autograd.grad(g.square().sum(), (x, w))

    x = values((2, 32, 8, 8), 1).bfloat16().requires_grad_()
    w = (values((32, 32, 4, 4), 2) / 16).bfloat16().requires_grad_()
    exact = [t.detach().float().requires_grad_() for t in (x, w)]
    for ours, theirs in zip(penalty(x, w, "cpu"), penalty(*exact, "reference")):
        assert_near(ours, theirs, 4 * TOLERANCE)


@needs_amx
def test_autocast_runs_on_it_and_keeps_channels_last():
    x = values((2, 32, 8, 8), 1).float().to(memory_format=torch.channels_last)
    w = values((32, 32, 3, 3), 2).float()
    with torch.autocast("cpu", torch.bfloat16):
        y = ops.conv2d(x, w, padding=1, backend="cpu")
    assert y.is_contiguous(memory_format=torch.channels_last)
    geometry = (1, 1, 1, 1, 1, 1, 1)
    assert torch.equal(y, RUNTIME.amx_conv2d(x.bfloat16(), w.bfloat16(), True, *geometry))


def test_the_choice_depends_on_dtype_and_size(monkeypatch):
    monkeypatch.setattr(choice, "has_amx_kernels", lambda: True)
    x, w = torch.empty(2, 32, 32, 32).bfloat16(), torch.empty(32, 32, 3, 3).bfloat16()
    assert choice.amx_suits("cpu", x, w)
    assert not choice.amx_suits("reference", x, w)
    assert not choice.amx_suits("cpu", x.float(), w.float())
    with torch.autocast("cpu", torch.bfloat16):
        assert choice.amx_suits("cpu", x.float(), w.float())
        assert not choice.amx_suits("cpu", x.double(), w.double())
    with torch.autocast("cpu", torch.float16):
        assert not choice.amx_suits("cpu", x.float(), w.float())
    assert choice.amx_is_faster(w, 1, 2048) and not choice.amx_is_faster(w, 1, 2049)
    assert choice.amx_is_faster(w[:, :16], 2, 256) and not choice.amx_is_faster(w[:, :16], 2, 257)
    assert not choice.amx_is_faster(w.float(), 1, 1)
    assert choice.amx_is_faster_for_weights(x, x, 1, (3, 3))
    # Three channels fill little of a tile.
    large = torch.empty(3, 3, 32, 32).bfloat16()
    assert choice.amx_is_faster_for_weights(x, x[:, :3], 1, (3, 3))
    assert not choice.amx_is_faster_for_weights(large, large, 1, (3, 3))
    assert not choice.amx_is_faster_for_weights(x, x, 1, (1, 1))
    # Depthwise convolutions would fill a sixteenth of the tiles.
    assert not choice.amx_is_faster_for_weights(x, x, 32, (3, 3))


def test_without_amx_nothing_suits(monkeypatch):
    monkeypatch.setattr(choice, "has_amx_kernels", lambda: False)
    x, w = torch.empty(2, 32, 32, 32).bfloat16(), torch.empty(32, 32, 3, 3).bfloat16()
    assert not choice.amx_suits("cpu", x, w) and not choice.amx_is_faster(w, 1, 1)
