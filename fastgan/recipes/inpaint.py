"""`inpaint`: what is missing of an image (Pathak et al. 2016; Iizuka, Simo-Serra, Ishikawa 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from fastgan.data import Task
from fastgan.losses.adversarial import non_saturating_g_loss
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.pix2pix import Pix2Pix
from fastgan.recipes.players import ABSENT, Batch, DrawRequest, Loss, Networks, Player
from fastgan.recipes.signature import Signature, Sizes, called_by
from fastgan.recipes.translation import TranslationBatch, plane


@dataclass(frozen=True)
class InpaintBatch(TranslationBatch):
    """Batch of images with holes.

    Attributes:
        holes: height, width and place of each image's hole in [0, 1), float32 `[N, 4]`.
    """

    holes: Tensor = ABSENT


@dataclass(frozen=True, kw_only=True)
class Inpaint(Pix2Pix):
    """Pathak 2016: pix2pix from an image with a hole to the whole, what is known of it kept; L1 on the hole alone.

    Holes are rectangles of any place and size within bounds, drawn anew for every image (Iizuka 2017), of which any set has
    some. Networks see where they are.
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
    """Least and most height and width of holes, as shares of the image's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        least, most = self.hole
        self._require(
            "hole", 0 < least <= most < 1, "two numbers above 0 and below 1, the larger one second"
        )

    def condition_channels(self, images: ImageSpec) -> int:
        return images.channels + 1

    def condition(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The image, 0 in its hole, and a plane that is 1 there: `[N, C + 1, H, W]`."""
        mask = inputs["mask"]
        return torch.cat([inputs["image"] * (1 - mask), mask], 1)

    def players(self) -> tuple[Player, ...]:
        return (
            Player("G", ("G",), self.g_loss, draw=self.draw_holes),
            Player("D", ("D",), self.d_loss),
        )

    def draw_holes(self, request: DrawRequest) -> dict[str, Tensor]:
        """Height, width and place of a hole for every image, all in [0, 1)."""
        return {"holes": torch.rand(request.count, 4, generator=request.generator)}

    def source(self, given: Batch) -> Mapping[str, Tensor]:
        """Images and their masks: of the holes that were drawn, or else of the first ones that seed 0 gives, so that samples
        of the same images are of the same holes."""
        images = given.real
        if isinstance(given, InpaintBatch):
            holes = given.holes
        else:
            first = DrawRequest(len(images), 0, Generator().manual_seed(0))
            holes = self.draw_holes(first)["holes"].to(images.device)
        return {"image": images, "mask": self.masks(holes, images.shape[2], images.shape[3])}

    def masks(self, drawn: Tensor, height: int, width: int) -> Tensor:
        """1 in the holes of `draw_holes`, 0 around them: float32 `[N, 1, height, width]`."""
        inside = []
        for extent, place, side in (
            (drawn[:, 0], drawn[:, 2], height),
            (drawn[:, 1], drawn[:, 3], width),
        ):
            least, most = self.hole
            length = ((least + (most - least) * extent) * side).round().clamp(min=1)[:, None]
            start = (place[:, None] * (side - length + 1)).floor()
            pixels = torch.arange(side, device=drawn.device)
            inside.append((pixels >= start) & (pixels < start + length))
        rows, columns = inside
        return (rows[:, None, :, None] & columns[:, None, None, :]).float()

    def g_loss(self, networks: Networks, batch: InpaintBatch) -> Loss:  # type: ignore[override]
        """What D makes of the filled image, and how far it is from the original in the hole."""
        inputs = self.source(batch)
        condition, mask = self.condition(inputs), inputs["mask"]
        fake = filled(networks["G"](condition), inputs)
        adversarial = non_saturating_g_loss(networks["D"](fake, condition).float())
        missed = (fake.float() - batch.real).abs().sum((1, 2, 3))
        l1 = (missed / (fake.shape[1] * mask.sum((1, 2, 3)))).mean()
        stats = {"adversarial/G": adversarial, "l1/G": l1}
        outputs = {"fakes": fake, "holes": batch.holes}
        return Loss(adversarial + self.l1_weight * l1, stats, outputs)

    def signatures(self, networks: Networks, images: ImageSpec) -> dict[str, Signature]:
        channels = images.channels
        image = plane("image", channels, "image to fill; what lies in the hole is not looked at")
        mask = plane("mask", 1, "1 where the image is to be filled, 0 where it is kept", "flags")
        made = plane("output", channels, "the image, filled")
        shown = plane(
            "condition", channels + 1, "the image with 0 in its hole, and the mask behind it"
        )
        return {
            "G": Signature(
                "G",
                (image, mask),
                (made,),
                Sizes(self.size_divisor(networks)),
                wrap=called_by(self._fill),
            ),
            "D": self.judge_signature(networks, images, shown),
        }

    def _fill(self, network: nn.Module, image: Tensor, mask: Tensor) -> Tensor:
        inputs = {"image": image, "mask": mask}
        return filled(network(self.condition(inputs)), inputs)

    def translate(
        self, networks: Networks, inputs: Mapping[str, Tensor], *, generator: Generator
    ) -> Tensor:
        """inputs: `image` and `mask`, float32 `[N, 1, H, W]`, 1 where the image is to be filled and 0 where it's kept."""
        return filled(super().translate(networks, inputs, generator=generator), inputs)

    def views(self, networks: Networks, given: Batch, output: Tensor) -> dict[str, Tensor]:
        inputs = self.source(given)
        return {
            "masked": inputs["image"] * (1 - inputs["mask"]),
            "output": output,
            "target": given.real,
        }


def filled(made: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    """What was made in the hole, the image around it, to the bit."""
    return torch.where(inputs["mask"] > 0, made.to(inputs["image"].dtype), inputs["image"])
