"""Generator of BigGAN (Brock et al. 2019, section 3 and appendix B).

A part of z and the class condition every block.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from fastgan.networks.checks import check_at_least, check_shape
from fastgan.networks.labels import check_classes
from fastgan.networks.resnet.blocks import NormReLU
from fastgan.networks.resnet.generator import Upsampling
from fastgan.networks.resnet.widths import G_WIDTHS, scaled
from fastgan.nn import Conv2d


class BigGANGenerator(nn.Module):
    """Map z ``[N, z_dim]`` to images ``[N, channels, resolution, resolution]`` in [-1, 1].

    z is split into as many equal parts as there are resolutions; the first one also takes the
    remainder and becomes 4×4 features. Each other part, with the class's embedding that all blocks
    share, sets the scale and shift of a block's batch norms by two linear maps.

    Args:
        resolution: 16, 32, 64, 128 or 256.
        channels: channels of the images.
        z_dim: length of z, at least the number of parts: 3, 4, 5, 6 and 7 at these resolutions.
        c_dim: number of classes, 0 for none. With classes the network takes labels int64 ``[N]``.
        embedding_dim: length of a class's embedding.
        ngf: channels at the image's resolution, the paper's ch; 4 times as many everywhere up to
            32×32.
        attention: resolution of the block that self-attention (the "non-local block") follows; None
            for none.

    Raises:
        ValueError: an argument is out of range, z has another shape, or labels are missing, not
            wanted, out of range or of another shape.
    """

    def __init__(
        self,
        resolution: int = 128,
        channels: int = 3,
        *,
        z_dim: int = 120,
        c_dim: int = 0,
        embedding_dim: int = 128,
        ngf: int = 96,
        attention: int | None = None,
    ) -> None:
        super().__init__()
        check_at_least(1, channels=channels, z_dim=z_dim, embedding_dim=embedding_dim, ngf=ngf)
        check_at_least(0, c_dim=c_dim)
        self.parts = self.parts_at(resolution)
        if z_dim < self.parts:
            raise ValueError(
                f"z_dim must be at least {self.parts} at {resolution}×{resolution}, got {z_dim}"
            )
        self.z_dim, self.c_dim = z_dim, c_dim
        part = z_dim // self.parts
        first = z_dim - part * (self.parts - 1)
        self.lengths = [first] + [part] * (self.parts - 1)
        self.embedding = nn.Embedding(c_dim, embedding_dim) if c_dim else None
        norm = partial(NormReLU, cond_dim=part + (embedding_dim if c_dim else 0))
        self.layers = Upsampling(resolution, channels, first, norm, ngf=ngf, attention=attention)
        self.apply(init_orthogonal)

    @staticmethod
    def parts_at(resolution: int) -> int:
        """Return the number of parts of z.

        Raises:
            ValueError: ``resolution`` is not one of those above.
        """
        return len(scaled(G_WIDTHS, resolution, 1))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        check_shape("z", z, self.z_dim)
        check_classes(labels, self.c_dim, z.shape[0])
        first, *conditions = z.split(self.lengths, 1)
        if self.embedding is not None:
            shared = self.embedding(labels)
            conditions = [torch.cat([part, shared], 1) for part in conditions]
        images: Tensor = self.layers(first, conditions)
        return images


@torch.no_grad()
def init_orthogonal(module: nn.Module) -> None:
    """Draw a layer's weight with orthonormal rows or columns and set its bias to zero, in place.

    Saxe et al. 2014.
    """
    if isinstance(module, (Conv2d, nn.Linear, nn.Embedding)):
        nn.init.orthogonal_(module.weight)
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
