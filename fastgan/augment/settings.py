"""Transformations of ADA and their strengths (Karras et al. 2020b, appendix B)."""

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
"""The 18 transformations by category, in the order of application."""

PRESETS: dict[str, tuple[str, ...]] = {
    **{category: (category,) for category in TRANSFORMATIONS},
    "bg": ("blit", "geom"),
    "bgc": ("blit", "geom", "color"),
    "bgcf": ("blit", "geom", "color", "filter"),
    "bgcfn": ("blit", "geom", "color", "filter", "noise"),
    "bgcfnc": ("blit", "geom", "color", "filter", "noise", "cutout"),
}
"""Pipes of the paper's ablation (figure 4), named by initials of their categories."""


@dataclass(frozen=True)
class Strengths:
    """Strength of each transformation, by default the paper's.

    Flips and rotations by 90° have none. Logarithms of factors are to base 2: a scale of strength
    0.2 is within 2^±0.2 at one standard deviation.
    """

    integer_translation: float = 0.125
    """Largest shift, as a share of the side; uniform."""
    scale: float = 0.2
    """Standard deviation of the logarithm of the scale."""
    rotation: float = 180.0
    """Largest angle of the rotations before and after the anisotropic scale, degrees; uniform."""
    anisotropic_scale: float = 0.2
    """Standard deviation of the logarithm of the factor of x; y is divided by the factor."""
    fractional_translation: float = 0.125
    """Standard deviation of the shift, as a share of the side."""
    brightness: float = 0.2
    """Standard deviation of the added value."""
    contrast: float = 0.5
    """Standard deviation of the logarithm of the factor."""
    hue: float = 180.0
    """Largest angle, in degrees; uniform."""
    saturation: float = 1.0
    """Standard deviation of the logarithm of the factor."""
    filter: float = 1.0
    """Standard deviation of the logarithm of a band's gain."""
    noise: float = 0.1
    """Scale of the half-normal distribution of the noise's standard deviation."""
    cutout: float = 0.5
    """Side of the square, as a share of the image's side."""
