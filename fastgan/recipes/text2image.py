"""`text2image`: images of captions (Reed, Akata, Yan, Logeswaran, Schiele, Lee 2016)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import relu

from fastgan.data import Task
from fastgan.losses.adversarial import wasserstein_g_loss
from fastgan.networks.dcgan import RESOLUTIONS
from fastgan.networks.translation import TextDiscriminator, TextGenerator
from fastgan.nn import apply_spectral_norm
from fastgan.recipes.errors import one_of
from fastgan.recipes.image_spec import ImageSpec
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
    """Reed 2016: G draws what a caption says; D takes a generated image for false, and a real one with another's caption.

    A wrong caption is that of the image before in the batch. Hinge loss and spectral norm in D; each network has a text
    encoder of its own, which learns with it.
    """

    batch_type: ClassVar[type[Batch]] = Text2ImageBatch
    name: ClassVar[str] = "text2image"
    summary: ClassVar[str] = "Reed 2016: images of captions, against wrong captions too"
    task: ClassVar[Task | None] = "captions"
    directions: ClassVar[Mapping[str, str]] = {}
    exchanged: ClassVar[str] = "captions"

    batch: int = 64
    d_lr: float = 2e-4
    """Learning rate of D."""
    betas: tuple[float, float] = (0.0, 0.9)
    z_dim: int = 100
    """Length of z ~ N(0, 1), the noise that makes images of one caption differ."""
    ngf: int = 64
    """Channels of G at the image's resolution, up to 16 times as many below."""
    ndf: int = 64
    """Channels of D's first layer, up to 8 times as many behind it."""
    text_dim: int = 128
    """Length of a caption's vector, and of its words'."""
    encoder: Encoder = "gru"
    """How words become a vector: gru reads them in order, mean takes the mean of theirs."""

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

    def learning_rate(self, player: str) -> float:
        return self.d_lr if player == "D" else self.lr

    def players(self) -> tuple[Player, ...]:
        return (
            Player("G", ("G",), self.g_loss, draw=self.draw_noise),
            Player("D", ("D",), self.d_loss),
        )

    def before_step(
        self, networks: Networks, ema: Networks, nimg: int, batches: Sequence[Text2ImageBatch]
    ) -> Sequence[Text2ImageBatch]:
        """The batches with wrong captions: images come in random order, so they are any others'."""
        return [
            replace(batch, wrong_captions=batch.inputs["caption"].roll(1, 0)) for batch in batches
        ]

    def draw_noise(self, request: DrawRequest) -> dict[str, Tensor]:
        """z for every image."""
        return {"noise": torch.randn(request.count, self.z_dim, generator=request.generator)}

    def g_loss(self, networks: Networks, batch: Text2ImageBatch) -> Loss:
        """What D makes of generated images with the captions that they are to show."""
        caption = batch.inputs["caption"]
        fake = networks["G"](batch.noise, caption)
        return Loss(
            wasserstein_g_loss(networks["D"](fake, caption).float()), outputs={"fakes": fake}
        )

    def d_loss(self, networks: Networks, batch: Text2ImageBatch) -> Loss:
        """Real images with their captions against what G made in its turn and against real ones with wrong captions, half
        of each (algorithm 1), in the hinge form. A wrong caption that happens to be the right one says nothing."""
        caption, wrong = batch.inputs["caption"], batch.wrong_captions
        # One pass for all, since D's features don't depend on the caption; a generated image with a wrong one is left out.
        images = torch.cat([batch.real, batch.fakes.to(batch.real.dtype)])
        captions = torch.cat([caption, caption, wrong, wrong])
        right, fake, mismatched, _ = networks["D"](images, captions).float().chunk(4)
        differs = (wrong != caption).any(1).float()
        false = (relu(1 + fake) + differs * relu(1 + mismatched)).mean() / 2
        stats = {
            "logit(real)": right.mean(),
            "logit(fake)": fake.mean(),
            "logit(wrong)": mismatched.mean(),
        }
        return Loss(relu(1 - right).mean() + false, stats)

    def translate(
        self, networks: Networks, inputs: Mapping[str, Tensor], *, generator: Generator
    ) -> Tensor:
        """inputs: `caption` int64 `[N, T]`, as `fastgan.data.captions.encode_caption` makes them."""
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
            "places of a caption's words in the names, then 0",
            "index",
            spec.names,
        )
        made = Port("output", images.shape, "image of the caption", "image")
        judged = Port("image", images.shape, "image to judge as one of the caption", "image")
        logits = Port("logits", (), "logits, higher for images that look real and fit", "real")
        return {
            "G": Signature("G", (z, caption), (made,)),
            "D": Signature("D", (judged, caption), (logits,)),
        }

    def size_divisor(self, networks: Networks) -> int:
        return 1

    def views(self, networks: Networks, given: Batch, output: Tensor) -> dict[str, Tensor]:
        return {"output": output, "of the same caption": given.real}
