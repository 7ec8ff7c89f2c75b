"""upfirdn2d_act in plain PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fastgan.ops.scale_bias_act.reference import scale_bias_act
from fastgan.ops.upfirdn2d.reference import upfirdn2d


def upfirdn2d_act(
    x: Tensor, f: Tensor | None, scale: Tensor | None, noise: Tensor | None, b: Tensor | None,
    up: Sequence[int], down: Sequence[int], pad: Sequence[int], size: Sequence[int], flip: bool,
    filter_gain: float, act: str, alpha: float, gain: float, clamp: float | None, keep: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return y and the filtered image, which is empty unless ``keep``.

    Autograd gives derivatives of any order.
    """
    z = upfirdn2d(x, f, up, down, pad, size, flip, filter_gain)
    y = scale_bias_act(z, scale, noise, b, act, alpha, gain, clamp)
    return y, z if keep else z.new_empty(0)
