"""Images of captions: a small text encoder, and convolutions that know the sentence beside noise and image.

Reed et al. 2016 (section 4.1, figure 2) join the sentence's vector to z, and to D's features at 4×4. Here it scales and
shifts G's batch norms too (de Vries et al. 2017), and is projected on D's features (Miyato and Koyama 2018).
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from fastgan.networks.dcgan import stage_widths
from fastgan.networks.resnet.blocks import NormReLU, linear, upsample
from fastgan.networks.translation.layers import check_widths
from fastgan.nn import Conv2d


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
            raise ValueError(
                f"captions must be int64 [N, T], got {captions.dtype} {list(captions.shape)}"
            )
        words, there = self.words(captions), (captions != 0)[:, :, None]
        if self.cell is None:
            total: Tensor = (words * there).sum(1)
            return total / there.sum(1).clamp(min=1)
        state = words.new_zeros(captions.shape[0], self.text_dim)
        for t in range(captions.shape[1]):
            state = torch.where(there[:, t], self.cell(words[:, t], state), state)
        return state


class TextGenerator(nn.Module):
    """z ``[N, z_dim]`` and captions int64 ``[N, T]`` → images ``[N, channels, resolution, resolution]`` in [-1, 1].

    From 4×4 on, every pixel becomes four and a 3×3 convolution halves the channels, up to the resolution; then one more to
    the image, and tanh. Batch norm and ReLU in front of each. The sentence is joined to z, and chooses the norms' scale and
    shift.

    Args:
        vocabulary, text_dim, kind: of its :class:`TextEncoder`.
        resolution: 16, 32, 64, 128 or 256.
        ngf: channels at the resolution; up to 16 times as many below it.

    Raises:
        ValueError: an argument is out of range, or the captions are of another shape or dtype.
    """

    counted_from_end: ClassVar[tuple[str, ...]] = (
        "norms",
        "convs",
    )  # lists that other resolutions share the ends of

    def __init__(
        self, vocabulary: int, resolution: int = 64, channels: int = 3, *,
        z_dim: int = 100, text_dim: int = 128, ngf: int = 64, kind: str = "gru",
    ) -> None:  # fmt: skip
        super().__init__()
        check_widths(z_dim=z_dim, channels=channels, ngf=ngf)
        self.z_dim = z_dim
        self.text = TextEncoder(vocabulary, text_dim=text_dim, kind=kind)
        widths = [*stage_widths(resolution, 2 * ngf), ngf]
        self.start = linear(z_dim + text_dim, 16 * widths[0])
        self.norms = nn.ModuleList(NormReLU(width, text_dim) for width in widths)
        self.convs = nn.ModuleList(Conv2d(a, b, 3, 1, 1, bias=False) for a, b in pairwise(widths))
        self.out = Conv2d(ngf, channels, 3, 1, 1, act="tanh")

    def forward(self, z: Tensor, captions: Tensor) -> Tensor:
        sentences = self.text(captions).to(z.dtype)
        x = self.start(torch.cat([z, sentences], 1)).unflatten(1, (-1, 4, 4))
        for norm, conv in zip(self.norms, self.convs):
            x = conv(upsample(norm(x, sentences)))
        images: Tensor = self.out(self.norms[-1](x, sentences))
        return images


class TextDiscriminator(nn.Module):
    """Images ``[N, channels, resolution, resolution]`` in [-1, 1] and captions → logits ``[k·N]``.

    The labels are captions int64 ``[k·N, T]``.

    4×4 convolutions of stride 2 down to 4×4 and a 3×3 one, with LeakyReLU(0.2). With h the sum of the last features over
    positions and s the sentence: ⟨V·s, h⟩ + ⟨w, h⟩ + b. Captions come once or several times for all images: the features,
    which don't depend on them, are computed once.

    Args:
        vocabulary, text_dim, kind: of its :class:`TextEncoder`, which isn't G's.
        resolution: 16, 32, 64, 128 or 256.
        ndf: channels behind the first layer, up to 8 times as many at 4×4 and twice as many as there in the last.

    Raises:
        ValueError: an argument is out of range; the captions are of another shape or dtype, or not as many or a multiple.
    """

    def __init__(
        self, vocabulary: int, resolution: int = 64, channels: int = 3, *,
        text_dim: int = 128, ndf: int = 64, kind: str = "gru",
    ) -> None:  # fmt: skip
        super().__init__()
        check_widths(channels=channels, ndf=ndf)
        self.text = TextEncoder(vocabulary, text_dim=text_dim, kind=kind)
        widths = [channels, *reversed(stage_widths(resolution, ndf))]
        last = 2 * widths[-1]
        self.layers = nn.Sequential(
            *(Conv2d(a, b, 4, 2, 1, act="lrelu") for a, b in pairwise(widths)),
            Conv2d(widths[-1], last, 3, 1, 1, act="lrelu"),
        )
        self.out, self.project = linear(last, 1), linear(text_dim, last)

    def features(self, images: Tensor) -> Tensor:
        """What the last layers see, ``[N, C]``; the caption plays no part in it."""
        found: Tensor = self.layers(images).sum((2, 3))
        return found

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        if labels is None:
            raise ValueError(
                "labels must be captions int64 [N, T], got none; pass them behind images"
            )
        # no divmod: open sizes of a graph have none
        given, count = labels.shape[0], images.shape[0]
        times, left = given // count, given % count
        if left or not times:
            raise ValueError(
                f"labels must be as many captions as images or a multiple of that, got {len(labels)} for {len(images)}"
            )
        h = self.features(images)
        if given != count:  # a graph of as many captions as images has no factor to look at
            h = h.repeat(times, 1)
        logits: Tensor = self.out(h).squeeze(1)
        return logits + (self.project(self.text(labels)) * h).sum(1)
