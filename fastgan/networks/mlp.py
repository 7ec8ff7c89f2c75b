"""Multi-layer perceptrons for images of any shape (Goodfellow et al. 2014).

The defaults are the widely taught pair for 784 pixels. G is 100→256→512→1024→784 with
LeakyReLU(0.2), batch norm after each activation, and tanh. D is 784→512→256→1 with LeakyReLU(0.2)
and dropout 0.3. Another common pair has two hidden layers of 256, z of 64, ReLU in G, and neither
batch norm nor dropout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from fastgan.networks.batch_comparison import BatchComparison
from fastgan.networks.checks import check_at_least, check_shape, check_share
from fastgan.networks.labels import join_labels, label_embedding
from fastgan.nn import BiasAct

__all__ = ["MLPDiscriminator", "MLPGenerator"]


class MLPGenerator(nn.Module):
    """Map z ``[N, z_dim]`` to images ``[N, C, H, W]`` in [-1, 1].

    Args:
        image_shape: (C, H, W).
        z_dim: length of z.
        hidden: widths of the hidden layers.
        act: ``"lrelu"`` (slope 0.2) or ``"relu"``.
        batch_norm: normalise after each hidden activation.
        c_dim: number of classes, 0 for none. With classes the network takes labels int64 ``[N]``,
            and a learned vector of length ``c_dim`` is appended to z.

    Raises:
        ValueError: an argument is out of range, z has another shape, or labels are missing, not
            wanted, out of range or of another shape.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        z_dim: int = 100,
        hidden: Sequence[int] = (256, 512, 1024),
        act: str = "lrelu",
        batch_norm: bool = True,
        c_dim: int = 0,
    ) -> None:
        super().__init__()
        check_at_least(1, z_dim=z_dim)
        check_at_least(0, c_dim=c_dim)
        self.z_dim, self.c_dim = z_dim, c_dim
        self.image_shape = _image_shape(image_shape)
        widths = [z_dim + c_dim, *_widths(hidden)]
        pixels = math.prod(image_shape)
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            # The bias lives in BiasAct, which adds it and activates in one pass.
            layers += [nn.Linear(fan_in, fan_out, bias=False), BiasAct(fan_out, act=act, gain=1)]
            if batch_norm:
                layers.append(nn.BatchNorm1d(fan_out))
        layers += [nn.Linear(widths[-1], pixels, bias=False), BiasAct(pixels, act="tanh")]
        self.layers = nn.Sequential(*layers)
        self.embedding = label_embedding(c_dim, c_dim)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        check_shape("z", z, self.z_dim)
        images: Tensor = self.layers(join_labels(z, labels, self.embedding))
        return images.unflatten(1, self.image_shape)


class MLPDiscriminator(nn.Module):
    """Map images ``[N, C, H, W]`` in [-1, 1] to logits ``[N]``.

    LeakyReLU(0.2) and dropout follow each hidden layer.

    Args:
        image_shape: (C, H, W).
        hidden: widths of the hidden layers.
        dropout: probability in [0, 1), 0 for none.
        c_dim: number of classes, 0 for none. With classes the network takes labels int64 ``[N]``,
            and a learned vector of length ``c_dim`` is appended to the pixels.
        minibatch_discrimination: kernels that compare the images of a batch, 0 for none.
        minibatch_stddev: images per group of :func:`fastgan.ops.minibatch_stddev`, 0 for none.

    Raises:
        ValueError: an argument is out of range, images have another shape, or labels are missing,
            not wanted, out of range or of another shape.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        hidden: Sequence[int] = (512, 256),
        dropout: float = 0.3,
        c_dim: int = 0,
        minibatch_discrimination: int = 0,
        minibatch_stddev: int = 0,
    ) -> None:
        super().__init__()
        check_at_least(0, c_dim=c_dim)
        check_share(dropout=dropout)
        self.c_dim, self.image_shape = c_dim, _image_shape(image_shape)
        widths = [math.prod(image_shape) + c_dim, *_widths(hidden)]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            layers += [
                nn.Linear(fan_in, fan_out, bias=False),
                BiasAct(fan_out, act="lrelu", gain=1),
            ]
            if dropout:
                layers.append(nn.Dropout(dropout))
        layers.append(nn.Linear(widths[-1] + bool(minibatch_stddev), 1))
        self.layers = nn.Sequential(nn.Flatten(), *layers)
        self.comparison = BatchComparison(widths[-1], minibatch_discrimination, minibatch_stddev)
        self.embedding = label_embedding(c_dim, c_dim)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the input of the last layer, ``[N, width]``."""
        check_shape("images", images, *self.image_shape)
        x = join_labels(images.flatten(1), labels, self.embedding)
        for layer in list(self.layers)[:-1]:
            x = layer(x)
        return x

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.features(images, labels)
        logits: Tensor = self.layers[-1](self.comparison.append_stddev(x))
        return self.comparison.add_closeness(logits.squeeze(1), x)


def _image_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return (C, H, W), or raise ValueError for anything else."""
    sizes = shape if isinstance(shape, Sequence) else ()
    if len(sizes) != 3 or any(not isinstance(size, int) or size < 1 for size in sizes):
        raise ValueError(
            f"image_shape must be three whole numbers of at least 1, (C, H, W), got {shape!r}"
        )
    return shape[0], shape[1], shape[2]


def _widths(hidden: Sequence[int]) -> Sequence[int]:
    """Return the widths of the hidden layers, or raise ValueError for one below 1."""
    for i, width in enumerate(hidden):
        check_at_least(1, **{f"hidden[{i}]": width})
    return hidden
