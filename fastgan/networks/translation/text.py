"""Generator and discriminator conditioned on captions, with a small text encoder.

Reed et al. 2016 (section 4.1, figure 2) append the sentence's vector to z, and to D's features at
4×4. Here it also scales and shifts G's batch norms (de Vries et al. 2017), and D projects it on its
features (Miyato and Koyama 2018).
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from fastgan.networks.batch_comparison import BatchComparison
from fastgan.networks.checks import check_at_least, check_choice, check_indices, check_shape
from fastgan.networks.dcgan import stage_widths
from fastgan.networks.resnet.blocks import NormReLU, linear, upsample
from fastgan.nn import Conv2d


class TextEncoder(nn.Module):
    """Map captions int64 ``[N, T]`` to sentences ``[N, text_dim]``.

    Words are 1 to ``vocabulary - 1``, and 0 after the last word.

    Args:
        vocabulary: number of words, padding included.
        text_dim: length of the vectors of sentences and words.
        kind: ``gru`` returns the state of gated recurrent units after the last word (Cho et al.
            2014), so the order of words counts; ``mean`` returns the mean of the words' vectors.

    Raises:
        ValueError: an argument is out of range, or captions have another shape or dtype or unknown
            words.
    """

    def __init__(self, vocabulary: int, *, text_dim: int = 128, kind: str = "gru") -> None:
        super().__init__()
        check_at_least(1, vocabulary=vocabulary, text_dim=text_dim)
        check_choice("kind", kind, ("gru", "mean"))
        self.text_dim = text_dim
        self.words = nn.Embedding(vocabulary, text_dim)
        self.cell = nn.GRUCell(text_dim, text_dim) if kind == "gru" else None

    def forward(self, captions: Tensor) -> Tensor:
        if captions.ndim != 2 or captions.is_floating_point():
            raise ValueError(
                f"captions must be int64 [N, T], got {captions.dtype} {list(captions.shape)}"
            )
        vocabulary = self.words.num_embeddings
        check_indices(captions, vocabulary, f"captions must have words from 0 to {vocabulary - 1}")
        words, there = self.words(captions), (captions != 0)[:, :, None]
        if self.cell is None:
            total: Tensor = (words * there).sum(1)
            return total / there.sum(1).clamp(min=1)
        state = words.new_zeros(captions.shape[0], self.text_dim)
        for t in range(captions.shape[1]):
            state = torch.where(there[:, t], self.cell(words[:, t], state), state)
        return state


class TextGenerator(nn.Module):
    """Map z ``[N, z_dim]`` and captions int64 ``[N, T]`` to images in [-1, 1].

    Images are ``[N, channels, resolution, resolution]``. From 4×4 on, each stage repeats pixels and
    halves the channels by a 3×3 convolution; one more convolution and tanh make the image. Batch
    norm and ReLU precede each. The sentence is appended to z and sets the norms' scale and shift.

    Args:
        vocabulary, text_dim, kind: those of its :class:`TextEncoder`.
        resolution: 16, 32, 64, 128 or 256.
        channels: channels of the images.
        z_dim: length of z.
        ngf: channels at the resolution; up to 16 times as many below it.

    Raises:
        ValueError: an argument is out of range, or z or captions have another shape or dtype.
    """

    counted_from_end: ClassVar[tuple[str, ...]] = ("norms", "convs")
    """Lists whose last layers networks of other resolutions share."""

    def __init__(
        self, vocabulary: int, resolution: int = 64, channels: int = 3, *,
        z_dim: int = 100, text_dim: int = 128, ngf: int = 64, kind: str = "gru",
    ) -> None:  # fmt: skip
        super().__init__()
        check_at_least(1, z_dim=z_dim, channels=channels, ngf=ngf)
        self.z_dim = z_dim
        self.text = TextEncoder(vocabulary, text_dim=text_dim, kind=kind)
        widths = [*stage_widths(resolution, 2 * ngf), ngf]
        self.start = linear(z_dim + text_dim, 16 * widths[0])
        self.norms = nn.ModuleList(NormReLU(width, text_dim) for width in widths)
        self.convs = nn.ModuleList(Conv2d(a, b, 3, 1, 1, bias=False) for a, b in pairwise(widths))
        self.out = Conv2d(ngf, channels, 3, 1, 1, act="tanh")

    def forward(self, z: Tensor, captions: Tensor) -> Tensor:
        check_shape("z", z, self.z_dim)
        check_shape("captions", captions, "T", count=z.shape[0], floating=False)
        sentences = self.text(captions).to(z.dtype)
        x = self.start(torch.cat([z, sentences], 1)).unflatten(1, (-1, 4, 4))
        for norm, conv in zip(self.norms, self.convs):
            x = conv(upsample(norm(x, sentences)))
        images: Tensor = self.out(self.norms[-1](x, sentences))
        return images


class TextDiscriminator(nn.Module):
    """Map images and captions to logits ``[k·N]``.

    Images are ``[N, channels, resolution, resolution]`` in [-1, 1]; labels are captions int64
    ``[k·N, T]``, once or several times for all images. 4×4 convolutions of stride 2 down to 4×4 and
    a 3×3 one have LeakyReLU(0.2). The logit is ⟨V·s, h⟩ + ⟨w, h⟩ + b with the sum h of the last
    features over positions and the sentence s. Features don't depend on captions and are computed
    once.

    Args:
        vocabulary, text_dim, kind: those of its :class:`TextEncoder`, which is not G's.
        resolution: 16, 32, 64, 128 or 256.
        channels: channels of the images.
        ndf: channels after the first layer, up to 8 times as many at 4×4 and twice that in the
            last.
        minibatch_discrimination: kernels that compare the images of a batch, 0 for none.
        minibatch_stddev: images per group of :func:`fastgan.ops.minibatch_stddev`, 0 for none.

    Raises:
        ValueError: an argument is out of range, or images have another shape. Captions are missing,
            of another shape or dtype, or their number is not a multiple of that of the images.
    """

    def __init__(
        self, vocabulary: int, resolution: int = 64, channels: int = 3, *,
        text_dim: int = 128, ndf: int = 64, kind: str = "gru",
        minibatch_discrimination: int = 0, minibatch_stddev: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        check_at_least(1, channels=channels, ndf=ndf)
        self.image_shape = (channels, resolution, resolution)
        self.text = TextEncoder(vocabulary, text_dim=text_dim, kind=kind)
        widths = [channels, *reversed(stage_widths(resolution, ndf))]
        last = 2 * widths[-1]
        self.layers = nn.Sequential(
            *(Conv2d(a, b, 4, 2, 1, act="lrelu") for a, b in pairwise(widths)),
            Conv2d(widths[-1], last, 3, 1, 1, act="lrelu"),
        )
        self.out = linear(last + bool(minibatch_stddev), 1)
        self.project = linear(text_dim, last)
        self.comparison = BatchComparison(last, minibatch_discrimination, minibatch_stddev)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the input of the last layers, ``[N, C]``; it does not depend on captions."""
        check_shape("images", images, *self.image_shape)
        features: Tensor = self.layers(images).sum((2, 3))
        return features

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        if labels is None:
            raise ValueError(
                "labels must be captions int64 [N, T], got none; pass them behind images"
            )
        # Open sizes of a graph have no divmod.
        given, count = labels.shape[0], images.shape[0]
        times, left = given // count, given % count
        if left or not times:
            raise ValueError(
                "labels must be as many captions as images or a multiple of that, "
                f"got {len(labels)} for {len(images)}"
            )

        def repeated(x: Tensor) -> Tensor:
            # A graph with as many captions as images has no factor to evaluate.
            return x if given == count else x.repeat(times, *(1,) * (x.ndim - 1))

        h, comparison = self.features(images), self.comparison
        closeness = stddev = None
        if comparison.discrimination is not None:
            closeness = comparison.add_closeness(h.new_zeros(count), h)
        if comparison.group_size:
            stddev = comparison.append_stddev(h)[:, h.shape[1] :]
        h = repeated(h)
        seen = h if stddev is None else torch.cat([h, repeated(stddev)], 1)
        logits: Tensor = self.out(seen).squeeze(1)
        logits = logits + (self.project(self.text(labels)) * h).sum(1)
        return logits if closeness is None else logits + repeated(closeness)
