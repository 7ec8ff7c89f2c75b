"""Drawn faces with named traits: labelled images of any size without files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan.data.drawn import DrawnDataset
from fastgan.data.faces.drawing import PARTS, draw
from fastgan.data.faces.traits import DRAWS, TRAITS, Faces, faces_of
from fastgan.data.inputs import InputSpec, Task
from fastgan.data.painting import Layers

__all__ = ["FACE_ATTRIBUTES", "PARTS", "TRAITS", "FacesDataset"]


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
# Tasks whose inputs are made of the layers of the image.
_DRAWN_TOGETHER = ("maps", "pairs")
_EXTRAS = {"glasses": "glasses", "beard": "a beard", "hat": "a hat"}
_VOCABULARY = ("", *sorted(
    {"a", "person", "with", "hair", "and", "glasses", "beard", "hat"}.union(
        TRAITS["mouth"], TRAITS["age"], TRAITS["hair style"], TRAITS["hair colour"]
    )
))  # fmt: skip
_WORDS = {word: index for index, word in enumerate(_VOCABULARY)}
_CAPTION_WORDS = 16


class FacesDataset(DrawnDataset):
    """One face per image, of traits that are drawn independently (see ``TRAITS``).

    Face ``i`` depends on ``(seed, i)`` alone and is the same at every resolution. Its class is its
    hair style. Young faces have no beards. With a task, each image has an input:

    - ``pairs``: ``input``, the outlines of the face's parts in their colours, on white.
    - ``domains``: ``other``, another face in winter dress; the images are in summer dress.
    - ``maps``: ``map``, the part of every pixel (see ``PARTS``).
    - ``attributes``: ``attributes``, 0 or 1 for each of ``FACE_ATTRIBUTES``. The faces have black,
      brown or blond hair and no hat; they are calm or smile, adult or old.
    - ``captions``: ``caption``, such as "a smiling old person with long red hair and a hat".

    The arguments are those of ``DrawnDataset``.
    """

    name = "faces"
    # Raise it whenever the same index would be drawn differently.
    version = 1
    class_names = TRAITS["hair style"]
    num_classes = len(class_names)

    def __init__(self, task: Task | None = None, **options: Any) -> None:
        super().__init__(task, **options)
        if task is not None:
            self.inputs = {
                "pairs": {"input": InputSpec("image", channels=self.channels)},
                "domains": {"other": InputSpec("image", channels=self.channels)},
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

    def traits(self, indices: Tensor | Sequence[int] | int) -> dict[str, Tensor]:
        """Return the traits of faces, positions of their values in ``TRAITS``.

        Args:
            indices: N numbers of faces, or one.

        Returns:
            int64 ``[N]`` by the trait's name.

        Raises:
            IndexError: an index is outside the set.
        """
        return self._faces(self._checked(torch.as_tensor(indices).reshape(-1))).traits

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
        return _caption(self.attributes(i))

    def label(self, i: int) -> int:
        return int(self.traits(torch.tensor([i]))["hair style"])

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        faces = self._faces(self._checked(indices))
        return self._drawn(faces)[0], faces.traits["hair style"]

    def masks(self, indices: Tensor) -> Tensor:
        """Mark the pixels that show the person rather than the background.

        Args:
            indices: int64 ``[N]``.

        Returns:
            bool ``[N, R, R]``.

        Raises:
            IndexError: an index is outside the set.
        """
        return self._drawn(self._faces(self._checked(indices)), parts=True)[1] != 0

    def batch_inputs(self, indices: Tensor) -> dict[str, Tensor]:
        if self.task in _DRAWN_TOGETHER:
            return self.examples(indices)[2]
        wanted = self._checked(indices)
        return {name: self._input(wanted) for name in self.inputs}

    def examples(self, indices: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        if self.task not in _DRAWN_TOGETHER:
            return super().examples(indices)
        faces = self._faces(self._checked(indices))
        images, parts = self._drawn(faces, parts=True)
        if self.task == "pairs":
            parts = images.where(_edges(parts)[:, None], 255)
        return images, faces.traits["hair style"], {name: parts for name in self.inputs}

    def held_out(self) -> FacesDataset:
        """Return the 1,000 faces after the set's last."""
        return FacesDataset(self.task, **self._held_out_options())

    def _input(self, wanted: list[int]) -> Tensor:
        if self.task == "domains":
            return self._drawn(self._faces(wanted, {"dress": ("winter",)}, stream=1))[0]
        faces = self._faces(wanted)
        words = [faces.described(row) for row in range(len(wanted))]
        if self.task == "attributes":
            rows = [
                [
                    *(has["hair colour"] == name for name in ATTRIBUTE_HAIR),
                    has["mouth"] == "smiling", has["age"] == "old", has["glasses"] == "yes",
                ]
                for has in words
            ]  # fmt: skip
            return torch.tensor(rows, dtype=torch.uint8).view(-1, len(FACE_ATTRIBUTES))
        captions = torch.zeros(len(wanted), _CAPTION_WORDS, dtype=torch.int64)
        for row, has in enumerate(words):
            places = [_WORDS[word] for word in _caption(has).split()]
            captions[row, : len(places)] = torch.tensor(places)
        return captions

    def _faces(
        self,
        wanted: list[int],
        values: dict[str, tuple[str, ...]] | None = None,
        *,
        stream: int = 0,
    ) -> Faces:
        draws = self._draws(wanted, DRAWS, stream=stream)
        return faces_of(draws, _VALUES.get(self.task, {}) if values is None else values)

    def _drawn(self, faces: Faces, *, parts: bool = False) -> tuple[Tensor, Tensor]:
        def some(rows: slice) -> tuple[Layers, dict[str, Tensor]]:
            chosen = faces.rows(rows)
            return draw(chosen, self.resolution), chosen.colours

        return self._in_passes(faces.count, some, parts=parts)


def _caption(has: dict[str, str]) -> str:
    extras = [f"and {words}" for name, words in _EXTRAS.items() if has[name] == "yes"]
    hair = f"{has['hair style']} {has['hair colour']} hair"
    return " ".join([f"a {has['mouth']} {has['age']} person with {hair}", *extras])


def _edges(parts: Tensor) -> Tensor:
    """Mark pixels whose right or lower neighbour shows another part, bool ``[N, R, R]``."""
    edges = torch.zeros_like(parts, dtype=torch.bool)
    edges[:, :, :-1] |= parts[:, :, 1:] != parts[:, :, :-1]
    edges[:, :-1] |= parts[:, 1:] != parts[:, :-1]
    return edges
