from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from fastgan import ops

Taps = Sequence[float] | Sequence[Sequence[float]] | Tensor


class Filters(nn.Module):
    """Base of layers whose buffers are filters.

    Filters are settings rather than weights: they are not in the state dict, and stay float32 under
    ``.half()``. They come back from the meta device, by ``to_empty``, with their values.
    """

    constant_buffers: ClassVar[tuple[str, ...]]
    """The filters: buffers that training never changes, float32 or None."""

    def __init__(self) -> None:
        super().__init__()
        # Values of filters that are on the meta device, which holds none.
        self._values: dict[str, Tensor] = {}

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Filters:
        filters = {name: getattr(self, name) for name in self.constant_buffers} | self._values
        super()._apply(fn, recurse)
        for name, taps in filters.items():
            if taps is not None:
                setattr(self, name, taps.to(getattr(self, name).device))
        self._values = {
            name: taps
            for name, taps in filters.items()
            if taps is not None and not taps.is_meta and getattr(self, name).is_meta
        }
        return self


class _Filtered(Filters):
    """Base of layers with one filter."""

    constant_buffers: ClassVar[tuple[str, ...]] = ("filter",)
    filter: Tensor

    def __init__(self, taps: Taps, **options: Any) -> None:
        super().__init__()
        f = ops.setup_filter(taps)
        if f is None:
            raise TypeError("taps must be numbers or a tensor, got None")
        self.register_buffer("filter", f, persistent=False)
        self.options = options

    def extra_repr(self) -> str:
        return ", ".join(
            [
                f"taps={list(self.filter.shape)}",
                *(f"{name}={value}" for name, value in self.options.items()),
            ]
        )


class Blur(_Filtered):
    """Low-pass filter that keeps the size, by :func:`fastgan.ops.filter2d`.

    Args:
        taps: ``[taps]`` for both axes or ``[taps_y, taps_x]``; normalised to sum 1. The default is
            the binomial filter of Zhang 2019 and Karras et al. 2019.

    Shape:
        ``[N, C, H, W]`` → the same.
    """

    def __init__(self, taps: Taps = (1, 3, 3, 1)) -> None:
        super().__init__(taps)

    def forward(self, x: Tensor) -> Tensor:
        return ops.filter2d(x, self.filter)


class Upsample2d(_Filtered):
    """Upsampling with an anti-imaging filter, by :func:`fastgan.ops.upsample2d`.

    Args:
        taps: as in :class:`Blur`; at least ``up`` of them. ``[1, 1]`` repeats pixels, ``[1, 2, 1]``
            is bilinear.
        up: whole factor of both axes, or ``(x, y)``.

    Shape:
        ``[N, C, H, W]`` → ``[N, C, H·up, W·up]``.
    """

    def __init__(self, taps: Taps = (1, 3, 3, 1), *, up: int | Sequence[int] = 2) -> None:
        super().__init__(taps, up=up)

    def forward(self, x: Tensor) -> Tensor:
        return ops.upsample2d(x, self.filter, **self.options)


class Downsample2d(_Filtered):
    """Downsampling with an anti-aliasing filter, by :func:`fastgan.ops.downsample2d`.

    Args:
        taps: as in :class:`Blur`. ``[1, 1]`` averages pixels.
        down: whole factor of both axes, or ``(x, y)``.

    Shape:
        ``[N, C, H, W]`` → ``[N, C, H // down, W // down]``.
    """

    def __init__(self, taps: Taps = (1, 3, 3, 1), *, down: int | Sequence[int] = 2) -> None:
        super().__init__(taps, down=down)

    def forward(self, x: Tensor) -> Tensor:
        return ops.downsample2d(x, self.filter, **self.options)
