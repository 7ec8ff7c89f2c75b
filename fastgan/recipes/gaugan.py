"""`gaugan`: images from semantic maps, which modulate G's features (Park, Liu, Wang, Zhu 2019)."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import l1_loss

from fastgan.data import Reading, Task
from fastgan.data.reading import MAX_INDEX
from fastgan.losses.adversarial import Adversarial
from fastgan.networks import DiscriminatorOutput
from fastgan.networks.translation import (
    MultiScaleDiscriminator,
    SPADEGenerator,
    min_image_size,
    one_hot_map,
)
from fastgan.nn import apply_spectral_norm
from fastgan.recipes.domains import mean_verdicts
from fastgan.recipes.errors import RecipeError, one_of
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.optimizers import adam
from fastgan.recipes.patches import Patch, patch_logits, patch_size
from fastgan.recipes.players import Batch, Loss, Networks, Player
from fastgan.recipes.signature import Port, Signature, Sizes, called_by
from fastgan.recipes.translation import Translation, TranslationBatch, plane

RESOLUTIONS = (16, 32, 64, 128, 256)
# Step between the hues of two classes, as a share of the colour circle.
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, kw_only=True)
class GauGAN(Translation):
    """Park 2019: SPADE in G, PatchGANs at two scales, hinge loss, feature matching."""

    name: ClassVar[str] = "gaugan"
    summary: ClassVar[str] = "Park 2019: images from semantic maps, by SPADE"
    task: ClassVar[Task | None] = "maps"
    objective: ClassVar[Adversarial] = "hinge"
    paired: ClassVar[bool] = True
    directions: ClassVar[Mapping[str, str]] = {"": "map"}

    void: int | None = None
    """Value of the maps' pixels that have no class, such as 255; None if every value is a class."""
    batch: int = 32
    lr: float = 1e-4
    d_lr: float = 4e-4
    """Learning rate of D."""
    betas: tuple[float, float] = (0.0, 0.9)
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
    matching_weight: float = 10.0
    """Weight of the L1 distance of D's features of fakes from those of reals; 0 for none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(
            "void", self.void is None or 0 <= self.void <= MAX_INDEX, f"from 0 to {MAX_INDEX}"
        )
        self._require_positive("d_lr")
        self._require_at_least(1, "ngf", "hidden", "ndf", "scales")
        self._require_at_least(0, "matching_weight")

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
            "D": apply_spectral_norm(
                MultiScaleDiscriminator(
                    images.channels, label_channels=classes, scales=self.scales, patch=patch,
                    ndf=self.ndf,
                )
            ),
        }  # fmt: skip

    def players(self) -> tuple[Player, ...]:
        return (
            Player("G", ("G",), self.g_loss, optimizer=self.adam),
            Player("D", ("D",), self.d_loss, optimizer=adam(self.d_lr, self.betas)),
        )

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

    def g_loss(self, networks: Networks, batch: TranslationBatch) -> Loss:
        """Return G's hinge loss, the mean over scales, and the feature matching loss."""
        planes = self.planes(networks, batch.inputs)
        fake = networks["G"](planes)
        output: DiscriminatorOutput = networks["D"](fake, planes)
        stats = {
            "adversarial/G": _mean_of(
                [self.adversarial.g(logits.float()) for logits in output.logits]
            )
        }
        total = stats["adversarial/G"]
        if self.matching_weight:
            with torch.no_grad():
                real: DiscriminatorOutput = networks["D"](batch.real, planes)
            stats["feature_matching/G"] = feature_distance(output, real)
            total = total + self.matching_weight * stats["feature_matching/G"]
        return Loss(total, stats, {"fakes": fake})

    def d_loss(self, networks: Networks, batch: TranslationBatch) -> Loss:
        """Return the hinge loss of D, the mean over scales, on the images of G's phase."""
        planes = self.planes(networks, batch.inputs)
        real: DiscriminatorOutput = networks["D"](batch.real, planes)
        fake: DiscriminatorOutput = networks["D"](batch.fakes, planes)
        logits = [(r.float(), f.float()) for r, f in zip(real.logits, fake.logits)]
        verdicts = [self.adversarial.verdicts(real=r, fake=f) for r, f in logits]
        return Loss(
            _mean_of([self.adversarial.d(r, f) for r, f in logits]), mean_verdicts(verdicts)
        )

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


def feature_distance(fake: DiscriminatorOutput, real: DiscriminatorOutput) -> Tensor:
    """Return the L1 distance of features, summed over layers, the mean over scales.

    This is feature matching of Wang et al. 2018, eq. 3.

    Args:
        fake: output of D for generated images, with features.
        real: output of D for real images, with features.
    """
    scales = []
    for ours, theirs in zip(fake.features, real.features):
        layers = [l1_loss(f.float(), r.float()) for f, r in zip(ours, theirs)]
        scales.append(torch.stack(layers).sum())
    return _mean_of(scales)


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


def _mean_of(scalars: list[Tensor]) -> Tensor:
    return torch.stack(scalars).mean()
