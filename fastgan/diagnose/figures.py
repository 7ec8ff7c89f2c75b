"""Figures of a run's log, which `symptoms` interprets."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, nan
from statistics import fmean, median, pstdev

from fastgan.losses.scale import LossScale
from fastgan.training.log import Row

Figures = dict[str, float]

LEAST_ROWS = 8
"""Fewest rows of a log for its figures."""


def log_figures(rows: Sequence[Row], d_loss: LossScale | None) -> Figures:
    """Return the figures of a log, those that it has the columns for.

    Figures are of the last third of the run, unless noted otherwise:

    - ``certainty``: D's, from 0 (undecided) to 1 (never wrong). Without a scale of D's loss it is
      the column "certainty", which D's logits give.
    - ``certainty_peak``: highest mean certainty of three rows in a line.
    - ``swing``: standard deviation of the certainty about its trend in the second half. Without a
      scale it is that of D's loss, divided by its mean size in the run.
    - ``certainty_swing``: without a scale, ``swing`` of the certainty.
    - ``fooled``: share of the rows in which D takes generated images for real, on the mean.
    - ``gradient_g_kept``: median norm of G's gradient, divided by the highest median of a third.
    - ``loss_g_rise``: mean of G's loss, divided by that of the first third, if it is positive.
    - ``skipped``: updates that were left out as not finite, divided by the steps of the run.

    Args:
        rows: rows of log.jsonl, at least LEAST_ROWS.
        d_loss: scale of D's loss, if it has one.
    """
    found: Figures = {}
    losses = _column(rows, "loss/D")
    certainties = (
        _column(rows, "certainty") if d_loss is None else [d_loss.certainty(x) for x in losses]
    )
    if certainties:
        found["certainty"] = fmean(_last_third(certainties))
        found["certainty_peak"] = max(
            fmean(certainties[i : i + 3]) for i in range(len(certainties) - 2)
        )
        name = "swing" if d_loss is not None else "certainty_swing"
        found[name] = _about_trend(certainties[len(certainties) // 2 :])
    if d_loss is None and losses:
        found["swing"] = _about_trend(losses[len(losses) // 2 :]) / max(
            fmean(map(abs, losses)), 1e-12
        )
    if d_loss is not None and (margins := _margins(rows, d_loss.even)):
        found["fooled"] = fmean(margin > 0 for margin in _last_third(margins))
    if norms := _column(rows, "gradient/G"):
        third = len(norms) // 3
        thirds = [median(part) for part in (norms[:third], norms[third:-third], norms[-third:])]
        found["gradient_g_kept"] = thirds[-1] / max(*thirds, 1e-12)
    if (g := _column(rows, "loss/G")) and min(g) > 0:
        found["loss_g_rise"] = fmean(_last_third(g)) / fmean(g[: len(g) // 3])
    if rows[-1].get("step"):
        found["skipped"] = rows[-1].get("skipped", 0) / rows[-1]["step"]
    return found


def _column(rows: Sequence[Row], name: str) -> list[float]:
    """Return the finite values of a column; none if too few rows have one."""
    values = [row[name] for row in rows if isfinite(row.get(name, nan))]
    return values if len(values) >= LEAST_ROWS else []


def _margins(rows: Sequence[Row], even: float | None) -> list[float]:
    """Return the excess of D's mean output for generated images over an undecided D's.

    Without an undecided output (``even``) it is the excess over that for real images.
    """
    fake = _column(rows, "D(fake)") or _column(rows, "logit(fake)")
    if even is not None:
        return [value - even for value in fake]
    return [value - real for value, real in zip(fake, _column(rows, "logit(real)"))]


def _last_third(values: Sequence[float]) -> Sequence[float]:
    return values[-(len(values) // 3) :]


def _about_trend(values: Sequence[float]) -> float:
    """Return the standard deviation about the straight line of least squares."""
    middle = (len(values) - 1) / 2
    along = sum((i - middle) ** 2 for i in range(len(values)))
    slope = sum((i - middle) * value for i, value in enumerate(values)) / along
    return pstdev(value - slope * (i - middle) for i, value in enumerate(values))
