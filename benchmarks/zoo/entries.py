"""How each recipe is trained: its own settings, with networks small enough for a CPU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from fastgan.cli.train import parse_run
from fastgan.recipes import Recipe

SHARED = "--data mnist5k --resolution 32"
IMAGES = 60_000
"""Real images shown to each, so that a recipe with several updates of D per step makes fewer of G."""


@dataclass(frozen=True)
class Entry:
    """One row of the zoo. options: of `fastgan train`, beside the shared ones. images: where the budget is another."""

    name: str
    paper: str
    options: str = ""
    images: int = IMAGES
    why: str = ""

    @property
    def arguments(self) -> list[str]:
        return f"{SHARED} --images {self.images} {self.options}".split()

    @property
    def command(self) -> str:
        return " ".join(["fastgan train", self.name, *self.arguments])

    @cached_property
    def recipe(self) -> Recipe:
        """What the command line means."""
        return parse_run(self.name, self.arguments)[0]


ENTRIES: tuple[Entry, ...] = ()
