"""Triton kernels compiled ahead of time, without a GPU."""

from __future__ import annotations

import re

import pytest
import torch
import triton

pytestmark = pytest.mark.backends


def on_targets(cases: list, *elsewhere: str) -> list:
    """Return each case for sm_90 in two widths of element.

    Cases of `elsewhere` also have float16 and float64, and sm_80 and sm_100. All have the same
    source, and float16 differs from bfloat16 in conversions alone.
    """
    found = []
    for case in cases:
        targets = [(torch.float32, 90), (torch.bfloat16, 90)]
        if case.id in elsewhere:
            targets += [(torch.float16, 90), (torch.float64, 90)]
            targets += [(torch.float32, 80), (torch.bfloat16, 100)]
        found += [
            pytest.param(*case.values, *t, id=f"{case.id}-{str(t[0])[6:]}-{t[1]}") for t in targets
        ]
    return found


CASES = [
    # pass, activation, input, by_row, bias gradient needed
    pytest.param(0, "lrelu", "x", True, False, id="forward-rows"),
    pytest.param(0, "swish", "x", False, False, id="forward-swish-columns"),
    pytest.param(1, "lrelu", "y", True, True, id="backward-rows"),
    pytest.param(1, "lrelu", "y", False, True, id="backward-columns"),
    pytest.param(1, "softplus", "x", True, True, id="backward-softplus-rows"),
    pytest.param(2, "lrelu", "y", True, False, id="double-backward-rows"),
    pytest.param(2, "swish", "x", True, True, id="double-backward-swish-rows"),
    pytest.param(2, "selu", "x", False, True, id="double-backward-selu-columns"),
]


@pytest.mark.parametrize(
    "order,act,reads,by_row,need_db,dtype,capability",
    on_targets(CASES, "backward-columns", "double-backward-swish-rows"),
)
def test_bias_act_compiles_ahead_of_time(
    capability, dtype, order, act, reads, by_row, need_db, tmp_path
):
    from fastgan.ops._triton import ACCUMULATE
    from fastgan.ops.bias_act.triton import bias_act_kernel, blocks
    from tests.ops import triton_target

    def tensor(wanted: bool, dtype: torch.dtype = dtype) -> object:
        return triton.runtime.jit.MockTensor(dtype) if wanted else None

    curved = order == 2 and reads == "x"
    sums = torch.float64 if dtype == torch.float64 else torch.float32
    columns = 4096 if by_row else 128
    block_rows, block_columns = blocks(2048, columns, by_row, dtype)
    with triton_target.target(capability):
        compiled = bias_act_kernel.warmup(
            *(tensor(wanted) for wanted in (reads == "x", reads == "x", reads == "y")),
            *(tensor(wanted) for wanted in (order == 1 or curved, order == 2, order == 2)),
            *(tensor(True), tensor(curved), tensor(need_db, sums)),
            *(2048, columns, 128, 4096 if by_row else 1, 4, 0.2, 1.4, 256.0),
            **{"PASS": order, "ACT": act, "BY_ROW": by_row, "ACC": ACCUMULATE[dtype]},
            **{"BLOCK_ROWS": block_rows, "BLOCK_COLUMNS": block_columns},
            grid=(1,),
        )
    triton_target.check(compiled, capability, tmp_path)
    assert min(triton_target.widths(compiled)) >= 8


SCALE_BIAS_ACT = [
    # order, activation, layout, dtype, compute capability: each pass, sum and width of element
    pytest.param(0, "lrelu", torch.channels_last, torch.float32, 90, id="forward-channels_last"),
    pytest.param(1, "lrelu", torch.contiguous_format, torch.float16, 80, id="backward-rows-80"),
    pytest.param(
        1, "softplus", torch.channels_last, torch.bfloat16, 100, id="backward-channels_last-100"
    ),
    pytest.param(
        2, "swish", torch.channels_last, torch.float16, 90, id="double-backward-channels_last"
    ),
    pytest.param(2, "swish", torch.contiguous_format, torch.float32, 90, id="double-backward-rows"),
    pytest.param(
        2, "swish", torch.contiguous_format, torch.float64, 90, id="double-backward-float64"
    ),
]


def scale_bias_act(order: int, act: str, layout: torch.memory_format, dtype: torch.dtype) -> None:
    """Launch one pass with all inputs and outputs."""
    from fastgan.ops.scale_bias_act import triton as kernels

    x = torch.empty(8, 256, 32, 32, dtype=dtype, memory_format=layout)
    rest = [torch.empty(size, dtype=dtype) for size in ((8, 256), (8, 1, 32, 32), (256,))]
    options = (act, 0.2, 1.4, 256.0)
    if order == 0:
        kernels.scale_bias_act(x, *rest, *options)
    elif order == 1:
        kernels.scale_bias_act_backward(x, x, *rest, *options, True, True, True)
    else:
        kernels.scale_bias_act_double_backward(
            x, *rest, x, x, *rest, *options, True, True, True, True
        )


@pytest.mark.parametrize("order,act,layout,dtype,capability", SCALE_BIAS_ACT)
def test_scale_bias_act_compiles_ahead_of_time(order, act, layout, dtype, capability, tmp_path):
    from tests.ops import triton_target

    with triton_target.launches(capability) as launched:
        scale_bias_act(order, act, layout, dtype)
    (compiled,) = launched
    triton_target.check(compiled, capability, tmp_path)
    assert triton_target.widths(compiled) == (16, 16)


def test_scale_bias_act_on_images_of_one_pixel_compiles():
    """Triton compiles sizes of 1 as constants."""
    from fastgan.ops.scale_bias_act import triton as kernels
    from tests.ops import triton_target

    x, one = torch.empty(1, 1, 1, 1), torch.empty(1)
    rest = (one[None], x, one)
    with triton_target.launches(90) as launched:
        kernels.scale_bias_act_double_backward(
            x, *rest, x, x, *rest, "swish", 0.0, 1.0, None, True, True, True, True
        )
    assert [kernel.name for kernel in launched] == ["scale_bias_act_kernel"]


# use, shape of the filter, layout, least bytes of the widest load and store
UPFIRDN2D = [
    pytest.param("up2", (4,), torch.contiguous_format, (8, 16), id="up2-4"),
    pytest.param("filter", (4,), torch.contiguous_format, (16, 16), id="filter-4"),
    pytest.param("down2", (4,), torch.contiguous_format, (16, 8), id="down2-4"),
    pytest.param("up2", (4,), torch.channels_last, (16, 16), id="up2-4-channels_last"),
    pytest.param("filter", (4,), torch.channels_last, (16, 16), id="filter-4-channels_last"),
    pytest.param("down2", (4,), torch.channels_last, (8, 8), id="down2-4-channels_last"),
]
LONG = [
    pytest.param("up2", (12,), torch.contiguous_format, (8, 8), id="up2-12"),
    pytest.param("filter", (12,), torch.contiguous_format, (8, 8), id="filter-12"),
    pytest.param("filter", (12,), torch.channels_last, (4, 4), id="filter-12-channels_last"),
    pytest.param("down2", (8,), torch.channels_last, (4, 4), id="down2-8-channels_last"),
    pytest.param("filter", (4, 4), torch.contiguous_format, (8, 8), id="filter-4x4"),
    pytest.param("down2", (4, 4), torch.channels_last, (4, 4), id="down2-4x4-channels_last"),
    pytest.param("filter", (31,), torch.contiguous_format, (2, 2), id="filter-31"),
    pytest.param("down2", (31,), torch.channels_last, (8, 8), id="down2-31-channels_last"),
    pytest.param("down2", (13, 13), torch.channels_last, (8, 8), id="down2-13x13-channels_last"),
]


def upfirdn2d(x: torch.Tensor, use: str, taps: tuple[int, ...]) -> None:
    from fastgan.ops.upfirdn2d import triton as kernels
    from tests.specs.upfirdn2d import USES

    options = USES[use](taps[0])
    up, down, padding = options.get("up", 1), options.get("down", 1), options["padding"]
    size = [
        (x.shape[3 - i] * up + sum(padding[2 * i : 2 * i + 2]) - taps[0]) // down + 1
        for i in (0, 1)
    ]
    factors, before = ([up, up], [down, down]), [padding[0], padding[2]]
    gain = options.get("gain", 1.0)
    kernels.upfirdn2d(x, torch.ones(taps), *factors, before, size, False, gain)


def check_upfirdn2d(dtype, capability, use, taps, layout, wide, folder) -> None:
    from tests.ops import triton_target

    x = torch.empty(2, 128, 64, 64, dtype=dtype, memory_format=layout)
    with triton_target.launches(capability) as launched:
        upfirdn2d(x, use, taps)
    assert launched
    for compiled in launched:
        triton_target.check(compiled, capability, folder)
        assert all(found >= least for found, least in zip(triton_target.widths(compiled), wide))


@pytest.mark.parametrize(
    "use,taps,layout,wide,dtype,capability", on_targets(UPFIRDN2D, "up2-4", "down2-4-channels_last")
)
def test_upfirdn2d_compiles_ahead_of_time(dtype, capability, use, taps, layout, wide, tmp_path):
    """The lanes of a load are columns without a conversion: nothing goes through shared memory."""
    check_upfirdn2d(dtype, capability, use, taps, layout, wide, tmp_path)


@pytest.mark.parametrize("use,taps,layout,wide", LONG)
def test_long_filters_compile_ahead_of_time(use, taps, layout, wide, tmp_path):
    """float64 needs the most registers; a narrower type has another number of lanes."""
    other = torch.float16 if len(taps) == 2 or taps[0] == 31 else torch.float32
    for dtype in (torch.float64, other):
        check_upfirdn2d(dtype, 90, use, taps, layout, wide, tmp_path)


def test_upfirdn2d_on_images_of_one_pixel_compiles():
    """Triton compiles sizes of 1 as constants."""
    from tests.ops import triton_target

    with triton_target.launches(90) as launched:
        for taps in ((4,), (4, 4), (80,), (13, 13)):
            upfirdn2d(torch.empty(1, 1, 1, 1), "up2", taps)
    assert {kernel.name for kernel in launched} == {"strip_kernel", "direct_kernel"}


def filtered_lrelu(x: torch.Tensor, fu, fd, up: int, down: int, *, linear: bool) -> None:
    """Launch the op with codes, or its linear op."""
    from fastgan.ops.filtered_lrelu import triton as kernels

    given, size = (fu, fd, up, down, (11, 11)), (64, 64)
    if linear:
        codes = torch.empty(*x.shape[:2], 36, 140, dtype=torch.uint8)
        kernels.filtered_lrelu_linear(x, codes, *given, size, (0, 0), 1.4, 0.2, True)
    else:
        b = torch.empty(x.shape[1], dtype=x.dtype)
        kernels.filtered_lrelu(x, b, *given, size, 1.4, 0.2, 256.0, False, True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_codes_of_filtered_lrelu_compile_ahead_of_time(dtype, tmp_path):
    """The kernel between two runs of upfirdn2d, which writes codes and reads them."""
    from tests.ops import triton_target

    x = torch.empty(2, 8, 64, 64, dtype=dtype)
    with triton_target.launches(90) as launched:
        for linear in (False, True):
            filtered_lrelu(x, torch.empty(12, 12), torch.empty(12), 2, 2, linear=linear)
    found = [kernel for kernel in launched if kernel.name == "codes_kernel"]
    assert len(found) == 2
    for i, compiled in enumerate(found):
        (folder := tmp_path / str(i)).mkdir()
        triton_target.check(compiled, 90, folder)


FUSED = [
    # up, its taps, down, its taps, the linear op, layout, dtype, compute capability
    pytest.param(2, 12, 2, 12, False, torch.contiguous_format, torch.float32, 90, id="up2-down2"),
    pytest.param(4, 24, 2, 12, False, torch.channels_last, torch.bfloat16, 100, id="up4-down2"),
    pytest.param(2, 12, 4, 24, True, torch.contiguous_format, torch.float16, 80, id="up2-down4"),
    pytest.param(2, 12, 1, 0, True, torch.channels_last, torch.float32, 90, id="up2"),
]


@pytest.mark.parametrize("up,taps_up,down,taps_down,linear,layout,dtype,capability", FUSED)
def test_fused_filtered_lrelu_compiles_ahead_of_time(
    up, taps_up, down, taps_down, linear, layout, dtype, capability, tmp_path
):
    """One kernel does it all without spills; it has registers for eight warps."""
    from tests.ops import triton_target

    x = torch.empty(2, 128, 64, 64, dtype=dtype, memory_format=layout)
    fu, fd = (torch.empty(n) if n else None for n in (taps_up, taps_down))
    with triton_target.launches(capability) as launched:
        filtered_lrelu(x, fu, fd, up, down, linear=linear)
    (compiled,) = launched
    assert compiled.name == "strip_kernel"
    triton_target.check(compiled, capability, tmp_path, registers=255)


def test_compiles_for_amd():
    """Compile for gfx942, as far as Triton's AMD back end works without ROCm."""
    from fastgan.ops.bias_act.triton import bias_act
    from tests.ops import triton_target

    with triton_target.launches(triton_target.GFX942) as launched:
        bias_act(torch.empty(2, 128, 64, 64), torch.empty(128), 1, "lrelu", 0.2, 1.0, None)
        scale_bias_act(2, "swish", torch.channels_last, torch.bfloat16)
        for taps in ((4,), (13, 13)):
            upfirdn2d(torch.empty(2, 128, 64, 64), "up2", taps)
    names = [compiled.name for compiled in launched]
    assert names == ["bias_act_kernel", "scale_bias_act_kernel", "strip_kernel", "direct_kernel"]
    assert all(re.search(r"(global|buffer)_store", compiled.asm["amdgcn"]) for compiled in launched)
