"""Rendered scenes of one coloured shape: labelled images of any size without files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from fastgan.data.drawn import DrawnDataset
from fastgan.data.images import with_channels

_SUBPIXELS = 4
# Bounds the memory of one pass: 2**22 sample points are 16 MiB per float32 temporary.
_MAX_POINTS = 1 << 22
STRIPES = 8
"""Number of stripes over the height of the image, each followed by a gap of the same height."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 39, 40),
    "orange": (255, 137, 22),
    "yellow": (250, 215, 40),
    "green": (44, 150, 60),
    "cyan": (35, 200, 215),
    "blue": (35, 85, 200),
    "purple": (130, 60, 175),
    "pink": (240, 120, 185),
}


@dataclass(frozen=True)
class Scene:
    """Description of one image; positions are fractions of the image's side, y downwards.

    Attributes:
        shape: name of the class.
        label: index of the class in ``SHAPES``.
        colour: name in ``COLOURS``.
        background: RGB, 0 to 255.
        centre: (x, y) of the shape's centre.
        size: radius of the circle around the shape.
        angle: rotation in radians, clockwise in the image.
        striped: True for horizontal stripes in the shape, white on a dark background, else black.
    """

    shape: str
    label: int
    colour: str
    background: tuple[int, int, int]
    centre: tuple[float, float]
    size: float
    angle: float
    striped: bool = False

    @property
    def light(self) -> bool:
        """True if the background is nearer to white than to black."""
        return sum(self.background) > 3 * 127.5


# Each function tests for "inside", in coordinates where the circle around the shape has radius 1.
# They use exactly rounded operations alone (no division, root or transcendental), so that a scene
# has the same pixels in any batch and at any vector width.


def _circle(u: Tensor, v: Tensor) -> Tensor:
    return u * u + v * v <= 1.0


def _ring(u: Tensor, v: Tensor) -> Tensor:
    r2 = u * u + v * v
    return (r2 <= 1.0) & (r2 >= 0.6**2)


def _square(u: Tensor, v: Tensor) -> Tensor:
    return (u.abs() <= 0.7) & (v.abs() <= 0.7)


def _cross(u: Tensor, v: Tensor) -> Tensor:
    a, b = u.abs(), v.abs()
    return (torch.minimum(a, b) <= 0.3) & (torch.maximum(a, b) <= 0.95)


def _half_planes(u: Tensor, v: Tensor, corners: int, distance: float) -> Tensor:
    """Count the half-planes that contain each point, out of ``corners`` evenly turned ones.

    Their borders have this ``distance`` from the centre.
    """
    inside = torch.zeros_like(u, dtype=torch.uint8)
    for k in range(corners):
        turn = math.pi / 2 + 2 * math.pi * k / corners
        inside += u * math.cos(turn) + v * math.sin(turn) <= distance
    return inside


def _triangle(u: Tensor, v: Tensor) -> Tensor:
    return _half_planes(u, v, 3, 0.5) == 3


def _star(u: Tensor, v: Tensor) -> Tensor:
    # Each point of a pentagram lies in at least four of the five half-planes.
    return _half_planes(u, v, 5, math.cos(2 * math.pi / 5)) >= 4


def _crescent(u: Tensor, v: Tensor) -> Tensor:
    w = u - 0.5
    return (u * u + v * v <= 1.0) & (w * w + v * v >= 0.75**2)


def _heart(u: Tensor, v: Tensor) -> Tensor:
    x, y = u * 1.36, 0.1 - v * 1.36
    ring = x * x + y * y - 1.0
    return ring * ring * ring - x * x * y * y * y <= 0.0


SHAPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
    "crescent": _crescent,
    "heart": _heart,
}
_SHAPE_NAMES = tuple(SHAPES)
_COLOUR_NAMES = tuple(COLOURS)


class ShapesDataset(DrawnDataset):
    """One shape per image: 8 classes, 8 colours; random position, size, angle and background.

    Image ``i`` depends on ``(seed, i)``, the resolution and the channels alone. So the set needs no
    storage, and its scenes are the same at every resolution. Edges are antialiased by 4x4 samples
    per pixel.

    Args:
        resolution: height and width in pixels, 4 to 4096.
        channels: 3, or 1 for the luma of the same scenes.
        length: number of scenes, at least 1.
        seed: seed of the scenes, 0 to 2**64 - 1.
        first: number of the scene that is image 0, at least 0.

    Raises:
        DataError: an argument is out of range.
    """

    name = "shapes"
    # Raise it whenever the same index would render differently.
    version = 1
    min_resolution = 4
    class_names = _SHAPE_NAMES
    num_classes = len(_SHAPE_NAMES)

    def __init__(
        self,
        *,
        resolution: int = 32,
        channels: int = 3,
        length: int = 10_000,
        seed: int = 0,
        first: int = 0,
    ) -> None:
        super().__init__(
            resolution=resolution, channels=channels, length=length, seed=seed, first=first
        )

    def attributes(self, i: int) -> Scene:
        """Return the description of image ``i``.

        Raises:
            IndexError: ``i`` is outside the set.
        """
        self._check_index(i)
        return self._scene(i)

    def _scene(self, i: int, *, stream: int = 0) -> Scene:
        return _scene(self._draw(i, 10, stream=stream))

    def _draw(self, i: int, count: int, *, stream: int = 0) -> list[float]:
        """Draw ``count`` numbers in [0, 1) for image ``i``; streams are independent."""
        draw: list[float] = self._draws([i], count, stream=stream)[0].tolist()
        return draw

    def label(self, i: int) -> int:
        return self.attributes(i).label

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        scenes = [self.attributes(i) for i in self._checked(indices)]
        labels = torch.tensor([scene.label for scene in scenes], dtype=torch.int64)
        return self._painted(scenes), labels

    def masks(self, indices: Tensor) -> Tensor:
        """Mark the pixels of which the shape covers at least half.

        Args:
            indices: int64 ``[N]``.

        Returns:
            bool ``[N, R, R]``.

        Raises:
            IndexError: an index is outside the set.
        """
        masks = torch.empty(len(indices), self.resolution, self.resolution, dtype=torch.bool)
        for rows, hits in hits_of(
            [self.attributes(i) for i in self._checked(indices)], self.resolution
        ):
            masks[rows] = cover(hits) >= 0.5
        return masks

    def held_out(self) -> ShapesDataset:
        """Return the 1,000 scenes after the set's last."""
        return ShapesDataset(**self._held_out_options())

    def _identity(self) -> str:
        numbers = f"{self.resolution} {self.channels} {len(self)} {self._seed}"
        return f"shapes v{self.version} {numbers}" + (f" {self._first}" if self._first else "")

    def _painted(self, scenes: list[Scene]) -> Tensor:
        images = torch.empty(len(scenes), 3, self.resolution, self.resolution, dtype=torch.uint8)
        for rows, hits in hits_of(scenes, self.resolution):
            images[rows] = paint([scenes[i] for i in rows.tolist()], hits)
        return with_channels(images, self.channels)


def hits_of(scenes: list[Scene], resolution: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Test which of the 4x4 sample points of each pixel lie in the shape.

    Yields parts that fit in memory: positions in ``scenes``, int64 ``[n]``, and hits, bool
    ``[n, 4 R, 4 R]``.
    """
    labels = torch.tensor([scene.label for scene in scenes], dtype=torch.int64)
    points = _points(resolution * _SUBPIXELS)
    for label, inside in enumerate(SHAPES.values()):
        rows = (labels == label).nonzero().flatten()
        for part in rows.split(max(1, _MAX_POINTS // len(points) ** 2)):
            # Splitting no rows gives one empty part.
            if len(part):
                numbers = [_transform(scenes[i]) for i in part.tolist()]
                cx, cy, cos, sin = (
                    torch.tensor(numbers, dtype=torch.float32).view(-1, 4, 1, 1).unbind(1)
                )
                x, y = points.view(1, 1, -1) - cx, points.view(1, -1, 1) - cy
                yield part, inside(x * cos + y * sin, y * cos - x * sin)


def cover(hits: Tensor) -> Tensor:
    """Return the covered share of each pixel: bool ``[n, 4 R, 4 R]`` to float32 ``[n, R, R]``."""
    side = hits.shape[-1] // _SUBPIXELS
    counts = hits.view(-1, side, _SUBPIXELS, side, _SUBPIXELS).sum(dim=(2, 4))
    return counts.to(torch.float32) / _SUBPIXELS**2


def _points(count: int) -> Tensor:
    return (torch.arange(count, dtype=torch.float32) + 0.5) / count


def _transform(scene: Scene) -> tuple[float, float, float, float]:
    """Return centre x and y, and cosine and sine of the angle divided by the size."""
    return *scene.centre, math.cos(scene.angle) / scene.size, math.sin(scene.angle) / scene.size


def paint(scenes: list[Scene], hits: Tensor) -> Tensor:
    """Paint each scene's colour on its background.

    Args:
        scenes: N scenes.
        hits: sample points of the shapes, bool ``[N, 4 R, 4 R]``.

    Returns:
        uint8 ``[N, 3, R, R]``.
    """
    paper = _rgb([scene.background for scene in scenes])
    ink = _rgb([COLOURS[scene.colour] for scene in scenes])
    image = paper + cover(hits).unsqueeze(1) * (ink - paper)
    if any(scene.striped for scene in scenes):
        stripes = (_points(hits.shape[-1]) * (2 * STRIPES)).floor() % 2 == 1
        striped = torch.tensor([scene.striped for scene in scenes]).view(-1, 1, 1)
        second = _rgb([(0, 0, 0) if scene.light else (255, 255, 255) for scene in scenes])
        image += cover(hits & stripes.view(1, -1, 1) & striped).unsqueeze(1) * (second - ink)
    return image.round().to(torch.uint8)


def _rgb(colours: list[tuple[int, int, int]]) -> Tensor:
    return torch.tensor(colours, dtype=torch.float32).view(-1, 3, 1, 1)


def _scene(draw: list[float]) -> Scene:
    """Return the scene that ten numbers in [0, 1) describe."""
    label = int(draw[0] * len(_SHAPE_NAMES))
    colour = _COLOUR_NAMES[int(draw[1] * len(_COLOUR_NAMES))]
    size = 0.18 + 0.22 * draw[2]
    free = 0.98 - 2 * size
    return Scene(
        shape=_SHAPE_NAMES[label],
        label=label,
        colour=colour,
        background=_background(COLOURS[colour], draw[6:10]),
        centre=(0.01 + size + free * draw[3], 0.01 + size + free * draw[4]),
        size=size,
        angle=2 * math.pi * draw[5],
    )


def _background(ink: tuple[int, int, int], draw: list[float]) -> tuple[int, int, int]:
    """Return a nearly grey colour, dark or light, that differs from the ink in luma."""
    luma = (0.299 * ink[0] + 0.587 * ink[1] + 0.114 * ink[2]) / 255
    # Dark for the first half of the draw, light for the second.
    level = draw[0] * 0.5
    level = level if level < 0.25 else level + 0.5
    if abs(level - luma) < 0.3:
        level = 1 - level
    return nearly_grey(level, draw[1:4])


def nearly_grey(level: float, draw: list[float]) -> tuple[int, int, int]:
    """Return RGB, 0 to 255, of a brightness in [0, 1], tinged by three numbers in [0, 1)."""
    red, green, blue = (round(255 * min(1.0, max(0.0, level + 0.12 * (d - 0.5)))) for d in draw)
    return red, green, blue
