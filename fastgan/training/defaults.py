"""Origin of the values of a run that its user didn't give, as its configuration names it."""

from __future__ import annotations

from dataclasses import dataclass

from fastgan.recipes.presets import PresetName


@dataclass(frozen=True)
class Defaults:
    """Origin of the values of a run that its user didn't give.

    Attributes:
        preset: name of the preset.
        reason: why `auto` took it, as a clause; empty if the user chose it.
        hours: time that the number of images was measured for, None if it wasn't.
    """

    preset: PresetName
    reason: str = ""
    hours: float | None = None

    @property
    def line(self) -> str:
        """Sentence for a person."""
        chosen = f", chosen by auto: {self.reason}" if self.reason else ""
        return f"Preset {self.preset}{chosen}."
