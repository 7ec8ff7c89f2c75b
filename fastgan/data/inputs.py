"""Inputs of images for conditional recipes: tasks, and the form of each kind of input."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import torch

Kind = Literal["grey", "colour", "float"]
"""Kind of a picture file with more than 8 bits.

- ``grey``: integers of 16 or 32 bits.
- ``colour``: 16 bits a channel, or grey with alpha.
- ``float``: floating-point numbers.
"""
Levels = tuple[tuple[Kind, float, float], ...]
"""Values that become 0 and 255, for each kind of file. Files of 8 bits stay as they are."""

Task = Literal["pairs", "domains", "maps", "attributes", "captions"]
"""Task of a conditional recipe, which decides the input of each image (see ``TASKS``)."""

TASKS: tuple[Task, ...] = get_args(Task)
"""All tasks.

- ``pairs``: ``input``, the image to translate into the target.
- ``domains``: ``other``, an unrelated image of the second domain.
- ``maps``: ``map``, the class of every pixel.
- ``attributes``: ``attributes``, 0 or 1 for each of them.
- ``captions``: ``caption``, the words of a sentence.
"""


@dataclass(frozen=True)
class InputSpec:
    """Description of one input of every image: its stored form and its form in a batch.

    - ``image``: stored uint8 ``[N, channels, R, R]``; in a batch float32 in [-1, 1].
    - ``map``: stored uint8 ``[N, R, R]``, indices of ``names`` or ``void``; in a batch int64, -1
      for ``void``.
    - ``attributes``: stored uint8 ``[N, len(names)]``, 0 or 1; in a batch float32.
    - ``caption``: int64 ``[N, length]``, indices of ``names``, 0 after the last word.

    ``to_batch`` converts the stored form to that of a batch.

    Attributes:
        kind: kind of input, an item of the list.
        channels: channels of an image, else 0.
        names: classes of a map, attributes, or the vocabulary, which begins with ``""``; empty for
            an image.
        groups: attributes that exclude each other, as indices of ``names``. An image has exactly
            one of each group; attributes in no group are independent.
        length: words of the longest caption, else 0.
        void: stored value of a map's pixels without a class, None if every pixel has one.
        levels: values that become black and white in an image's files of more than 8 bits.
    """

    kind: Literal["image", "map", "attributes", "caption"]
    channels: int = 0
    names: tuple[str, ...] = ()
    groups: tuple[tuple[int, ...], ...] = ()
    length: int = 0
    # repr=False: fingerprints contain the text of a spec, which must not change.
    void: int | None = field(default=None, repr=False)
    levels: Levels = field(default=(), repr=False, compare=False)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the stored form."""
        return torch.int64 if self.kind == "caption" else torch.uint8

    def shape(self, resolution: int) -> tuple[int, ...]:
        """Return the stored shape of one image's input, without the batch dimension."""
        return {
            "image": (self.channels, resolution, resolution),
            "map": (resolution, resolution),
            "attributes": (len(self.names),),
            "caption": (self.length,),
        }[self.kind]

    @property
    def mirrors(self) -> bool:
        """True if the input is mirrored with its image; its last dimension is then the width."""
        return self.kind in ("image", "map")
