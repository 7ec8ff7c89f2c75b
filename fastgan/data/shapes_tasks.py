"""Rendered shapes with an input per image: outline, striped scene, map, attributes or caption."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import torch
from torch import Tensor

from fastgan.data.dataset import DataError
from fastgan.data.images import with_channels
from fastgan.data.inputs import InputSpec, Task
from fastgan.data.shapes import COLOURS, SHAPES, Scene, ShapesDataset, hits_of, nearly_grey, paint

# Part of the fingerprint: raise it whenever the same index would have other inputs.
_VERSION = 2
# Side in pixels at which a stripe is one pixel high.
_STRIPES_FROM = 16
# An outline reaches a 64th of the side to either side of the edge.
_LINE = 64
# Half of the scenes exceed this size.
_LARGE = 0.29

ATTRIBUTE_COLOURS = ("red", "green", "blue")
ATTRIBUTES = (*(f"colour={name}" for name in ATTRIBUTE_COLOURS), "striped", "light background")
MAP_CLASSES = ("dark background", "light background", *COLOURS)
_VOCABULARY = (
    "",
    *sorted({*SHAPES, *COLOURS, "a", "small", "large", "on", "dark", "light", "background"}),
)
_WORDS = {word: index for index, word in enumerate(_VOCABULARY)}
_CAPTION_WORDS = 8


class ShapesForTask(ShapesDataset):
    """``ShapesDataset`` with one input per image, which depends on the same ``(seed, i)``.

    - ``pairs``: ``input``, the outline of the shape on its background.
    - ``domains``: ``other``, another scene whose shape is striped.
    - ``maps``: ``map``, 0 for dark and 1 for light background, 2 to 9 for the shape's colour.
    - ``attributes``: ``attributes``, 0 or 1 for each of ``ATTRIBUTES``. The scenes are red, green
      or blue, plain or striped, dark or light.
    - ``captions``: ``caption``, such as "a small red circle on a light background".

    Images are those of ``shapes``, except for ``attributes``.

    Args:
        task: task that the inputs are for.
        resolution: as for ``ShapesDataset``, at least 16 for domains and attributes.
        channels: as for ``ShapesDataset``.
        length: as for ``ShapesDataset``.
        seed: as for ``ShapesDataset``.
        first: as for ``ShapesDataset``.

    Raises:
        DataError: an argument is out of range.
    """

    task: Task

    def __init__(
        self,
        task: Task,
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
        if task in ("domains", "attributes") and resolution < _STRIPES_FROM:
            raise DataError(
                f"`resolution` must be at least {_STRIPES_FROM} for the stripes of the task "
                f"{task}, got {resolution}."
            )
        self.task = task
        self.inputs = {
            "pairs": {"input": InputSpec("image", channels=channels)},
            "domains": {"other": InputSpec("image", channels=channels)},
            "maps": {"map": InputSpec("map", names=MAP_CLASSES)},
            "attributes": {
                "attributes": InputSpec("attributes", names=ATTRIBUTES, groups=((0, 1, 2),))
            },
            "captions": {"caption": InputSpec("caption", names=_VOCABULARY, length=_CAPTION_WORDS)},
        }[task]
        self.fingerprint = hashlib.sha256(
            f"{self.fingerprint} {task} v{_VERSION}".encode()
        ).hexdigest()

    def attributes(self, i: int) -> Scene:
        scene = super().attributes(i)
        if self.task != "attributes":
            return scene
        draw = self._draw(i, 17)[10:]
        level = 0.1 * draw[3] if draw[2] < 0.5 else 0.8 + 0.2 * draw[3]
        return replace(
            scene,
            colour=ATTRIBUTE_COLOURS[int(draw[0] * len(ATTRIBUTE_COLOURS))],
            striped=draw[1] < 0.5,
            background=nearly_grey(level, draw[4:7]),
        )

    def other(self, i: int) -> Scene:
        """Return the scene of the striped domain for image ``i``.

        Raises:
            IndexError: ``i`` is outside the set.
        """
        self._check_index(i)
        return replace(self._scene(i, stream=1), striped=True)

    def caption(self, i: int) -> str:
        """Describe image ``i`` in words of the vocabulary.

        Raises:
            IndexError: ``i`` is outside the set.
        """
        scene = self.attributes(i)
        size = "large" if scene.size > _LARGE else "small"
        background = "light" if scene.light else "dark"
        return f"a {size} {scene.colour} {scene.shape} on a {background} background"

    def held_out(self) -> ShapesForTask:
        return ShapesForTask(self.task, **self._held_out_options())

    def batch_inputs(self, indices: Tensor) -> dict[str, Tensor]:
        wanted = self._checked(indices)
        if self.task == "captions":
            words = [[_WORDS[word] for word in self.caption(i).split()] for i in wanted]
            return {"caption": torch.tensor(words, dtype=torch.int64).view(-1, _CAPTION_WORDS)}
        if self.task == "domains":
            return {"other": self._painted([self.other(i) for i in wanted])}
        scenes = [self.attributes(i) for i in wanted]
        if self.task == "attributes":
            rows = [
                [*(scene.colour == name for name in ATTRIBUTE_COLOURS), scene.striped, scene.light]
                for scene in scenes
            ]
            return {"attributes": torch.tensor(rows, dtype=torch.uint8).view(-1, len(ATTRIBUTES))}
        if self.task == "maps":
            classes = [(int(scene.light), MAP_CLASSES.index(scene.colour)) for scene in scenes]
            paper, ink = torch.tensor(classes, dtype=torch.uint8).view(-1, 2, 1, 1).unbind(1)
            return {"map": torch.where(self.masks(indices), ink, paper)}
        outlines = torch.empty(len(scenes), 3, self.resolution, self.resolution, dtype=torch.uint8)
        for places, hits in hits_of(scenes, self.resolution):
            outlines[places] = paint([scenes[i] for i in places.tolist()], _edge(hits))
        return {"input": with_channels(outlines, self.channels)}


def _edge(hits: Tensor) -> Tensor:
    """Mark the sample points near the edge of a shape.

    A point is marked if one of its eight neighbours at the line's width lies across the edge.

    Args:
        hits: bool ``[n, 4 R, 4 R]``, True inside the shape.

    Returns:
        bool ``[n, 4 R, 4 R]``.
    """
    reach = max(1, round(hits.shape[-1] / _LINE))
    slant = max(1, round(reach * 0.5**0.5))
    edge = torch.zeros_like(hits)
    for dy, dx in ((0, reach), (reach, 0), (slant, slant), (slant, -slant)):
        # Both ends of a step across the edge count, so four directions cover all eight.
        there = hits[:, dy:, max(0, dx) : hits.shape[-1] + min(0, dx)]
        here = hits[:, : hits.shape[-2] - dy, max(0, -dx) : hits.shape[-1] + min(0, -dx)]
        crossed = here ^ there
        edge[:, dy:, max(0, dx) : hits.shape[-1] + min(0, dx)] |= crossed
        edge[:, : hits.shape[-2] - dy, max(0, -dx) : hits.shape[-1] + min(0, -dx)] |= crossed
    return edge
