"""The :class:`OpSpec` of filtered_lrelu."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan import ops
from fastgan.ops.filtered_lrelu import reference
from fastgan.ops.upfirdn2d.arguments import filtered_size, four_sides
from tests.specs.build import (
    ROUNDED_ONCE,
    leaves,
    normal,
    on,
    refusals,
    sample,
    tensors_of,
    values,
    zeros,
)
from tests.specs.layouts import Layout, channels_last, every_other, expanded, transposed, unaligned
from tests.specs.spec import BenchmarkCase, OpSpec, RegisteredCall, Sample, Saved


def filtered_lrelu(
    x: Tensor, b: Tensor | None, *, fu: Tensor | None, fd: Tensor | None, **options: Any
) -> Tensor:
    """Call the op with its filters among the options, since they have no gradient.

    They are moved to the device of ``x``.
    """
    fu, fd = (None if f is None else f.to(x.device) for f in (fu, fd))
    return ops.filtered_lrelu(x, fu, fd, b, **options)


def taps(*shape: int) -> Tensor:
    """Return a filter without symmetry, of positive sum, which shows if it is reversed."""
    generator = torch.Generator().manual_seed(sum(shape))
    f = torch.rand(shape, generator=generator) + 0.5 * torch.randn(shape, generator=generator)
    return f / f.sum().abs().clamp(min=0.5)


def _arguments(
    shape: Sequence[int], fu: Tensor | None, fd: Tensor | None, options: dict[str, Any]
) -> tuple[Any, ...]:
    """Return the arguments of the registered op behind its tensors, but for ``need_codes``."""
    up, down = options.get("up", 1), options.get("down", 1)
    both = reference.axis_taps(fu), reference.axis_taps(fd)
    sides = four_sides(options.get("padding", 0))
    pad, size = filtered_size((shape[3], shape[2]), *both, up, down, sides)
    gain = options.get("gain", math.sqrt(2)) * up * up
    slope, clamp = options.get("slope", 0.2), options.get("clamp")
    return up, down, list(pad), list(size), gain, slope, clamp, options.get("flip_filter", False)


def _values(
    shape: Sequence[int],
    seed: int,
    fu: Tensor | None,
    fd: Tensor | None,
    *,
    bias: bool = True,
    margin: float = 1e-4,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    """Draw x and b such that no upsampled pixel is near 0 or the clamp, where the slope jumps.

    Pixels that no part of the image reaches are 0 and stay.
    """
    x, b = values(shape, seed), values(shape[1:2], seed + 1) if bias else None
    arguments = _arguments(shape, fu, fd, options)
    up, down, pad, size, gain, slope, clamp, flip = arguments
    positive = [None if f is None else f.abs() for f in (fu, fd)]
    reached = reference.upsampled(
        torch.ones_like(x), None, *positive, up, down, pad, size, gain, flip
    )
    for _ in range(50 if x.numel() else 0):
        u = reference.upsampled(x, b, fu, fd, up, down, pad, size, gain, flip)
        doubtful = (u.abs() < margin) & (reached != 0)
        if clamp:
            v = reference.activation(u, slope, None).abs()
            doubtful |= (v - clamp).abs() < margin
        if not doubtful.any():
            break
        n, c, row, column = doubtful.nonzero(as_tuple=True)
        nearest = [
            ((at + t // 2 - p) // up).clamp(0, length - 1)
            for at, t, p, length in zip(
                (column, row), reference.axis_taps(fu), pad, (shape[3], shape[2])
            )
        ]
        x[n, c, nearest[1], nearest[0]] += 0.1875
        x = x.bfloat16().double()
    return x, b


def _sample(
    id: str,
    shape: Sequence[int],
    fu: Tensor | None,
    fd: Tensor | None,
    layout: Layout | None = None,
    *,
    bias: bool = True,
    large: bool = False,
    small: bool = False,
    **options: Any,
) -> Sample:
    def draw() -> tuple[Tensor, Tensor | None]:
        # The samples of an expanded batch are its first one's.
        drawn = (1, *shape[1:]) if layout is expanded else shape
        margin = 1e-5 if large else 1e-4
        x, b = _values(drawn, len(id), fu, fd, bias=bias, margin=margin, **options)
        return x.expand(shape), b

    settings = {"large": large, "small": small, "fu": fu, "fd": fd, **options}
    return sample(*(id, draw, layout), **settings)


F12, F24 = ops.design_lowpass(12, cutoff=2, width=12, fs=32), taps(24)
RADIAL = ops.design_lowpass(12, cutoff=2, width=12, fs=32, radial=True)
#: Factors of StyleGAN3's layers, and their filters and padding.
UP2_DOWN2: dict[str, Any] = {"up": 2, "down": 2, "padding": (11, 10, 11, 10)}
UP4_DOWN2: dict[str, Any] = {"up": 4, "down": 2, "padding": (17, 16, 15, 18)}


def _samples_of_layers() -> list[Sample]:
    found = []
    # With this batch and these channels, torch's convolution compiles once for all batches.
    for name, layout in (("", None), ("-channels_last", channels_last)):
        small = layout is None
        found += [
            _sample(f"up2-down2{name}", (3, 3, 9, 8), F12, taps(12), layout, small=small,
                    clamp=1.0, **UP2_DOWN2),
            _sample(f"up4-down2{name}", (2, 3, 6, 7), F24, taps(12), layout, **UP4_DOWN2),
            _sample(f"up2-down4{name}", (1, 2, 12, 10), taps(12), F24, layout,
                    up=2, down=4, padding=(20, 21, 22, 19)),
            _sample(f"radial{name}", (1, 5, 12, 11), F12, RADIAL, layout, clamp=256.0, **UP2_DOWN2),
            _sample(f"up2{name}", (2, 3, 7, 8), taps(12), None, layout, up=2, padding=5),
            _sample(f"down2{name}", (2, 3, 9, 8), None, taps(12), layout, down=2, padding=8),
            _sample(f"up2-filter{name}", (2, 2, 7, 8), taps(12), taps(6), layout, up=2, padding=9),
            _sample(f"wide{name}", (1, 2, 3, 150), F12, taps(12), layout, **UP2_DOWN2),
            _sample(f"tall{name}", (1, 3, 70, 3), F12, taps(12), layout, **UP2_DOWN2),
        ]  # fmt: skip
    return found


_OTHERS = [
    _sample("none", (3, 3, 5, 6), None, None, small=True),
    _sample("none-channels_last", (2, 4, 5, 6), None, None, channels_last, clamp=1.0),
    _sample("slope-1", (1, 3, 6, 6), None, None, gain=1.0, slope=1.0, clamp=0.875),
    _sample("slope-0", (2, 3, 6, 5), taps(4), taps(4), up=2, down=2, padding=4, slope=0.0),
    _sample("slope-3", (2, 3, 6, 5), taps(4), taps(4), up=2, padding=4, slope=3.0, clamp=2.0),
    _sample("no-bias", (3, 3, 6, 7), taps(4), taps(6), bias=False, up=2, down=2, padding=(3, 4)),
    _sample("clamp", (3, 3, 7, 6), taps(4), taps(6), up=2, down=2, padding=(3, 1, 2, 4), gain=1.5,
            slope=0.1, clamp=0.75, small=True),
    _sample("clamp-0", (2, 3, 4, 5), taps(4), taps(3), up=2, padding=3, clamp=0.0),
    _sample("crop", (2, 2, 10, 11), taps(8), taps(4), up=2, padding=(-2, 3, 1, -3)),
    _sample("crop-down", (2, 4, 13, 14), taps(3), taps(4), channels_last, down=2,
            padding=(-1, -3, 2, -2)),
    _sample("crop-layer", (1, 3, 24, 26), F12, taps(12), clamp=1.0,
            **{**UP2_DOWN2, "padding": (-11, -12, -11, -12)}),
    _sample("crop-all", (2, 3, 4, 5), taps(3), taps(2), padding=(-8, 20, 1, 1)),
    _sample("padding-larger", (2, 2, 3, 3), taps(4), taps(3), up=2, padding=(20, 17, 3, 31)),
    _sample("fd-2d", (3, 2, 8, 8), taps(6), taps(5, 3), up=2, down=2, padding=(4, 3, 2, 5)),
    _sample("fd-2d-flip", (2, 2, 8, 8), taps(6), taps(5, 3), up=2, down=2, padding=(4, 3, 2, 5),
            flip_filter=True),
    _sample("fd-2d-alone", (1, 3, 9, 9), None, taps(4, 4), down=2, padding=1, clamp=0.5),
    _sample("fu-2d", (3, 3, 5, 6), taps(6, 6), taps(4), up=3, down=2, padding=(3, 4, 5, 2),
            slope=0.3, small=True),
    _sample("both-2d", (2, 3, 5, 6), taps(3, 4), taps(4, 2), channels_last, up=2, down=3,
            padding=6),
    _sample("outer-product", (2, 3, 5, 6), taps(4)[:, None] * taps(5), taps(4), up=2, padding=5),
    _sample("up3-down2", (2, 3, 7, 8), taps(7), taps(5), up=3, down=2, padding=5),
    _sample("up2-down3", (2, 3, 9, 8), taps(6), taps(9), channels_last, up=2, down=3, padding=9),
    _sample("up5-3", (1, 2, 4, 5), taps(3), taps(2), up=5, down=4, padding=2),
    _sample("up7-down1", (1, 2, 4, 5), taps(15), taps(4), up=7, padding=9),
    _sample("far-down", (1, 2, 30, 31), taps(3), taps(4), down=9, padding=1),
    _sample("many-taps", (1, 2, 30, 25), taps(31), taps(37), up=2, down=3, padding=30),
    # No tile in shared memory holds these.
    _sample("long", (1, 2, 5, 6), taps(66), taps(64), padding=66),
    _sample("long-down", (1, 2, 5, 6), taps(3, 4), taps(170), channels_last, up=2, padding=85,
            clamp=1.0),
    _sample("long-up", (1, 2, 5, 6), taps(170), taps(4, 3), padding=(90, 85)),
    _sample("one-tap", (2, 3, 6, 7), taps(1), taps(1), up=2, down=2),
    _sample("one-output", (2, 3, 6, 7), taps(4, 3), taps(3, 5)),
    _sample("one-pixel", (3, 2, 1, 1), F12, taps(12), **UP2_DOWN2),
    _sample("flip", (2, 3, 6, 7), taps(4), taps(6), flip_filter=True, up=2, down=2, padding=4),
    _sample("wide-channels_last", (1, 70, 5, 6), taps(4), taps(4), channels_last, up=2, down=2,
            padding=3),
    _sample("transposed", (3, 2, 8, 9), taps(4), taps(4), transposed, up=2, down=2, padding=3),
    _sample("every-other", (2, 3, 8, 6), taps(4), taps(4), every_other, up=2, padding=(4, 3)),
    _sample("expanded", (3, 4, 8, 9), taps(4), taps(4), expanded, up=2, down=2, padding=3),
    _sample("unaligned", (1, 2, 16, 32), taps(4), taps(4), unaligned, up=2, down=2, padding=3),
    _sample("empty-batch", (0, 3, 4, 4), taps(4), taps(4), up=2, padding=4),
    _sample("no-channels", (2, 0, 4, 4), taps(4), taps(4), up=2, padding=4),
    _sample("no-rows", (2, 3, 0, 4), taps(4), taps(4), up=2, padding=4),
    _sample("large-up2-down2", (2, 33, 60, 66), F12, F12, large=True, clamp=1.0,
            **UP2_DOWN2),
    _sample("large-up4-down2-channels_last", (2, 16, 40, 36), F24, F12, channels_last, large=True,
            **UP4_DOWN2),
    _sample("large-radial", (1, 9, 52, 50), F12, RADIAL, large=True, **UP2_DOWN2),
]  # fmt: skip


def random_sample(seed: int) -> Sample:
    """Draw random arguments from everything that the op takes.

    The op refuses some of them, whose output would be empty.
    """
    draw = random.Random(seed)

    def filter() -> Tensor | None:
        kind = draw.random()
        if kind < 0.6:
            return taps(draw.choice([4, 6, 8, 12, 12, 24, draw.randint(1, 26)]))
        return taps(draw.randint(1, 7), draw.randint(1, 7)) if kind < 0.9 else None

    shape = (
        draw.randint(1, 2),
        draw.choice([1, 2, 3, 5, 8, 17]),
        draw.randint(1, 14),
        draw.randint(1, 30),
    )
    factors = draw.choice([(2, 2), (2, 2), (4, 2), (2, 4), (1, 2), (2, 1), (1, 1), None])
    up, down = factors or (draw.randint(1, 6), draw.randint(1, 6))
    options = {
        "up": up,
        "down": down,
        "padding": tuple(draw.randint(-4, 24) for _ in range(4)),
        "flip_filter": draw.random() < 0.5,
        "gain": draw.uniform(0.5, 2),
        "slope": draw.choice([0.2, 0.2, 0.0, 1.0, 1.5]),
        "clamp": draw.choice([None, None, 0.5, 256.0]),
    }
    layout = draw.choice(
        [None, None, channels_last, channels_last, transposed, every_other, unaligned, expanded]
    )
    bias = draw.random() < 0.7
    return _sample(f"seed-{seed}", shape, filter(), filter(), layout, bias=bias, **options)


def _call(
    id: str,
    op: str,
    shape: Sequence[int],
    fu: Tensor | None,
    fd: Tensor | None,
    layout: Layout | None = None,
    *,
    need_codes: bool = True,
    **options: Any,
) -> RegisteredCall:
    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        filters = [None if f is None else f.to(device) for f in (fu, fd)]
        x, b = on(dtype, device, *_values(shape, 5, fu, fd, **options))
        assert x is not None and b is not None
        x = x if layout is None else layout(x)
        up, down, pad, size, gain, slope, clamp, flip = _arguments(shape, fu, fd, options)
        settings = up, down, pad, size, gain, slope, clamp, flip
        if op == "filtered_lrelu":
            given = leaves(x, b) if need_codes else (x, b)
            return *given, *filters, *settings, need_codes
        codes = reference.filtered_lrelu(x, b, *filters, *settings, True)[1]
        return *leaves(x), codes, *filters, up, down, pad, size, [0, 0], gain, slope, flip

    return RegisteredCall(id, op, args)


_REGISTERED = [
    _call("up2-down2", "filtered_lrelu", (2, 3, 5, 6), F12, taps(12), clamp=0.75, **UP2_DOWN2),
    _call(
        *("no-codes", "filtered_lrelu", (2, 3, 5, 6), taps(4), taps(3, 4)),
        **{"need_codes": False, "up": 2, "padding": 4},
    ),
    _call(
        *("channels_last", "filtered_lrelu", (2, 4, 5, 6), taps(4), taps(4), channels_last),
        **{"up": 2, "down": 2, "padding": 4},
    ),
    _call("linear", "filtered_lrelu_linear", (2, 3, 5, 6), F12, taps(12), **UP2_DOWN2),
    _call(
        *("linear-channels_last", "filtered_lrelu_linear", (2, 4, 5, 6), taps(4), None),
        **{"layout": channels_last, "up": 3, "padding": 4, "flip_filter": True},
    ),
]


_x = zeros(2, 3, 8, 8)


def _f(*shape: int, **options: Any) -> Tensor:
    return torch.ones(shape or (4,), **options)


_refused = refusals(ops.filtered_lrelu, x=_x(), fu=_f(), fd=_f(3))
_refused_design = refusals(ops.design_lowpass, numtaps=12, cutoff=2.0, width=12.0, fs=32.0)
_ERRORS = [
    _refused("x-list", TypeError, "x", "list", x=[1.0]),
    _refused("x-rank", ValueError, "x", "[N, C, H, W]", "[3, 8, 8]", x=_x(3, 8, 8)),
    _refused("fu-list", TypeError, "fu", "list", "setup_filter", fu=[1.0]),
    _refused("fd-dtype", TypeError, "fd", "float32", "float64", fd=_f().double()),
    _refused("fd-rank", ValueError, "fd", "[taps_y, taps_x]", "[1, 2, 2]", fd=_f(1, 2, 2)),
    _refused("fu-device", ValueError, "fu", "cpu", "meta", fu=_f(device="meta")),
    _refused("fd-gradient", ValueError, "fd", "gradient", "detach", fd=_f(requires_grad=True)),
    _refused("b-length", ValueError, "b", "[3]", "[4]", b=_x(4)),
    _refused("b-dtype", TypeError, "b", "float32", "float64", b=_x(3).double()),
    _refused("up-zero", ValueError, "up", "at least 1", "0", up=0),
    _refused("down-float", ValueError, "down", "whole", "2.0", down=2.0),
    _refused("padding-three", ValueError, "padding", "y1", padding=(1, 2, 3)),
    _refused("gain-zero", ValueError, "gain", "above 0", "0.0", gain=0),
    _refused("slope-negative", ValueError, "slope", "at least 0", "-0.2", slope=-0.2),
    _refused("clamp-text", TypeError, "clamp", "number", "str", clamp="x"),
    _refused("clamp-negative", ValueError, "clamp", "at least 0", "-1", clamp=-1),
    _refused("too-small", ValueError, "6 by 6", "5 by 8", "padding", x=_x(1, 1, 5, 8)),
    _refused("backend", ValueError, "backend", "'tpu'", "cuda", backend="tpu"),
    _refused(
        *("backend-device", ops.BackendUnavailable, "cpu", "meta"),
        **{"x": _x(device="meta"), "fu": None, "fd": None, "backend": "cpu"},
    ),
    _refused_design("numtaps", ValueError, "numtaps", "at least 1", "0", numtaps=0),
    _refused_design("cutoff", ValueError, "cutoff", "16", "20", cutoff=20.0),
    _refused_design("width", ValueError, "width", "above 0", "0", width=0.0),
    _refused_design("fs", ValueError, "fs", "above 0", "inf", fs=math.inf),
]


def _benchmark(
    id: str,
    shape: Sequence[int],
    fu: Tensor,
    fd: Tensor,
    layout: Layout | None = None,
    **options: Any,
) -> BenchmarkCase:
    up, down, _, size, *_ = _arguments(shape, fu, fd, options)
    pixels = math.prod(shape)
    between = shape[0] * shape[1] * math.prod(reference.between(size, fd, down))
    out = shape[0] * shape[1] * math.prod(size)
    # Two floating-point operations for each product of the polyphase form: along x over the input
    # rows and along y for each upsampled pixel, and the same from the other end. A second factor
    # has the rows that one filter makes for the other.
    products_up = between * len(fu) / up * (1 + 1 / up)
    products_down = out * len(fd) * (1 + down)
    once = 2 * (products_up + products_down)
    codes = between / 16 / pixels
    moved = 1 + out / pixels
    draw = tensors_of(lambda: normal(shape, shape[1:2]), layout)
    return BenchmarkCase(
        id,
        draw,
        {"fu": fu, "fd": fd, "clamp": 256.0, **options},
        {"forward": moved, "forward_backward": 2 * (moved + codes), "double_backward": moved},
        {"forward": once, "forward_backward": 2 * once, "double_backward": once},
    )


def _kaiser(numtaps: int, cutoff: float, width: float, fs: float) -> Tensor:
    f = ops.design_lowpass(numtaps, cutoff=cutoff, width=width, fs=fs)
    assert f is not None
    return f


_K12, _K24 = _kaiser(12, 8.0, 16.0, 128.0), _kaiser(24, 8.0, 38.6, 128.0)

FILTERED_LRELU = OpSpec(
    name="filtered_lrelu",
    op=filtered_lrelu,
    samples=[*_samples_of_layers(), *_OTHERS],
    registered=_REGISTERED,
    errors=_ERRORS,
    benchmarks=[
        _benchmark("up2-down2", (4, 128, 84, 84), _K12, _K12, up=2, down=2, padding=(9, 8) * 2),
        _benchmark("up4-down2", (4, 128, 52, 52), _K24, _K12, up=4, down=2, padding=(-6, -9) * 2),
    ],
    tolerance=ROUNDED_ONCE,
    threaded=[
        _sample("up2-down2", (3, 5, 40, 30), F12, F12, **UP2_DOWN2),
        _sample("radial-channels_last", (3, 8, 20, 30), F12, RADIAL, channels_last, **UP2_DOWN2),
    ],
    saved=[
        Saved(
            _sample("up2-down2", (2, 3, 8, 9), taps(12), taps(10), **UP2_DOWN2),
            kept=[],
            # Codes of 26 by 28 upsampled pixels, four rows to a byte.
            more=[10, 12, 2 * 3 * 7 * 28],
        )
    ],
)
