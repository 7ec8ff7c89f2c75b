"""The fused modulated convolution in Triton: values, and compilation ahead of time."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
import triton
from torch import Tensor

from fastgan import ops
from fastgan.ops._activations import activation
from fastgan.ops._layout import memory_format
from fastgan.ops._library import triton_interpreter
from fastgan.ops.modulated_conv2d.autotune_table import (
    DEFAULT,
    TABLE,
    Config,
    Key,
    family,
    key_of,
    lookup,
    power_of_two,
)  # fmt: skip
from fastgan.ops.modulated_conv2d.triton import fitted, modulated_conv2d_fused, shape_class, tune
from tests.ops import triton_target

INTERPRETING = triton_interpreter()
RUNS = INTERPRETING or torch.cuda.is_available()
DEVICE = "cpu" if INTERPRETING or not RUNS else "cuda"
runs_kernels = pytest.mark.skipif(not RUNS, reason="needs the interpreter or a GPU")
DTYPES = pytest.mark.parametrize(
    "of", [torch.float32, torch.float16, torch.bfloat16], ids=lambda d: str(d)[6:]
)
LAYOUTS = pytest.mark.parametrize(
    "layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels_last"]
)


class Given(NamedTuple):
    x: Tensor
    weight: Tensor
    styles: Tensor
    dcoefs: Tensor | None
    noise: Tensor | None
    b: Tensor | None


def given(
    of: torch.dtype,
    layout: torch.memory_format,
    shape: tuple[int, ...] = (2, 21, 5, 7),
    outs: int = 19,
    kernel: int = 3,
    noise: int = 2,
    dcoefs: bool = True,
    bias: bool = True,
) -> Given:
    generator = torch.Generator().manual_seed(0)

    def random(*size: int) -> Tensor:
        return torch.randn(size, generator=generator).to(DEVICE, of)

    n, channels, height, width = shape
    return Given(
        random(*shape).contiguous(memory_format=layout),
        random(outs, channels, kernel, kernel),
        random(n, channels),
        random(n, outs).abs() / 8 if dcoefs else None,
        random(noise, 1, height, width) if noise else None,
        random(outs) if bias else None,
    )


def reference(
    t: Given, act: str, alpha: float, gain: float, clamp: float | None
) -> tuple[Tensor, Tensor]:
    """Compute the formula in float64 and the rounding error of products and float32 sums."""
    x, weight, styles, dcoefs, noise, b = (None if v is None else v.double() for v in t)

    def convolved(x: Tensor, weight: Tensor) -> Tensor:
        z = F.conv2d(x, weight, padding=weight.shape[2] // 2)
        return z if dcoefs is None else z * dcoefs[:, :, None, None]

    styled = x * styles[:, :, None, None]
    v = convolved(styled, weight)
    v = v if noise is None else v + noise
    v = v if b is None else v + b[:, None, None]
    y = activation(v, act, alpha) * gain
    y = y if clamp is None else y.clamp(-clamp, clamp)
    unit = torch.finfo(t.x.dtype).eps / 2
    products = unit + weight[0].numel() * 2.0**-24
    steepest = 1.1  # largest slope of the tested activations, swish
    off = (
        abs(gain)
        * steepest
        * (products * convolved(styled.abs(), weight.abs()) + 2.0**-21 * (1 + v.abs()))
    )
    return y, off + unit * y.abs()


def check(t: Given, *options: object, config: Config | None = None) -> Tensor:
    y = modulated_conv2d_fused(*t, *options, config)
    expected, allowed = reference(t, *options)
    assert y.dtype == t.x.dtype and y.shape == expected.shape
    assert y.is_contiguous(memory_format=memory_format(t.x))
    assert ((y.double() - expected).abs() <= allowed).all(), (y.double() - expected).abs().max()
    return y


# Several tiles of pixels and of output and input channels; the last ones are partial.
SMALL = Config(32, 16, 16, 4, 3)


@runs_kernels
@DTYPES
@LAYOUTS
@pytest.mark.parametrize("kernel", [1, 3])
def test_values(of, layout, kernel):
    t = given(of, layout, kernel=kernel)
    check(t, "lrelu", 0.2, 1.4, 1.25)
    check(t, "swish", 0.0, 1.4, None, config=SMALL)


@runs_kernels
@pytest.mark.parametrize("of", [torch.float16, torch.float32], ids=["float16", "float32"])
def test_modulated_conv2d_takes_it_where_it_is_allowed(of, monkeypatch):
    taken: list[tuple[int, ...]] = []

    def spy(x: Tensor, *rest: object) -> Tensor:
        taken.append(tuple(x.shape))
        return modulated_conv2d_fused(x, *rest)

    # The function of this name hides the package.
    kernels = sys.modules["fastgan.ops.modulated_conv2d.triton"]
    monkeypatch.setattr(kernels, "modulated_conv2d_fused", spy)
    t = given(of, torch.channels_last, noise=0)
    options = {"act": "lrelu", "bias": t.b, "backend": "triton"}
    weight = t.weight[:, :, :, :2]
    ops.set_fused_modulation(True)
    try:
        fused = ops.modulated_conv2d(*t[:3], flip_weight=False, **options)
        ops.modulated_conv2d(t.x, weight, t.styles, **options)
        ops.modulated_conv2d(t.x, t.weight, t.styles, padding=0, **options)
        ops.modulated_conv2d(t.x.requires_grad_(), *t[1:3], **options)
    finally:
        ops.set_fused_modulation(False)
    assert taken == [tuple(t.x.shape)]
    apart = ops.modulated_conv2d(t.x.detach(), *t[1:3], flip_weight=False, **options)
    assert len(taken) == 1 and fused.stride() == apart.stride()
    assert torch.allclose(fused, apart, rtol=0.0, atol=1e-2 if of == torch.float16 else 1e-4)


@runs_kernels
@pytest.mark.parametrize(
    "noise,dcoefs,bias", [(0, False, False), (1, False, True), (2, True, False), (0, True, True)]
)
def test_what_is_none_is_left_out(noise, dcoefs, bias):
    t = given(torch.float32, torch.channels_last, noise=noise, dcoefs=dcoefs, bias=bias)
    check(t, "linear", 0.0, -0.5, None, config=SMALL)


@runs_kernels
@pytest.mark.parametrize(
    "shape,outs",
    [((2, 1, 1, 1), 1), ((1, 40, 4, 4), 3), ((2, 16, 3, 33), 16), ((2, 3, 9, 1), 40)],
    ids=["one-pixel", "to-colours", "wide", "one-column"],
)
def test_odd_sizes(shape, outs):
    for kernel in (1, 3):
        t = given(torch.float32, torch.channels_last, shape, outs, kernel, noise=1)
        check(t, "lrelu", 0.2, 1.0, None)


@runs_kernels
def test_any_strides_give_the_same_bits():
    t = given(torch.float16, torch.channels_last)
    y = check(t, "linear", 0.0, 1.0, None)
    weight = t.weight.contiguous(memory_format=torch.channels_last)
    styles = t.styles.t().contiguous().t()
    again = modulated_conv2d_fused(
        *t._replace(weight=weight, styles=styles), "linear", 0.0, 1.0, None
    )
    assert torch.equal(y, again)
    apart = t.x.repeat_interleave(2, 3)[..., ::2]
    assert not apart.is_contiguous() and not apart.is_contiguous(memory_format=torch.channels_last)
    check(t._replace(x=apart), "linear", 0.0, 1.0, None)


@runs_kernels
def test_empty():
    t = given(torch.float32, torch.channels_last, (0, 4, 3, 3), noise=0)
    assert modulated_conv2d_fused(*t, "linear", 0.0, 1.0, None).shape == (0, 19, 3, 3)


def test_errors():
    t = given(torch.float32, torch.contiguous_format)
    options = ("linear", 0.0, 1.0, None)
    with pytest.raises(ValueError, match=r"kernel of 1×1 or 3×3 .*, got shape \[19, 21, 5, 5\]"):
        modulated_conv2d_fused(*t._replace(weight=torch.ones(19, 21, 5, 5)), *options)
    with pytest.raises(ValueError, match=r"weight must have 21 input channels.*\[19, 20, 3, 3\]"):
        modulated_conv2d_fused(*t._replace(weight=t.weight[:, :20]), *options)
    with pytest.raises(
        TypeError, match=r"x must be float16, bfloat16 or float32 .*, got torch\.float64"
    ):
        modulated_conv2d_fused(*t._replace(x=t.x.double()), *options)
    with pytest.raises(ValueError, match=r"\[1, 1, 46341, 46341\].*too large"):
        x = torch.empty(1, 1, 46341, 46341, device="meta")
        modulated_conv2d_fused(
            x, torch.empty(1, 1, 1, 1, device="meta"), x[0, :, :1, 0], None, None, None, *options
        )


# -------------------------------------------------------------------------------------------- the
# table of tile sizes


def test_the_table_is_asked_for_the_nearest_shape():
    large, small = Config(128, 256, 64, 8, 4), Config(16, 64, 64, 4, 4)
    table = {Key(90, 3, 512, 512, 32768, 2): large, Key(90, 3, 512, 512, 128, 2): small}
    assert lookup(key_of(90, 3, 500, 300, 40000, 2), table) == large
    assert lookup(key_of(90, 3, 512, 512, 100, 2), table) == small
    for other in (
        key_of(80, 3, 512, 512, 128, 2),
        key_of(90, 1, 512, 512, 128, 2),
        key_of(90, 3, 512, 512, 128, 4),
    ):
        assert lookup(other, table) == DEFAULT
    assert lookup(key_of(90, 3, 256, 256, 8192, 2)) == TABLE[Key(90, 3, 256, 256, 8192, 2)]
    assert [family(c) for c in (0, 75, 80, 86, 87, 89, 90, 100, 103, 120)] == [
        0,
        0,
        80,
        86,
        80,
        86,
        90,
        100,
        100,
        86,
    ]
    assert [power_of_two(n) for n in (0, 1, 2, 3, 64, 65)] == [1, 1, 2, 4, 64, 128]


def test_tiles_are_no_larger_than_the_shape():
    x, weight = torch.empty(2, 20, 3, 3, dtype=torch.float16), torch.empty(3, 20, 1, 1)
    assert fitted(Config(128, 128, 64, 8, 4), x, weight) == Config(16, 16, 32, 4, 4)


def test_tuning_returns_the_fastest_as_an_entry(monkeypatch, capsys):
    """Use fictitious times; the configuration that doesn't fit on the GPU is skipped."""
    too_large, slow, fast = (Config(16, 16, 16, 4, stages) for stages in (1, 2, 3))
    asked = []

    def do_bench_cudagraph(call, return_mode):
        config = call.args[-1]
        asked.append(config)
        if config == too_large:
            raise triton.runtime.errors.OutOfResources(1, 0, "shared memory")
        return {slow: 2.0, fast: 1.0}[config]

    monkeypatch.setattr(triton.testing, "do_bench_cudagraph", do_bench_cudagraph)
    t = given(torch.float16, torch.channels_last)
    found = tune(
        *t,
        "linear",
        0.0,
        1.0,
        None,
        (too_large, fast, slow, Config(64, 16, 16, 4, 3)._replace(block_m=16)),
    )
    assert found == {shape_class(t.x, t.weight): fast}
    assert asked == [too_large, fast, slow]  # each once
    assert capsys.readouterr().out.splitlines()[-1].startswith("Key(")
    with pytest.raises(RuntimeError, match="candidates must have one that fits"):
        tune(*t, "linear", 0.0, 1.0, None, (too_large,))


# -------------------------------------------------------------------------------------------------
# ahead of time


@pytest.fixture
def float32_products():
    """Set the precision of float32 products: ``torch.backends.cuda.matmul.fp32_precision``."""
    before = torch.backends.cuda.matmul.fp32_precision
    yield lambda precision: setattr(torch.backends.cuda.matmul, "fp32_precision", precision)
    torch.backends.cuda.matmul.fp32_precision = before


@pytest.mark.backends
@pytest.mark.parametrize(
    "capability,of,shape,tf32,instruction",
    [
        (80, torch.float16, (8, 256, 32, 32), True, r"mma\.sync\.aligned\.m16n8k16\S*f16"),
        (90, torch.float16, (8, 256, 32, 32), True, r"wgmma\.mma_async\S*m64n128k16\S*f16"),
        (100, torch.bfloat16, (8, 256, 32, 32), True, r"tcgen05\.mma\S*kind::f16"),
        (90, torch.float16, (8, 512, 64, 64), True, r"wgmma\.mma_async\S*m64n256k16\S*f16"),
        (90, torch.float32, (8, 256, 32, 32), True, r"wgmma\.mma_async\S*tf32"),
        (80, torch.float32, (8, 256, 32, 32), False, None),
    ],
    ids=["80-half", "90-half", "100-bfloat16", "90-half-large", "90-tf32", "80-float32"],
)
def test_compiles_ahead_of_time(
    capability, of, shape, tf32, instruction, tmp_path, float32_products
):
    """The table's sizes use tensor cores, have no spills, and move 16 bytes to shared memory."""
    float32_products("tf32" if tf32 else "ieee")
    n, channels, height, width = shape
    x = torch.empty(shape, dtype=of, memory_format=torch.channels_last)
    weight = torch.empty(channels, channels, 3, 3, dtype=of)
    config = lookup(key_of(capability, 3, channels, channels, n * height * width, of.itemsize))
    per_channel, noise = (
        torch.empty(n, channels, dtype=of),
        torch.empty(n, 1, height, width, dtype=of),
    )
    with triton_target.launches(capability) as launched:
        modulated_conv2d_fused(
            x, weight, per_channel, per_channel, noise, per_channel[0], "lrelu", 0.2, 1.4, 256.0,
            fitted(config, x, weight),
        )  # fmt: skip
    (compiled,) = launched
    used = triton_target.resources(compiled, tmp_path)
    assert used.stack == 0
    assert used.shared <= triton_target.SHARED_LIMIT[capability]
    ptx = compiled.asm["ptx"]
    if instruction is None:
        assert "mma" not in ptx and "fma.rn.f32" in ptx
    else:
        assert re.search(instruction, ptx)
    assert re.search(r"cp\.async\.cg\.shared\.global[^;]*, 0x10, ", ptx)
    assert triton_target.widths(compiled)[1] == 16
