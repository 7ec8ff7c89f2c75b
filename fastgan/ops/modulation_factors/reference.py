"""modulation_factors in plain PyTorch: documentation, fallback and test oracle of the op."""

from __future__ import annotations

import math

import torch
from torch import Tensor

EPSILON = 1e-8
# Least divisor of weights and styles: float16 has normal numbers from there on.
LEAST = 2.0**-14

Factors = tuple[Tensor, Tensor, Tensor | None]


def copies_weight(
    weight: Tensor, dtype: torch.dtype, normalize: bool, channels_last: bool, flip: bool
) -> bool:
    """Return True if the scaled weights differ from the weights in anything."""
    return normalize or channels_last or flip or weight.dtype != dtype


def divisors(
    weight: Tensor, styles: Tensor, dtype: torch.dtype, demodulate: bool, normalize: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Return the divisors of weights ``[O]`` and styles ``[N]``, which count as constants.

    None stands for 1.
    """
    if not normalize:
        return None, None
    most = None if demodulate else torch.finfo(dtype).max
    # An infinite factor of an image of zeros would give NaN.
    largest = torch.linalg.vector_norm(styles.detach(), math.inf, 1).clamp(LEAST, most)
    if not demodulate:
        return None, largest
    return torch.linalg.vector_norm(weight.detach(), dim=(1, 2, 3)).clamp(LEAST), largest


def divided(weight: Tensor, norm: Tensor | None) -> Tensor:
    return weight if norm is None else weight / norm[:, None, None, None]


def squares_of(weight: Tensor) -> Tensor:
    """Return the sums of squares over the taps, ``[O, C]``."""
    return weight.square().sum((2, 3))


def demodulation(
    squares: Tensor, styles: Tensor, norm: Tensor | None, largest: Tensor | None, dtype: torch.dtype
) -> Tensor:
    """Return ``(Σ_i styles²·squares + ε/(norm·largest)²)^-½``, ``[N, O]``."""
    total = styles.square() @ squares.t()
    if norm is None or largest is None:
        # Through the view, gradients of the factor add up before they reach its square root.
        return (total + EPSILON).rsqrt()[...]
    # The bound keeps the factor finite, and epsilon above zero.
    bound = min(EPSILON**0.5 * torch.finfo(dtype).max, 1e15)
    floor = (largest[:, None] * norm).clamp(max=bound).pow(-2)
    return torch.add(total, floor, alpha=EPSILON).rsqrt()


def modulation_factors(
    weight: Tensor, styles: Tensor, gain: Tensor | None, dtype: torch.dtype, demodulate: bool,
    normalize: bool, channels_last: bool, flip: bool,
) -> Factors:  # fmt: skip
    """Return weights, styles and scale in ``dtype``; autograd gives derivatives of any order.

    The layout of the weights is left to the convolution.
    """
    norm, largest = divisors(weight, styles, dtype, demodulate, normalize)
    weight = divided(weight, norm)
    styles = styles if largest is None else styles / largest[:, None]
    scale = None if largest is None else largest[:, None].expand(-1, weight.shape[0])
    if demodulate:
        scale = demodulation(squares_of(weight), styles, norm, largest, dtype)
    styles = styles if gain is None else styles * gain
    weight = weight.to(dtype)
    weight = weight.flip(2, 3) if flip else weight
    return weight, styles.to(dtype), None if scale is None else scale.to(dtype)


# The registered op and its derivative written out, for dispatch without kernels.


def in_memory_order(weight: Tensor, channels_last: bool) -> Tensor:
    """Return ``weight[O, C, kh, kw]`` as a new tensor with the strides of its layout."""
    if channels_last:
        return weight.permute(0, 2, 3, 1).contiguous().clone().permute(0, 3, 1, 2)
    return weight.clone(memory_format=torch.contiguous_format)


def modulation_factors_with_sums(
    weight: Tensor, styles: Tensor, gain: Tensor | None, dtype: torch.dtype, demodulate: bool,
    normalize: bool, channels_last: bool, flip: bool,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Return the results of the registered op, empty where they aren't needed.

    They are scaled weights, styles and scale, then what the derivative needs: the sums of squares,
    both divisors, and the scale before it is rounded.
    """
    norm, largest = divisors(weight, styles, dtype, demodulate, normalize)
    wide = divided(weight, norm)
    t = styles if largest is None else styles / largest[:, None]
    squares, root = weight.new_empty(0), weight.new_empty(0)
    scale = weight.new_empty(0, dtype=dtype)
    if demodulate:
        squares = squares_of(wide)
        root = demodulation(squares, t, norm, largest, dtype).contiguous()
        scale = root.to(dtype, copy=True)
    elif largest is not None:
        scale = largest[:, None].expand(-1, weight.shape[0]).to(dtype).contiguous()
    scaled = weight.new_empty(0, dtype=dtype)
    if copies_weight(weight, dtype, normalize, channels_last, flip):
        wide = wide.flip(2, 3) if flip else wide
        scaled = in_memory_order(wide.to(dtype), channels_last)
    t = t if gain is None else t * gain
    return (
        scaled, t.to(dtype, copy=True).contiguous(), scale, squares,
        *(weight.new_empty(0) if t is None else t for t in (norm, largest)), root,
    )  # fmt: skip


def modulation_factors_backward(
    dweight: Tensor | None, dstyles: Tensor | None, dscale: Tensor | None, weight: Tensor,
    styles: Tensor, gain: Tensor | None, squares: Tensor, norm: Tensor, largest: Tensor,
    root: Tensor, dtype: torch.dtype, demodulate: bool, normalize: bool, flip: bool,
    need_dweight: bool, need_dstyles: bool, need_dgain: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Return the gradients of weights, styles and gain, empty where they aren't needed.

    With ``a = -root³·dscale``, ``w`` and ``t`` divided weights and styles, they are::

        dweight = (dweight' + w·Σ_n a·t²)/norm
        dstyles = (dstyles'·gain + t·Σ_o a·squares)/largest
        dgain = dstyles'·t

    The sums are computed again, so that autograd sees how they depend on weights and styles.
    """
    over = None if not (normalize and demodulate) else norm.detach()
    under = largest.detach()[:, None] if normalize else None
    w = divided(weight, over)
    t = styles if under is None else styles / under
    a = None
    if demodulate and dscale is not None:
        squares = squares_of(w)
        root = demodulation(squares, t, over, None if under is None else under[:, 0], dtype)
        a = -root.pow(3) * dscale.to(root.dtype)
    results = [weight.new_empty(0) for _ in range(3)]
    if need_dweight:
        found = torch.zeros_like(weight) if dweight is None else dweight.to(weight.dtype)
        found = found.flip(2, 3) if flip and dweight is not None else found
        if a is not None:
            found = found + w * (a.t() @ t.square())[:, :, None, None]
        results[0] = divided(found, over).clone(memory_format=torch.contiguous_format)
    given = torch.zeros_like(styles) if dstyles is None else dstyles.to(styles.dtype)
    if need_dstyles:
        found = given if gain is None else given * gain
        if a is not None:
            found = found + t * (a @ squares)
        found = found if under is None else found / under
        results[1] = found.clone(memory_format=torch.contiguous_format)
    if need_dgain:
        results[2] = (given * t).contiguous()
    return results[0], results[1], results[2]
