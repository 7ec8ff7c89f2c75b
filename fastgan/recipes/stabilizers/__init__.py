"""Stabilisers of recipes.

Each has a class of settings, which a recipe derives from to support it, and a `Part` with its
checks, draws, state and computation. `Stabilizers` holds the parts of a recipe.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from fastgan.recipes.stabilizers.augmentation import (
    Augmentation,
    Augmenting,
    AugmentSettings,
    DiffAugmentSettings,
    Pipe,
)
from fastgan.recipes.stabilizers.draws import NO_DRAWS, SIDES, Draws, Side
from fastgan.recipes.stabilizers.gradient_penalty import (
    PENALTIES,
    Drift,
    DriftSettings,
    GradientPenalty,
    Penalty,
    PenaltySettings,
)
from fastgan.recipes.stabilizers.labels import (
    InstanceNoise,
    InstanceNoiseSettings,
    LabelNoise,
    LabelNoiseSettings,
)
from fastgan.recipes.stabilizers.memory import (
    HistoricalAveraging,
    HistorySettings,
    Replay,
    ReplaySettings,
)
from fastgan.recipes.stabilizers.of_d import (
    FeatureMatching,
    FeatureMatchingSettings,
    MinibatchLayers,
    MinibatchSettings,
    Unroll,
    UnrollSettings,
)
from fastgan.recipes.stabilizers.part import Part
from fastgan.recipes.stabilizers.styles import (
    PathLength,
    PathLengthSettings,
    StyleMixing,
    StyleMixingSettings,
)
from fastgan.recipes.stabilizers.weights import (
    ClippingSettings,
    Orthogonal,
    OrthogonalSettings,
    SpectralNorm,
    SpectralNormSettings,
    WeightClipping,
)


@dataclass(frozen=True, kw_only=True)
class GeneralSettings(
    OrthogonalSettings,
    HistorySettings,
    ClippingSettings,
    DriftSettings,
    PenaltySettings,
    InstanceNoiseSettings,
    LabelNoiseSettings,
):
    """Settings of the stabilisers that suit any G and D."""


@dataclass(frozen=True, kw_only=True)
class FixedSizeSettings(
    AugmentSettings, ReplaySettings, UnrollSettings, SpectralNormSettings, GeneralSettings
):
    """Settings of the stabilisers that suit a G and D of one resolution."""


@dataclass(frozen=True, kw_only=True)
class EqualizedSettings(AugmentSettings, ReplaySettings, UnrollSettings, GeneralSettings):
    """Settings of the stabilisers that suit a D whose layers scale their weights themselves.

    Spectral norm leaves such layers alone.
    """


@dataclass(frozen=True, kw_only=True)
class ConditionSettings(
    DiffAugmentSettings,
    UnrollSettings,
    FeatureMatchingSettings,
    SpectralNormSettings,
    GeneralSettings,
):
    """Settings of the stabilisers that suit a D that sees planes of data beside an image."""


@dataclass(frozen=True, kw_only=True)
class ImageSettings(
    AugmentSettings,
    ReplaySettings,
    UnrollSettings,
    FeatureMatchingSettings,
    SpectralNormSettings,
    GeneralSettings,
):
    """Settings of the stabilisers that suit a D that sees images alone, by their features too."""


@dataclass(frozen=True)
class Stabilizers:
    """Parts of a recipe, in the order of their checks; those that it lacks are switched off."""

    penalty: GradientPenalty
    drift: Drift
    augmenting: Augmenting
    label_noise: LabelNoise
    instance_noise: InstanceNoise
    clipping: WeightClipping
    orthogonal: Orthogonal
    minibatch: MinibatchLayers
    feature_matching: FeatureMatching
    spectral_norm: SpectralNorm
    unroll: Unroll
    history: HistoricalAveraging
    replay: Replay
    style_mixing: StyleMixing
    path_length: PathLength

    @classmethod
    def of(cls, recipe: object) -> Stabilizers:
        """Return the parts with a recipe's settings."""
        return cls(
            GradientPenalty.of(recipe),
            Drift.of(recipe),
            Augmenting.of(recipe),
            LabelNoise.of(recipe),
            InstanceNoise.of(recipe),
            WeightClipping.of(recipe),
            Orthogonal.of(recipe),
            MinibatchLayers.of(recipe),
            FeatureMatching.of(recipe),
            SpectralNorm.of(recipe),
            Unroll.of(recipe),
            HistoricalAveraging.of(recipe),
            Replay.of(recipe),
            StyleMixing.of(recipe),
            PathLength.of(recipe),
        )

    def __iter__(self) -> Iterator[Part]:
        return (getattr(self, entry.name) for entry in fields(self))


__all__ = [
    "NO_DRAWS",
    "PENALTIES",
    "SIDES",
    "AugmentSettings",
    "Augmentation",
    "ClippingSettings",
    "ConditionSettings",
    "DiffAugmentSettings",
    "Draws",
    "DriftSettings",
    "EqualizedSettings",
    "FeatureMatchingSettings",
    "FixedSizeSettings",
    "GeneralSettings",
    "HistorySettings",
    "ImageSettings",
    "InstanceNoiseSettings",
    "LabelNoiseSettings",
    "MinibatchSettings",
    "OrthogonalSettings",
    "Part",
    "PathLengthSettings",
    "Penalty",
    "PenaltySettings",
    "Pipe",
    "ReplaySettings",
    "Side",
    "SpectralNormSettings",
    "Stabilizers",
    "StyleMixingSettings",
    "UnrollSettings",
]
