"""Images of captions: a small text encoder, and SNGAN's networks with the sentence in the place of the class.

Reed et al. 2016 give G and D the vector of a sentence beside noise and image. Here it scales and shifts G's batch norms too
(de Vries et al. 2017) and is projected on D's features (Miyato and Koyama 2018).
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from fastgan.networks.resnet import ResNetDiscriminator
from fastgan.networks.resnet.blocks import NormReLU, linear
from fastgan.networks.resnet.generator import Upsampling
from fastgan.networks.translation.layers import check_widths


class TextEncoder(nn.Module):
    """Captions int64 ``[N, T]`` of words 1 to ``vocabulary - 1``, 0 behind the last one → sentences ``[N, text_dim]``.

    Args:
        vocabulary: number of words, that of the padding included.
        text_dim: length of a sentence's vector, and of a word's.
        kind: ``gru``: the state of gated recurrent units (Cho et al. 2014) behind the last word, so the order of words
            counts; ``mean``: that of the words' vectors.

    Raises:
        ValueError: an argument is out of range, or the captions are of another shape or dtype.
    """

    def __init__(self, vocabulary: int, *, text_dim: int = 128, kind: str = "gru") -> None:
        super().__init__()
        check_widths(vocabulary=vocabulary, text_dim=text_dim)
        if kind not in ("gru", "mean"):
            raise ValueError(f"a text encoder's kind must be gru or mean, got {kind!r}")
        self.text_dim = text_dim
        self.words = nn.Embedding(vocabulary, text_dim)
        self.cell = nn.GRUCell(text_dim, text_dim) if kind == "gru" else None

    def forward(self, captions: Tensor) -> Tensor:
        if captions.ndim != 2 or captions.is_floating_point():
            raise ValueError(f"captions must be int64 [N, T], got {captions.dtype} {list(captions.shape)}")
        words, there = self.words(captions), (captions != 0)[:, :, None]
        if self.cell is None:
            total: Tensor = (words * there).sum(1)
            return total / there.sum(1).clamp(min=1)
        state = words.new_zeros(len(captions), self.text_dim)
        for t in range(captions.shape[1]):
            state = torch.where(there[:, t], self.cell(words[:, t], state), state)
        return state


class TextGenerator(nn.Module):
    """z ``[N, z_dim]`` and captions int64 ``[N, T]`` → images ``[N, channels, resolution, resolution]`` in [-1, 1].

    The sentence is joined to z, and chooses scale and shift of the batch norms.

    Args:
        vocabulary, text_dim, kind: of its :class:`TextEncoder`.
        resolution, channels, ngf: as :class:`fastgan.networks.resnet.ResNetGenerator` has them.

    Raises:
        ValueError: an argument is out of range, or the captions are of another shape or dtype.
    """

    def __init__(
        self, vocabulary: int, resolution: int = 64, channels: int = 3, *,
        z_dim: int = 100, text_dim: int = 128, ngf: int = 64, kind: str = "gru",
    ) -> None:  # fmt: skip
        super().__init__()
        check_widths(z_dim=z_dim, channels=channels)
        self.z_dim = z_dim
        self.text = TextEncoder(vocabulary, text_dim=text_dim, kind=kind)
        norm = partial(NormReLU, cond_dim=text_dim)
        self.layers = Upsampling(resolution, channels, z_dim + text_dim, norm, ngf=ngf, attention=None)

    def forward(self, z: Tensor, captions: Tensor) -> Tensor:
        sentences = self.text(captions).to(z.dtype)
        images: Tensor = self.layers(torch.cat([z, sentences], 1), [sentences] * len(self.layers.blocks))
        return images


class TextDiscriminator(nn.Module):
    """Images ``[N, channels, resolution, resolution]`` in [-1, 1] and captions int64 ``[N, T]`` → logits ``[N]``.

    With h the sum of the last features over positions and s the sentence: ⟨V·s, h⟩ + ⟨w, h⟩ + b.

    Args:
        vocabulary, text_dim, kind: of its :class:`TextEncoder`, which isn't G's.
        resolution, channels, ndf: as :class:`fastgan.networks.resnet.ResNetDiscriminator` has them.

    Raises:
        ValueError: an argument is out of range, or the captions are of another shape or dtype.
    """

    def __init__(
        self, vocabulary: int, resolution: int = 64, channels: int = 3, *,
        text_dim: int = 128, ndf: int = 64, kind: str = "gru",
    ) -> None:  # fmt: skip
        super().__init__()
        check_widths(channels=channels)
        self.text = TextEncoder(vocabulary, text_dim=text_dim, kind=kind)
        self.image = ResNetDiscriminator(resolution, channels, ndf=ndf)
        self.project = linear(text_dim, self.image.out.in_features)

    def features(self, images: Tensor) -> Tensor:
        """What the last layers see, ``[N, C]``; the caption plays no part in it."""
        return self.image.features(images)

    def forward(self, images: Tensor, captions: Tensor) -> Tensor:
        h = self.features(images)
        logits: Tensor = self.image.out(h).squeeze(1)
        return logits + (self.project(self.text(captions)) * h).sum(1)
