"""Drawn faces with named traits: labelled images of any size without files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from fastgan.data.dataset import DataError, ImageDataset, check_channels, check_resolution
from fastgan.data.faces.drawing import PARTS, draw, draw_parts
from fastgan.data.faces.traits import DRAWS, TRAITS, Faces, faces_of
from fastgan.data.images import with_channels
from fastgan.data.inputs import InputSpec, Task

__all__ = ["FACE_ATTRIBUTES", "PARTS", "TRAITS", "FacesDataset"]

# Part of the fingerprint: raise it whenever the same index would be drawn differently.
_VERSION = 1
_HELD_OUT = 1000
_MIN_RESOLUTION = 16
# Pixels drawn in one pass: temporaries of 256 KiB stay in the cache.
_PIXELS = 1 << 16

ATTRIBUTE_HAIR = ("black", "brown", "blond")
FACE_ATTRIBUTES = (*(f"hair={name}" for name in ATTRIBUTE_HAIR), "smiling", "old", "glasses")
"""Attributes of the task ``attributes``; the colours of the hair exclude each other."""
_VALUES: dict[Task | None, dict[str, tuple[str, ...]]] = {
    "domains": {"dress": ("summer",)},
    "attributes": {
        "hair colour": ATTRIBUTE_HAIR,
        "mouth": ("calm", "smiling"),
        "age": ("adult", "old"),
        "hat": ("no",),
    },
}
_EXTRAS = {"glasses": "glasses", "beard": "a beard", "hat": "a hat"}
_VOCABULARY = ("", *sorted(
    {"a", "person", "with", "hair", "and", "glasses", "beard", "hat"}.union(
        TRAITS["mouth"], TRAITS["age"], TRAITS["hair style"], TRAITS["hair colour"]
    )
))  # fmt: skip
_WORDS = {word: index for index, word in enumerate(_VOCABULARY)}
_CAPTION_WORDS = 16


class FacesDataset(ImageDataset):
    """One face per image, of traits that are drawn independently (see ``TRAITS``).

    Face ``i`` depends on ``(seed, i)`` alone and is the same at every resolution. Its class is its
    hair style. Young faces have no beards. With a task, each image has an input:

    - ``pairs``: ``input``, the outlines of the face's parts in their colours, on white.
    - ``domains``: ``other``, another face in winter dress; the images are in summer dress.
    - ``maps``: ``map``, the part of every pixel (see ``PARTS``).
    - ``attributes``: ``attributes``, 0 or 1 for each of ``FACE_ATTRIBUTES``. The faces have black,
      brown or blond hair and no hat; they are calm or smile, adult or old.
    - ``captions``: ``caption``, such as "a smiling old person with long red hair and a hat".

    Args:
        task: task that the inputs are for; None for images alone.
        resolution: height and width in pixels, 16 to 4096.
        channels: 3, or 1 for the luma of the same faces.
        length: number of faces, at least 1.
        seed: seed of the faces, 0 to 2**64 - 1.
        first: number of the face that is image 0, at least 0.

    Raises:
        DataError: an argument is out of range.
    """

    def __init__(
        self,
        task: Task | None = None,
        *,
        resolution: int = 64,
        channels: int = 3,
        length: int = 20_000,
        seed: int = 0,
        first: int = 0,
    ) -> None:
        if length < 1:
            raise DataError(f"length must be at least 1, got {length}.")
        if not 0 <= seed < 2**64:
            raise DataError(f"seed must be from 0 to 2**64 - 1, got {seed}.")
        if check_resolution(resolution) < _MIN_RESOLUTION:
            raise DataError(
                f"`resolution` must be at least {_MIN_RESOLUTION} for faces, got {resolution}."
            )
        self.name = "faces"
        self.task = task
        self.resolution = resolution
        self.channels = check_channels(channels)
        self.class_names = TRAITS["hair style"]
        self.num_classes = len(self.class_names)
        self._length = length
        self._seed = seed
        self._first = first
        if task is not None:
            self.inputs = {
                "pairs": {"input": InputSpec("image", channels=channels)},
                "domains": {"other": InputSpec("image", channels=channels)},
                "maps": {"map": InputSpec("map", names=PARTS)},
                "attributes": {
                    "attributes": InputSpec(
                        "attributes", names=FACE_ATTRIBUTES, groups=((0, 1, 2),)
                    )
                },
                "captions": {
                    "caption": InputSpec("caption", names=_VOCABULARY, length=_CAPTION_WORDS)
                },
            }[task]
        identity = f"faces v{_VERSION} {task} {resolution} {channels} {length} {seed} {first}"
        self.fingerprint = hashlib.sha256(identity.encode()).hexdigest()

    def __len__(self) -> int:
        return self._length

    def traits(self, indices: Tensor) -> dict[str, Tensor]:
        """Return the traits of faces, positions of their values in ``TRAITS``.

        Args:
            indices: int64 ``[N]``.

        Returns:
            int64 ``[N]`` by the trait's name.

        Raises:
            IndexError: an index is outside the set.
        """
        return self._faces(self._checked(indices)).traits

    def attributes(self, i: int) -> dict[str, str]:
        """Return the traits of face ``i`` in words.

        Raises:
            IndexError: ``i`` is outside the set.
        """
        return self._faces(self._checked(torch.tensor([i]))).described(0)

    def caption(self, i: int) -> str:
        """Describe face ``i`` in words of the vocabulary.

        Raises:
            IndexError: ``i`` is outside the set.
        """
        has = self.attributes(i)
        extras = [f"and {words}" for name, words in _EXTRAS.items() if has[name] == "yes"]
        hair = f"{has['hair style']} {has['hair colour']} hair"
        return " ".join([f"a {has['mouth']} {has['age']} person with {hair}", *extras])

    def label(self, i: int) -> int:
        return int(self.traits(torch.tensor([i]))["hair style"])

    def image(self, i: int) -> Tensor:
        return self.batch(torch.tensor([i]))[0][0]

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        faces = self._faces(self._checked(indices))
        return self._drawn(faces), faces.traits["hair style"]

    def masks(self, indices: Tensor) -> Tensor:
        """Mark the pixels that show the person rather than the background.

        Args:
            indices: int64 ``[N]``.

        Returns:
            bool ``[N, R, R]``.

        Raises:
            IndexError: an index is outside the set.
        """
        return self._parts(self._faces(self._checked(indices))) != 0

    def batch_inputs(self, indices: Tensor) -> dict[str, Tensor]:
        wanted = self._checked(indices)
        faces = self._faces(wanted)
        return {name: self._input(wanted, faces) for name in self.inputs}

    def held_out(self) -> FacesDataset:
        """Return the 1,000 faces after the set's last."""
        return FacesDataset(
            self.task,
            resolution=self.resolution,
            channels=self.channels,
            length=_HELD_OUT,
            seed=self._seed,
            first=self._first + len(self),
        )

    def _input(self, wanted: list[int], faces: Faces) -> Tensor:
        if self.task == "maps":
            return self._parts(faces)
        if self.task == "domains":
            return self._drawn(self._faces(wanted, {"dress": ("winter",)}, stream=1))
        if self.task == "pairs":
            return self._drawn(faces).where(_edges(self._parts(faces))[:, None], 255)
        if self.task == "attributes":
            words = [faces.described(row) for row in range(len(wanted))]
            rows = [
                [
                    *(has["hair colour"] == name for name in ATTRIBUTE_HAIR),
                    has["mouth"] == "smiling", has["age"] == "old", has["glasses"] == "yes",
                ]
                for has in words
            ]  # fmt: skip
            return torch.tensor(rows, dtype=torch.uint8).view(-1, len(FACE_ATTRIBUTES))
        captions = torch.zeros(len(wanted), _CAPTION_WORDS, dtype=torch.int64)
        for row, i in enumerate(wanted):
            places = [_WORDS[word] for word in self.caption(i).split()]
            captions[row, : len(places)] = torch.tensor(places)
        return captions

    def _faces(
        self,
        wanted: list[int],
        values: dict[str, tuple[str, ...]] | None = None,
        *,
        stream: int = 0,
    ) -> Faces:
        # Philox's raw words are fixed by its definition; numpy's distributions may change.
        words = np.zeros((len(wanted), DRAWS), dtype=np.uint64)
        for row, i in enumerate(wanted):
            counter = [0, 0, stream, self._first + i]
            words[row] = np.random.Philox(key=self._seed, counter=counter).random_raw(DRAWS)
        draws = torch.from_numpy((words >> np.uint64(11)).astype(np.float64) * 2.0**-53)
        return faces_of(draws, _VALUES.get(self.task, {}) if values is None else values)

    def _drawn(self, faces: Faces) -> Tensor:
        images = torch.empty(faces.count, 3, self.resolution, self.resolution, dtype=torch.uint8)
        for rows in self._passes(faces.count):
            images[rows] = draw(faces.rows(rows), self.resolution)
        return with_channels(images, self.channels)

    def _parts(self, faces: Faces) -> Tensor:
        parts = torch.empty(faces.count, self.resolution, self.resolution, dtype=torch.uint8)
        for rows in self._passes(faces.count):
            parts[rows] = draw_parts(faces.rows(rows), self.resolution)
        return parts

    def _passes(self, count: int) -> Iterator[slice]:
        step = max(1, _PIXELS // self.resolution**2)
        return (slice(start, min(start + step, count)) for start in range(0, count, step))


def _edges(parts: Tensor) -> Tensor:
    """Mark pixels whose right or lower neighbour shows another part, bool ``[N, R, R]``."""
    edges = torch.zeros_like(parts, dtype=torch.bool)
    edges[:, :, :-1] |= parts[:, :, 1:] != parts[:, :, :-1]
    edges[:, :-1] |= parts[:, 1:] != parts[:, :-1]
    return edges
