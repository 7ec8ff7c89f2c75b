"""The :class:`OpSpec` of grid_sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fastgan import ops
from tests.specs.build import (
    ROUNDED_ONCE,
    launch_refused,
    leaves,
    normal,
    on,
    refusals,
    sample,
    tensors_of,
    values,
)
from tests.specs.layouts import Layout, channels_last, transposed
from tests.specs.spec import BenchmarkCase, OpSpec, Penalty, RegisteredCall, Sample, Saved


def random_grid(
    n: int, out: Sequence[int], size: Sequence[int], *, align_corners: bool = False, seed: int = 0
) -> Tensor:
    """Draw points ``[n, *out, 2]`` up to three pixels beyond images of ``size``.

    Even in bfloat16 none lies on a pixel, where derivatives in the grid jump.
    """
    generator = torch.Generator().manual_seed(seed)
    along = []
    for length in (size[1], size[0]):
        sixteenths = (
            torch.randint(-24, 8 * length + 16, (n, *out), generator=generator).double() * 2 + 1
        )
        place = sixteenths / 16
        unit = max(length - 1, 1) if align_corners else length
        along.append((2 * place + (0 if align_corners else 1)) / unit - 1)
    return torch.stack(along, -1).bfloat16().double()


def rotated_grid(n: int, out: Sequence[int], degrees: float, zoom: float) -> Tensor:
    """Return a grid ``[n, *out, 2]`` as adaptive discriminator augmentation uses."""
    angle = math.radians(degrees)
    sine, cosine = zoom * math.sin(angle), zoom * math.cos(angle)
    matrix = torch.tensor([[cosine, -sine, 0.1], [sine, cosine, -0.2]], dtype=torch.float64)
    return (
        F.affine_grid(matrix.expand(n, 2, 3), [n, 1, *out], align_corners=False).bfloat16().double()
    )


def _sample(
    id: str, shape: Sequence[int], grid: Tensor, layout: Layout | None = None, **options: Any
) -> Sample:
    both = (0,) if layout is channels_last else (0, 1)
    small = id.startswith("small")
    return sample(
        id, lambda: [values(shape, 1), grid], layout, laid_out=both, small=small, **options
    )


_SAMPLES = [
    _sample("small", (1, 2, 4, 4), random_grid(1, (3, 2), (4, 4))),
    _sample(
        "small-border",
        (2, 2, 3, 5),
        random_grid(2, (2, 3), (3, 5), align_corners=True),
        padding_mode="border",
        align_corners=True,
    ),
    _sample(
        "small-reflection", (2, 1, 4, 2), random_grid(2, (5, 2), (4, 2)), padding_mode="reflection"
    ),
    _sample("blocks", (2, 3, 12, 16), random_grid(2, (20, 17), (12, 16))),
    _sample(
        "channels_last",
        (2, 70, 4, 5),
        random_grid(2, (4, 5), (4, 5), align_corners=True),
        channels_last,
        padding_mode="reflection",
        align_corners=True,
    ),
    _sample("rotated", (2, 3, 16, 16), rotated_grid(2, (16, 16), 30.0, 0.8), transposed),
    _sample("empty-batch", (0, 3, 4, 4), random_grid(0, (3, 3), (4, 4))),
]


def _registered(id: str, op: str, *needs: bool, given: str = "") -> RegisteredCall:
    """Return a registered call.

    Args:
        given: the incoming gradients of a second derivative that exist: ``x``, ``g``.
    """
    settings = ("bilinear", "reflection", False)

    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        shapes = [(2, 3, 4, 4), (2, 3, 3, 2), (2, 3, 4, 4)]
        images = on(dtype, device, *(values(shape, i) for i, shape in enumerate(shapes)))
        grids = on(dtype, device, *(random_grid(2, (3, 2), (4, 4), seed=i) for i in (0, 1)))
        (x, dy, ddx), (grid, ddgrid) = leaves(*images), leaves(*grids)
        if op == "grid_sample":
            return x, grid, *settings
        if op == "grid_sample_backward":
            return dy, x if needs[1] else None, grid, [4, 4], *settings, *needs
        directions = ddx if "x" in given else None, ddgrid if "g" in given else None
        return *directions, dy, x if "g" in given else None, grid, [4, 4], *settings, *needs

    return RegisteredCall(id, op, args)


_REGISTERED = [
    _registered("forward", "grid_sample"),
    _registered("backward", "grid_sample_backward", True, True),
    _registered("backward-x", "grid_sample_backward", True, False),
    _registered("double-backward", "grid_sample_double_backward", True, True, True, given="xg"),
]


def _x(*shape: int, **options: Any) -> Tensor:
    return torch.zeros(shape, **options)


_IMAGE, _GRID = (2, 3, 4, 5), (2, 6, 7, 2)
_refused = refusals(ops.grid_sample, x=_x(*_IMAGE), grid=_x(*_GRID))
_ERRORS = [
    _refused("x-type", TypeError, "x", "list", x=[1.0]),
    _refused("x-shape", ValueError, "x", "[N, C, H, W]", "[2, 3, 4]", x=_x(2, 3, 4)),
    _refused("x-empty", ValueError, "x", "at least one pixel", "[2, 3, 0, 5]", x=_x(2, 3, 0, 5)),
    _refused("x-large", ValueError, "x", "2^31 - 1", "split", x=_x(1).expand(2, 3, 2**16, 2**15)),
    _refused("grid-type", TypeError, "grid", "float32", "int64", grid=_x(*_GRID).long()),
    _refused(
        "grid-shape", ValueError, "grid", "[N, Ho, Wo, 2]", "[2, 6, 7, 3]", grid=_x(2, 6, 7, 3)
    ),
    _refused("grid-batch", ValueError, "grid", "2", "[1, 6, 7, 2]", grid=_x(1, 6, 7, 2)),
    _refused("grid-dtype", TypeError, "grid", "float64", "grid.to", grid=_x(*_GRID).double()),
    _refused("grid-device", ValueError, "grid", "cpu", "meta", grid=_x(*_GRID, device="meta")),
    _refused("mode", ValueError, "mode", "bilinear, nearest", "'bicubic'", mode="bicubic"),
    _refused(
        *("padding", ValueError, "padding_mode", "zeros, border, reflection", "'edge'"),
        padding_mode="edge",
    ),
    _refused(
        "corners", TypeError, "align_corners", "True or False", "NoneType", align_corners=None
    ),
    _refused(
        *("backend", ops.BackendUnavailable, "cpu", "meta"),
        x=_x(*_IMAGE, device="meta"),
        grid=_x(*_GRID, device="meta"),
        backend="cpu",
    ),
    launch_refused(
        *("grid_sample", "grid_sample", (2**24, 1, 2, 2)),
        *(_x(2**24, 2**8, 2**8, 2, device="meta"), "bilinear", "zeros", False),
    ),
]


def _benchmark(id: str, shape: Sequence[int], layout: Layout | None = None) -> BenchmarkCase:
    # There are as many points as pixels. Forward reads image and grid, which is 2/C of it, and
    # writes the result. Backward, in both, reads image, grid and the incoming gradient and writes
    # both gradients. The second derivative, with a direction for each, reads ddx, ddgrid, dy, x and
    # grid and writes ddy, dx and dgrid.
    grid = 2 / shape[1]
    moved = {
        "forward": 2 + grid,
        "forward_backward": (2 + grid) + (3 + 2 * grid),
        "double_backward": 5 + 3 * grid,
    }

    def draw() -> list[Tensor | None]:
        return [*normal(shape), rotated_grid(shape[0], shape[2:], 20.0, 0.9)]

    return BenchmarkCase(id, tensors_of(draw, layout), {}, moved)


GRID_SAMPLE = OpSpec(
    name="grid_sample",
    op=ops.grid_sample,
    samples=_SAMPLES,
    registered=_REGISTERED,
    errors=_ERRORS,
    benchmarks=[
        _benchmark("images", (16, 3, 256, 256)),
        _benchmark("features", (8, 64, 64, 64)),
        _benchmark("features-channels_last", (8, 64, 64, 64), channels_last),
    ],
    tolerance=ROUNDED_ONCE,
    # Without the grid: the contract's test of jacrev takes one pixel of each tensor, but the last
    # two dimensions of a grid aren't pixels.
    batched=(0,),
    threaded=[
        _sample(order, (2, 37, 9, 8), random_grid(2, (30, 31), (9, 8)), layout)
        for order, layout in (("contiguous", None), ("channels_last", channels_last))
    ],
    # The image is saved for the gradient of the grid alone.
    saved=[
        Saved(_SAMPLES[0], wanted=[0], kept=[1]),
        Saved(_SAMPLES[0], wanted=[1], kept=[0, 1]),
        Saved(_SAMPLES[0], kept=[0, 1]),
    ],
    penalties=[Penalty(_SAMPLES[0], frozenset({"ddy", "dgrid"}))],
)
