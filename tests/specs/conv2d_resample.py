"""The :class:`OpSpec` of conv2d_resample, and its definition."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fastgan import ops
from tests.specs.build import CONVOLUTION, refusals, sample, values, zeros
from tests.specs.layouts import Layout, channels_last, transposed, unaligned
from tests.specs.spec import OpSpec, Sample
from tests.specs.upfirdn2d import taps


def conv2d_resample(
    x: Tensor, weight: Tensor, *, f: Tensor | None = None, **options: Any
) -> Tensor:
    """Call the op with its filter among the options, since it has no gradient.

    The filter is moved to the device of ``x``.
    """
    return ops.conv2d_resample(x, weight, None if f is None else f.to(x.device), **options)


def definition(
    x: Tensor,
    weight: Tensor,
    *,
    f: Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    groups: int = 1,
    flip_weight: bool = True,
    flip_filter: bool = False,
) -> Tensor:
    """Upsample, pad, convolve and downsample one after the other, as the op is defined."""
    more = [0, 0, 0, 0]
    if down > 1 and f is not None:
        width, height = f.shape[-1] - down, f.shape[0] - down
        more = [(width + 1) // 2, width // 2, (height + 1) // 2, height // 2]
    elif down > 1:
        more = [(2 - down) // 2, (1 - down) // 2] * 2
    sides = [p + m for p, m in zip(padding, more)]
    if up > 1:
        t = ops.upsample2d(x, f, up=up, padding=sides, flip_filter=flip_filter, backend="reference")
    else:
        t = ops.upfirdn2d(x, None, padding=sides, backend="reference")
    t = F.conv2d(t, weight if flip_weight else weight.flip(2, 3), groups=groups)
    return ops.upfirdn2d(
        t, f if down > 1 else None, down=down, flip_filter=flip_filter, backend="reference"
    )


def _sample(
    id: str,
    shape: Sequence[int],
    weight: Sequence[int],
    f: Tensor | None = None,
    layout: Layout | None = None,
    *,
    small: bool = False,
    **options: Any,
) -> Sample:
    # Exact, and keeps the variance.
    scale = 2.0 ** -round(torch.tensor(weight[1:]).prod().log2().item() / 2)

    def draw() -> list[Tensor]:
        return [values(shape, len(id)), values(weight, 1 + len(id), scale)]

    return sample(id, draw, layout, small=small, f=f, **options)


_BINOMIAL = ops.setup_filter([1, 3, 3, 1])

#: Uses in a network: a 3×3 layer at each resolution, up and down, and a 1×1 skip connection.
USES: dict[str, tuple[int, dict[str, Any]]] = {
    "plain": (3, {"padding": 1}),
    "up2": (3, {"padding": 1, "up": 2}),
    "down2": (3, {"padding": 1, "down": 2}),
    "skip-up2": (1, {"up": 2}),
    "skip-down2": (1, {"down": 2}),
}


def _samples_of_uses() -> list[Sample]:
    # With this batch and these channels, torch's convolution compiles once for all batches.
    found = []
    for use, (k, options) in USES.items():
        found += [
            _sample(use, (3, 3, 6, 5), (4, 3, k, k), _BINOMIAL, small=True, **options),
            _sample(
                f"{use}-channels_last",
                (2, 8, 6, 8),
                (5, 8, k, k),
                _BINOMIAL,
                channels_last,
                **options,
            ),
            _sample(f"{use}-one-pixel", (2, 4, 2, 2), (3, 4, k, k), taps(6), **options),
        ]
    return found


_OTHERS = [
    _sample("up2-down2", (3, 3, 6, 5), (4, 3, 3, 3), taps(4), up=2, down=2, padding=1, small=True),
    _sample("skip-up2-down3", (2, 3, 6, 9), (4, 3, 1, 1), taps(5), up=2, down=3),
    _sample("up3-even-kernel", (2, 3, 5, 6), (4, 3, 4, 2), taps(7), up=3, padding=(1, 2, 0, 3)),
    _sample("up4-kernel-smaller", (2, 2, 5, 4), (3, 2, 3, 3), taps(5), up=4, padding=1),
    _sample("up2-crop", (2, 2, 7, 8), (3, 2, 3, 3), taps(4), up=2, padding=(-3, -2, -4, -5)),
    _sample("up2-no-filter", (2, 2, 5, 6), (3, 2, 3, 3), None, up=2, padding=1),
    _sample("down2-no-filter", (2, 3, 8, 9), (4, 3, 3, 3), None, down=2, padding=1),
    _sample("down3-2d", (2, 3, 9, 8), (4, 3, 2, 5), taps(3, 4), down=3, padding=(2, 1, 0, 1)),
    _sample("sides", (3, 3, 6, 5), (4, 3, 3, 2), None, padding=(2, 0, -1, 3), small=True),
    _sample("groups-up2", (2, 6, 5, 4), (4, 3, 3, 3), taps(4), up=2, padding=1, groups=2),
    _sample("groups-down2", (2, 6, 8, 6), (9, 2, 3, 3), taps(4), down=2, padding=1, groups=3),
    _sample("turned", (2, 3, 6, 5), (4, 3, 3, 3), taps(4), padding=1, flip_weight=False),
    _sample(
        "turned-up2",
        (2, 3, 6, 5),
        (4, 3, 3, 3),
        taps(4),
        up=2,
        padding=1,
        flip_weight=False,
        flip_filter=True,
    ),
    _sample(
        "turned-down2",
        (2, 3, 6, 6),
        (4, 3, 3, 3),
        taps(4),
        down=2,
        flip_weight=False,
        flip_filter=True,
    ),
    _sample("transposed", (3, 2, 6, 5), (4, 2, 3, 3), taps(4), transposed, up=2, padding=1),
    _sample("unaligned", (2, 4, 8, 8), (4, 4, 3, 3), taps(4), unaligned, down=2, padding=1),
    _sample("empty-batch-up2", (0, 3, 4, 4), (4, 3, 3, 3), taps(4), up=2, padding=1),
    _sample("empty-batch-down2", (0, 3, 4, 4), (4, 3, 3, 3), taps(4), down=2, padding=1),
]


def random_sample(seed: int) -> Sample:
    """Draw random arguments from everything that the op takes.

    The op refuses some of them, whose output would be empty.
    """
    draw = random.Random(seed)
    groups = draw.choice([1, 1, 1, 2, 3])
    channels, out = groups * draw.randint(1, 4), groups * draw.randint(1, 4)
    kernel = draw.choice([(1, 1), (1, 1), (3, 3), (3, 3), (draw.randint(1, 5), draw.randint(1, 5))])
    f = draw.choice(
        [None, taps(4), taps(draw.randint(1, 8)), taps(draw.randint(1, 5), draw.randint(1, 5))]
    )
    same = draw.randint(0, 3)
    options: dict[str, Any] = {
        "up": draw.choice([1, 1, 2, 2, 3, 4]),
        "down": draw.choice([1, 1, 2, 2, 3]),
        "groups": groups,
        "padding": draw.choice([(same,) * 4, tuple(draw.randint(-3, 6) for _ in range(4))]),
        "flip_weight": draw.random() < 0.5,
        "flip_filter": draw.random() < 0.5,
    }
    shape = (draw.randint(1, 2), channels, draw.randint(1, 9), draw.randint(1, 12))
    layout = draw.choice([None, channels_last, transposed])
    return _sample(f"seed-{seed}", shape, (out, channels // groups, *kernel), f, layout, **options)


_x = zeros(2, 4, 6, 6)
_F, _W = torch.ones(4), _x(4, 4, 3, 3)
_refused = refusals(ops.conv2d_resample, x=_x(), weight=_W)
_ERRORS = [
    _refused("x-list", TypeError, "x", "list", x=[1.0]),
    _refused("x-int", TypeError, "x", "int32", "float32", x=_x(dtype=torch.int32)),
    _refused("x-rank", ValueError, "x", "[N, C, H, W]", "[4, 6, 6]", x=_x(4, 6, 6)),
    _refused("x-no-rows", ValueError, "x", "pixel", "[2, 4, 0, 6]", x=_x(2, 4, 0, 6), padding=3),
    _refused("weight-list", TypeError, "weight", "list", weight=[1.0]),
    _refused("weight-dtype", TypeError, "weight", "float16", "same dtype", weight=_W.half()),
    _refused("weight-device", ValueError, "weight", "meta", "cpu", weight=_W.to("meta")),
    _refused("weight-rank", ValueError, "weight", "C/groups", "[4, 4, 3]", weight=_x(4, 4, 3)),
    _refused(
        "weight-empty", ValueError, "weight", "at least one", "[0, 4, 3, 3]", weight=_x(0, 4, 3, 3)
    ),
    _refused(
        "weight-channels", ValueError, "weight", "[4, 3, 3, 3]", "[2, 4,", weight=_x(4, 3, 3, 3)
    ),
    _refused("groups-channels", ValueError, "weight", "2 groups", weight=_x(3, 2, 3, 3), groups=2),
    _refused("groups-zero", ValueError, "groups", "at least 1", "0", groups=0),
    _refused("groups-float", ValueError, "groups", "whole", "1.0", groups=1.0),
    _refused("up-zero", ValueError, "up", "at least 1", "0", up=0),
    _refused("up-pair", TypeError, "up", "whole", "(2, 2)", up=(2, 2)),
    _refused("down-negative", ValueError, "down", "at least 1", "-2", down=-2),
    _refused("down-float", TypeError, "down", "whole", "2.0", down=2.0),
    _refused("padding-three", ValueError, "padding", "y1", "(1, 2, 3)", padding=(1, 2, 3)),
    _refused("padding-same", TypeError, "padding", "'same'", padding="same"),
    _refused("f-list", TypeError, "f", "list", "setup_filter", f=[1.0, 1.0]),
    _refused("f-dtype", TypeError, "f", "float32", "float64", f=_F.double(), up=2),
    _refused(
        "f-gradient", ValueError, "f", "gradient", "detach", f=_F.clone().requires_grad_(), up=2
    ),
    _refused("nothing-left", ValueError, "got 0 by 4", "padding", "kernel", weight=_x(4, 4, 7, 3)),
    _refused("nothing-left-down", ValueError, "got 4 by 4", "by 5", down=5),
    _refused("backend", ValueError, "backend", "'tpu'", "cuda", backend="tpu"),
]


CONV2D_RESAMPLE = OpSpec(
    name="conv2d_resample",
    op=conv2d_resample,
    samples=[*_samples_of_uses(), *_OTHERS],
    registered=[],
    errors=_ERRORS,
    benchmarks=[],
    tolerance=CONVOLUTION,
    autocast="region",
)
