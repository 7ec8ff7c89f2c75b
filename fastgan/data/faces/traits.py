"""Traits of drawn faces: their names, and the numbers that describe one face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

RGB = tuple[int, int, int]

HAIR_COLOURS: dict[str, RGB] = {
    "black": (38, 32, 36),
    "brown": (112, 70, 40),
    "blond": (226, 188, 96),
    "red": (190, 72, 30),
    "grey": (176, 178, 184),
}
SKINS: dict[str, RGB] = {
    "fair": (252, 218, 192),
    "tan": (228, 176, 132),
    "brown": (166, 112, 74),
    "dark": (104, 66, 46),
}
EYE_COLOURS: dict[str, RGB] = {
    "brown": (96, 56, 24),
    "blue": (44, 112, 200),
    "green": (50, 140, 70),
}
BACKGROUNDS: dict[str, RGB] = {
    "blue": (96, 158, 222),
    "green": (120, 186, 130),
    "yellow": (240, 212, 128),
    "pink": (238, 164, 184),
    "white": (238, 238, 240),
    "violet": (150, 128, 200),
}
# Outline, fringe and lengths of each hair style, in half-heights of the head.
# volume: hair above the skull. line, bend, slant: hairline v = line + bend u² + slant u.
# waves: depth of curls. length: lowest point of the hair behind the face. bun: radius.
HAIR_STYLES: dict[str, dict[str, float]] = {
    "short": {"volume": 0.08, "line": -0.60, "bend": 0.75, "slant": 0.0, "waves": 0.0,
              "length": -0.3, "bun": -1.0},
    "parted": {"volume": 0.13, "line": -0.52, "bend": 0.55, "slant": 0.42, "waves": 0.0,
               "length": 0.05, "bun": -1.0},
    "bobbed": {"volume": 0.16, "line": -0.42, "bend": 1.3, "slant": 0.0, "waves": 0.0,
            "length": 0.62, "bun": -1.0},
    "long": {"volume": 0.13, "line": -0.58, "bend": 1.35, "slant": 0.0, "waves": 0.0,
             "length": 1.75, "bun": -1.0},
    "curly": {"volume": 0.26, "line": -0.56, "bend": 1.0, "slant": 0.0, "waves": 0.13,
              "length": 0.4, "bun": -1.0},
    "knotted": {"volume": 0.06, "line": -0.66, "bend": 0.7, "slant": 0.0, "waves": 0.0,
            "length": -0.3, "bun": 0.36},
}  # fmt: skip

TRAITS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "hair style": tuple(HAIR_STYLES),
        "hair colour": tuple(HAIR_COLOURS),
        "skin": tuple(SKINS),
        "eyes": tuple(EYE_COLOURS),
        "mouth": ("sad", "calm", "smiling"),
        "age": ("young", "adult", "old"),
        "glasses": ("no", "yes"),
        "beard": ("no", "yes"),
        "hat": ("no", "yes"),
        "turn": ("left", "ahead", "right"),
        "dress": ("summer", "winter"),
        "light": ("left", "right"),
        "background": tuple(BACKGROUNDS),
    }
)
"""Names of the traits, and the values that each can have."""

DRAWS = len(TRAITS) + 30
"""Random numbers that describe one face: one per trait, and what varies within its values."""


@dataclass(frozen=True)
class Faces:
    """Traits and numbers of N faces.

    Attributes:
        traits: position of each trait's value in ``TRAITS``, int64 ``[N]`` by the trait's name.
        numbers: what the drawing needs, float32 ``[N, 1, 1]`` by name. Lengths are half-heights of
            the head, positions of the head are fractions of the image's side.
        colours: float32 ``[N, 3]`` by name, whole numbers from 0 to 255.
    """

    traits: dict[str, Tensor]
    numbers: dict[str, Tensor]
    colours: dict[str, Tensor]

    @property
    def count(self) -> int:
        """Number of faces."""
        return len(self.traits["skin"])

    def rows(self, rows: slice) -> Faces:
        """Return some of the faces."""
        return Faces(
            *(
                {name: value[rows] for name, value in each.items()}
                for each in (self.traits, self.numbers, self.colours)
            )
        )

    def described(self, i: int) -> dict[str, str]:
        """Return the traits of face ``i`` in words."""
        return {name: TRAITS[name][int(value[i])] for name, value in self.traits.items()}


def faces_of(draws: Tensor, values: Mapping[str, Sequence[str]] = MappingProxyType({})) -> Faces:
    """Return the faces that random numbers describe.

    Args:
        draws: float64 ``[N, DRAWS]`` in [0, 1).
        values: values to choose from, for traits that shall not have all of ``TRAITS``, such as
            ``{"dress": ["winter"]}``.

    Returns:
        Traits and numbers. They take exactly rounded operations alone, so that the same numbers
        give the same face on every machine.
    """
    columns = iter(draws.unbind(1))
    traits = {}
    for name, all_values in TRAITS.items():
        allowed = torch.tensor([all_values.index(v) for v in values.get(name, all_values)])
        traits[name] = allowed[(next(columns) * len(allowed)).to(torch.int64)]
    # Children have no beards.
    traits["beard"] = traits["beard"] * (traits["age"] != 0)

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * next(columns)

    young, old = traits["age"] == 0, traits["age"] == 2
    numbers = {
        "x": between(0.43, 0.57),
        "y": between(0.45, 0.51),
        "size": between(0.25, 0.31),
        "tilt": between(-0.22, 0.22),
        "turn": between(0.2, 0.36) * (traits["turn"] - 1) + between(-0.06, 0.06),
        "width": between(0.74, 0.86) + 0.06 * young,
        "jaw": between(0.10, 0.30) * (1 - 0.5 * young),
        "lids": between(0.075, 0.11) * (1 + 0.35 * young - 0.2 * old),
        "brow": between(0.035, 0.06) * (1 - 0.3 * young),
        "brow slope": between(-0.25, 0.25),
        "nose": between(0.10, 0.15) * (1 - 0.25 * young),
        "mouth width": between(0.24, 0.32),
        "lips": between(0.035, 0.06) * (1 - 0.25 * old),
        "smile": between(0.75, 1.1) * (traits["mouth"] - 1) + between(-0.1, 0.1),
        "shade": between(0.6, 1.0) * (2 * traits["light"] - 1),
    }
    grins = (traits["mouth"] == 2) & (next(columns) < 0.6)
    numbers["open"] = between(0.06, 0.1) * grins
    numbers["eye height"] = -0.06 + 0.12 * young
    flags = {"young": young, "old": old, "winter": traits["dress"] == 1} | {
        name: traits[name] for name in ("glasses", "beard", "hat")
    }
    numbers.update({name: flag.to(torch.float64) for name, flag in flags.items()})
    styles = torch.tensor([list(s.values()) for s in HAIR_STYLES.values()], dtype=torch.float64)
    for name, value in zip(
        next(iter(HAIR_STYLES.values())), styles[traits["hair style"]].unbind(1)
    ):
        numbers[name] = value
    # The parting is on either side.
    numbers["slant"] = numbers["slant"] * (1 - 2 * (next(columns) < 0.5).to(torch.float64))

    def vary(palette: dict[str, RGB], trait: str, spread: float) -> Tensor:
        colours = torch.tensor(list(palette.values()), dtype=torch.float64)[traits[trait]]
        return colours * between(1 - spread, 1 + spread)[:, None]

    skin = vary(SKINS, "skin", 0.06)
    hair = vary(HAIR_COLOURS, "hair colour", 0.1)
    background = vary(BACKGROUNDS, "background", 0.07)
    bright = torch.stack([between(40, 255), between(40, 255), between(40, 255)], dim=1)
    dark = torch.stack([between(15, 90), between(15, 90), between(25, 110)], dim=1)
    winter = (traits["dress"] == 1)[:, None]
    white = torch.full_like(skin, 255.0)
    colours = {
        "skin": skin,
        "shaded skin": skin * 0.62,
        "line": skin * 0.5,
        "blush": skin * 0.8 + torch.tensor([48.0, 8.0, 16.0], dtype=torch.float64),
        "lips": skin * 0.55 + torch.tensor([72.0, 8.0, 18.0], dtype=torch.float64),
        "hair": hair,
        "hair light": hair * 0.75 + 62,
        "hair dark": hair * 0.66,
        "brow": hair * 0.75,
        "eyes": torch.tensor(list(EYE_COLOURS.values()), dtype=torch.float64)[traits["eyes"]],
        "white": white * 0.97,
        "dark": white * 0.08,
        "mouth": torch.tensor([[96.0, 22.0, 30.0]], dtype=torch.float64).expand_as(skin),
        "frame": torch.where((next(columns) < 0.5)[:, None], white * 0.1, white * 0.0 + 66),
        "dress": torch.where(winter, dark, bright),
        "collar": torch.where(winter, bright, skin),
        "scarf": torch.where(winter, bright * 0.5 + 100, skin),
        "hat": torch.where(winter, bright, white * torch.tensor([0.9, 0.78, 0.5])),
        "band": torch.where(winter, bright * 0.55, dark),
        "background": background,
        "background low": background * 0.66,
    }
    assert next(columns, None) is None
    return Faces(
        traits,
        {name: value.to(torch.float32)[:, None, None] for name, value in numbers.items()},
        {name: value.round().clamp(0, 255).to(torch.float32) for name, value in colours.items()},
    )
