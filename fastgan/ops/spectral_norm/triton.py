# mypy: disable-error-code="no-untyped-def, name-defined"
"""spectral_norm in Triton: a launch serves all layers, which a table in device memory describes.

A weight is ``[outer][rows][run]`` in memory, and its row has ``outer · run`` columns. Each kernel
divides every layer into programs, and a program looks up its layer in the table. Tensors are
addressed from the first weight, by their distance from it in elements. Sums go to places of their
own and are added up in a fixed order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from fastgan.ops._triton import ACCUMULATE, SUMS, on_device, power_of_two
from fastgan.ops.spectral_norm.reference import Normalised

#: Rows of the table, with a column per layer. Behind them, for each way of dividing layers into
#: programs, is a row of the first program of each layer.
FIELDS = (
    "weight",
    "u",
    "v",
    "grad",
    "direction",
    "out",
    "out_weight",
    "vectors",
    "partial",
    "outer",
    "rows",
    "run",
)
_WEIGHT, _U, _V, _GRAD, _DIRECTION, _OUT, _OUT_WEIGHT, _VECTORS, _PARTIAL, _OUTER, _ROWS, _RUN = (
    tl.constexpr(i) for i in range(len(FIELDS))
)
_STARTS = tl.constexpr(len(FIELDS))
CUTS = ("vectors", "rows", "columns", "layers", "tiles")
_BY_VECTORS, _BY_ROWS, _BY_COLUMNS, _BY_LAYERS, _BY_TILES = (
    tl.constexpr(i) for i in range(len(CUTS))
)

#: Elements that a program has at a time, and those of a tile of the elementwise kernels.
BLOCK = 1024
TILE = 4 * BLOCK
#: Rows that a program adds up, those that it has at a time, and its columns.
CHUNK, ROWS, COLUMNS = 64, 8, 128


@triton.jit
def _layer(table, count, CUT: tl.constexpr, LAYERS: tl.constexpr):
    """Return the program's layer, and its number within the layer."""
    i = tl.arange(0, LAYERS)
    program = tl.program_id(0)
    starts = tl.load(table + (_STARTS + CUT) * count + i, i < count, 2**31 - 1)
    layer = tl.sum((starts <= program).to(tl.int32), 0) - 1
    return layer, program - tl.load(table + (_STARTS + CUT) * count + layer).to(tl.int32)


@triton.jit
def _field(table, count, layer, FIELD: tl.constexpr):
    return tl.load(table + FIELD * count + layer)


@triton.jit
def _shape(table, count, layer):
    outer = _field(table, count, layer, _OUTER).to(tl.int32)
    rows = _field(table, count, layer, _ROWS).to(tl.int32)
    run = _field(table, count, layer, _RUN).to(tl.int32)
    return rows, run, outer * run


@triton.jit
def start_kernel(base, table, count, vectors, BLOCK: tl.constexpr, LAYERS: tl.constexpr):
    """Copy u and v to the accumulation dtype."""
    layer, block = _layer(table, count, _BY_VECTORS, LAYERS)
    rows, _, columns = _shape(table, count, layer)
    i = block * BLOCK + tl.arange(0, BLOCK)
    u = tl.load(base + _field(table, count, layer, _U) + i, i < rows, 0.0)
    v = tl.load(
        base + _field(table, count, layer, _V) + i - rows, (i >= rows) & (i < rows + columns), 0.0
    )
    value = tl.where(i < rows, u, v).to(vectors.dtype.element_ty)
    tl.store(vectors + _field(table, count, layer, _VECTORS) + i, value, i < rows + columns)


@triton.jit
def rows_kernel(
    base, table, count, vectors, workspace, KEEP_U: tl.constexpr, ACC: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, LAYERS: tl.constexpr,
):  # fmt: skip
    """Compute Wv, in place of u, or in the workspace if u is kept."""
    layer, block = _layer(table, count, _BY_ROWS, LAYERS)
    rows, run, columns = _shape(table, count, layer)
    row = block * ROWS + tl.arange(0, ROWS)
    weight = base + _field(table, count, layer, _WEIGHT)
    v = vectors + _field(table, count, layer, _VECTORS) + rows
    sums = tl.zeros((ROWS, COLUMNS), ACC)
    for first in range(0, columns, COLUMNS):
        c = first + tl.arange(0, COLUMNS)
        at = (c // run * rows * run + c % run)[None, :] + row[:, None] * run
        w = tl.load(weight + at, (row < rows)[:, None] & (c < columns)[None, :], 0.0).to(ACC)
        sums += w * tl.load(v + c, c < columns, 0.0)[None, :]
    to = vectors + _field(table, count, layer, _VECTORS)
    if KEEP_U:
        to = workspace + _field(table, count, layer, _PARTIAL)
    tl.store(to + row, tl.sum(sums, 1), row < rows)


@triton.jit
def columns_kernel(
    base, table, count, vectors, workspace, ACC: tl.constexpr, CHUNK: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, LAYERS: tl.constexpr,
):  # fmt: skip
    """Compute Wᵀy over chunks of rows, each into a place of its own."""
    layer, block = _layer(table, count, _BY_COLUMNS, LAYERS)
    rows, run, columns = _shape(table, count, layer)
    tiles = (columns + COLUMNS - 1) // COLUMNS
    chunk = block // tiles
    c = block % tiles * COLUMNS + tl.arange(0, COLUMNS)
    weight = base + _field(table, count, layer, _WEIGHT)
    y = vectors + _field(table, count, layer, _VECTORS)
    sums = tl.zeros((ROWS, COLUMNS), ACC)
    for first in range(0, CHUNK, ROWS):
        row = chunk * CHUNK + first + tl.arange(0, ROWS)
        at = (c // run * rows * run + c % run)[None, :] + row[:, None] * run
        w = tl.load(weight + at, (row < rows)[:, None] & (c < columns)[None, :], 0.0).to(ACC)
        sums += w * tl.load(y + row, row < rows, 0.0)[:, None]
    to = workspace + _field(table, count, layer, _PARTIAL) + chunk.to(tl.int64) * columns
    tl.store(to + c, tl.sum(sums, 0), c < columns)


@triton.jit
def _image_of_u(partial, c, columns, chunks, norm, ACC: tl.constexpr, BLOCK: tl.constexpr):
    total = tl.zeros((BLOCK,), ACC)
    place = partial + c
    for _ in range(chunks):
        total += tl.load(place, c < columns, 0.0)
        place += columns
    return total / norm


@triton.jit
def finish_kernel(
    # Without this type, floats arrive as float32.
    table, count, vectors, workspace, sigmas, eps: tl.float64,
    ACC: tl.constexpr, CHUNK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Compute u, v and sigma of a layer from the results of the two kernels above."""
    layer = tl.program_id(0)
    rows, _, columns = _shape(table, count, layer)
    u = vectors + _field(table, count, layer, _VECTORS)
    partial = workspace + _field(table, count, layer, _PARTIAL)
    least = tl.full((), eps, ACC)
    squares = tl.zeros((BLOCK,), ACC)
    for first in range(0, rows, BLOCK):
        i = first + tl.arange(0, BLOCK)
        y = tl.load(u + i, i < rows, 0.0)
        squares += y * y
    norm = tl.maximum(tl.sqrt(tl.sum(squares, 0)), least)
    for first in range(0, rows, BLOCK):
        i = first + tl.arange(0, BLOCK)
        tl.store(u + i, tl.load(u + i, i < rows, 0.0) / norm, i < rows)
    chunks = (rows + CHUNK - 1) // CHUNK
    squares = tl.zeros((BLOCK,), ACC)
    for first in range(0, columns, BLOCK):
        c = first + tl.arange(0, BLOCK)
        t = _image_of_u(partial, c, columns, chunks, norm, ACC, BLOCK)
        squares += t * t
    total = tl.sum(squares, 0)
    norm_v = tl.maximum(tl.sqrt(total), least)
    for first in range(0, columns, BLOCK):
        c = first + tl.arange(0, BLOCK)
        t = _image_of_u(partial, c, columns, chunks, norm, ACC, BLOCK)
        tl.store(u + rows + c, t / norm_v, c < columns)
    # The total is |Wᵀu|², so dividing by the norm of v gives uᵀWv.
    tl.store(sigmas + layer, total / norm_v)


@triton.jit
def project_kernel(
    table, count, vectors, workspace, sigmas, ACC: tl.constexpr, BLOCK: tl.constexpr
):
    """Compute sigma = uᵀ(Wv) of a layer, with Wv in the workspace."""
    layer = tl.program_id(0)
    rows, _, _ = _shape(table, count, layer)
    u = vectors + _field(table, count, layer, _VECTORS)
    y = workspace + _field(table, count, layer, _PARTIAL)
    total = tl.zeros((BLOCK,), ACC)
    for first in range(0, rows, BLOCK):
        i = first + tl.arange(0, BLOCK)
        total += tl.load(u + i, i < rows, 0.0) * tl.load(y + i, i < rows, 0.0)
    tl.store(sigmas + layer, tl.sum(total, 0))


@triton.jit
def scale_kernel(
    base,
    table,
    count,
    sigmas,
    ACC: tl.constexpr,
    BLOCK: tl.constexpr,
    TILE: tl.constexpr,
    LAYERS: tl.constexpr,
):
    layer, tile = _layer(table, count, _BY_TILES, LAYERS)
    rows, _, columns = _shape(table, count, layer)
    sigma = tl.load(sigmas + layer)
    weight, out = (
        base + _field(table, count, layer, _WEIGHT),
        base + _field(table, count, layer, _OUT),
    )
    for first in tl.static_range(0, TILE, BLOCK):
        i = tile * TILE + first + tl.arange(0, BLOCK)
        inside = i < rows * columns
        w = tl.load(weight + i, inside, 0.0).to(ACC)
        tl.store(out + i, (w / sigma).to(base.dtype.element_ty), inside)


@triton.jit
def _outer_product(u, i, rows, run, inside):
    """Return u vᵀ at the elements ``i``."""
    block = i // run
    above = block // rows
    row, column = block - above * rows, above * run + i % run
    return tl.load(u + row, inside, 0.0) * tl.load(u + rows + column, inside, 0.0)


@triton.jit
def sums_kernel(
    base, table, count, vectors, workspace, SECOND: tl.constexpr, ACC: tl.constexpr,
    BLOCK: tl.constexpr, TILE: tl.constexpr, LAYERS: tl.constexpr,
):  # fmt: skip
    """Sum a tile's part of ``p = <G, W>``, to ``[p, q, h][tiles]``.

    The second derivative also takes ``q = <H, G>`` and ``h = uᵀHv``.
    """
    layer, tile = _layer(table, count, _BY_TILES, LAYERS)
    rows, run, columns = _shape(table, count, layer)
    tiles = tl.maximum((rows * columns + TILE - 1) // TILE, 1)
    p = tl.zeros((BLOCK,), ACC)
    q = tl.zeros((BLOCK,), ACC)
    h = tl.zeros((BLOCK,), ACC)
    for first in range(0, TILE, BLOCK):
        i = tile * TILE + first + tl.arange(0, BLOCK)
        inside = i < rows * columns
        g = tl.load(base + _field(table, count, layer, _GRAD) + i, inside, 0.0).to(ACC)
        p += g * tl.load(base + _field(table, count, layer, _WEIGHT) + i, inside, 0.0).to(ACC)
        if SECOND:
            d = tl.load(base + _field(table, count, layer, _DIRECTION) + i, inside, 0.0).to(ACC)
            q += d * g
            u = vectors + _field(table, count, layer, _VECTORS)
            h += d * _outer_product(u, i, rows, tl.maximum(run, 1), inside)
    to = workspace + _field(table, count, layer, _PARTIAL) + tile
    tl.store(to, tl.sum(p, 0))
    if SECOND:
        tl.store(to + tiles, tl.sum(q, 0))
        tl.store(to + 2 * tiles, tl.sum(h, 0))


@triton.jit
def _total(partial, tiles, ACC: tl.constexpr, BLOCK: tl.constexpr):
    total = tl.zeros((BLOCK,), ACC)
    for first in range(0, tiles, BLOCK):
        i = first + tl.arange(0, BLOCK)
        total += tl.load(partial + i, i < tiles, 0.0)
    return tl.sum(total, 0)


@triton.jit
def combine_kernel(
    base, table, count, vectors, workspace, sigmas, dsigmas, out_ddsigmas, out_dsigmas,
    SECOND: tl.constexpr, OUT_WEIGHT: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr,
    TILE: tl.constexpr, LAYERS: tl.constexpr,
):  # fmt: skip
    """Write a derivative's results; every program adds up its layer's sums, in the same order."""
    layer, tile = _layer(table, count, _BY_TILES, LAYERS)
    rows, run, columns = _shape(table, count, layer)
    tiles = tl.maximum((rows * columns + TILE - 1) // TILE, 1)
    partial = workspace + _field(table, count, layer, _PARTIAL)
    sigma = tl.load(sigmas + layer)
    p = _total(partial, tiles, ACC, BLOCK)
    along = -p / (sigma * sigma)
    if SECOND:
        q = _total(partial + tiles, tiles, ACC, BLOCK)
        h = _total(partial + 2 * tiles, tiles, ACC, BLOCK)
        along = -h / (sigma * sigma)
        if tile == 0:
            tl.store(out_ddsigmas + layer, h)
            tl.store(out_dsigmas + layer, (2 * h * p / sigma - q) / (sigma * sigma))
    elif dsigmas is not None:
        along = tl.load(dsigmas + layer) + along
    u = vectors + _field(table, count, layer, _VECTORS)
    out = base + _field(table, count, layer, _OUT)
    for first in tl.static_range(0, TILE, BLOCK):
        i = tile * TILE + first + tl.arange(0, BLOCK)
        inside = i < rows * columns
        if SECOND:
            d = tl.load(base + _field(table, count, layer, _DIRECTION) + i, inside, 0.0).to(ACC)
            w = tl.load(base + _field(table, count, layer, _WEIGHT) + i, inside, 0.0).to(ACC)
            tl.store(out + i, (d / sigma + along * w).to(base.dtype.element_ty), inside)
            if OUT_WEIGHT:
                g = tl.load(base + _field(table, count, layer, _GRAD) + i, inside, 0.0).to(ACC)
                to = base + _field(table, count, layer, _OUT_WEIGHT)
                tl.store(to + i, (along * g).to(base.dtype.element_ty), inside)
        else:
            g = tl.load(base + _field(table, count, layer, _GRAD) + i, inside, 0.0).to(ACC)
            beside = along * _outer_product(u, i, rows, tl.maximum(run, 1), inside)
            tl.store(out + i, (g / sigma + beside).to(base.dtype.element_ty), inside)


class _Launches:
    """The layers of one call, and launches over them.

    Args:
        fields: contiguous tensors of each layer, by name.
    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        dims: Sequence[int],
        fields: Mapping[str, Sequence[Tensor]],
        partials: Callable[[int, int], int],
    ) -> None:
        self.base = base = weights[0]
        self.count, self.layers = len(weights), power_of_two(len(weights))
        self.acc = ACCUMULATE[base.dtype]
        columns: list[list[int]] = []
        ends = dict.fromkeys(CUTS, 0)
        self.vectors_size = workspace = 0
        for k, (weight, dim) in enumerate(zip(weights, dims)):
            rows = weight.shape[dim]
            outer = weight.shape[:dim].numel()
            run = weight.shape[dim + 1 :].numel() if rows else 0
            size = rows + outer * run
            if max(rows * outer * run, size) > 2**31 - 1 - TILE:
                raise ValueError(
                    f"spectral_norm: a weight of shape {list(weight.shape)} is too large for one "
                    "launch; split it"
                )
            tensors = [fields[name][k] if fields.get(name) else base for name in FIELDS[:7]]
            places = [(t.data_ptr() - base.data_ptr()) // base.element_size() for t in tensors]
            columns.append(
                [*places, self.vectors_size, workspace, outer, rows, run, *ends.values()]
            )
            programs = {
                "vectors": triton.cdiv(size, BLOCK),
                "rows": triton.cdiv(rows, ROWS),
                "columns": triton.cdiv(outer * run, COLUMNS) * triton.cdiv(rows, CHUNK),
                "layers": 1,
                "tiles": max(1, triton.cdiv(rows * outer * run, TILE)),
            }
            ends = {name: end + programs[name] for name, end in ends.items()}
            self.vectors_size += size
            workspace += partials(rows, outer * run)
        self.programs = ends
        table = torch.tensor(columns, dtype=torch.int64).T.contiguous()
        # A copy from memory that isn't pinned would wait for the device.
        table = table.pin_memory() if base.is_cuda else table
        self.table = table.to(base.device, non_blocking=True)
        self.workspace = self.row(workspace)

    def row(self, size: int) -> Tensor:
        return torch.empty(size, dtype=SUMS[self.base.dtype], device=self.base.device)

    def over(self, cut: str, kernel, *args, **constants) -> None:
        if self.programs[cut]:
            if cut != "layers":
                args, constants = (self.base, *args), {"LAYERS": self.layers, **constants}
            place = 1 if cut != "layers" else 0
            kernel[(self.programs[cut],)](
                *args[:place], self.table, self.count, *args[place:], **constants
            )


def _contiguous(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [t.contiguous() for t in tensors]


def _empty(weights: Sequence[Tensor]) -> list[Tensor]:
    return [weight.new_empty(weight.shape) for weight in weights]


def spectral_norm(
    weights: Sequence[Tensor], us: Sequence[Tensor], vs: Sequence[Tensor], dims: Sequence[int],
    n_power_iterations: int, eps: float,
) -> Normalised:  # fmt: skip
    weights, us, vs, out = _contiguous(weights), _contiguous(us), _contiguous(vs), _empty(weights)

    def partials(rows: int, columns: int) -> int:
        return triton.cdiv(rows, CHUNK) * columns if n_power_iterations else rows

    launch = _Launches(weights, dims, {"weight": weights, "u": us, "v": vs, "out": out}, partials)
    vectors, sigmas, workspace = (
        launch.row(launch.vectors_size),
        launch.row(len(weights)),
        launch.workspace,
    )
    acc = {"ACC": launch.acc}
    block = {**acc, "BLOCK": BLOCK}
    by_rows = {**acc, "ROWS": ROWS, "COLUMNS": COLUMNS}
    with on_device(weights[0]):
        launch.over("vectors", start_kernel, vectors, BLOCK=BLOCK)
        for _ in range(n_power_iterations):
            launch.over("rows", rows_kernel, vectors, workspace, KEEP_U=False, **by_rows)
            launch.over("columns", columns_kernel, vectors, workspace, CHUNK=CHUNK, **by_rows)
            launch.over(
                "layers", finish_kernel, vectors, workspace, sigmas, eps, CHUNK=CHUNK, **block
            )
        if n_power_iterations == 0:
            launch.over("rows", rows_kernel, vectors, workspace, KEEP_U=True, **by_rows)
            launch.over("layers", project_kernel, vectors, workspace, sigmas, **block)
        launch.over("tiles", scale_kernel, sigmas, TILE=TILE, **block)
    return out, sigmas, vectors


def spectral_norm_backward(
    grads: Sequence[Tensor], dsigmas: Tensor | None, weights: Sequence[Tensor], sigmas: Tensor,
    vectors: Tensor, dims: Sequence[int],
) -> list[Tensor]:  # fmt: skip
    weights, grads, out = _contiguous(weights), _contiguous(grads), _empty(weights)
    fields = {"weight": weights, "grad": grads, "out": out}
    launch = _Launches(
        weights, dims, fields, lambda rows, columns: max(1, triton.cdiv(rows * columns, TILE))
    )
    given = (vectors.contiguous(), launch.workspace)
    constants = {"SECOND": False, "ACC": launch.acc, "BLOCK": BLOCK, "TILE": TILE}
    dsigmas = None if dsigmas is None else dsigmas.contiguous()
    with on_device(weights[0]):
        launch.over("tiles", sums_kernel, *given, **constants)
        launch.over(
            *("tiles", combine_kernel, *given, sigmas.contiguous(), dsigmas, None, None),
            OUT_WEIGHT=False,
            **constants,
        )
    return out


def spectral_norm_double_backward(
    ddweights: Sequence[Tensor], grads: Sequence[Tensor], weights: Sequence[Tensor], sigmas: Tensor,
    vectors: Tensor, dims: Sequence[int], need_dweights: bool,
) -> tuple[list[Tensor], Tensor, list[Tensor], Tensor]:  # fmt: skip
    weights, grads, directions = _contiguous(weights), _contiguous(grads), _contiguous(ddweights)
    out, out_weight = _empty(weights), _empty(weights) if need_dweights else []
    fields = {
        "weight": weights,
        "grad": grads,
        "direction": directions,
        "out": out,
        "out_weight": out_weight,
    }
    launch = _Launches(
        weights, dims, fields, lambda rows, columns: 3 * max(1, triton.cdiv(rows * columns, TILE))
    )
    ddsigmas, dsigmas = launch.row(len(weights)), launch.row(len(weights))
    given = (vectors.contiguous(), launch.workspace)
    constants = {"SECOND": True, "ACC": launch.acc, "BLOCK": BLOCK, "TILE": TILE}
    with on_device(weights[0]):
        launch.over("tiles", sums_kernel, *given, **constants)
        launch.over(
            *("tiles", combine_kernel, *given, sigmas.contiguous(), None, ddsigmas, dsigmas),
            OUT_WEIGHT=need_dweights,
            **constants,
        )
    return out, ddsigmas, out_weight, dsigmas
