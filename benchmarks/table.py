"""What the tables of the results hold, and the report on the terminal."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from benchmarks.document import Rows, plain
from benchmarks.results import COPY, Comparison, Memory, RunResults, label_of, title

MB = 1e6
LINEAR_FROM = 4 * MB  # bytes moved from which on a call's fixed cost is small


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}×"


def timing_table(comparisons: Sequence[Comparison], sides: Sequence[str]) -> tuple[list[str], Rows]:
    """A row per case and measure: milliseconds and floors by side, and what our first gains."""
    ours = next((side for side in sides if any(side in c.timings for c in comparisons)), sides[0])
    others = [side for side in sides if side in ("eager", "compile")]
    header = ["case", "measure", "floor, ms"]
    for side in sides:
        header += [f"{title(side)}, ms", "× floor"]
    header += [f"{title(other)} / {ours}" for other in others] + ["spread"]
    rows = []
    for c in comparisons:
        row = [c.label, title(c.measure), f"{c.floor * 1e3:.3f}"]
        for side in sides:
            timing = c.timings.get(side)
            row += ["–", "–"] if timing is None else [f"{timing.median * 1e3:.3f}", f"{c.floors(side):.2f}"]
        rows.append(row + [_times(c.ratio(other, ours)) for other in others] + [f"{c.spread:.0%}"])
    return header, rows


def memory_table(memory: Sequence[Memory], sides: Sequence[str]) -> tuple[list[str], Rows]:
    """A row per case: megabytes (10⁶ bytes), and how much of input + output + gradient they are."""
    header = ["case", "input + output + gradient, MB"]
    for side in sides:
        header += [f"{title(side)}, MB", "of it"]
    rows = []
    for m in memory:
        row = [m.label, f"{m.yardstick / MB:.1f}"]
        for side in sides:
            peak = m.peaks.get(side)
            row += ["–", "–"] if peak is None else [f"{peak / MB:.1f}", f"{peak / m.yardstick:.0%}"]
        rows.append(row)
    return header, rows


def reasons(comparisons: Sequence[Comparison]) -> list[str]:
    """Why a dash stands in the table, each reason once."""
    found: dict[tuple[str, str], list[str]] = {}
    for c in comparisons:
        for side, why in c.unavailable.items():
            found.setdefault((side, why), []).append(title(c.measure))
    return [
        f"{title(side)}, {', '.join(dict.fromkeys(where))}: {why}" for (side, why), where in found.items()
    ]


def growth_lines(points: Sequence[Comparison]) -> list[str]:
    """By panel and series: the power of the size that the time grows with, over the sizes that leave the caches' reach."""
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
            f"{case.replace('/', ', more ')}: time ∝ size^{slope:.2f}, {min(floors):.1f} to {max(floors):.1f} copy floors"
        )
    return lines


def copy_speeds(comparisons: Sequence[Comparison]) -> str:
    """What ``copy_`` reached at each size, all the runs of a size together."""
    found: dict[str, list[float]] = {}
    for c in comparisons:
        found.setdefault(label_of("", c.shape).strip(), []).append(c.copy_speed / 1e9)
    return ", ".join(f"{statistics.median(speeds):.1f} GB/s ({shape})" for shape, speeds in found.items())


def report_lines(results: RunResults) -> list[str]:
    """The whole report for the terminal."""
    width = max(map(len, results.environment), default=0)
    lines = [f"{name.ljust(width)}  {value}" for name, value in results.environment.items()]
    for op, comparisons, memory in results.by_op():
        if comparisons:
            lines += [
                "",
                f"{op}, {comparisons[0].dtype}: medians; copy_ moved {copy_speeds(comparisons)}",
                "",
            ]
            lines += plain(*timing_table(comparisons, results.sides)) + reasons(comparisons)
        if memory:
            lines += ["", f"{op}, {memory[0].dtype}: peak extra memory of forward + backward", ""]
            lines += plain(*memory_table(memory, results.sides))
        if points := results.scaling_of(op):
            lines += [
                "",
                f"{op}, {points[0].dtype}: growth of the forward pass from {LINEAR_FROM / MB:.0f} MB on",
                "",
            ]
            lines += growth_lines(points)
    return lines
