"""What an image comes with, for recipes that translate: tasks, and the kinds of inputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import torch

Kind = Literal["grey", "colour", "float"]
Levels = tuple[tuple[Kind, float, float], ...]
"""For each kind of file the values that become 0 and 255. ``grey``: integers of 16 or 32 bits; ``colour``: 16 bits a
channel, or grey with alpha; ``float``: floating-point numbers. Files of 8 bits are taken as they are."""

Task = Literal["pairs", "domains", "maps", "attributes", "captions"]
"""What is read out of a data set beside its images: one kind of input each (see ``TASKS``)."""

TASKS: tuple[Task, ...] = get_args(Task)
"""``pairs``: ``input``, the image to translate into the target. ``domains``: ``other``, an image of the second domain
that has nothing to do with the first's. ``maps``: ``map``, the class of every pixel. ``attributes``: ``attributes``,
which of them the image has. ``captions``: ``caption``, the words of a sentence."""


@dataclass(frozen=True)
class InputSpec:
    """One input of every image of a data set, as it is stored and as a batch has it.

    - ``image``: stored uint8 ``[N, channels, R, R]``; in a batch float32 in [-1, 1].
    - ``map``: stored uint8 ``[N, R, R]``, indices of ``names``, or ``void``; in a batch int64,
      -1 where it is ``void``.
    - ``attributes``: stored uint8 ``[N, len(names)]``, 0 or 1; in a batch float32.
    - ``caption``: int64 ``[N, length]``, indices of ``names``, 0 after the last word.

    ``to_batch`` converts stored rows to those of a batch.

    Attributes:
        kind: which of the four.
        channels: of an image, else 0.
        names: classes of a map, attributes, or the vocabulary, whose first is ``""``; empty for an image.
        groups: attributes of which an image has exactly one, as indices of ``names``; those in no group are
            independent of each other.
        length: words of the longest caption, else 0.
        void: stored value of a map's pixels that are of no class, None if all are of one.
        levels: values of an image's files that become black and white, for files of more than 8 bits.
    """

    kind: Literal["image", "map", "attributes", "caption"]
    channels: int = 0
    names: tuple[str, ...] = ()
    groups: tuple[tuple[int, ...], ...] = ()
    length: int = 0
    # Not in the text that fingerprints of older runs are made of.
    void: int | None = field(default=None, repr=False)
    levels: Levels = field(default=(), repr=False, compare=False)

    @property
    def dtype(self) -> torch.dtype:
        """Of the stored form."""
        return torch.int64 if self.kind == "caption" else torch.uint8

    def shape(self, resolution: int) -> tuple[int, ...]:
        """Of one image's input, without the batch."""
        return {
            "image": (self.channels, resolution, resolution),
            "map": (resolution, resolution),
            "attributes": (len(self.names),),
            "caption": (self.length,),
        }[self.kind]

    @property
    def mirrors(self) -> bool:
        """Whether a mirrored image needs it mirrored too; the last dimension is then the width."""
        return self.kind in ("image", "map")
