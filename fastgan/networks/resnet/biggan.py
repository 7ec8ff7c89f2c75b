"""BigGAN's generator (Brock et al. 2019, section 3 and appendix B): a part of z and the class reach every block."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from fastgan.networks.labels import check_classes
from fastgan.networks.resnet.blocks import NormReLU
from fastgan.networks.resnet.generator import Upsampling
from fastgan.networks.resnet.widths import G_WIDTHS, scaled
from fastgan.nn import Conv2d


class BigGANGenerator(nn.Module):
    """z ``[N, z_dim]`` (and classes int64 ``[N]``) → images ``[N, channels, resolution, resolution]`` in [-1, 1].

    z is cut into as many equal parts as there are resolutions, and the first one has what is left over. It is what 4×4 is
    made of; each other one, joined to the
    class's embedding, which all blocks share, goes through two linear maps of each batch norm to its scale and shift.

    Args:
        resolution: 16, 32, 64, 128 or 256.
        z_dim: at least as many as there are parts, 3, 4, 5, 6 and 7 at these.
        c_dim: number of classes, 0 for none. embedding_dim: length of a class's embedding.
        ngf: the paper's ch, channels at the image's resolution; 4 times as many everywhere up to 32×32.
        attention: the resolution after whose block self-attention (the "non-local block") comes; None for none.

    Raises:
        ValueError: an argument is out of range; labels that are missing, not wanted or of another shape.
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
        """How many parts z is cut into. Raises ValueError for a resolution that isn't one of those above."""
        return len(scaled(G_WIDTHS, resolution, 1))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        check_classes(labels, self.c_dim, z.shape[0])
        first, *conditions = z.split(self.lengths, 1)
        if self.embedding is not None:
            shared = self.embedding(labels)
            conditions = [torch.cat([part, shared], 1) for part in conditions]
        images: Tensor = self.layers(first, conditions)
        return images


@torch.no_grad()
def init_orthogonal(module: nn.Module) -> None:
    """Draws a layer's weight with orthonormal rows or columns (Saxe et al. 2014) and sets its bias to zero, in place."""
    if isinstance(module, (Conv2d, nn.Linear, nn.Embedding)):
        nn.init.orthogonal_(module.weight)
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
