"""Tables of the results, and the report on the terminal."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from benchmarks.document import Rows, plain
from benchmarks.results import (
    COPY,
    OURS,
    PRODUCT,
    Comparison,
    Memory,
    Ratio,
    RunResults,
    label_of,
    title,
)
from benchmarks.timing import PRODUCT_SIDE
from fastgan.ops.conv2d.choice import FEWEST_TILES

MB = 1e6
LINEAR_FROM = 4 * MB  # moved bytes; with more, a call's fixed cost is small
ERRORS = "largest error against float64, relative to the largest value"
HOST = "least times of calls on tiny tensors, one thread"
CROSSOVER = (
    "forward 3×3, time of F.conv2d over that of Winograd's algorithm, "
    "by channels and 4×4 tiles of the result"
)


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}×"


def timing_table(comparisons: Sequence[Comparison], sides: Sequence[str]) -> tuple[list[str], Rows]:
    """Return a row per case and measure: milliseconds and floors by side, and our first's gain."""
    sides = [
        side
        for side in sides
        if any(side in c.timings or side in c.unavailable for c in comparisons)
    ]
    ours = next((side for side in sides if any(side in c.timings for c in comparisons)), sides[0])
    others = [side for side in sides if side not in OURS]
    header = ["case", "measure", "floor, ms"]
    for side in sides:
        header += [f"{title(side)}, ms", "× floor"]
    header += [f"{title(other)} / {ours}" for other in others] + ["spread"]
    rows = []
    for c in comparisons:
        row = [c.label, title(c.measure), f"{c.floor * 1e3:.3f}"]
        for side in sides:
            timing = c.timings.get(side)
            row += (
                ["–", "–"]
                if timing is None
                else [f"{timing.median * 1e3:.3f}", f"{c.floors(side):.2f}"]
            )
        rows.append(row + [_times(c.ratio(other, ours)) for other in others] + [f"{c.spread:.0%}"])
    return header, rows


def error_table(comparisons: Sequence[Comparison], sides: Sequence[str]) -> tuple[list[str], Rows]:
    """Return a row per case and measure: the sides' largest errors over the largest value."""
    sides = [side for side in sides if any(side in c.errors for c in comparisons)]
    rows = [
        [
            c.label,
            title(c.measure),
            *(f"{c.errors[side]:.1e}" if side in c.errors else "–" for side in sides),
        ]
        for c in comparisons
    ]
    return ["case", "measure", *map(title, sides)], rows


def errors_matter(comparisons: Sequence[Comparison]) -> bool:
    """Return True if the sides are different algorithms, which round differently."""
    return any(c.flops is not None and c.errors for c in comparisons)


def memory_table(memory: Sequence[Memory], sides: Sequence[str]) -> tuple[list[str], Rows]:
    """Return a row per case: megabytes (10⁶ bytes) and their ratio to input + output + gradient.

    With scratch memory there are two other figures: memory beyond the results in activations, and
    scratch memory.
    """
    sides = [side for side in sides if any(side in m.peaks for m in memory)]
    detailed = has_scratch(memory)
    header = ["case", "input + output + gradient, MB"]
    for side in sides:
        header += [f"{title(side)}, MB", *(["beyond", "scratch, MB"] if detailed else ["of it"])]
    rows = []
    for m in memory:
        row = [m.label, f"{m.yardstick / MB:.1f}"]
        for side in sides:
            if side not in m.peaks:
                row += ["–"] * (3 if detailed else 2)
                continue
            row.append(f"{m.peaks[side] / MB:.1f}")
            if not detailed:
                row.append(f"{m.peaks[side] / m.yardstick:.0%}")
                continue
            scratch = m.scratch.get(side)
            row += [f"{m.beyond(side):.2f}", "–" if scratch is None else f"{scratch / MB:.1f}"]
        rows.append(row)
    return header, rows


def has_scratch(memory: Sequence[Memory]) -> bool:
    return any(m.scratch for m in memory)


def memory_title(memory: Sequence[Memory]) -> str:
    said = "peak extra memory of forward + backward"
    if has_scratch(memory):
        said += (
            "; beyond its results, in activations (the larger of image and output), scratch "
            "included; and what the forward pass alone allocates beside its output"
        )
    return said


def reasons(comparisons: Sequence[Comparison]) -> list[str]:
    """Return the reasons for dashes in the table, each once."""
    found: dict[tuple[str, str], list[str]] = {}
    for c in comparisons:
        for side, why in c.unavailable.items():
            found.setdefault((side, why), []).append(title(c.measure))
    return [
        f"{title(side)}, {', '.join(dict.fromkeys(where))}: {why}"
        for (side, why), where in found.items()
    ]


def growth_lines(points: Sequence[Comparison]) -> list[str]:
    """Return the exponent of time over size by panel and series, for sizes beyond the caches."""
    lines = []
    for case in dict.fromkeys(c.case for c in points):
        found = [c for c in points if c.case == case and c.moved_bytes >= LINEAR_FROM]
        sides = [next(side for side in c.timings if side != COPY) for c in found]
        if len(found) < 2:
            continue
        times = [math.log(c.timings[side].median) for c, side in zip(found, sides)]
        sizes = [math.log(c.moved_bytes) for c in found]
        slope = statistics.linear_regression(sizes, times).slope
        floors = [c.floors(side) for c, side in zip(found, sides)]
        lines.append(
            f"{case.replace('/', ', more ')}: time ∝ size^{slope:.2f}, "
            f"{min(floors):.1f} to {max(floors):.1f} copy floors"
        )
    return lines


def speed_lines(points: Sequence[Comparison]) -> list[str]:
    """Return the rates of our side by panel, and its speedup over each other side."""
    lines = []
    for panel, found in by_panel(points).items():
        ours, *others = (side for side in found[0].timings if side != PRODUCT)
        rates = [c.rate(ours) / 1e9 for c in found]
        line = f"more {panel}: {title(ours)} {min(rates):.0f} to {max(rates):.0f} GFLOP/s"
        for other in others:
            gains = [c.timings[other].median / c.timings[ours].median for c in found]
            line += f", {min(gains):.2f} to {max(gains):.2f} times as fast as {title(other)}"
        lines.append(line)
    return lines


def by_panel(points: Sequence[Comparison]) -> dict[str, list[Comparison]]:
    """Return the points of each panel of a sweep over sizes."""
    return {
        panel: [c for c in points if c.case == panel]
        for panel in dict.fromkeys(c.case for c in points)
    }


def scaling_title(points: Sequence[Comparison]) -> str:
    if points[0].flops is not None:
        return "operations of the direct form per second, forward"
    return f"growth of the forward pass from {LINEAR_FROM / MB:.0f} MB on"


def scaling_lines(points: Sequence[Comparison]) -> list[str]:
    return growth_lines(points) if points[0].flops is None else speed_lines(points)


def tiles_of(shape: Sequence[int]) -> int:
    """Return the number of 4×4 tiles of a result of shape ``[N, C, H, W]``."""
    return shape[0] * -(-shape[2] // 4) * -(-shape[3] // 4)


def fewest_tiles(points: Sequence[Comparison]) -> int | None:
    """Return the number of tiles from which our side is always faster; None if there is none."""
    fewest = None
    for c in sorted(points, key=lambda c: tiles_of(c.shape), reverse=True):
        if _gain(c) < 1:
            break
        fewest = tiles_of(c.shape)
    return fewest


def _gain(c: Comparison) -> float:
    ours, other = (side for side in c.timings if side != PRODUCT)
    return c.timings[other].median / c.timings[ours].median


def host_table(ratios: Sequence[Ratio]) -> tuple[list[str], Rows]:
    """Return a row per pair of calls: both times, their ratio, and the largest to aim for."""
    rows = [
        [r.name, f"{r.ours * 1e6:.1f}", f"{r.other * 1e6:.1f}", f"{r.value:.2f}", f"{r.at_most:g}"]
        for r in ratios
    ]
    return ["call", "fastgan, µs", "other, µs", "ratio", "aim, at most"], rows


def crossover_table(points: Sequence[Comparison]) -> tuple[list[str], Rows]:
    """Return a row per number of channels.

    It has our speedup by tiles, the number of tiles from which we are faster, and the library's
    choice.
    """
    tiles = sorted({tiles_of(c.shape) for c in points})
    rows = []
    for channels in sorted({c.shape[1] for c in points}):
        found = [c for c in points if c.shape[1] == channels]
        gains = {tiles_of(c.shape): f"{_gain(c):.2f}" for c in found}
        allowed = [tiles for least, tiles in FEWEST_TILES.items() if channels >= least]
        measured, chosen = fewest_tiles(found), allowed[-1] if allowed else None
        row = [str(channels), *(gains.get(t, "–") for t in tiles)]
        rows.append([*row, *("never" if t is None else str(t) for t in (measured, chosen))])
    return ["channels", *(f"{t} tiles" for t in tiles), "faster from", "used from"], rows


def copy_speeds(comparisons: Sequence[Comparison]) -> str:
    """Return the speed of ``copy_`` at each size, as the median of its runs."""
    found: dict[str, list[float]] = {}
    for c in comparisons:
        if COPY in c.timings:
            found.setdefault(label_of("", c.shape).strip(), []).append(c.copy_speed / 1e9)
    return ", ".join(
        f"{statistics.median(speeds):.1f} GB/s ({shape})" for shape, speeds in found.items()
    )


def product_rates(comparisons: Sequence[Comparison]) -> str:
    """Return the rate of a matrix product over all runs."""
    rates = [c.product_rate / 1e9 for c in comparisons if PRODUCT in c.timings]
    return (
        f"{statistics.median(rates):.0f} GFLOP/s ({min(rates):.0f} to {max(rates):.0f})"
        if rates
        else ""
    )


def floors_said(comparisons: Sequence[Comparison], *, copy: str = "copy_") -> str:
    """Return a sentence on the measured speeds behind the floors."""
    said = [note for c in comparisons for note in c.notes]
    if speeds := copy_speeds(comparisons):
        said.append(f"{copy} moved {speeds}")
    if rates := product_rates(comparisons):
        side = PRODUCT_SIDE[comparisons[0].device_type]
        said.append(
            f"a {side}³ matrix product ran at {rates}, and the floor of a convolution is the time "
            "of the direct form's operations at that rate: Winograd's algorithm does fewer and may "
            "stay below it"
        )
    return "; ".join(said)


def report_lines(results: RunResults) -> list[str]:
    """Return the whole report for the terminal."""
    width = max(map(len, results.environment), default=0)
    lines = [f"{name.ljust(width)}  {value}" for name, value in results.environment.items()]
    for op, comparisons, memory in results.by_op():
        if comparisons:
            lines += [
                "",
                f"{op}, {comparisons[0].dtype}: medians; {floors_said(comparisons)}",
                "",
            ]
            lines += plain(*timing_table(comparisons, results.sides)) + reasons(comparisons)
            if errors_matter(comparisons):
                lines += ["", f"{op}, {comparisons[0].dtype}: {ERRORS}", ""]
                lines += plain(*error_table(comparisons, results.sides))
        if memory:
            lines += ["", f"{op}, {memory[0].dtype}: {memory_title(memory)}", ""]
            lines += plain(*memory_table(memory, results.sides))
        if points := results.scaling_of(op):
            lines += [
                "",
                f"{op}, {points[0].dtype}: {scaling_title(points)}",
                "",
                *scaling_lines(points),
            ]
        if points := results.crossover_of(op):
            lines += [
                "",
                f"{op}, {points[0].dtype}: {CROSSOVER}",
                "",
                *plain(*crossover_table(points)),
            ]
    if results.host:
        lines += ["", f"host: {HOST}", ""]
        lines += plain(*host_table(results.host))
    return lines
