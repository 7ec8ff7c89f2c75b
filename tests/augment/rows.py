"""Rows for ADA with chosen values; other transformations are off, in the middle of their range."""

from __future__ import annotations

import torch

from fastgan.augment.ada import GATES, NORMAL, UNIFORM


def rows_with(*on, count=1, **values):
    """Return rows for ``count`` images with the gates ``on`` open at any p above 0.

    ``values`` are set in the columns of their names.
    """
    gate = torch.ones(count, len(GATES))
    gate[:, [GATES.index(name) for name in on]] = 0.0
    uniform, normal = torch.full((count, len(UNIFORM)), 0.5), torch.zeros(count, len(NORMAL))
    for name, value in values.items():
        table, names = (uniform, UNIFORM) if name in UNIFORM else (normal, NORMAL)
        table[:, names.index(name)] = value
    return {"gate": gate, "uniform": uniform, "normal": normal}
