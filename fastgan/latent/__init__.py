"""Steering a style-based generator: truncation, mixing, paths, directions, projection.

For :class:`fastgan.networks.stylegan2.StyleGAN2Generator`, and anything else with its ``mapping`` and ``synthesis``.
Nothing here changes a network.
"""

from fastgan.latent.errors import LatentError
from fastgan.latent.path_length import perceptual_path_length
from fastgan.latent.paths import interpolate, walk
from fastgan.latent.perceptual import PerceptualDistance, PerceptualNetwork, load_perceptual_network
from fastgan.latent.pictures import (
    Drawing,
    direction_strips,
    interpolation,
    mixing_table,
    parse_seeds,
)
from fastgan.latent.projection import Projection, Schedule, project
from fastgan.latent.sefa import Directions, sefa
from fastgan.latent.statistics import WStatistics, estimate_w_avg
from fastgan.latent.styles import layers_of, mix, resolution_of, truncate
from fastgan.latent.video import save_video

__all__ = [
    "Directions",
    "Drawing",
    "LatentError",
    "PerceptualDistance",
    "PerceptualNetwork",
    "Projection",
    "Schedule",
    "WStatistics",
    "direction_strips",
    "estimate_w_avg",
    "interpolate",
    "interpolation",
    "layers_of",
    "load_perceptual_network",
    "mix",
    "mixing_table",
    "parse_seeds",
    "perceptual_path_length",
    "project",
    "resolution_of",
    "save_video",
    "sefa",
    "truncate",
    "walk",
]
