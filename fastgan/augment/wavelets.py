"""Orthogonal wavelet filters, computed from their definition.

Daubechies 1988; 1992, chapters 6 and 8. A low-pass filter h of 2M taps is orthogonal where its
product filter p = h ⋆ h / 2 is a half-band filter. It is smoothest for its length where h has M
zeros at z = -1. Both fix p::

    p(z) = ((1 + z)(1 + 1/z) / 4)^M · Σ_{k < M} C(M - 1 + k, k) · y^k,      y = (1 - z)(1 - 1/z) / 4

Every choice of one root from each pair (z, 1/z) of p gives an h. The symlet is the choice nearest
to symmetric.
"""

from __future__ import annotations

import itertools
import math

import numpy as np


def halfband(moments: int) -> np.ndarray:
    """Return p, float64 ``[4·moments - 1]``, symmetric, with sum 1 and p(z) + p(-z) = 1.

    ``moments`` is M, the number of vanishing moments of the wavelet, at least 1.
    """
    terms = [
        math.comb(moments - 1 + k, k) * np.pad(_power([-0.25, 0.5, -0.25], k), moments - 1 - k)
        for k in range(moments)
    ]
    return np.convolve(_power([0.25, 0.5, 0.25], moments), np.sum(terms, axis=0))


def symlet(moments: int) -> np.ndarray:
    """Return the low-pass filter h of the symlet, float64 ``[2·moments]``.

    Σ h² = 1, Σ h = √2, and h is orthogonal to its even shifts.
    """
    candidates = [_from_roots(roots, moments) for roots in _choices(moments)]
    return min(candidates, key=lambda h: float(((h - h[::-1]) ** 2).sum()))


def _power(taps: list[float], exponent: int) -> np.ndarray:
    """Return the taps of a polynomial's power."""
    result = np.ones(1)
    for _ in range(exponent):
        result = np.convolve(result, taps)
    return result


def _choices(moments: int) -> list[list[complex]]:
    """Return the choices of one root from each pair (z, 1/z).

    Complex roots are chosen with their conjugates. A filter and its reverse count once.
    """
    in_y = np.roots([math.comb(moments - 1 + k, k) for k in reversed(range(moments))])
    groups = []
    for y in in_y[in_y.imag > -1e-12]:
        # y = (2 - z - 1/z) / 4.
        z = np.roots([1, 4 * y - 2, 1])[0]
        groups.append([z] if abs(y.imag) < 1e-12 else [z, z.conjugate()])
    turned = itertools.product((1, -1), repeat=max(len(groups) - 1, 0))
    return [
        [z**sign for group, sign in zip(groups, (1, *signs)) for z in group] for signs in turned
    ]


def _from_roots(roots: list[complex], moments: int) -> np.ndarray:
    """Return the filter with these roots and zeros at -1, with sum √2."""
    h = np.poly([*roots, *[-1.0] * moments]).real
    return h * (math.sqrt(2) / h.sum())
