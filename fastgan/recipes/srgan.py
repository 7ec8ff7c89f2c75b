"""`srgan`: super-resolution (Ledig et al. 2017).

A step of the first stage is an update of G alone, on images x and their low resolution x':

- G descends E[(x - G(x'))²] (eq. 4).

A step of the second stage is an update of G, then one of D:

- G descends the perceptual distance of x and G(x') (eq. 5, with a network of our own), the squared
  error, and 10⁻³ times -E[log D(G(x'))] (eq. 6), which together are eq. 3.
- D descends -E[log D(x)] - E[log(1 - D(G(x')))] (eq. 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Generator, Tensor, nn
from torch.nn.functional import interpolate, mse_loss

from fastgan.metrics import PerceptualDistance
from fastgan.networks.translation import SRGANDiscriminator, SRResNet
from fastgan.recipes.direct import DirectTranslation, TranslationBatch
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.players import Batch, Loss, Networks, Player
from fastgan.recipes.presets import Preset
from fastgan.recipes.signature import Port, Signature, Sizes, called_by
from fastgan.recipes.stabilizers import ImageSettings, MinibatchSettings
from fastgan.recipes.translation import plane

Scale = Literal[2, 4, 8]


@dataclass(frozen=True, kw_only=True)
class SRGAN(MinibatchSettings, ImageSettings, DirectTranslation):
    """Ledig 2017: SRResNet, trained by mean squared error, then by a perceptual distance and D.

    Low resolution images are the data set's images, downscaled, so any image will do.
    """

    name: ClassVar[str] = "srgan"
    summary: ClassVar[str] = "Ledig 2017: super-resolution, by squared error, then against D"
    paired: ClassVar[bool] = True
    baseline: ClassVar[str | None] = "bicubic"
    directions: ClassVar[Mapping[str, str]] = {"": "low"}

    batch: int = 16
    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    scale: Scale = 4
    """Upscaling factor."""
    pretrain: int = 100_000
    """Images of the first stage, which trains G by the mean squared error alone."""
    ngf: int = 64
    """Channels of G."""
    blocks: int = 16
    """Residual blocks of G."""
    residual: bool = False
    """Add G's output to a bicubic enlargement: not in the paper, but faster for small networks."""
    ndf: int = 64
    """Channels of D's first layer; eight times as many in its last."""
    pixel_weight: float = 1.0
    """Weight of the mean squared error in the second stage."""
    adversarial_weight: float = 1e-3
    """Weight of the adversarial loss in G's loss."""

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        images = total_images or 12_800
        settings = {
            "batch": 16,
            "scale": 2,
            "ngf": 24,
            "blocks": 3,
            "residual": True,
            "ndf": 8,
            "lr": 3e-3,
            "pretrain": images * 3 // 4,
        }
        return Preset(images, settings)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "ngf", "ndf", "blocks")
        self._require_at_least(0, "pretrain", "pixel_weight", "adversarial_weight")

    @property
    def has_batch_norm(self) -> bool:
        return True

    @property
    def scale_factor(self) -> int:
        return self.scale

    def check_images(self, images: ImageSpec) -> None:
        self._require_resolution(
            images,
            images.resolution % 16 == 0 and images.resolution >= 32,
            "a multiple of 16 and at least 32",
        )

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        return {
            "G": SRResNet(
                images.channels,
                scale=self.scale,
                blocks=self.blocks,
                ngf=self.ngf,
                residual=self.residual,
            ),
            "D": self.stabilized(
                SRGANDiscriminator(
                    images.resolution,
                    images.channels,
                    ndf=self.ndf,
                    minibatch_discrimination=self.minibatch_discrimination,
                    minibatch_stddev=self.minibatch_stddev,
                )
            ),
            "content": PerceptualDistance(),
            **self.extras(images),
        }

    def players(self) -> tuple[Player, ...]:
        """Return G's player of the first stage, then G and D of the second."""
        first = Player(
            "MSE",
            self.generators,
            self.mse_loss,
            max(self.n_gen, self.n_critic),
            optimizer=self.optimizer_of("MSE"),
            end=self.pretrain,
        )
        return first, self.g_player(start=self.pretrain), self.d_player(start=self.pretrain)

    def generate(self, networks: Networks, batch: TranslationBatch) -> Tensor:
        images: Tensor = networks["G"](self.low(batch.real))
        return images

    def low(self, images: Tensor) -> Tensor:
        """Return images downscaled with an antialiased bicubic filter."""
        size = (images.shape[2] // self.scale, images.shape[3] // self.scale)
        return interpolate(images, size=size, mode="bicubic", antialias=True).clamp(-1, 1)

    def mse_loss(self, networks: Networks, batch: TranslationBatch) -> Loss:
        """Return the mean squared error, which maximises PSNR (eq. 4)."""
        return Loss(mse_loss(self.generate(networks, batch).float(), batch.real))

    def g_loss(self, networks: Networks, batch: TranslationBatch) -> Loss:
        """Return the perceptual distance, squared error and adversarial loss of G (eq. 3).

        fastgan's own perceptual network replaces the paper's VGG.
        """
        fakes = self.generate(networks, batch).float()
        content = networks["content"](fakes, batch.real).mean()
        pixels = mse_loss(fakes, batch.real)
        adversarial = self.fakes_against_d(networks, batch, fakes).loss
        total = content + self.pixel_weight * pixels + self.adversarial_weight * adversarial
        stats = {"content/G": content, "mse/G": pixels, "adversarial/G": adversarial}
        return self.matched(networks, batch, fakes, Loss(total, stats, {"fakes": fakes}))

    def source(self, rows: Batch) -> Mapping[str, Tensor]:
        return {"low": self.low(rows.real)}

    def translate(
        self, networks: Networks, inputs: Mapping[str, Tensor], *, generator: Generator
    ) -> Tensor:
        return _enlarged(networks["G"], inputs["low"])

    def signatures(self, networks: Networks, images: ImageSpec) -> dict[str, Signature]:
        low = plane("image", images.channels, "image to enlarge")
        output = plane("output", images.channels, "the enlarged image", scale=self.scale)
        image = Port("image", images.shape, "real or enlarged image", "image")
        logits = Port("logits", (), "logits, higher for images that look real", "real")
        return {
            "G": Signature("G", (low,), (output,), Sizes(), wrap=called_by(_enlarged)),
            "D": Signature("D", (image,), (logits,)),
        }

    def size_divisor(self, networks: Networks) -> int:
        return 1

    def views(self, networks: Networks, rows: Batch, output: Tensor) -> dict[str, Tensor]:
        low = self.low(rows.real)
        enlarged = interpolate(low, size=rows.real.shape[2:], mode="bicubic").clamp(-1, 1)
        return {"bicubic": enlarged, "output": output, "target": rows.real}


def _enlarged(network: nn.Module, image: Tensor) -> Tensor:
    """Return the output of a network, clamped to [-1, 1]."""
    enlarged: Tensor = network(image)
    return enlarged.clamp(-1, 1)
