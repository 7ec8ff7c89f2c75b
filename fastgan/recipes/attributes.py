"""Attributes of images: names, groups, classification loss and editing."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from fastgan.data import InputSpec
from fastgan.recipes.errors import RecipeError


class Attributes(nn.Module):
    """Attribute names and groups; their classification loss; editing of attribute vectors.

    The module has no weights. A vector of A attributes holds 0 or 1 for each name.

    Args:
        spec: names, and groups of which an image has exactly one attribute each.
    """

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.names, self.groups = spec.names, spec.groups
        grouped = {place for group in self.groups for place in group}
        self.free = tuple(place for place in range(len(self.names)) if place not in grouped)

    def forward(self, logits: Tensor, attributes: Tensor) -> Tensor:
        """Return the cross-entropy of attributes in nats, summed over groups and single attributes.

        Args:
            logits: logits of D `[N, A]`.
            attributes: true attributes, 0 or 1 `[N, A]`.

        Returns:
            A scalar, the mean over images.
        """
        total = logits.new_zeros(())
        for group in self.groups:
            members = list(group)
            total = total + F.cross_entropy(logits[:, members], attributes[:, members])
        for place in self.free:
            total = total + F.binary_cross_entropy_with_logits(
                logits[:, place], attributes[:, place]
            )
        return total

    def likeliest(self, logits: Tensor) -> Tensor:
        """Return the most likely attributes, 0 or 1 `[N, A]`, for logits of D `[N, A]`.

        They have exactly one attribute of each group.
        """
        attributes = (logits > 0).to(logits.dtype)
        for group in self.groups:
            members = list(group)
            attributes[:, members] = F.one_hot(logits[:, members].argmax(1), len(members)).to(
                logits.dtype
            )
        return attributes

    def changed(self, attributes: Tensor, place: int) -> Tensor:
        """Return attributes `[N, A]` with one of them changed.

        An attribute of a group replaces the others of its group. A single attribute is flipped.
        """
        attributes = attributes.clone()
        for group in self.groups:
            if place in group:
                attributes[:, list(group)] = 0
        attributes[:, place] = 1 - attributes[:, place]
        return attributes

    def set(self, attributes: Tensor, names: Sequence[str]) -> Tensor:
        """Return attributes `[N, A]` after setting some by name.

        Args:
            attributes: 0 or 1 `[N, A]`.
            names: names, or parts of names after `=`. "not" before the name of a single attribute
                removes it.

        Raises:
            RecipeError: a name is unknown, "not" is before a name of a group, or two names exclude
                each other.
        """
        attributes = attributes.clone()
        chosen: dict[tuple[int, ...], str] = {}
        for name in names:
            place = self._place(name.removeprefix("not "))
            group = next((group for group in self.groups if place in group), (place,))
            if name.startswith("not ") and len(group) > 1:
                others = " or ".join(self.names[other] for other in group if other != place)
                raise RecipeError(
                    f"An image has one of several, so {name!r} isn't enough: say {others}."
                )
            if group in chosen:
                raise RecipeError(f"{chosen[group]!r} and {name!r} exclude each other: choose one.")
            chosen[group] = name
            attributes[:, list(group)] = 0
            attributes[:, place] = 0 if name.startswith("not ") else 1
        return attributes

    def _place(self, name: str) -> int:
        """Return the index of an attribute by its name, or by the part of its name after `=`."""
        places = [
            i for i, known in enumerate(self.names) if name in (known, known.partition("=")[2])
        ]
        if len(places) == 1:
            return places[0]
        near = difflib.get_close_matches(name, self.names, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise RecipeError(
            f"Unknown attribute {name!r}: {hint}The attributes are {', '.join(self.names)}."
        )
