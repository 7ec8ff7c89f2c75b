"""Drawn landscapes by day and at dusk: sky, sun, clouds, mountains, water, trees and meadow."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastgan.data.dataset import DataError
from fastgan.data.drawn import DrawnDataset
from fastgan.data.inputs import InputSpec, Task
from fastgan.data.painting import Layers

LAND_PARTS = ("sky", "sun", "cloud", "mountain", "hill", "water", "meadow", "tree")
"""Classes of a landscape's semantic map."""
TIMES = ("day", "dusk")
"""Classes of the landscapes."""
LAND_TASKS: tuple[Task, ...] = ("domains", "maps")
"""Tasks for which landscapes have inputs."""

_TREES = 6
# Points of the noise: ridges of two ranges, shore and meadow, clouds.
_RIDGE = (5, 9, 17, 33)
_CLOUD = ((4, 7), (7, 13), (13, 25))
_NUMBERS = 26 + 4 * _TREES
_DRAWS = _NUMBERS + 4 * sum(_RIDGE) + sum(rows * columns for rows, columns in _CLOUD)
_LAYERS = 15 + 3 * _TREES
# Whole numbers keep sums of noise exact in any order.
_STEPS = 64

# Colours by day and at dusk: 0 to 255.
_PALETTE: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "sky high": ((72, 136, 214), (44, 40, 98)),
    "sky low": ((188, 220, 244), (246, 142, 84)),
    "sun": ((255, 246, 196), (255, 112, 60)),
    "cloud": ((250, 250, 252), (222, 124, 122)),
    "cloud shade": ((206, 214, 226), (142, 82, 116)),
    "mountain": ((122, 134, 156), (84, 66, 110)),
    "mountain shade": ((88, 100, 126), (58, 46, 86)),
    "snow": ((244, 248, 252), (226, 168, 170)),
    "hill": ((92, 130, 92), (58, 58, 74)),
    "hill shade": ((66, 102, 76), (40, 42, 60)),
    "water": ((66, 128, 178), (92, 70, 112)),
    "water light": ((170, 208, 232), (240, 142, 96)),
    "meadow": ((124, 172, 70), (74, 74, 58)),
    "meadow dark": ((76, 126, 50), (46, 50, 46)),
    "leaves": ((52, 106, 52), (30, 38, 42)),
    "leaves light": ((98, 150, 70), (70, 58, 56)),
    "trunk": ((92, 68, 48), (38, 28, 32)),
}


class LandscapesDataset(DrawnDataset):
    """One landscape per image: mountains, hills, a lake, a meadow with trees, sun and clouds.

    Its class is the time, day or dusk. With a task, each image has an input:

    - ``domains``: ``other``, another landscape at dusk; the images are by day.
    - ``maps``: ``map``, the part of every pixel (see ``LAND_PARTS``).

    The arguments are those of ``DrawnDataset``.

    Raises:
        DataError: an argument is out of range, or the task isn't one of ``LAND_TASKS``.
    """

    name = "landscapes"
    # Raise it whenever the same index would be drawn differently.
    version = 1
    class_names = TIMES
    num_classes = len(TIMES)

    def __init__(self, task: Task | None = None, **options: Any) -> None:
        if task is not None and task not in LAND_TASKS:
            raise DataError(
                f"The data set 'landscapes' has no {task}: choose faces or shapes, or a folder "
                f"laid out for {task}."
            )
        super().__init__(task, **options)
        if task is not None:
            self.inputs = {
                "domains": {"other": InputSpec("image", channels=self.channels)},
                "maps": {"map": InputSpec("map", names=LAND_PARTS)},
            }[task]

    def label(self, i: int) -> int:
        return int(self.batch_labels(torch.tensor([i])))

    def batch_labels(self, indices: Tensor) -> Tensor:
        """Return the time of each landscape, as its position in ``TIMES``.

        Args:
            indices: int64 ``[N]``.

        Returns:
            int64 ``[N]``.

        Raises:
            IndexError: an index is outside the set.
        """
        if self.task == "domains":
            return torch.zeros(len(self._checked(indices)), dtype=torch.int64)
        return (self._draws(self._checked(indices), 1)[:, 0] < 0.5).to(torch.int64)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        labels = self.batch_labels(indices)
        return self._drawn(self._draws(indices.tolist(), _DRAWS), labels)[0], labels

    def batch_inputs(self, indices: Tensor) -> dict[str, Tensor]:
        wanted = self._checked(indices)
        if self.task == "domains":
            other = self._draws(wanted, _DRAWS, stream=1)
            return {"other": self._drawn(other, torch.ones(len(wanted), dtype=torch.int64))[0]}
        if self.task == "maps":
            return self.examples(indices)[2]
        return {}

    def examples(self, indices: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        if self.task != "maps":
            return super().examples(indices)
        labels = self.batch_labels(indices)
        images, parts = self._drawn(self._draws(indices.tolist(), _DRAWS), labels, parts=True)
        return images, labels, {"map": parts}

    def held_out(self) -> LandscapesDataset:
        """Return the 1,000 landscapes after the set's last."""
        return LandscapesDataset(self.task, **self._held_out_options())

    def _drawn(self, draws: Tensor, times: Tensor, *, parts: bool = False) -> tuple[Tensor, Tensor]:
        def some(rows: slice) -> tuple[Layers, dict[str, Tensor]]:
            return draw(draws[rows], self.resolution), _colours(draws[rows], times[rows])

        return self._in_passes(len(draws), some, parts=parts)


def _colours(draws: Tensor, times: Tensor) -> dict[str, Tensor]:
    """Return float32 ``[N, 3]`` by name: the palette of the time, each scene with its own tint."""
    light = 0.92 + 0.16 * draws[:, 1:2]
    tint = light * (0.95 + 0.1 * draws[:, 2:5])
    return {
        name: (torch.tensor(both, dtype=torch.float64)[times] * tint)
        .round()
        .clamp(0, 255)
        .to(torch.float32)
        for name, both in _PALETTE.items()
    }


def draw(draws: Tensor, resolution: int) -> Layers:
    """Return the layers of N landscapes; positions are fractions of the side, y downwards."""
    numbers = draws[:, 5:_NUMBERS].to(torch.float32)[:, :, None, None].unbind(1)
    points = iter(draws[:, _NUMBERS:].split(_sizes(), dim=1))
    place = (torch.arange(resolution, dtype=torch.float32) + 0.5) / resolution
    x = place.view(1, 1, -1)
    y = place.view(1, -1, 1).expand(len(draws), resolution, resolution).contiguous()
    pixel = torch.full((len(draws), 1, 1), 1 / resolution)
    paint = Layers(y, _LAYERS, LAND_PARTS, pixel)
    cover, add = paint.cover, paint.add

    horizon = 0.42 + 0.14 * numbers[0]
    shore = horizon + 0.1 + 0.12 * numbers[1] + 0.07 * (_ridge(points, resolution) - 0.5)
    hills = horizon - 0.02 - (0.05 + 0.1 * numbers[2]) * _ridge(points, resolution)
    heights = _ridge(points, resolution)
    mountains = horizon - 0.04 - (0.16 + 0.26 * numbers[3]) * heights
    rough = _ridge(points, resolution)
    sun_x, sun_y = 0.15 + 0.7 * numbers[4], horizon - 0.12 - 0.2 * numbers[5]
    clouds = _clouds(points, resolution)

    _add_trees(paint, numbers, x, y, shore)
    # Meadow: patches of longer grass.
    ground = cover(shore - y)
    grass = clouds.flip(1) + 0.5 * (y - shore)
    add((grass - 0.5).mul_(6).clamp_(0, 0.45) * ground, "meadow dark", "meadow")
    add(ground, "meadow", "meadow")
    # Water: bands of light below the sun and the far shore.
    lake = cover(horizon - y)
    bands = (y * 31 + rough) - (y * 31 + rough).floor()
    column = (0.07 + 0.25 * (y - horizon) - (x - sun_x).abs()).mul_(12).clamp_(0, 1)
    column.mul_((bands > 0.4).to(torch.float32))
    far = (0.035 - (y - horizon)).mul_(20).clamp_(0, 0.6)
    add(torch.maximum(column, far).mul_(lake), "water light", "water")
    add(lake, "water", "water")
    # Hills and mountains: slopes that turn from the sun are in the shade.
    for name, part, ridge in (("hill", "hill", hills), ("mountain", "mountain", mountains)):
        slope = ridge - ridge.roll(1, dims=2)
        dark = ((x - sun_x).sign() * slope * resolution).mul_(1.2) + (clouds - 0.45) * 4
        dark.clamp_(0, 0.7)
        mass = cover(ridge - y)
        if name == "mountain":
            line = mountains + 0.05 + 0.05 * (rough - 0.5) + 0.5 * (0.45 - heights).clamp(min=0)
            add(cover(y - line).mul_(mass), "snow", part)
        add(dark * mass, f"{name} shade", part)
        add(mass, name, part)
    height = horizon - y
    puff = (clouds - 0.62 + 0.18 * numbers[6]).mul_(9).clamp_(0, 1)
    puff.mul_((height * 8).clamp_(0, 1))
    under = (clouds - 0.8 + 0.18 * numbers[6]).mul_(5).clamp_(0, 0.7)
    add(under * puff, "cloud shade", "cloud")
    add(puff, "cloud", "cloud")
    dx, dy = x - sun_x, y - sun_y
    away = (dx * dx + dy * dy).sqrt_()
    add(cover(away - 0.05), "sun", "sun")
    add((0.22 - away).mul_(2.6).clamp_(0, 0.5), "sun", "sky")
    add((1 - height / horizon).clamp_(0, 1), "sky low", "sky")
    add(torch.ones_like(y), "sky high", "sky")
    return paint


def _add_trees(
    paint: Layers, numbers: tuple[Tensor, ...], x: Tensor, y: Tensor, shore: Tensor
) -> None:
    """Add firs and round trees on the meadow, the nearest in front."""
    lowest = shore.amax(dim=2, keepdim=True)
    for k in range(_TREES):
        place, depth, kind, there = numbers[7 + k : 7 + 4 * _TREES : _TREES][:4]
        # From front to back.
        near = (_TREES - k - depth) / _TREES
        foot = lowest + 0.01 + (0.93 - lowest) * near * near
        size = 0.1 + 0.2 * near
        u = (x - place) / size
        w = (foot - y) / size
        boughs = (w * 3 - (w * 3).floor()).mul_(0.12)
        fir = u.abs() - 0.30 * (1.05 - w) - boughs
        fir = torch.maximum(torch.maximum(fir, 0.1 - w), w - 1.05)
        dw = w - 0.7
        crown = (u * u * 1.2 + dw * dw).sqrt_().sub_(0.36)
        is_fir = kind < 0.5
        shown = (there < 0.6).to(torch.float32)
        leaves = paint.cover(torch.where(is_fir, fir, crown).mul_(size)).mul_(shown)
        lit = (u * 3 + dw).mul_(2).clamp_(0, 0.7)
        paint.add(lit.mul_(leaves), "leaves light", "tree")
        paint.add(leaves, "leaves", "tree")
        trunk = torch.maximum(u.abs() - 0.05, (w - 0.2).abs() - 0.2)
        paint.add(paint.cover(trunk.mul_(size)).mul_(shown), "trunk", "tree")


def _sizes() -> list[int]:
    sizes = [sum(_RIDGE)] * 4
    return [*sizes, *(rows * columns for rows, columns in _CLOUD)]


def _ridge(points: Any, resolution: int) -> Tensor:
    """Return a line of smooth noise in [0, 1], float32 ``[N, 1, R]``, finer parts weaker."""
    values = next(points).split(_RIDGE, dim=1)
    line, total = torch.zeros(()), 0.0
    for octave, heights in enumerate(values):
        weight = 0.55**octave
        whole = (heights * 255).round().to(torch.float32)
        line = line + weight * (whole @ _weights(heights.shape[1], resolution).T)
        total += weight
    return (line / (255 * _STEPS * total))[:, None]


def _clouds(points: Any, resolution: int) -> Tensor:
    """Return a field of smooth noise in [0, 1], float32 ``[N, R, R]``, stretched sideways."""
    field, total = torch.zeros(()), 0.0
    for octave, (columns, rows) in enumerate(_CLOUD):
        weight = 0.55**octave
        whole = (next(points) * 255).round().to(torch.float32).unflatten(1, (rows, columns))
        across = whole @ _weights(columns, resolution).T
        field = field + weight * (_weights(rows, resolution) @ across)
        total += weight
    return field / (255 * _STEPS**2 * total)


def _weights(count: int, resolution: int) -> Tensor:
    """Return the weights of ``count`` points at each pixel, whole 64ths, ``[R, count]``."""
    at = (torch.arange(resolution, dtype=torch.float64) + 0.5) / resolution * (count - 1)
    low = at.floor().clamp(max=count - 2)
    t = at - low
    smooth = (t * t * (3 - 2 * t) * _STEPS).round()
    weights = torch.zeros(resolution, count, dtype=torch.float32)
    rows, place = torch.arange(resolution), low.to(torch.int64)
    weights[rows, place] = (_STEPS - smooth).float()
    weights[rows, place + 1] = smooth.float()
    return weights
