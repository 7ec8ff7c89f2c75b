"""`gan`: the original GAN, with fully connected G and D (Goodfellow et al. 2014).

A step is `n_critic` updates of D, then one of G (algorithm 1), with z ~ N(0, I):

- D descends -E[log D(x)] - E[log(1 - D(G(z)))] (eq. 1).
- G descends -E[log D(G(z))] (section 3), or E[log(1 - D(G(z)))] with `loss` minimax (eq. 1).

`fastgan.recipes.noise` takes the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from fastgan.networks.mlp import MLPDiscriminator, MLPGenerator
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.noise import NoiseToImage
from fastgan.recipes.presets import Preset
from fastgan.recipes.stabilizers import (
    FeatureMatchingSettings,
    FixedSizeSettings,
    MinibatchSettings,
)


@dataclass(frozen=True, kw_only=True)
class GAN(FeatureMatchingSettings, MinibatchSettings, FixedSizeSettings, NoiseToImage):
    """Goodfellow 2014: fully connected G and D, cross-entropy.

    The defaults are networks that many tutorials train on 28×28 digits; GAN.small() is another
    common pair.
    """

    name: ClassVar[str] = "gan"
    summary: ClassVar[str] = "Goodfellow 2014: fully connected G and D, cross-entropy"
    default_resolution: ClassVar[int | None] = 28

    g_hidden: tuple[int, ...] = (256, 512, 1024)
    """Widths of G's hidden layers."""
    d_hidden: tuple[int, ...] = (512, 256)
    """Widths of D's hidden layers."""
    g_act: Literal["lrelu", "relu"] = "lrelu"
    """Activation of G's hidden layers (lrelu has slope 0.2)."""
    batch_norm: bool = True
    """Batch norm after each hidden activation of G."""
    dropout: float = 0.3
    """Dropout after each hidden layer of D; 0 for none."""

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        return Preset(60_000, {"lr": 4e-4, "batch": 32})

    def __post_init__(self) -> None:
        super().__post_init__()
        for setting in ("g_hidden", "d_hidden"):
            widths = getattr(self, setting)
            self._require(
                setting, len(widths) > 0 and all(w >= 1 for w in widths), "widths of at least 1"
            )
        self._require("dropout", 0 <= self.dropout < 1, "at least 0 and less than 1")

    @property
    def has_batch_norm(self) -> bool:
        return self.batch_norm

    @classmethod
    def small(cls) -> GAN:
        """Return a smaller pair: z of 64, two hidden layers of 256, ReLU, no norm, no dropout."""
        return cls(
            z_dim=64,
            g_hidden=(256, 256),
            d_hidden=(256, 256),
            g_act="relu",
            batch_norm=False,
            dropout=0.0,
        )

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        c_dim = self.classes(images)
        return {
            "G": MLPGenerator(
                images.shape,
                z_dim=self.z_dim,
                hidden=self.g_hidden,
                act=self.g_act,
                batch_norm=self.batch_norm,
                c_dim=c_dim,
            ),
            "D": self.stabilized(
                MLPDiscriminator(
                    images.shape,
                    hidden=self.d_hidden,
                    dropout=self.dropout,
                    c_dim=c_dim,
                    minibatch_discrimination=self.minibatch_discrimination,
                    minibatch_stddev=self.minibatch_stddev,
                )
            ),
            **self.extras(images),
        }
