"""What ADA's pipe is made of, and how strong it is: tables of Karras et al. 2020b, appendix B."""

from __future__ import annotations

from dataclasses import dataclass

TRANSFORMATIONS: dict[str, tuple[str, ...]] = {
    "blit": ("flip", "rotate90", "integer_translation"),
    "geom": ("scale", "rotation", "anisotropic_scale", "fractional_translation"),
    "color": ("brightness", "contrast", "luma_flip", "hue", "saturation"),
    "filter": ("filter0", "filter1", "filter2", "filter3"),
    "noise": ("noise",),
    "cutout": ("cutout",),
}
"""The 18 transformations in their six categories, in the order in which they are applied."""

PRESETS: dict[str, tuple[str, ...]] = {
    **{category: (category,) for category in TRANSFORMATIONS},
    "bg": ("blit", "geom"),
    "bgc": ("blit", "geom", "color"),
    "bgcf": ("blit", "geom", "color", "filter"),
    "bgcfn": ("blit", "geom", "color", "filter", "noise"),
    "bgcfnc": ("blit", "geom", "color", "filter", "noise", "cutout"),
}
"""The pipes of the paper's ablation (figure 4): initials of the categories that they have."""


@dataclass(frozen=True)
class Strengths:
    """How far each transformation goes; the paper's values by default. Flips and 90° rotations have no strength.

    Logarithms of factors are to base 2: a scale drawn with 0.2 lies within 2^±0.2 at one standard deviation.
    """

    integer_translation: float = 0.125
    """Largest shift, as a share of the side; uniform."""
    scale: float = 0.2
    """Standard deviation of the logarithm of the scale."""
    rotation: float = 180.0
    """Largest angle of the rotation before and of that after the anisotropic scale, in degrees; uniform."""
    anisotropic_scale: float = 0.2
    """Standard deviation of the logarithm of the factor of x, by which y is divided."""
    fractional_translation: float = 0.125
    """Standard deviation of the shift, as a share of the side."""
    brightness: float = 0.2
    """Standard deviation of what is added."""
    contrast: float = 0.5
    """Standard deviation of the logarithm of the factor."""
    hue: float = 180.0
    """Largest angle, in degrees; uniform."""
    saturation: float = 1.0
    """Standard deviation of the logarithm of the factor."""
    filter: float = 1.0
    """Standard deviation of the logarithm of a band's amplification."""
    noise: float = 0.1
    """Standard deviation of the noise's standard deviation, of a half normal distribution."""
    cutout: float = 0.5
    """Side of the square, as a share of the image's."""
