"""`inpaint`: filling of holes in images (Pathak et al. 2016; Iizuka, Simo-Serra, Ishikawa 2017).

A step is an update of G, then one of D. The mask m is 1 in a hole of the image x. The condition is
c = (x·(1 - m), m), and the filled image is y = m·G(c) + (1 - m)·x:

- G descends -E[log D(y, c)] + λ·E[‖m·(x - G(c))‖₁ / |m|]. It is pix2pix's eq. 4 with Pathak's
  distance in the hole alone (eq. 1), as L1.
- D descends half of -E[log D(x, c)] - E[log(1 - D(y, c))].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from fastgan.data import Task
from fastgan.recipes.direct import TranslationBatch
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.pix2pix import Pix2Pix
from fastgan.recipes.players import ABSENT, Batch, DrawRequest, Loss, Networks
from fastgan.recipes.presets import Preset
from fastgan.recipes.signature import Signature, Sizes, called_by
from fastgan.recipes.translation import plane


@dataclass(frozen=True)
class InpaintBatch(TranslationBatch):
    """Batch of images with holes.

    Attributes:
        holes: height, width and place of each image's hole in [0, 1), float32 `[N, 4]`.
    """

    holes: Tensor = ABSENT


@dataclass(frozen=True, kw_only=True)
class Inpaint(Pix2Pix):
    """Pathak 2016: pix2pix from an image with a hole to the whole image, with L1 in the hole alone.

    The output keeps the known pixels. Holes are rectangles of random size and place, drawn anew for
    every image (Iizuka 2017), so any image will do. Both networks see the mask.
    """

    batch_type: ClassVar[type[Batch]] = InpaintBatch
    name: ClassVar[str] = "inpaint"
    summary: ClassVar[str] = "Pathak 2016: fills holes in images, by pix2pix"
    task: ClassVar[Task | None] = None
    baseline: ClassVar[str | None] = "masked"
    directions: ClassVar[Mapping[str, str]] = {"": "image"}
    fills: ClassVar[bool] = True

    dropout: float = 0.0
    hole: tuple[float, float] = (0.25, 0.5)
    """Least and largest height and width of holes, as shares of the image's."""

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        images = total_images or 24_000
        settings = {
            "batch": 32,
            "ngf": 12,
            "ndf": 8,
            "patch": 16 if resolution <= 32 else 34,
            "norm": "batch",
            "lr": 6e-3,
            "ema": 0.95,
            "decay_after": max(1, images // 2),
        }
        return Preset(images, settings)

    def __post_init__(self) -> None:
        super().__post_init__()
        least, most = self.hole
        self._require(
            "hole", 0 < least <= most < 1, "two numbers above 0 and below 1, the larger one second"
        )

    def condition_channels(self, images: ImageSpec) -> int:
        return images.channels + 1

    def condition(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the image with 0 in its hole, and the mask: `[N, C + 1, H, W]`."""
        mask = inputs["mask"]
        return torch.cat([inputs["image"] * (1 - mask), mask], 1)

    def pictures(self, condition: Tensor) -> int:
        return condition.shape[1] - 1

    def generate(self, networks: Networks, batch: TranslationBatch) -> Tensor:
        return filled(super().generate(networks, batch), self.source(batch))

    def draw_inputs(self, request: DrawRequest) -> dict[str, Tensor]:
        """Draw height, width, row and column of each hole as numbers in [0, 1)."""
        return {"holes": torch.rand(request.count, 4, generator=request.generator)}

    def source(self, rows: Batch) -> Mapping[str, Tensor]:
        """Return images and the masks of their holes.

        A batch without drawn holes gets those of seed 0. So samples of the same images have the
        same holes.
        """
        images = rows.real
        if isinstance(rows, InpaintBatch):
            holes = rows.holes
        else:
            first = DrawRequest(len(images), 0, Generator().manual_seed(0))
            holes = self.draw_inputs(first)["holes"].to(images.device)
        return {"image": images, "mask": self.masks(holes, images.shape[2], images.shape[3])}

    def masks(self, holes: Tensor, height: int, width: int) -> Tensor:
        """Return masks of holes: float32 `[N, 1, height, width]`, 1 inside.

        Args:
            holes: rows of `draw_inputs`.
            height: height of the images.
            width: width of the images.
        """
        inside = []
        for extent, place, side in (
            (holes[:, 0], holes[:, 2], height),
            (holes[:, 1], holes[:, 3], width),
        ):
            least, most = self.hole
            length = ((least + (most - least) * extent) * side).round().clamp(min=1)[:, None]
            start = (place[:, None] * (side - length + 1)).floor()
            pixels = torch.arange(side, device=holes.device)
            inside.append((pixels >= start) & (pixels < start + length))
        rows, columns = inside
        return (rows[:, None, :, None] & columns[:, None, None, :]).float()

    def g_loss(self, networks: Networks, batch: InpaintBatch) -> Loss:  # type: ignore[override]
        """Return the cross-entropy of D on the filled image, and the L1 distance in the hole."""
        batch = self.with_condition(networks, batch)
        fakes, mask = self.generate(networks, batch), batch.condition[:, -1:]
        adversarial = self.fakes_against_d(networks, batch, fakes).loss
        error = (fakes.float() - batch.real).abs().sum((1, 2, 3))
        l1 = (error / (fakes.shape[1] * mask.sum((1, 2, 3)))).mean()
        stats = {"adversarial/G": adversarial, "l1/G": l1}
        outputs = {"fakes": fakes, "holes": batch.holes}
        loss = Loss(adversarial + self.l1_weight * l1, stats, outputs)
        return self.matched(networks, batch, fakes, loss)

    def signatures(self, networks: Networks, images: ImageSpec) -> dict[str, Signature]:
        channels = images.channels
        image = plane("image", channels, "image to fill; pixels in the hole are ignored")
        mask = plane("mask", 1, "1 in the hole to fill, 0 elsewhere", "flags")
        output = plane("output", channels, "the filled image")
        condition = plane("condition", channels + 1, "image with 0 in its hole, then the mask")
        return {
            "G": Signature(
                "G",
                (image, mask),
                (output,),
                Sizes(self.size_divisor(networks)),
                wrap=called_by(self._fill),
            ),
            "D": self.discriminator_signature(networks, images, condition),
        }

    def _fill(self, network: nn.Module, image: Tensor, mask: Tensor) -> Tensor:
        inputs = {"image": image, "mask": mask}
        return filled(network(self.condition(inputs)), inputs)

    def translate(
        self, networks: Networks, inputs: Mapping[str, Tensor], *, generator: Generator
    ) -> Tensor:
        """Fill the holes of images; known pixels stay the same to the bit.

        Args:
            inputs: `image`, and `mask` float32 `[N, 1, H, W]`, 1 in the hole and 0 elsewhere.
        """
        return filled(super().translate(networks, inputs, generator=generator), inputs)

    def views(self, networks: Networks, rows: Batch, output: Tensor) -> dict[str, Tensor]:
        inputs = self.source(rows)
        return {
            "masked": inputs["image"] * (1 - inputs["mask"]),
            "output": output,
            "target": rows.real,
        }


def filled(generated: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the generated pixels in the hole, and the original ones elsewhere, to the bit."""
    return torch.where(inputs["mask"] > 0, generated.to(inputs["image"].dtype), inputs["image"])
