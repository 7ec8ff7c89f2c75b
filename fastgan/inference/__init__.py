"""Images out of trained networks: samples, translations of pictures, walks through latents."""

from fastgan.inference.walks import (
    Drawing,
    direction_strips,
    interpolation,
    middle_columns,
    mixing_table,
    parse_seeds,
)

__all__ = [
    "Drawing",
    "direction_strips",
    "interpolation",
    "middle_columns",
    "mixing_table",
    "parse_seeds",
]
