"""Train every recipe on embedded data, two hours of one core, and write docs/gans.md.

python -m benchmarks.zoo --out runs/zoo --write docs/gans.md

It may be stopped at any moment; the same command continues.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.machine import available_cores
from benchmarks.zoo import records
from benchmarks.zoo.bounds import BOUNDS, SEEDS, outside
from benchmarks.zoo.entries import ENTRIES
from benchmarks.zoo.page import write_page, write_pictures
from benchmarks.zoo.run import load_outcome, run_entries, run_entry


def main(arguments: list[str] | None = None) -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.zoo", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "recipes", nargs="*", metavar="RECIPE", help="train these alone; default: all"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/zoo"), help="folder of the runs")
    parser.add_argument(
        "--seeds",
        nargs="+",
        type=int,
        help="seeds of the runs; default: 0, and 1 and 2 for recipes with bounds",
    )
    parser.add_argument(
        "--jobs", type=int, default=available_cores(), help="trained at a time; 0: in this process"
    )
    parser.add_argument("--write", type=Path, help="the Markdown file to write what is done into")
    given = parser.parse_args(arguments)
    names = [entry.name for entry in ENTRIES]
    if unknown := [name for name in given.recipes if name not in names]:
        parser.error(
            f"there is no {' and no '.join(unknown)} in the zoo: it has {', '.join(names)}"
        )
    wanted = [entry for entry in ENTRIES if not given.recipes or entry.name in given.recipes]
    runs = [
        (entry, seed)
        for entry in wanted
        for seed in given.seeds or (SEEDS if entry.name in BOUNDS else (0,))
    ]
    if given.jobs:
        run_entries(given.out, runs, given.jobs)
    else:
        for entry, seed in runs:
            print(*outside(run_entry(given.out, entry, seed)), sep="\n")
    if given.write:
        done = [load_outcome(given.out, entry, seed) for entry, seed in runs]
        kept = records.keep(outcome for outcome in done if outcome)
        write_pictures(given.write.parent / "images" / "gans", given.out, wanted)
        write_page(given.write, kept)


if __name__ == "__main__":
    main()
