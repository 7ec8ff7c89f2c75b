"""Values for each of two domains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from fastgan.recipes.players import PerImage

T = TypeVar("T")


@dataclass(frozen=True)
class Pair(PerImage, Generic[T]):
    """One value for domain A and one for domain B.

    Attributes:
        a: value of domain A.
        b: value of domain B.
    """

    a: T
    b: T

    def __iter__(self) -> Iterator[T]:
        return iter((self.a, self.b))

    @property
    def swapped(self) -> Pair[T]:
        """The value of B for A, and that of A for B."""
        return Pair(self.b, self.a)
