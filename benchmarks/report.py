"""Writes the figures of one or more runs into the documentation, with a chart of the first.

python -m benchmarks.report build/bench/results.json build/bench/results-untuned.json \\
    --write docs/performance.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import table
from benchmarks.chart import draw_charts, floor_title, scaling_caption
from benchmarks.document import MissingMarkers, markdown, write_part
from benchmarks.results import RunResults


def section(results: RunResults, charts: dict[str, str]) -> list[str]:
    """One run as Markdown; ``charts`` gives the path of an op's picture, as the document links it."""
    environment = dict(results.environment)
    lines = [f"### {environment.pop('device')}, allocator {environment.pop('allocator')}", ""]
    lines += [f"- {name}: {value}" for name, value in environment.items()]
    for op, comparisons, memory in results.by_op():
        if comparisons:
            if op in charts:
                lines += [
                    "",
                    f"![{op}: time in multiples of {floor_title(comparisons)}]({charts[op]})",
                ]
            said = table.floors_said(comparisons, copy="`copy_`")
            lines += ["", f"{op}, {comparisons[0].dtype}; {said}.", ""]
            lines += markdown(*table.timing_table(comparisons, results.sides))
            lines += [f"\n{reason}" for reason in table.reasons(comparisons)]
            if table.errors_matter(comparisons):
                lines += ["", f"{op}, {comparisons[0].dtype}, {table.ERRORS}:", ""]
                lines += markdown(*table.error_table(comparisons, results.sides))
        if memory:
            lines += ["", f"{op}, {memory[0].dtype}, {table.memory_title(memory)}:", ""]
            lines += markdown(*table.memory_table(memory, results.sides))
        if (points := results.scaling_of(op)) and f"{op}-scaling" in charts:
            lines += ["", f"![{op}: {scaling_caption(points)}]({charts[f'{op}-scaling']})", ""]
            lines += [f"{op}, {points[0].dtype}, {table.scaling_title(points)}:", ""]
            lines += [f"- {line}" for line in table.scaling_lines(points)]
        if points := results.crossover_of(op):
            lines += ["", f"{op}, {points[0].dtype}, {table.CROSSOVER}:", ""]
            lines += markdown(*table.crossover_table(points))
    return [*lines, ""]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "results", nargs="+", type=Path, help="results.json of one run or of several"
    )
    parser.add_argument(
        "--write", type=Path, help="the Markdown file to write into; default: print"
    )
    given = parser.parse_args(arguments)
    if missing := [str(path) for path in given.results if not path.is_file()]:
        parser.error(f"there is no {' and no '.join(missing)}; run 'make bench' first")
    runs = [RunResults.load(path) for path in given.results]
    charts: dict[str, str] = {}
    lines = []
    for run in runs:  # a picture of each op, from the first run that has it
        images = given.write and given.write.parent / "images"
        drawn = draw_charts(run, images, charts) if images else []
        shown = {path.stem: f"images/{path.name}" for path in drawn}
        charts |= shown
        lines += section(run, shown)
    if not given.write:
        print("\n".join(lines))
        return
    try:
        write_part(given.write, "figures", lines[:-1])
    except (OSError, MissingMarkers) as error:
        parser.error(f"cannot write the figures to {given.write}: {error}")
    print(f"wrote {given.write} and {', '.join(charts.values())}")


if __name__ == "__main__":
    main()
