"""Checks of networks' settings and inputs.

Those of inputs read shapes and dtypes alone, which a compiled graph has as constants. Indices on a
GPU are not read, since that would wait for it.
"""

from __future__ import annotations

from torch import Tensor

from fastgan._torch_private import is_plain_eager
from fastgan.ops._checks import check_at_least

__all__ = ["check_at_least", "check_choice", "check_indices", "check_shape", "check_share"]


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise ValueError for a setting that is not one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, got {value!r}")


def check_share(**shares: float) -> None:
    """Raise ValueError for a setting that is not in [0, 1)."""
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ValueError(f"{name} must be at least 0 and less than 1, got {share!r}")


def check_shape(
    name: str,
    x: Tensor | None,
    *sizes: int | str,
    count: int | None = None,
    floating: bool = True,
) -> None:
    """Check the type, shape and dtype of a network's input.

    Args:
        name: its name for errors.
        x: the input, ``[N, *sizes]``.
        sizes: sizes behind the batch; a text such as ``"H"`` is an open size.
        count: number of samples; None for any.
        floating: refuse integers.

    Raises:
        ValueError: ``x`` is not such a tensor.
    """
    # Most inputs pass by one comparison.
    if isinstance(x, Tensor) and (
        (x.shape[1:] == sizes and count is None) or _fits(x, count, sizes)
    ):
        if x.is_floating_point() or not floating:
            return
        kind, got = "floating-point ", str(x.dtype)
    elif isinstance(x, Tensor):
        kind, got = "", str(list(x.shape))
    else:
        kind, got = "", "none" if x is None else f"a {type(x).__name__}"
    shape = ", ".join(map(str, ("N" if count is None else count, *sizes)))
    raise ValueError(f"{name} must be a {kind}[{shape}] tensor, got {got}")


def _fits(x: Tensor, count: int | None, sizes: tuple[int | str, ...]) -> bool:
    """Return True if ``x`` has this shape; texts and None are open sizes."""
    expected = (count, *sizes)
    return x.ndim == len(expected) and all(
        size is None or isinstance(size, str) or size == own for size, own in zip(expected, x.shape)
    )


def check_indices(indices: Tensor, count: int, expected: str) -> None:
    """Raise ValueError for indices outside 0 to ``count - 1``.

    They are read in eager code on the CPU alone.

    Args:
        indices: integers of any shape.
        count: number of values.
        expected: start of the error, such as "labels must be class indices".
    """
    if is_plain_eager() and indices.device.type == "cpu" and indices.numel():
        least, most = int(indices.min()), int(indices.max())
        if least < 0 or most >= count:
            raise ValueError(f"{expected}, got values from {least} to {most}")
