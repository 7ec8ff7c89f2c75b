"""upfirdn2d_act in Triton: the kernels of upfirdn2d with their epilogue."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fastgan.ops._layout import image_like
from fastgan.ops.upfirdn2d.epilogue import epilogue
from fastgan.ops.upfirdn2d.triton import filter_into


def upfirdn2d_act(
    x: Tensor, f: Tensor | None, scale: Tensor | None, noise: Tensor | None, b: Tensor | None,
    up: Sequence[int], down: Sequence[int], pad: Sequence[int], size: Sequence[int], flip: bool,
    filter_gain: float, act: str, alpha: float, gain: float, clamp: float | None, keep: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    shape = size[1], size[0]
    out = image_like(x, shape)
    filtered = image_like(x, shape) if keep else None
    after = epilogue(out, filtered, scale, noise, b, (act, alpha, gain, clamp))
    filter_into(out, x, f, up, down, pad, flip, filter_gain, after)
    return out, x.new_empty(0) if filtered is None else filtered
