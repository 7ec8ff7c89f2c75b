"""Chart of a sweep: the measure over each varied setting, and a heat map of two."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Mapping
from statistics import fmean
from typing import Any, Literal

from fastgan.files import write_atomic
from fastgan.sweeps.results import Point, Sweep
from fastgan.sweeps.space import Range, Values, text_of
from fastgan.training.curves import require_plotting

_INK, _SOFT, _FAINT, _DOT, _BEST, _FAILED = (
    "#1f2430", "#626a7a", "#d9dce3", "#2563eb", "#0f8a6a", "#d9480f",
)  # fmt: skip
_SIDE = 0.4
"""Width on the axis for the points of one value."""
_WIDE = 30
"""Ratio of the largest to the smallest measure from which its axis is logarithmic."""


def draw_chart(sweep: Sweep, vary: Mapping[str, Values]) -> None:
    """Draw a panel for each varied setting, and a heat map of two.

    A dot is a point's mean over its seeds, a bar its standard deviation. A line joins the means
    over all points of a value. A cross at the top stands for a point with a failed trial.

    Args:
        sweep: results, whose ``chart`` is written.
        vary: values of each varied setting.

    Raises:
        ReportError: matplotlib isn't installed.
    """
    require_plotting()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = len(vary) + (len(vary) == 2)
    columns = min(panels, 3)
    rows = math.ceil(panels / columns)
    size = (4.6 * columns, 3.9 * rows + 0.3)
    figure = Figure(figsize=size, dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for axes, (name, values) in zip(grid, vary.items()):
        _panel(axes, sweep, name, values)
    if len(vary) == 2:
        _pair(grid[2], sweep, vary)
    for axes in grid[panels:]:
        axes.set_visible(False)
    figure.suptitle(
        f"{sweep.recipe}: {sweep.label} ({sweep.better} is better)", color=_INK, fontsize=12
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_atomic(sweep.chart, [buffer.getvalue()])


def _panel(axes: Any, sweep: Sweep, name: str, values: Values) -> None:
    _style(axes, name)
    shown = [point for point in sweep.points if point.mean is not None]
    places = [_place(point, name, values) for point in shown]
    beside = dict(zip(map(id, shown), _beside(places, values)))
    means = [point.mean or 0.0 for point in shown]
    axes.errorbar(
        list(beside.values()),
        means,
        yerr=[point.spread or 0.0 for point in shown],
        fmt="o",
        color=_DOT,
        alpha=0.55,
        markersize=5,
        elinewidth=1,
        capsize=2,
        zorder=3,
    )
    if not isinstance(values, Range) and shown:
        of_each = {
            place: fmean(m for p, m in zip(places, means) if p == place)
            for place in sorted(set(places))
        }
        axes.plot(list(of_each), list(of_each.values()), color=_DOT, linewidth=1.8, zorder=2)
    if sweep.best is not None:
        axes.plot(
            beside[id(sweep.best)],
            sweep.best.mean,
            "o",
            color=_BEST,
            markersize=8,
            label="best",
            zorder=4,
        )
    failed = [point for point in sweep.points if point.failed]
    if failed:
        axes.plot(
            [_place(point, name, values) for point in failed],
            [0.97] * len(failed),
            "x",
            color=_FAILED,
            transform=axes.get_xaxis_transform(),
            label="failed",
            zorder=4,
        )
    _scale_x(axes, values)
    axes.set_yscale(_scale_of(means))
    if axes.get_legend_handles_labels()[0]:
        # Above the panel, since a mark inside it would look like a point.
        axes.legend(
            frameon=False,
            labelcolor=_INK,
            fontsize=9,
            ncols=2,
            loc="lower right",
            bbox_to_anchor=(1, 1),
            borderaxespad=0.2,
        )


def _pair(axes: Any, sweep: Sweep, vary: Mapping[str, Values]) -> None:
    """Draw the measure over two settings: a heat map of lists, else coloured dots."""
    (x_name, x_values), (y_name, y_values) = vary.items()
    _style(axes, x_name)
    axes.set_ylabel(y_name.replace("_", "-"), color=_SOFT, fontsize=10)
    shown = [point for point in sweep.points if point.mean is not None]
    # Dark cells are good ones.
    colours = "viridis_r" if sweep.better == "higher" else "viridis"
    found = [point.mean for point in shown if point.mean is not None]
    scale = _scale_of(found)
    if isinstance(x_values, Range) or isinstance(y_values, Range):
        drawn = axes.scatter(
            [_place(point, x_name, x_values) for point in shown],
            [_place(point, y_name, y_values) for point in shown],
            c=[point.mean for point in shown],
            cmap=colours,
            norm=scale,
            s=70,
            edgecolor="white",
        )
        _scale_x(axes, x_values)
        _scale_y(axes, y_values)
    else:
        axes.grid(visible=False)
        cells = [[math.nan] * len(x_values) for _ in y_values]
        failed = set()
        for point in sweep.points:
            x, y = (int(_place(point, n, v)) for n, v in vary.items())
            cells[y][x] = math.nan if point.mean is None else point.mean
            failed |= {(x, y)} if point.failed else set()
        drawn = axes.imshow(cells, cmap=colours, norm=scale, origin="lower", aspect="auto")
        ends = [min(found), max(found)] if found else [0.0]
        middle = math.sqrt(math.prod(ends)) if scale == "log" else fmean(ends)
        for y, row in enumerate(cells):
            for x, value in enumerate(row):
                dark = value < middle if sweep.better == "lower" else value > middle
                missing = "failed" if (x, y) in failed else "–"
                axes.text(
                    x,
                    y,
                    missing if math.isnan(value) else f"{value:.4g}",
                    ha="center",
                    va="center",
                    color=_FAILED if math.isnan(value) else "white" if dark else _INK,
                    fontsize=10,
                )
        _scale_x(axes, x_values)
        _scale_y(axes, y_values)
    if shown:
        bar = axes.figure.colorbar(drawn, ax=axes)
        bar.ax.tick_params(colors=_INK, labelsize=9, length=0)
        bar.outline.set_visible(False)


def _scale_of(means: list[float]) -> Literal["log", "linear"]:
    """Return the scale of an axis of the measure, so that diverged runs don't hide the others."""
    return "log" if means and 0 < min(means) * _WIDE < max(means) else "linear"


def _place(point: Point, name: str, values: Values) -> float:
    """Return the place on an axis: the number of a range, else the index in the list."""
    value = point.settings[name]
    return float(value) if isinstance(values, Range) else float(list(values).index(value))


def _beside(places: list[float], values: Values) -> list[float]:
    """Return places of a list with those that are equal set beside each other."""
    if isinstance(values, Range):
        return places
    counts, moved = Counter(places), []
    seen: Counter[float] = Counter()
    for place in places:
        seen[place] += 1
        moved.append(place + _SIDE * ((seen[place] - 0.5) / counts[place] - 0.5))
    return moved


def _scale_x(axes: Any, values: Values) -> None:
    if isinstance(values, Range):
        axes.set_xscale("log" if values.log else "linear")
    else:
        axes.set_xticks(range(len(values)), [text_of(value) for value in values])
        axes.set_xlim(-0.5, len(values) - 0.5)


def _scale_y(axes: Any, values: Values) -> None:
    if isinstance(values, Range):
        axes.set_yscale("log" if values.log else "linear")
    else:
        axes.set_yticks(range(len(values)), [text_of(value) for value in values])
        axes.set_ylim(-0.5, len(values) - 0.5)


def _style(axes: Any, name: str) -> None:
    axes.set_xlabel(name.replace("_", "-"), color=_SOFT, fontsize=10)
    axes.tick_params(colors=_INK, labelsize=9, length=0, which="both")
    axes.grid(color=_FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
