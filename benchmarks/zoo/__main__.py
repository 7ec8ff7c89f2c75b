"""Train every recipe on embedded data, two hours of one core, and write docs/gans.md.

python -m benchmarks.zoo --out runs/zoo --write docs/gans.md

It may be stopped at any moment; the same command continues.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.machine import available_cores
from benchmarks.zoo.entries import ENTRIES
from benchmarks.zoo.page import write_page
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
    if given.jobs:
        run_entries(given.out, wanted, given.jobs)
    else:
        for entry in wanted:
            run_entry(given.out, entry)
    if given.write:
        outcomes = [(entry, load_outcome(given.out, entry)) for entry in ENTRIES]
        done = [(entry, outcome) for entry, outcome in outcomes if outcome]
        waiting = [entry for entry, outcome in outcomes if not outcome]
        write_page(given.write, given.out, done, waiting)


if __name__ == "__main__":
    main()
