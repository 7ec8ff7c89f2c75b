"""`gaugan`: images from semantic maps, which modulate G's features (Park, Liu, Wang, Zhu 2019).

A step is an update of G, then one of D, on images x and their maps m. D has several scales, whose
losses are averaged:

- G, whose blocks are SPADE's (eq. 1 to 3), descends -E[D(G(m), m)], the hinge loss, and λ times
  feature matching (Wang et al. 2018, eq. 3; appendix A of Park et al. has both).
- D descends E[max(0, 1 - D(x, m))] + E[max(0, 1 + D(G(m), m))].
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import torch
from torch import Generator, Tensor, nn

from fastgan.data import Reading, Task
from fastgan.data.reading import MAX_INDEX
from fastgan.losses.adversarial import Adversarial
from fastgan.losses.stabilizers import layer_matching
from fastgan.networks import DiscriminatorOutput
from fastgan.networks.translation import (
    MultiScaleDiscriminator,
    SPADEGenerator,
    min_image_size,
    one_hot_map,
)
from fastgan.nn import apply_spectral_norm
from fastgan.recipes.adversarial import Output, mean_of
from fastgan.recipes.direct import DirectTranslation, TranslationBatch
from fastgan.recipes.errors import RecipeError, one_of
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.patches import Patch, patch_logits, patch_size
from fastgan.recipes.players import Batch, Loss, Networks
from fastgan.recipes.presets import Preset
from fastgan.recipes.signature import Port, Signature, Sizes, called_by
from fastgan.recipes.stabilizers import ConditionSettings, Side
from fastgan.recipes.translation import plane

RESOLUTIONS = (16, 32, 64, 128, 256)
# Step between the hues of two classes, as a share of the colour circle.
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, kw_only=True)
class GauGAN(ConditionSettings, DirectTranslation):
    """Park 2019: SPADE in G, PatchGANs at two scales, hinge loss, feature matching."""

    name: ClassVar[str] = "gaugan"
    summary: ClassVar[str] = "Park 2019: images from semantic maps, by SPADE"
    task: ClassVar[Task | None] = "maps"
    paired: ClassVar[bool] = True
    directions: ClassVar[Mapping[str, str]] = {"": "map"}

    void: int | None = None
    """Value of the maps' pixels that have no class, such as 255; None if every value is a class."""
    batch: int = 32
    lr: float = 1e-4
    d_lr: float | None = 4e-4
    betas: tuple[float, float] = (0.0, 0.9)
    loss: Adversarial = "hinge"
    spectral_norm: bool = True
    """Divide each weight of D by its spectral norm; G's weights always are."""
    feature_matching: float = 10.0
    """Weight of the L1 distance of D's features of fakes from those of reals; 0 for none."""
    ngf: int = 64
    """Channels of G's last block; up to 16 times as many before it."""
    hidden: int = 128
    """Hidden channels of each SPADE, between the map and its scales and shifts."""
    ndf: int = 64
    """Channels of D's first layer; each later layer has twice as many, up to 8 times."""
    patch: Patch | None = None
    """Pixels that a logit of the finest D sees; None takes 70, or the most that images allow."""
    scales: int = 2
    """Discriminators, each for images of half the size of the one before."""

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        settings = {
            "batch": 16,
            "ngf": 6,
            "ndf": 8,
            "hidden": 12,
            "patch": 16 if resolution <= 32 else 34,
            "scales": 1,
            "lr": 4e-3,
            "d_lr": 2e-3,
            "ema": 0.9,
        }
        return Preset(8_000, settings)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(
            "void", self.void is None or 0 <= self.void <= MAX_INDEX, f"from 0 to {MAX_INDEX}"
        )
        self._require_at_least(1, "ngf", "hidden", "ndf", "scales")

    @property
    def has_batch_norm(self) -> bool:
        return True

    def adapt_reading(self, reading: Reading) -> Reading:
        return replace(reading, void=self.void)

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        self._require_resolution(images, images.resolution in RESOLUTIONS, one_of(RESOLUTIONS))
        patch_size(self.name, self.patch, images, self.scales)

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        classes = len(images.inputs["map"].names)
        patch = patch_size(self.name, self.patch, images, self.scales)
        return {
            "G": apply_spectral_norm(
                SPADEGenerator(
                    classes, images.channels, resolution=images.resolution, ngf=self.ngf,
                    hidden=self.hidden,
                )
            ),
            "D": self.stabilized(
                MultiScaleDiscriminator(
                    images.channels, label_channels=classes, scales=self.scales, patch=patch,
                    ndf=self.ndf,
                )
            ),
            **self.extras(images),
        }  # fmt: skip

    def planes(self, networks: Networks, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the map as one plane of zeros and ones per class.

        Raises:
            RecipeError: the input "map" is a picture.
        """
        if inputs["map"].is_floating_point():
            raise RecipeError(
                f"The map must be classes, int64 [N, H, W], got a picture: give {self.name} a map."
            )
        return one_hot_map(inputs["map"], int(cast(Any, networks["G"]).map_channels))

    def condition_of(self, networks: Networks, batch: TranslationBatch) -> Tensor:
        return self.planes(networks, batch.inputs)

    def d_condition(
        self, networks: Networks, batch: TranslationBatch, side: Side
    ) -> tuple[Tensor, ...]:
        transform = self.stabilizers.augmenting.of_condition(networks, batch.draws, side, "D", 0)
        return (transform(batch.condition),)

    def generate(self, networks: Networks, batch: TranslationBatch) -> Tensor:
        images: Tensor = networks["G"](batch.condition)
        return images

    def g_loss(self, networks: Networks, batch: TranslationBatch) -> Loss:
        """Return G's hinge loss and the feature matching loss, both the mean over scales."""
        batch = self.with_condition(networks, batch)
        fakes = self.generate(networks, batch)
        against = self.fakes_against_d(networks, batch, fakes)
        loss = Loss(against.loss, {"adversarial/G": against.loss}, {"fakes": fakes})
        return self.matched(against.networks, batch, against.output, loss)

    def matching_loss(self, networks: Networks, batch: TranslationBatch, fakes: Output) -> Tensor:
        """Return the L1 distance of features, summed over layers, the mean over scales.

        This is feature matching of Wang et al. 2018, eq. 3.

        Args:
            networks: all networks by name.
            batch: batch with its condition.
            fakes: output of D for generated images, with features.
        """
        with torch.no_grad():
            real = self.output(networks, batch, batch.real, self.side_of_targets)
        assert isinstance(fakes, DiscriminatorOutput) and isinstance(real, DiscriminatorOutput)
        scales = zip(real.features, fakes.features)
        return mean_of([layer_matching(of_real, of_fake) for of_real, of_fake in scales])

    def translate(
        self, networks: Networks, inputs: Mapping[str, Tensor], *, generator: Generator
    ) -> Tensor:
        planes = self.planes(networks, inputs)
        images: Tensor = networks["G"](planes)
        return images

    def signatures(self, networks: Networks, images: ImageSpec) -> dict[str, Signature]:
        names = images.inputs["map"].names
        classes = Port("map", ("height", "width"), "class of each pixel", "index", names)
        output = plane("output", images.channels, "image of the map")
        image = plane("output", images.channels, "real or generated image of the map")
        scales = tuple(patch_logits(f"logits_{scale}") for scale in range(self.scales))
        patch = patch_size(self.name, self.patch, images, self.scales)
        return {
            "G": Signature(
                "G", (classes,), (output,), Sizes(self.size_divisor(networks)),
                wrap=called_by(lambda network, classes: network(one_hot_map(classes, len(names)))),
            ),
            "D": Signature(
                "D", (image, classes), scales,
                Sizes(min_size=min_image_size(patch) << (self.scales - 1)),
                wrap=called_by(lambda network, image, classes: network(
                    image, one_hot_map(classes, len(names))
                ).logits),
            ),
        }  # fmt: skip

    def size_divisor(self, networks: Networks) -> int:
        return int(cast(Any, networks["G"]).resolution) // 4

    def views(self, networks: Networks, rows: Batch, output: Tensor) -> dict[str, Tensor]:
        return {"map": coloured(rows.inputs["map"]), "output": output, "target": rows.real}


def coloured(classes: Tensor) -> Tensor:
    """Return a map int64 `[N, H, W]` in colours, one per class: `[N, 3, H, W]` in [-1, 1].

    The first class is black, and pixels without a class (-1) are mid grey.
    """
    count = max(1, int(classes.max()) + 1)
    colours = [
        (0.0, 0.0, 0.0),
        *(colorsys.hsv_to_rgb(i * GOLDEN % 1, 0.7, 1.0) for i in range(1, count)),
    ]
    palette = torch.tensor(colours, device=classes.device) * 2 - 1
    return palette[classes.clamp(min=0)].masked_fill((classes < 0)[..., None], 0.0).movedim(-1, 1)
