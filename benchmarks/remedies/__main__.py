"""Break runs on purpose, mend them, and write docs/remedies.md, in a quarter of an hour.

python -m benchmarks.remedies --out runs/remedies --write docs/remedies.md

It may be stopped at any moment; the same command continues.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.remedies.cases import CASES, SEEDS
from benchmarks.remedies.page import write_page
from benchmarks.remedies.run import RECORDS, complete


def main(arguments: list[str] | None = None) -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.remedies", description=__doc__.splitlines()[0]
    )
    names = [case.name for case in CASES]
    parser.add_argument("cases", nargs="*", metavar="CASE", help="run these alone; default: all")
    parser.add_argument("--out", type=Path, default=Path("runs/remedies"), help="folder of runs")
    parser.add_argument("--records", type=Path, default=RECORDS, help="JSON file of the outcomes")
    parser.add_argument("--write", type=Path, help="Markdown file to write the outcomes into")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.cases if name not in names]:
        parser.error(f"CASE must be of {', '.join(names)}, got {', '.join(unknown)}")
    wanted = [case for case in CASES if not given.cases or case.name in given.cases]
    # One seed of every run comes first, for an early look.
    for seed in SEEDS:
        for case in wanted:
            for attempt in case.attempts:
                complete(case, attempt, seed, out=given.out, records=given.records)
    if given.write:
        write_page(given.write, out=given.out, records=given.records)


if __name__ == "__main__":
    main()
