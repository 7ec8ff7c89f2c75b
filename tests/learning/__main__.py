"""Run learning experiments at several levels of CPU code, or precisions, and record their figures.

    python -m tests.learning [RECIPE...] [--seeds 0 1 2 3 4] [--levels avx512 avx2 baseline]
        [--again]
    python -m tests.learning [RECIPE...] --precisions fp32 bf16 [--seeds 0 1 2 3 4] [--again]

Runs recorded with today's settings are skipped, unless `--again` is set. Each finished run is
recorded in `records.json` and in `TABLE.md`, or in `precision.json` and `PRECISION.md`. Exit
status 1: a figure is outside its bounds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from tests.learning import precision, records
from tests.learning.catalogue import SEEDS
from tests.learning.worker import environment


def run_level(
    book: ModuleType, level: str, names: list[str], seeds: list[int], *, again: bool
) -> list[str]:
    """Run and record missing experiments at a level or precision; return failures as texts.

    Args:
        book: module with the experiments and their records.
    """
    recorded = book.read()
    runs = [
        f"{name}:{seed}"
        for name in names
        for seed in seeds
        if again or str(seed) not in records.seeds(recorded, book.EXPERIMENTS[name], level)
    ]
    if not runs:
        return []
    failures = []
    with subprocess.Popen(
        [sys.executable, "-m", "tests.learning.worker", level, *runs],
        env=os.environ | environment(level),
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            run = json.loads(line)
            experiment = book.EXPERIMENTS[run["recipe"]]
            recorded = book.read()
            records.add(recorded, experiment, level, run["seed"], run["figures"], run["machine"])
            book.write(recorded)
            failed = experiment.failures(run["figures"], margin=records.MARGIN)
            failures += [f"{level}, seed {run['seed']}: {text}" for text in failed]
            print(
                f"{level} {run['recipe']} {run['seed']} {run['seconds']:.0f} s",
                run["figures"],
                flush=True,
            )
    if process.returncode:
        failures.append(f"{level}: ended with status {process.returncode}")
    return failures


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.learning", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="all without any")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--levels", nargs="+", choices=records.LEVELS, default=list(records.LEVELS))
    parser.add_argument("--precisions", nargs="+", choices=precision.PRECISIONS)
    parser.add_argument("--again", action="store_true", help="repeat runs that are recorded")
    arguments = parser.parse_args()
    book = precision if arguments.precisions else records
    names = arguments.recipes or list(book.EXPERIMENTS)
    if unknown := sorted(set(names) - set(book.EXPERIMENTS)):
        known = ", ".join(book.EXPERIMENTS)
        parser.error(f"RECIPE must be one of {known}, got {', '.join(unknown)}")
    failures = [
        failure
        for level in arguments.precisions or arguments.levels
        for failure in run_level(book, level, names, arguments.seeds, again=arguments.again)
    ]
    print(*failures, sep="\n")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
