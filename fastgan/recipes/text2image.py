"""`text2image`: images from captions (Reed, Akata, Yan, Logeswaran, Schiele, Lee 2016).

A step is an update of G, then one of D (algorithm 1, GAN-CLS). Images x have captions t and wrong
captions t' of other images, and z ~ N(0, I). Logits are s_r = D(x, t), s_w = D(x, t') and
s_f = D(G(z, t), t). The hinge loss replaces logarithms:

- G descends -E[s_f] (line 12).
- D descends E[max(0, 1 - s_r)] + (E[max(0, 1 + s_w)] + E[max(0, 1 + s_f)]) / 2 (line 10).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from fastgan.data import Task
from fastgan.losses.adversarial import Adversarial
from fastgan.networks.dcgan import RESOLUTIONS
from fastgan.networks.translation import TextDiscriminator, TextGenerator
from fastgan.recipes.direct import DirectTranslation, TranslationBatch
from fastgan.recipes.errors import one_of
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.players import ABSENT, Batch, DrawRequest, Loss, Networks
from fastgan.recipes.presets import Preset
from fastgan.recipes.signature import Port, Signature
from fastgan.recipes.stabilizers import (
    AugmentSettings,
    FeatureMatchingSettings,
    GeneralSettings,
    MinibatchSettings,
    SpectralNormSettings,
)

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
class Text2Image(
    AugmentSettings,
    MinibatchSettings,
    FeatureMatchingSettings,
    SpectralNormSettings,
    GeneralSettings,
    DirectTranslation,
):
    """Reed 2016: images from captions; D also rejects real images with wrong captions.

    The wrong caption of an image is that of the image before it in the batch. Unlike in the paper,
    the loss is the hinge loss, and D has spectral norm. Each network trains a text encoder of its
    own.
    """

    batch_type: ClassVar[type[Batch]] = Text2ImageBatch
    name: ClassVar[str] = "text2image"
    summary: ClassVar[str] = "Reed 2016: images from captions; D sees wrong captions too"
    task: ClassVar[Task | None] = "captions"
    directions: ClassVar[Mapping[str, str]] = {}
    exchanged: ClassVar[str] = "captions"

    batch: int = 64
    d_lr: float | None = 2e-4
    betas: tuple[float, float] = (0.0, 0.9)
    loss: Adversarial = "hinge"
    spectral_norm: bool = True
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

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        settings = {
            "batch": 32,
            "ngf": 8,
            "ndf": 16,
            "text_dim": 64,
            "z_dim": 16,
            "encoder": "mean",
            "lr": 1e-3,
            "d_lr": 1e-3,
            "ema": 0.97,
        }
        return Preset(32_000, settings)

    def __post_init__(self) -> None:
        super().__post_init__()
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
            "D": self.stabilized(
                TextDiscriminator(
                    words,
                    *size,
                    text_dim=self.text_dim,
                    ndf=self.ndf,
                    kind=self.encoder,
                    minibatch_discrimination=self.minibatch_discrimination,
                    minibatch_stddev=self.minibatch_stddev,
                )
            ),
            **self.extras(images),
        }

    def before_step(
        self, networks: Networks, ema: Networks, nimg: int, batches: Sequence[Text2ImageBatch]
    ) -> Sequence[Text2ImageBatch]:
        """Return the batches with wrong captions; images have a random order, so these do too."""
        return [
            replace(batch, wrong_captions=batch.inputs["caption"].roll(1, 0)) for batch in batches
        ]

    def draw_inputs(self, request: DrawRequest) -> dict[str, Tensor]:
        """Draw z for every image."""
        return {"noise": torch.randn(request.count, self.z_dim, generator=request.generator)}

    def condition_of(self, networks: Networks, batch: Text2ImageBatch) -> Tensor:
        return batch.inputs["caption"]

    def generate(self, networks: Networks, batch: Text2ImageBatch) -> Tensor:
        images: Tensor = networks["G"](batch.noise, batch.inputs["caption"])
        return images

    def g_loss(self, networks: Networks, batch: Text2ImageBatch) -> Loss:
        """Return the adversarial loss of generated images with their captions (line 12)."""
        batch = self.with_condition(networks, batch)
        fakes = self.generate(networks, batch)
        loss = Loss(self.fakes_against_d(networks, batch, fakes).loss, outputs={"fakes": fakes})
        return self.matched(networks, batch, fakes, loss)

    def d_loss(self, networks: Networks, batch: Text2ImageBatch) -> Loss:
        """Return D's matching-aware loss (algorithm 1, line 10).

        Real images with their captions are real. Generated images and real images with wrong
        captions are fake, at half the weight each. A wrong caption that equals the right one is
        ignored.
        """
        parts, draws = self.stabilizers, batch.draws
        right, fake, mismatched = self.verdicts(networks, batch)
        of_right, of_fake = self.adversarial.d_terms(*parts.label_noise.flip(right, fake, draws))
        _, of_mismatched = self.adversarial.d_terms(right, mismatched)
        differs = (batch.wrong_captions != batch.inputs["caption"]).any(1).float()
        total = of_right.mean() + (of_fake + differs * of_mismatched).mean() / 2
        stats = parts.augmenting.observe(networks, right, "D")
        verdicts = self.adversarial.verdicts(real=right, fake=fake, wrong=mismatched)
        return Loss(parts.drift.add(total, right), {**verdicts, **stats})

    def verdicts(self, networks: Networks, batch: Text2ImageBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Return D's logits of real, generated and mismatched images `[N]`, float32."""
        caption, wrong, D = batch.inputs["caption"], batch.wrong_captions, networks["D"]
        real = self.d_inputs(networks, batch.real, batch.draws, "real")
        fake = self.d_inputs(networks, batch.fakes.to(batch.real.dtype), batch.draws, "fake")
        if self.minibatch_discrimination or self.minibatch_stddev:
            # D compares the images of a batch, which must be all real or all generated.
            right, mismatched = D(real, torch.cat([caption, wrong])).float().chunk(2)
            return right, D(fake, caption).float(), mismatched
        # One pass computes D's features once per image: they don't depend on the caption. The last
        # quarter, generated images with wrong captions, is unused.
        captions = torch.cat([caption, caption, wrong, wrong])
        right, of_fake, mismatched, _ = D(torch.cat([real, fake]), captions).float().chunk(4)
        return right, of_fake, mismatched

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
