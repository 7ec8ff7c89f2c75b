"""`text2image`: images from captions (Reed, Akata, Yan, Logeswaran, Schiele, Lee 2016)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import relu

from fastgan.data import Task
from fastgan.losses.adversarial import Adversarial
from fastgan.networks.dcgan import RESOLUTIONS
from fastgan.networks.translation import TextDiscriminator, TextGenerator
from fastgan.nn import apply_spectral_norm
from fastgan.recipes.errors import one_of
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.optimizers import adam
from fastgan.recipes.players import ABSENT, Batch, DrawRequest, Loss, Networks, Player
from fastgan.recipes.signature import Port, Signature
from fastgan.recipes.translation import Translation, TranslationBatch

Encoder = Literal["gru", "mean"]


@dataclass(frozen=True)
class Text2ImageBatch(TranslationBatch):
    """Batch of images with captions.

    Attributes:
        noise: z, float32 `[N, z_dim]`.
        wrong_captions: captions of other images, int64 `[N, T]`.
    """

    noise: Tensor = ABSENT
    wrong_captions: Tensor = ABSENT


@dataclass(frozen=True, kw_only=True)
class Text2Image(Translation):
    """Reed 2016: images from captions; D also rejects real images with wrong captions.

    The wrong caption of an image is that of the image before it in the batch. Unlike in the paper,
    the loss is the hinge loss, and D has spectral norm. Each network trains a text encoder of its
    own.
    """

    batch_type: ClassVar[type[Batch]] = Text2ImageBatch
    name: ClassVar[str] = "text2image"
    summary: ClassVar[str] = "Reed 2016: images from captions; D sees wrong captions too"
    task: ClassVar[Task | None] = "captions"
    objective: ClassVar[Adversarial] = "hinge"
    directions: ClassVar[Mapping[str, str]] = {}
    exchanged: ClassVar[str] = "captions"

    batch: int = 64
    d_lr: float = 2e-4
    """Learning rate of D."""
    betas: tuple[float, float] = (0.0, 0.9)
    z_dim: int = 100
    """Length of the noise vector z."""
    ngf: int = 64
    """Channels of G at full resolution; up to 16 times as many below."""
    ndf: int = 64
    """Channels of D's first layer; up to 8 times as many later."""
    text_dim: int = 128
    """Length of the vectors of captions and words."""
    encoder: Encoder = "gru"
    """Text encoder: gru reads the words in order, mean averages their vectors."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_positive("d_lr")
        self._require_at_least(1, "z_dim", "ngf", "ndf", "text_dim")

    @property
    def has_batch_norm(self) -> bool:
        return True

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        self._require_resolution(images, images.resolution in RESOLUTIONS, one_of(RESOLUTIONS))

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        words, size = len(images.inputs["caption"].names), (images.resolution, images.channels)
        return {
            "G": TextGenerator(
                words,
                *size,
                z_dim=self.z_dim,
                text_dim=self.text_dim,
                ngf=self.ngf,
                kind=self.encoder,
            ),
            "D": apply_spectral_norm(
                TextDiscriminator(
                    words, *size, text_dim=self.text_dim, ndf=self.ndf, kind=self.encoder
                )
            ),
        }

    def players(self) -> tuple[Player, ...]:
        return (
            Player("G", ("G",), self.g_loss, draw=self.draw_noise, optimizer=self.adam),
            Player("D", ("D",), self.d_loss, optimizer=adam(self.d_lr, self.betas)),
        )

    def before_step(
        self, networks: Networks, ema: Networks, nimg: int, batches: Sequence[Text2ImageBatch]
    ) -> Sequence[Text2ImageBatch]:
        """Return the batches with wrong captions; images have a random order, so these do too."""
        return [
            replace(batch, wrong_captions=batch.inputs["caption"].roll(1, 0)) for batch in batches
        ]

    def draw_noise(self, request: DrawRequest) -> dict[str, Tensor]:
        """Draw z for every image."""
        return {"noise": torch.randn(request.count, self.z_dim, generator=request.generator)}

    def g_loss(self, networks: Networks, batch: Text2ImageBatch) -> Loss:
        """Return the adversarial loss of generated images with their captions."""
        caption = batch.inputs["caption"]
        fake = networks["G"](batch.noise, caption)
        return Loss(
            self.adversarial.g(networks["D"](fake, caption).float()), outputs={"fakes": fake}
        )

    def d_loss(self, networks: Networks, batch: Text2ImageBatch) -> Loss:
        """Return D's matching-aware loss (algorithm 1), in the hinge form.

        Real images with their captions are real. Generated images and real images with wrong
        captions are fake, at half the weight each. A wrong caption that equals the right one is
        ignored.
        """
        caption, wrong = batch.inputs["caption"], batch.wrong_captions
        # One pass computes D's features once per image: they don't depend on the caption. The last
        # quarter, generated images with wrong captions, is unused.
        images = torch.cat([batch.real, batch.fakes.to(batch.real.dtype)])
        captions = torch.cat([caption, caption, wrong, wrong])
        right, fake, mismatched, _ = networks["D"](images, captions).float().chunk(4)
        differs = (wrong != caption).any(1).float()
        false = (relu(1 + fake) + differs * relu(1 + mismatched)).mean() / 2
        stats = self.adversarial.verdicts(real=right, fake=fake, wrong=mismatched)
        return Loss(relu(1 - right).mean() + false, stats)

    def translate(
        self, networks: Networks, inputs: Mapping[str, Tensor], *, generator: Generator
    ) -> Tensor:
        """Return images of captions.

        Args:
            inputs: `caption`, int64 `[N, T]`, from `fastgan.data.captions.encode_caption`.
        """
        caption = inputs["caption"]
        z = torch.randn(len(caption), self.z_dim, generator=generator).to(caption.device)
        images: Tensor = networks["G"](z, caption)
        return images

    def signatures(self, networks: Networks, images: ImageSpec) -> dict[str, Signature]:
        spec = images.inputs["caption"]
        z = Port("z", (self.z_dim,), "noise", "normal")
        caption = Port(
            "caption",
            (spec.length,),
            "indices of the caption's words, padded with 0",
            "index",
            spec.names,
        )
        output = Port("output", images.shape, "image of the caption", "image")
        image = Port("image", images.shape, "real or generated image", "image")
        logits = Port(
            "logits", (), "logits, higher for images that look real and fit the caption", "real"
        )
        return {
            "G": Signature("G", (z, caption), (output,)),
            "D": Signature("D", (image, caption), (logits,)),
        }

    def size_divisor(self, networks: Networks) -> int:
        return 1

    def views(self, networks: Networks, rows: Batch, output: Tensor) -> dict[str, Tensor]:
        return {"output": output, "of the same caption": rows.real}
