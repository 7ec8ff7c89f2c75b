from __future__ import annotations

from torch import Tensor, nn

from fastgan.ops import pixel_norm


class PixelNorm(nn.Module):
    """Pixel norm without parameters, by :func:`fastgan.ops.pixel_norm`.

    Args:
        dim, eps: as in :func:`fastgan.ops.pixel_norm`.

    Shape:
        ``[*]`` → the same; usually ``[N, C, H, W]`` or ``[N, C]``.
    """

    def __init__(self, *, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x: Tensor) -> Tensor:
        return pixel_norm(x, dim=self.dim, eps=self.eps)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, eps={self.eps}"
