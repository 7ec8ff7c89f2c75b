"""Control of style-based generators: truncation, mixing, paths, directions, projection.

The functions take a :class:`fastgan.networks.stylegan2.StyleGAN2Generator`, or another network with
its ``mapping`` and ``synthesis``. None changes a network.
"""

from fastgan.latent.errors import LatentError
from fastgan.latent.path_length import perceptual_path_length
from fastgan.latent.paths import interpolate, walk
from fastgan.latent.projection import Projection, Schedule, project
from fastgan.latent.sefa import Directions, sefa
from fastgan.latent.statistics import WStatistics, estimate_w_avg
from fastgan.latent.styles import layers_of, mix, resolution_of, truncate
from fastgan.latent.video import save_video

__all__ = [
    "Directions",
    "LatentError",
    "Projection",
    "Schedule",
    "WStatistics",
    "estimate_w_avg",
    "interpolate",
    "layers_of",
    "mix",
    "perceptual_path_length",
    "project",
    "resolution_of",
    "save_video",
    "sefa",
    "truncate",
    "walk",
]
