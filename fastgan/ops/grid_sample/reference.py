"""grid_sample in plain PyTorch: documentation, fallback and test oracle of the op."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.ops._layout import in_layout_of
from fastgan.ops._numerics import accumulate_dtype

# ---------------------------------------------------------------------- places of the points


class Neighbour(NamedTuple):
    """One of the two pixels beside each point along an axis; all ``[N, points]``.

    Attributes:
        pixel: its number, or 0 outside the image.
        inside: True if it is inside the image.
        weight: its share of the result, 0 outside.
        slope: derivative of the share in the coordinate of the grid, 0 outside.
    """

    pixel: Tensor
    inside: Tensor
    weight: Tensor
    slope: Tensor


def reflected(u: Tensor, slope: Tensor, low: float, span: float) -> tuple[Tensor, Tensor]:
    """Reflect ``u`` at ``low`` and at ``low + span`` until it lies between them."""
    if span == 0:
        return u * 0, slope * 0
    distance = torch.where(u < low, low - u, u - low)
    slope = torch.where(u < low, -slope, slope)
    rest = distance - 2 * span * (distance / (2 * span)).floor()
    back = rest > span
    return torch.where(back, 2 * span - rest, rest) + low, torch.where(back, -slope, slope)


def places(
    coordinate: Tensor, size: int, padding_mode: str, align_corners: bool
) -> tuple[Tensor, Tensor]:
    """Convert ``coordinate``, from -1 to 1, to pixels; return it and its derivative.

    The first pixel's centre is 0.
    """
    scale = (size - 1) / 2 if align_corners else size / 2
    u = (coordinate + 1) * scale - (0 if align_corners else 0.5)
    slope = torch.full_like(u, scale)
    if padding_mode == "reflection":
        bounds = (0, size - 1) if align_corners else (-0.5, size)
        u, slope = reflected(u, slope, *bounds)
    if padding_mode != "zeros":
        between = (u > 0) & (u < size - 1)
        # NaN becomes the first pixel.
        edge = torch.where(u >= size - 1, float(size - 1), 0.0).to(u.dtype)
        u, slope = torch.where(between, u, edge), torch.where(between, slope, 0)
    return u, slope


def neighbours(
    coordinate: Tensor, size: int, mode: str, padding_mode: str, align_corners: bool
) -> list[Neighbour]:
    """Return the two pixels around each coordinate; with ``"nearest"`` only the first counts."""
    u, slope = places(coordinate, size, padding_mode, align_corners)
    # False for NaN.
    near = (u >= -1) & (u < size)
    u = torch.where(near, u, 0)
    if mode == "nearest":
        # Halves round to the even pixel.
        first = u.round()
        inside = near & (first >= 0) & (first < size)
        # The share depends on the coordinate, whose gradient is 0 and not missing.
        share = torch.where(inside, u * 0 + 1, 0)
        only = Neighbour(
            torch.where(inside, first, 0).long(), inside, share, torch.zeros_like(share)
        )
        none = torch.zeros_like(inside)
        return [only, Neighbour(only.pixel, none, only.slope, only.slope)]
    first = u.detach().floor()
    found = []
    for index, weight, bend in ((first, first + 1 - u, -slope), (first + 1, u - first, slope)):
        inside = near & (index >= 0) & (index < size)
        index, weight, bend = (torch.where(inside, t, 0) for t in (index, weight, bend))
        found.append(Neighbour(index.long(), inside, weight, bend))
    return found


class Places:
    """The neighbours of every point of ``grid[N, Ho, Wo, 2]`` in images of ``size`` ``[H, W]``.

    Its methods sum over them; ``across`` and ``down`` are the orders of derivative, 0 or 1, in the
    grid's x and y.
    """

    def __init__(
        self, grid: Tensor, size: Sequence[int], mode: str, padding_mode: str, align_corners: bool
    ) -> None:
        points = grid.flatten(1, 2)
        self.size = size
        self.columns = neighbours(points[..., 0], size[1], mode, padding_mode, align_corners)
        self.rows = neighbours(points[..., 1], size[0], mode, padding_mode, align_corners)

    def _corners(self, across: int, down: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Return pixel, mask of those inside, and factor of four neighbours, ``[N, 1, points]``."""
        found = []
        for row in self.rows:
            for column in self.columns:
                factor = (column.slope if across else column.weight) * (
                    row.slope if down else row.weight
                )
                at = row.pixel * self.size[1] + column.pixel
                found.append((at[:, None], (row.inside & column.inside)[:, None], factor[:, None]))
        return found

    def gather(self, pixels: Tensor, across: int = 0, down: int = 0) -> Tensor:
        """Sum ``pixels[N, C, H·W]`` over the neighbours, to ``[N, C, points]``.

        Pixels outside are not multiplied.
        """
        result = pixels.new_zeros(())
        for at, inside, factor in self._corners(across, down):
            found = pixels.gather(2, at.expand(-1, pixels.shape[1], -1))
            result = result + torch.where(inside, found, 0) * factor
        return result

    def scatter(self, values: Tensor, across: int = 0, down: int = 0) -> Tensor:
        """Add ``values[N, C, points]`` to the neighbours: the adjoint, ``[N, C, H·W]``."""
        n, c, _ = values.shape
        result = values.new_zeros(n, c, self.size[0] * self.size[1])
        for at, inside, factor in self._corners(across, down):
            result = result.scatter_add(
                2, at.expand(-1, c, -1), torch.where(inside, values * factor, 0)
            )
        return result


# ----------------------------------------------------------------------------------- the ops


def flat(t: Tensor) -> Tensor:
    """Reshape to ``[N, C, pixels]`` in the accumulation dtype."""
    return t.to(accumulate_dtype(t.dtype)).flatten(2)


def image(values: Tensor, size: Sequence[int], like: Tensor) -> Tensor:
    """Reshape ``values[N, C, pixels]`` to images with the dtype and layout of ``like``."""
    return in_layout_of(like, values.to(like.dtype).reshape(*values.shape[:2], *size))


def grid_sample(
    x: Tensor, grid: Tensor, mode: str, padding_mode: str, align_corners: bool
) -> Tensor:
    """Sample ``x`` at ``grid``, which has the accumulation dtype of ``x``.

    Autograd gives derivatives of any order.
    """
    at = Places(grid, x.shape[2:], mode, padding_mode, align_corners)
    return image(at.gather(flat(x)), grid.shape[1:3], x)


def grid_sample_backward(
    dy: Tensor, x: Tensor | None, grid: Tensor, size: Sequence[int], mode: str, padding_mode: str,
    align_corners: bool, need_dx: bool, need_dgrid: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return ``dx = Sᵀ·dy`` and ``dgrid = Σ_c dy·(S_x·x, S_y·x)``.

    Gradients that aren't needed are empty.
    """
    at = Places(grid, size, mode, padding_mode, align_corners)
    dx, dgrid = dy.new_empty(0), grid.new_empty(0)
    if need_dx:
        dx = image(at.scatter(flat(dy)), size, dy)
    if need_dgrid:
        assert x is not None
        v, pixels = flat(dy), flat(x)
        along = [(v * at.gather(pixels, *order)).sum(1) for order in ((1, 0), (0, 1))]
        dgrid = torch.stack(along, -1).reshape(grid.shape)
    return dx, dgrid


def grid_sample_double_backward(
    ddx: Tensor | None, ddgrid: Tensor | None, dy: Tensor, x: Tensor | None, grid: Tensor,
    size: Sequence[int], mode: str, padding_mode: str, align_corners: bool, need_ddy: bool,
    need_dx: bool, need_dgrid: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Return the second derivatives, empty where they aren't needed; None counts as zero.

    With ``a = ddx`` and ``b = ddgrid`` they are::

        ddy   = S·a + b_x·S_x·x + b_y·S_y·x
        dx    = S_xᵀ(b_x·dy) + S_yᵀ(b_y·dy)
        dgrid = Σ_c dy·(S_x·a + b_y·S_xy·x, S_y·a + b_x·S_xy·x)
    """
    at = Places(grid, size, mode, padding_mode, align_corners)
    ddy, dx, dgrid = dy.new_empty(0), dy.new_empty(0), grid.new_empty(0)
    a, pixels, v = (None if t is None else flat(t) for t in (ddx, x, dy))
    assert v is not None
    bx = by = None
    if ddgrid is not None:
        bx, by = ddgrid.flatten(1, 2)[:, None].unbind(-1)
    if need_ddy:
        total = torch.zeros_like(v) if a is None else at.gather(a)
        if bx is not None and by is not None:
            assert pixels is not None
            total = total + bx * at.gather(pixels, 1, 0) + by * at.gather(pixels, 0, 1)
        ddy = image(total, grid.shape[1:3], dy)
    if need_dx:
        assert bx is not None and by is not None
        dx = image(at.scatter(bx * v, 1, 0) + at.scatter(by * v, 0, 1), size, dy)
    if need_dgrid:
        across = down = torch.zeros_like(v)
        if a is not None:
            across, down = at.gather(a, 1, 0), at.gather(a, 0, 1)
        if bx is not None and by is not None:
            assert pixels is not None
            turn = at.gather(pixels, 1, 1)
            across, down = across + by * turn, down + bx * turn
        dgrid = torch.stack([(v * across).sum(1), (v * down).sum(1)], -1).reshape(grid.shape)
    return ddy, dx, dgrid
