"""Curves of a run, drawn from its log: losses, and D's verdict on real and generated images."""

from __future__ import annotations

import importlib.util
import io
from typing import Any, Literal

from fastgan.errors import FastganError
from fastgan.losses.adversarial import AdversarialLoss
from fastgan.training.log import Row

Theme = Literal["light", "dark"]

_INK = {"light": "#1f2430", "dark": "#e6e8ee"}
_FAINT = {"light": "#d9dce3", "dark": "#3a4050"}
_PAPER = {"light": "#ffffff", "dark": "#1a1e27"}
_LINES = {
    "light": ("#2563eb", "#d9480f", "#0f8a6a", "#9333ea"),
    "dark": ("#7aa7ff", "#ff9b61", "#4fd1aa", "#c99bff"),
}


class ReportError(FastganError):
    """The curves can't be drawn; the message says what to install."""


def require_plotting() -> None:
    """Check that matplotlib is installed, so that a run fails before it starts.

    Raises:
        ReportError: it isn't.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ReportError(
            "Drawing the curves needs matplotlib, which isn't installed: "
            "pip install 'fastgan[train]'."
        )


def draw_curves(
    rows: list[Row], *, loss: AdversarialLoss | None = None, theme: Theme = "light"
) -> bytes:
    """Draw a PNG of two panels over the images shown.

    The left panel has every "loss/…" of the log, the right one every "D(…)" or "logit(…)". A line
    marks the verdict of an undecided D, if the loss has such a verdict.

    Args:
        rows: rows of the log.
        loss: the recipe's adversarial loss.
        theme: colours.

    Raises:
        ReportError: matplotlib isn't installed.
    """
    require_plotting()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.8), dpi=110, facecolor=_PAPER[theme], layout="constrained")
    FigureCanvasAgg(figure)
    losses, judgements = figure.subplots(1, 2)
    _panel(losses, rows, "loss/", "Loss", theme)
    no_logits = not any("logit(real)" in row for row in rows)
    if no_logits if loss is None else loss.has_probabilities:
        _panel(judgements, rows, "D(", "Mean probability that D gives to “real”", theme)
        judgements.set_ylim(-0.02, 1.02)
    else:
        _panel(judgements, rows, "logit(", "What D says on the mean", theme)
    scale = None if loss is None else loss.scale()
    if scale is not None and scale.even is not None:
        judgements.axhline(
            scale.even, color=_INK[theme], linewidth=0.8, linestyle=(0, (2, 3)), zorder=1
        )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _panel(axes: Any, rows: list[Row], prefix: str, title: str, theme: Theme) -> None:
    names = dict.fromkeys(name for row in rows for name in row if name.startswith(prefix))
    for name, colour in zip(names, _LINES[theme]):
        nimg = [row["nimg"] for row in rows if name in row]
        values = [row[name] for row in rows if name in row]
        axes.plot(
            nimg,
            values,
            color=colour,
            linewidth=0.8,
            alpha=0.3,
            marker="o" if len(values) == 1 else None,
        )
        axes.plot(
            nimg, _smoothed(values), color=colour, linewidth=1.8, label=name.removeprefix("loss/")
        )
    ink = _INK[theme]
    axes.set_facecolor(_PAPER[theme])
    axes.set_title(title, color=ink, fontsize=11, loc="left")
    axes.set_xlabel("real images shown", color=ink, fontsize=9)
    axes.tick_params(colors=ink, labelsize=9, length=0)
    axes.xaxis.set_major_formatter(
        lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
    )
    axes.grid(color=_FAINT[theme], linewidth=0.7)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    if names:
        axes.legend(frameon=False, labelcolor=ink, fontsize=9)


def _smoothed(values: list[float]) -> list[float]:
    """Return means over a centred window of about a twentieth of the run."""
    reach = len(values) // 40
    return [
        sum(part) / len(part)
        for i in range(len(values))
        for part in [values[max(0, i - reach) : i + reach + 1]]
    ]
