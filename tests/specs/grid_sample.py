"""The :class:`OpSpec` of grid_sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fastgan import ops
from tests.specs.layouts import channels_last, transposed
from tests.specs.spec import BenchmarkCase, ErrorCase, OpSpec, RegisteredCall, Sample

Layout = Callable[[Tensor], Tensor]

TOLERANCE = {torch.float64: 1e-12, torch.float32: 4e-6, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}


def _random(shape: Sequence[int], seed: int) -> Tensor:
    """Draw values that bfloat16 holds exactly."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(list(shape), generator=generator, dtype=torch.float64).bfloat16().double()


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
    def tensors(dtype: torch.dtype, device: torch.device) -> Sequence[Tensor | None]:
        x, points = _random(shape, 1).to(device, dtype), grid.to(device, dtype)
        if layout is None:
            return x, points
        return layout(x), points if layout is channels_last else layout(points)

    return Sample(id, tensors, options, small=id.startswith("small"))


def _samples() -> list[Sample]:
    return [
        _sample("small", (1, 2, 4, 4), random_grid(1, (3, 2), (4, 4))),
        _sample(
            "small-border",
            (2, 2, 3, 5),
            random_grid(2, (2, 3), (3, 5), align_corners=True),
            padding_mode="border",
            align_corners=True,
        ),
        _sample(
            "small-reflection",
            (2, 1, 4, 2),
            random_grid(2, (5, 2), (4, 2)),
            padding_mode="reflection",
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


# -------------------------------------------------------------------------- registered calls


def _registered(id: str, op: str, *needs: bool, given: str = "") -> RegisteredCall:
    """Return a registered call.

    Args:
        given: the incoming gradients of a second derivative that exist: ``x``, ``g``.
    """
    settings = ("bilinear", "reflection", False)

    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        x, dy, ddx = (
            _random(shape, i).to(device, dtype).requires_grad_()
            for i, shape in enumerate([(2, 3, 4, 4), (2, 3, 3, 2), (2, 3, 4, 4)])
        )
        grid, ddgrid = (
            random_grid(2, (3, 2), (4, 4), seed=i).to(device, dtype).requires_grad_()
            for i in (0, 1)
        )
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


# ------------------------------------------------------------------------------------ errors


def _error(
    id: str,
    error: type[Exception],
    says: tuple[str, ...],
    x: Any = None,
    grid: Any = None,
    **options: Any,
) -> ErrorCase:
    x = torch.zeros(2, 3, 4, 5) if x is None else x
    grid = torch.zeros(2, 6, 7, 2) if grid is None else grid
    return ErrorCase(id, lambda: ops.grid_sample(x, grid, **options), error, says)


_ERRORS = [
    _error("x-type", TypeError, ("x", "list"), [1.0]),
    _error("x-shape", ValueError, ("x", "[N, C, H, W]", "[2, 3, 4]"), torch.zeros(2, 3, 4)),
    _error(
        "x-empty", ValueError, ("x", "at least one pixel", "[2, 3, 0, 5]"), torch.zeros(2, 3, 0, 5)
    ),
    _error(
        "x-large", ValueError, ("x", "2^31 - 1", "split"), torch.zeros(1).expand(2, 3, 2**16, 2**15)
    ),
    _error(
        "grid-type",
        TypeError,
        ("grid", "float32", "int64"),
        grid=torch.zeros(2, 6, 7, 2, dtype=torch.int64),
    ),
    _error(
        "grid-shape",
        ValueError,
        ("grid", "[N, Ho, Wo, 2]", "[2, 6, 7, 3]"),
        grid=torch.zeros(2, 6, 7, 3),
    ),
    _error("grid-batch", ValueError, ("grid", "2", "[1, 6, 7, 2]"), grid=torch.zeros(1, 6, 7, 2)),
    _error(
        "grid-dtype",
        TypeError,
        ("grid", "float64", "grid.to"),
        grid=torch.zeros(2, 6, 7, 2).double(),
    ),
    _error(
        "grid-device",
        ValueError,
        ("grid", "cpu", "meta"),
        grid=torch.zeros(2, 6, 7, 2, device="meta"),
    ),
    _error("mode", ValueError, ("mode", "bilinear, nearest", "'bicubic'"), mode="bicubic"),
    _error(
        "padding",
        ValueError,
        ("padding_mode", "zeros, border, reflection", "'edge'"),
        padding_mode="edge",
    ),
    _error(
        "corners", TypeError, ("align_corners", "True or False", "NoneType"), align_corners=None
    ),
    _error(
        "backend",
        ops.BackendUnavailable,
        ("cpu", "meta"),
        torch.zeros(2, 3, 4, 5, device="meta"),
        torch.zeros(2, 6, 7, 2, device="meta"),
        backend="cpu",
    ),
]


# -------------------------------------------------------------------------------- benchmarks

# There are as many points as pixels. Forward reads image and grid, which is 2/C of it, and writes
# the result. Backward, in both, reads image, grid and the incoming gradient and writes both
# gradients. The second derivative, with a direction for each, reads ddx, ddgrid, dy, x and grid and
# writes ddy, dx and dgrid.


def _benchmark(id: str, shape: Sequence[int], layout: Layout | None = None) -> BenchmarkCase:
    grid = 2 / shape[1]

    def tensors(dtype: torch.dtype, device: torch.device) -> Sequence[Tensor | None]:
        x = _random(shape, 1).to(device, dtype)
        points = rotated_grid(shape[0], shape[2:], 20.0, 0.9).to(device, dtype)
        return x if layout is None else layout(x), points

    moved = {
        "forward": 2 + grid,
        "forward_backward": (2 + grid) + (3 + 2 * grid),
        "double_backward": 5 + 3 * grid,
    }
    return BenchmarkCase(id, tensors, {}, moved)


GRID_SAMPLE = OpSpec(
    name="grid_sample",
    op=ops.grid_sample,
    samples=_samples(),
    registered=_REGISTERED,
    errors=_ERRORS,
    benchmarks=[
        _benchmark("images", (16, 3, 256, 256)),
        _benchmark("features", (8, 64, 64, 64)),
        _benchmark("features-channels_last", (8, 64, 64, 64), channels_last),
    ],
    tolerance=TOLERANCE,
    # Without the grid: the contract's test of jacrev takes one pixel of each tensor, but the last
    # two dimensions of a grid aren't pixels.
    batched=(0,),
)
