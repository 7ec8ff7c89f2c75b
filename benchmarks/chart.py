"""Pictures of an op: bars in multiples of the copy floor, and time over size with the roofline."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import COPY, PRODUCT, Comparison, RunResults, title
from benchmarks.table import by_panel

COLOURS = {
    **dict.fromkeys(["cpu", "cuda", "winograd"], "#1b7f5a"),
    "triton": "#7fbf9e",
    "eager": "#b8b8b8",
    "compile": "#e0a33e",
    "F.conv2d": "#5b7fb5",
    "F.conv2d contiguous": "#a9bddb",
}
HEIGHT = 0.8  # of a group of bars
SIZES = {  # the growing dimension of [N, C, H, W] and its label, by panel of speed over size
    "batch": (0, "images of {1} channels, {2}×{3}"),
    "channels": (1, "channels in and out, batch {0}, {2}×{3}"),
    "pixels": (2, "height and width, batch {0}, {1} channels"),
}


def draw_charts(
    results: RunResults, folder: Path, drawn_before: Container[str] = (), suffix: str = ""
) -> list[Path]:
    """Draw ``<op>.png`` and ``<op>-scaling.png`` of every op with results; return the files.

    Ops with names in `drawn_before` are skipped.
    """
    written = []
    for op, comparisons, _ in results.by_op():
        points = results.scaling_of(op)
        draw_points = draw_speed if points and points[0].flops is not None else draw_scaling
        drawn = {op: (draw_chart, comparisons), f"{op}-scaling": (draw_points, points)}
        for name, (draw, found) in drawn.items():
            if found and name not in drawn_before:
                written.append(folder / f"{name}{suffix}.png")
                draw(op, found, results, written[-1])
    return written


def floor_title(comparisons: Sequence[Comparison]) -> str:
    if any(c.notes for c in comparisons):
        return "its floor"
    kinds = {"copy" if c.flops is None else "product" for c in comparisons}
    return f"the {' or '.join(sorted(kinds))} floor"


def scaling_caption(points: Sequence[Comparison]) -> str:
    return "time over size, with the roofline" if points[0].flops is None else "speed over size"


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _sign_and_save(figure: Any, dtype: str, results: RunResults, path: Path) -> None:
    """Save a picture with its machine below it."""
    environment = results.environment
    under = f"{dtype}, {environment['threads']} threads, {environment['allocator']}"
    figure.supxlabel(f"{environment['device']}, {under}, {environment['commit']}", fontsize=7)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    _pyplot().close(figure)


def draw_chart(op: str, comparisons: Sequence[Comparison], results: RunResults, path: Path) -> None:
    """Draw a panel per measure and a group of bars per case; the dashed line is the floor."""
    pyplot = _pyplot()
    measures = list(dict.fromkeys(c.measure for c in comparisons))
    cases = list(dict.fromkeys(c.case for c in comparisons))
    sides = [side for side in results.sides if any(side in c.timings for c in comparisons)]
    floor = floor_title(comparisons)
    figure, axes = pyplot.subplots(
        1,
        len(measures),
        figsize=(max(3.9 * len(measures) + 1.5, 10.5), 0.75 * len(cases) + 1.6),
        sharey=True,
        squeeze=False,
    )
    for axis, measure in zip(axes[0], measures):
        found = {c.case: c for c in comparisons if c.measure == measure}
        for position, side in enumerate(sides):
            thickness = HEIGHT / len(sides)
            shown = [case for case in cases if case in found and side in found[case].timings]
            where = [
                cases.index(case) - HEIGHT / 2 + (position + 0.5) * thickness for case in shown
            ]
            values = [found[case].floors(side) for case in shown]
            bars = axis.barh(
                where, values, thickness * 0.92, color=COLOURS.get(side), label=title(side)
            )
            axis.bar_label(
                bars, fmt="%.2f" if max(values, default=0) < 3 else "%.1f", padding=2, fontsize=7
            )
        axis.axvline(
            1, color="black", linewidth=0.8, linestyle="--", label=floor.removeprefix("the ")
        )
        axis.set_title(title(measure), fontsize=10)
        axis.margins(x=0.15)
        axis.set_xlim(left=0)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    labels = {c.case: f"{c.case}\n{'×'.join(map(str, c.shape))}" for c in comparisons}
    axes[0][0].set_yticks(range(len(cases)), [labels[case] for case in cases])
    axes[0][0].invert_yaxis()
    figure.legend(
        *axes[0][0].get_legend_handles_labels(),
        frameon=False,
        fontsize=8,
        ncols=5,
        loc="upper left",
    )
    figure.suptitle(f"{op}: time in multiples of {floor}", fontsize=11, x=0.99, ha="right")
    _sign_and_save(figure, comparisons[0].dtype, results, path)


def draw_scaling(op: str, points: Sequence[Comparison], results: RunResults, path: Path) -> None:
    """Draw a panel per kind of case: time over bytes moved; the line is the time of a copy."""
    pyplot = _pyplot()
    panels = list(dict.fromkeys(c.case.partition("/")[0] for c in points))
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(4 * len(panels), 4), sharey=True, squeeze=False
    )
    for axis, panel in zip(axes[0], panels):
        shown = [c for c in points if c.case.startswith(f"{panel}/")]
        for series, marker in zip(dict.fromkeys(c.case for c in shown), "osv^D"):
            found = sorted((c for c in shown if c.case == series), key=lambda c: c.moved_bytes)
            times = [
                next(t for side, t in c.timings.items() if side != COPY).median * 1e3 for c in found
            ]
            label = f"more {series.partition('/')[2]}"
            axis.plot(
                [c.moved_bytes / 1e6 for c in found],
                times,
                f"{marker}-",
                label=label,
                markersize=4,
                linewidth=1,
            )
        largest = max(shown, key=lambda c: c.moved_bytes)
        sizes = [min(c.moved_bytes for c in shown), largest.moved_bytes]
        roof = [size / largest.copy_speed * 1e3 for size in sizes]
        speed = f"roofline: copy_ at {largest.copy_speed / 1e9:.0f} GB/s"
        axis.plot(
            [size / 1e6 for size in sizes], roof, "--", color="black", linewidth=0.8, label=speed
        )
        axis.set(xscale="log", yscale="log", xlabel="bytes read and written, MB", title=panel)
        axis.title.set_fontsize(10)
        axis.grid(which="major", linewidth=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=8)
    axes[0][0].set_ylabel("forward, ms")
    figure.suptitle(f"{op}: time over size", fontsize=11)
    _sign_and_save(figure, points[0].dtype, results, path)


def draw_speed(op: str, points: Sequence[Comparison], results: RunResults, path: Path) -> None:
    """Draw a panel per growing size and case: operations of the direct form per second, by side."""
    pyplot = _pyplot()
    panels = by_panel(points)
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(4 * len(panels), 4), sharey=True, squeeze=False
    )
    for axis, (panel, found) in zip(axes[0], panels.items()):
        axis_of_size, label = SIZES[panel]
        found = sorted(found, key=lambda c: c.shape[axis_of_size])
        sizes = [c.shape[axis_of_size] for c in found]
        for side, marker in zip((side for side in found[0].timings if side != PRODUCT), "osv^D"):
            rates = [c.rate(side) / 1e9 for c in found]
            style = {
                "color": COLOURS.get(side),
                "label": title(side),
                "markersize": 4,
                "linewidth": 1,
            }
            axis.plot(sizes, rates, f"{marker}-", **style)
        product = [c.product_rate / 1e9 for c in found]
        axis.plot(sizes, product, "--", color="black", linewidth=0.8, label="matrix product")
        axis.set_xscale("log", base=2)
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.minorticks_off()
        of_all = (
            " or ".join(map(str, dict.fromkeys(each))) for each in zip(*(c.shape for c in found))
        )
        axis.set_xlabel(label.format(*of_all), fontsize=8)
        axis.grid(which="major", linewidth=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    axes[0][0].set_ylim(bottom=0)
    axes[0][0].set_ylabel("forward, GFLOP/s of the direct form")
    figure.legend(
        *axes[0][0].get_legend_handles_labels(),
        frameon=False,
        fontsize=8,
        ncols=5,
        loc="upper left",
    )
    figure.suptitle(f"{op}: speed over size", fontsize=11, x=0.99, ha="right")
    _sign_and_save(figure, points[0].dtype, results, path)
