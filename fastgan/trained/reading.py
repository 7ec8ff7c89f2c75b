"""Picture files, read as a run read its own."""

from __future__ import annotations

from dataclasses import replace

from fastgan.data import Reading
from fastgan.data.reading import Fit
from fastgan.trained.core import Core


class Readers(Core):
    """Settings for reading files for trained networks."""

    def reading(self, *, fit: Fit | None = None, range: str | None = None) -> Reading:
        """Return settings for reading picture files as those of the run were read.

        Args:
            fit: how a picture becomes a square: "crop", "pad" or "stretch"; None takes the run's.
            range: ``LOW:HIGH``, the values that become black and white in files of more than 8
                bits, or "auto"; None takes the run's.

        Raises:
            DataError: an argument is none of these.
        """
        reading = self.image_spec.reading(self._settings.reading(self.recipe))
        if fit is not None:
            reading = replace(reading, fit=fit)
        if range is not None:
            reading = replace(reading, range=range, levels=(), input_levels=())
        return reading
