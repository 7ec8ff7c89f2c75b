"""The :class:`OpSpec` of upfirdn2d."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan import ops
from tests.specs.build import (
    ROUNDED_ONCE,
    launch_refused,
    leaves,
    normal,
    refusals,
    sample,
    tensors_of,
    values,
    zeros,
)
from tests.specs.layouts import Layout, channels_last, every_other, expanded, transposed, unaligned
from tests.specs.spec import BenchmarkCase, OpSpec, RegisteredCall, Sample, Saved


def upfirdn2d(x: Tensor, *, f: Tensor | None, **options: Any) -> Tensor:
    """Call the op with its filter among the options, since it has no gradient.

    The filter is moved to the device of ``x``.
    """
    return ops.upfirdn2d(x, None if f is None else f.to(x.device), **options)


def taps(*shape: int) -> Tensor:
    """Return a filter without symmetry, which shows if it is reversed or transposed."""
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator) / torch.tensor(shape).prod()


def _sample(
    id: str,
    shape: Sequence[int],
    f: Tensor | None,
    layout: Layout | None = None,
    *,
    large: bool = False,
    small: bool = False,
    **options: Any,
) -> Sample:
    return sample(
        *(id, lambda: [values(shape, len(id))], layout),
        **{"large": large, "small": small, "f": f, **options},
    )


#: Three uses in a network: factors, and padding before and after for a number of taps.
USES: dict[str, Callable[[int], dict[str, Any]]] = {
    "up2": lambda t: {"up": 2, "padding": ((t + 1) // 2, (t - 2) // 2) * 2, "gain": 4.0},
    "down2": lambda t: {"down": 2, "padding": ((t - 1) // 2, (t - 2) // 2) * 2},
    "filter": lambda t: {"padding": (t // 2, (t - 1) // 2) * 2},
}


def _samples_of_uses() -> list[Sample]:
    # With this batch and these channels, torch's convolution compiles once for all batches.
    found = []
    for use, options in USES.items():
        for t in (4, 6, 8, 12):
            found.append(_sample(f"{use}-{t}", (3, 3, 9, 14), taps(t), small=t == 4, **options(t)))
        found += [
            _sample(f"{use}-4-channels_last", (2, 8, 6, 5), taps(4), channels_last, **options(4)),
            _sample(f"{use}-8-channels_last", (1, 3, 10, 9), taps(8), channels_last, **options(8)),
            _sample(f"{use}-3", (2, 2, 7, 8), taps(3), **options(3)),
            _sample(f"{use}-5", (1, 2, 8, 6), taps(5), **options(5)),
            _sample(f"{use}-4x4", (2, 3, 8, 10), taps(4, 4), **options(4)),
            _sample(
                f"{use}-4x4-channels_last", (2, 4, 6, 7), taps(4, 4), channels_last, **options(4)
            ),
            _sample(f"{use}-vectors", (1, 2, 40, 80), taps(4), **options(4)),
            _sample(f"{use}-several-tiles", (1, 2, 75, 150), taps(4), **options(4)),
            _sample(f"{use}-one-pixel", (3, 2, 1, 1), taps(4), **{**options(4), "padding": 2}),
            _sample(f"{use}-unaligned", (1, 2, 16, 32), taps(4), unaligned, **options(4)),
            _sample(
                f"{use}-wide-channels_last", (1, 70, 5, 6), taps(4), channels_last, **options(4)
            ),
        ]
    return found


_OTHERS = [
    _sample("none", (3, 3, 5, 6), None, small=True),
    _sample("none-up", (3, 3, 5, 6), None, up=2, small=True),
    _sample("none-up-channels_last", (2, 4, 5, 6), None, channels_last, up=3),
    _sample("none-down", (2, 3, 5, 6), None, down=2),
    _sample("none-padding", (2, 3, 5, 6), None, padding=(1, 2, 3, 0)),
    _sample("3x5", (3, 3, 8, 9), taps(3, 5), padding=2, small=True),
    _sample("1x4", (2, 3, 8, 9), taps(1, 4), padding=(2, 1, 0, 0), up=(2, 1)),
    _sample("outer-product", (2, 3, 8, 9), taps(4)[:, None] * taps(5), up=2, padding=3),
    _sample("up3-down2", (3, 3, 7, 8), taps(7), up=3, down=2, padding=3, small=True),
    _sample("up2-down3", (2, 3, 9, 8), taps(6), up=2, down=3, padding=(4, 1)),
    _sample(
        "up2-down3-channels_last",
        (2, 3, 9, 8),
        taps(6),
        channels_last,
        up=2,
        down=3,
        padding=(4, 1),
    ),
    _sample("up4-down4", (1, 2, 6, 9), taps(9), up=4, down=4, padding=4),
    _sample("up2-down6", (1, 2, 20, 21), taps(5), up=2, down=6, padding=1),
    _sample(
        "per-axis", (3, 3, 7, 8), taps(4), up=(3, 1), down=(1, 2), padding=(3, 2, 1, 1), small=True
    ),
    _sample("per-axis-2d", (2, 3, 9, 7), taps(3, 4), up=(1, 2), down=(3, 2), padding=(3, 2, 1, 4)),
    # Some phases have no tap.
    _sample("up5-3", (1, 2, 4, 5), taps(3), up=5, padding=2),
    _sample("up5-3-channels_last", (2, 3, 4, 5), taps(3), channels_last, up=5, padding=2),
    _sample("crop", (3, 3, 9, 12), taps(4), padding=(-2, 1, -1, -3), small=True),
    _sample("crop-up", (2, 3, 6, 7), taps(4), up=2, padding=(-3, -2, 4, -1)),
    _sample(
        "crop-down-channels_last",
        (2, 4, 9, 11),
        taps(4),
        channels_last,
        down=2,
        padding=(-1, -3, 2, -2),
    ),
    _sample("crop-all", (2, 3, 4, 5), taps(3), padding=(-8, 20, 1, 1)),
    _sample("padding-larger", (2, 2, 3, 3), taps(4), up=2, padding=(20, 17, 3, 31)),
    _sample("flip", (2, 3, 6, 7), taps(4), flip_filter=True, padding=2),
    _sample("flip-2d", (2, 3, 6, 7), taps(2, 5), flip_filter=True, padding=2, up=2),
    _sample("gain", (2, 3, 6, 7), taps(4), gain=-2.5, padding=2),
    _sample("gain-zero", (2, 3, 6, 7), taps(4), gain=0.0, padding=2),
    _sample("one-tap", (2, 3, 6, 7), taps(1), up=2, down=2),
    _sample("one-output", (2, 3, 6, 7), taps(6, 7)),
    _sample("many-taps", (1, 2, 40, 45), taps(31), down=4, padding=15),
    _sample("many-taps-2d", (1, 2, 9, 9), taps(13, 13), padding=6),
    _sample("far-down", (1, 2, 30, 31), taps(3), down=9, padding=1),
    _sample("transposed", (3, 2, 8, 9), taps(4), transposed, padding=2),
    _sample("every-other", (2, 3, 8, 6), taps(4), every_other, up=2, padding=(2, 1)),
    _sample("expanded", (3, 4, 8, 9), taps(4), expanded, down=2, padding=1),
    # Groups of 16 small images: two whole ones and a part.
    _sample("small-images", (3, 13, 5, 6), taps(4), **USES["filter"](4)),
    _sample("small-images-up2", (3, 13, 5, 6), taps(4), **USES["up2"](4)),
    _sample("small-images-2d", (1, 21, 4, 4), taps(3, 2), up=(1, 3), down=2, padding=2),
    _sample("wide-row", (1, 1, 3, 1300), taps(4), **USES["filter"](4)),
    _sample("wide-row-up", (1, 1, 2, 700), taps(4), **USES["up2"](4)),
    _sample("wide-row-down", (1, 1, 4, 2500), taps(4), **USES["down2"](4)),
    _sample("empty-batch", (0, 3, 4, 4), taps(4), padding=2),
    _sample("no-channels", (2, 0, 4, 4), taps(4), padding=2),
    _sample("no-rows", (2, 3, 0, 4), taps(4), padding=2),
    _sample("large-up2", (4, 66, 90, 98), taps(4), large=True, **USES["up2"](4)),
    _sample(
        "large-down2-channels_last",
        (3, 64, 150, 150),
        taps(4),
        channels_last,
        large=True,
        **USES["down2"](4),
    ),
    _sample("large-filter", (2, 64, 190, 187), taps(4), large=True, **USES["filter"](4)),
    _sample("large-small-images", (64, 1030, 8, 8), taps(4), large=True, **USES["filter"](4)),
    _sample("large-general", (1, 16, 187, 250), taps(5, 3), large=True, up=3, down=2, padding=2),
]


def random_sample(seed: int) -> Sample:
    """Draw random arguments from everything that the op takes.

    The op refuses some of them, whose output would be empty.
    """
    draw = random.Random(seed)

    def factor() -> Any:
        return draw.choice([1, 1, 2, 2, 3, (draw.randint(1, 5), draw.randint(1, 5))])

    shape = (
        draw.randint(1, 3),
        draw.choice([1, 2, 3, 5, 8, 16, 17, 40]),
        draw.randint(1, 20),
        draw.randint(1, 40),
    )
    if draw.random() < 0.05:
        shape = (1, 1, draw.randint(1, 4), draw.randint(200, 2000))
    kind = draw.random()
    f = (
        taps(draw.randint(1, 14))
        if kind < 0.5
        else taps(draw.randint(1, 6), draw.randint(1, 6))
        if kind < 0.9
        else None
    )
    if f is not None and f.ndim == 2 and draw.random() < 0.2:
        f = f[:1] * f[:, :1]
    options = {
        "up": factor(),
        "down": factor(),
        "padding": tuple(draw.randint(-4, 12) for _ in range(4)),
        "flip_filter": draw.random() < 0.5,
        "gain": draw.uniform(-2, 2),
    }
    layout = draw.choice(
        [None, None, channels_last, channels_last, transposed, every_other, unaligned, expanded]
    )
    return _sample(f"seed-{seed}", shape, f, layout, **options)


def _call(
    id: str,
    shape: Sequence[int],
    f: Tensor | None,
    layout: Layout | None = None,
    *,
    size: Sequence[int],
    up: Sequence[int] = (1, 1),
    down: Sequence[int] = (1, 1),
    pad: Sequence[int] = (0, 0),
    flip: bool = False,
    gain: float = 1.0,
) -> RegisteredCall:
    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        x = leaves(*tensors_of(lambda: [values(shape, 5)], layout)(dtype, device))
        lists = (list(pair) for pair in (up, down, pad, size))
        return *x, None if f is None else f.to(device), *lists, flip, gain

    return RegisteredCall(id, "upfirdn2d", args)


_REGISTERED = [
    _call("up2", (2, 3, 5, 6), taps(4), up=[2, 2], pad=[2, 2], size=[12, 10], gain=4.0),
    _call(
        *("down2-channels_last", (2, 4, 6, 8), taps(4), channels_last),
        **{"down": [2, 2], "pad": [1, 1], "size": [4, 3]},
    ),
    _call(
        "2d", (2, 3, 5, 6), taps(3, 4), up=[1, 2], down=[2, 1], pad=[1, 2], size=[3, 9], flip=True
    ),
    _call("none", (2, 3, 5, 6), None, down=[3, 2], size=[2, 3]),
]


_x = zeros(2, 3, 8, 8)


def _f(*shape: int, **options: Any) -> Tensor:
    return torch.ones(shape or (4,), **options)


_refused = refusals(ops.upfirdn2d, x=_x(), f=_f())
_refused_taps = refusals(ops.setup_filter)
_ERRORS = [
    _refused("x-list", TypeError, "x", "list", x=[1.0]),
    _refused("x-int", TypeError, "x", "int32", "float32", x=_x(dtype=torch.int32)),
    _refused("x-rank", ValueError, "x", "[N, C, H, W]", "[3, 8, 8]", x=_x(3, 8, 8)),
    _refused("f-list", TypeError, "f", "list", "setup_filter", f=[1.0]),
    _refused("f-dtype", TypeError, "f", "float32", "float64", f=_f().double()),
    _refused("f-rank", ValueError, "f", "[taps_y, taps_x]", "[1, 2, 2]", f=_f(1, 2, 2)),
    _refused("f-scalar", ValueError, "f", "[taps]", "[]", f=torch.tensor(1.0)),
    _refused(
        "f-scalar-centred", ValueError, "f", "[taps]", "[]", by=ops.filter2d, f=torch.tensor(1.0)
    ),
    _refused("f-empty", ValueError, "f", "not empty", "[0]", f=_f(0)),
    _refused("f-device", ValueError, "f", "cpu", "meta", f=_f(device="meta")),
    _refused("f-gradient", ValueError, "f", "gradient", "detach", f=_f(requires_grad=True)),
    _refused("up-zero", ValueError, "up", "at least 1", "0", up=0),
    _refused("up-float", TypeError, "up", "whole", "2.0", up=2.0),
    _refused("up-bool", TypeError, "up", "whole", "True", up=True),
    _refused("up-three", ValueError, "up", "(x, y)", "(1, 2, 3)", by=ops.upsample2d, up=(1, 2, 3)),
    _refused("down-negative", ValueError, "down", "-1", by=ops.downsample2d, down=(2, -1)),
    _refused("padding-three", ValueError, "padding", "y1", padding=(1, 2, 3)),
    _refused("padding-float", TypeError, "padding", "0.5", by=ops.filter2d, padding=0.5),
    _refused("too-small", ValueError, "3 by 8", "4 by 4", "padding", x=_x(1, 1, 3, 8)),
    _refused("cropped-away", ValueError, "0 by 0", "padding", f=None, padding=-4),
    _refused("gain", ValueError, "gain", "nan", gain=float("nan")),
    _refused("backend", ValueError, "backend", "'tpu'", "cuda", backend="tpu"),
    _refused(
        *("backend-device", ops.BackendUnavailable, "cpu", "meta"),
        **{"x": _x(device="meta"), "f": None, "backend": "cpu"},
    ),
    launch_refused(
        "upfirdn2d", "upfirdn2d", (1, 1, 8, 8), None, [1, 1], [2**30, 1], [0, 0], [4, 8], False, 1.0
    ),
    _refused_taps("taps-text", TypeError, "taps", "'box'", taps="box"),
    _refused_taps("taps-ragged", TypeError, "taps", "rows", taps=[[1, 2], [3]]),
    _refused_taps("taps-empty", ValueError, "taps", "not empty", "[0]", taps=[]),
    _refused_taps("taps-rank", ValueError, "taps", "[1, 2, 2]", taps=_f(1, 2, 2)),
    _refused_taps("taps-nan", ValueError, "taps", "finite", taps=[1.0, float("nan")]),
    _refused_taps("taps-sum", ValueError, "taps", "sum", "normalize=False", taps=[1, -1]),
    _refused_taps(
        "taps-separable", ValueError, "separable", "[2, 2]", taps=_f(2, 2), separable=True
    ),
    _refused_taps(
        "taps-gain", ValueError, "gain", "-1.0", "separable=False", taps=[1, 3], gain=-1.0
    ),
]


def _benchmark(
    id: str, shape: Sequence[int], f: Tensor | None, layout: Layout | None = None, **options: Any
) -> BenchmarkCase:
    size = upfirdn2d(torch.empty(1, 1, *shape[2:], device="meta"), f=f, **options).shape[2:]
    # Input and output; the gradient reads the output and writes the input.
    once = 1 + size.numel() / (shape[2] * shape[3])
    moved = {"forward": once, "forward_backward": 2 * once, "double_backward": once}
    draw = tensors_of(lambda: normal(shape), layout)
    return BenchmarkCase(id, draw, {"f": f, **options}, moved)


_SIZE = (8, 128, 64, 64)
_BINOMIAL = ops.setup_filter([1, 3, 3, 1])
_TWELVE = ops.setup_filter(torch.signal.windows.kaiser(12, beta=6.0, dtype=torch.float64))


def _benchmarks() -> list[BenchmarkCase]:
    found = []
    for use, options in USES.items():
        found += [
            _benchmark(f"{use}-4", _SIZE, _BINOMIAL, **options(4)),
            _benchmark(f"{use}-4-channels_last", _SIZE, _BINOMIAL, channels_last, **options(4)),
            _benchmark(f"{use}-12", _SIZE, _TWELVE, **options(12)),
        ]
    found += [
        _benchmark("up2-4-image", (8, 3, 256, 256), _BINOMIAL, **USES["up2"](4)),
        _benchmark("filter-4-small", (16, 512, 8, 8), _BINOMIAL, **USES["filter"](4)),
        _benchmark("up3-down2-2d", _SIZE, taps(5, 5), up=3, down=2, padding=2),
    ]
    return found


def _scaling() -> list[BenchmarkCase]:
    shapes = {
        "pixels": [(2, 32, side, side) for side in (8, 16, 32, 64, 128, 256)],
        "channels": [(4, c, 64, 64) for c in (2, 8, 32, 128, 512)],
        "batch": [(n, 64, 64, 64) for n in (1, 2, 4, 8, 16, 32)],
    }
    return [
        _benchmark(f"{use}-4/{series}", shape, _BINOMIAL, **options(4))
        for use, options in USES.items()
        for series, sizes in shapes.items()
        for shape in sizes
    ]


UPFIRDN2D = OpSpec(
    name="upfirdn2d",
    op=upfirdn2d,
    samples=[*_samples_of_uses(), *_OTHERS],
    registered=_REGISTERED,
    errors=_ERRORS,
    benchmarks=_benchmarks(),
    tolerance=ROUNDED_ONCE,
    scaling=_scaling(),
    threaded=[_sample(use, (3, 5, 40, 50), taps(4), **options(4)) for use, options in USES.items()],
    saved=[Saved(_sample("filter", (2, 3, 7, 8), taps(4), padding=2), kept=[], more=[4])],
)
