"""Show a run of the benchmarks as Markdown, keep it as a record, write the pages of all records.

python -m benchmarks.report build/bench/results.json
python -m benchmarks.report build/bench/results.json --record cpu-bias_act --write
python -m benchmarks.report --write
"""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path

from benchmarks import pages, records
from benchmarks.chart import draw_charts
from benchmarks.document import MissingMarkers
from benchmarks.records import Record, load_records, record_of
from benchmarks.results import RunResults

ROOT = Path(__file__).resolve().parents[1]
NAME = re.compile(r"(cpu|gpu)-[\w-]+")


def keep(results: RunResults, name: str, folder: Path, pictures: Path) -> Path:
    """Save a run as the record of that name, and draw its pictures; return the record's file.

    A picture that another record has stays as it is.
    """
    others = [record for other, record in load_records(folder).items() if other != name]
    drawn = {block.picture for record in others for block in record.blocks} - {""}
    record = record_of(results)
    blocks = [
        replace(block, picture="", picture_title="") if block.picture in drawn else block
        for block in record.blocks
    ]
    path = folder / f"{name}.json"
    replace(record, blocks=blocks).save(path)
    draw_charts(results, pictures, drawn)
    return path


def main(arguments: list[str] | None = None, *, root: Path = ROOT) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report", description=__doc__.splitlines()[0]
    )
    parser.add_argument("results", nargs="?", type=Path, help="results.json of a run")
    parser.add_argument(
        "--record", metavar="NAME", help="keep the run as benchmarks/records/NAME.json"
    )
    parser.add_argument(
        "--write", action="store_true", help="write the pages and the chart of all records"
    )
    given = parser.parse_args(arguments)
    if given.results is None and not given.write:
        parser.error("give the results.json of a run, or --write")
    if given.record and given.results is None:
        parser.error("--record needs the results.json of a run")
    if given.record and not NAME.fullmatch(given.record):
        parser.error(f"--record must begin with cpu- or gpu-, got {given.record!r}")
    if given.results is not None and not given.results.is_file():
        parser.error(f"there is no {given.results}; run 'make bench' first")
    folder = root / records.FOLDER.relative_to(ROOT)
    if given.results is not None:
        results = RunResults.load(given.results)
        if given.record:
            print(f"wrote {keep(results, given.record, folder, root / pages.PICTURES)}")
        else:
            print("\n".join(pages.section(record_of(results))))
    if given.write:
        write_pages(load_records(folder), root, parser)


def write_pages(found: dict[str, Record], root: Path, parser: argparse.ArgumentParser) -> None:
    try:
        texts = pages.written(found, root)
        for path, text in texts.items():
            path.write_text(text, "utf-8")
    except (OSError, MissingMarkers, LookupError) as error:
        parser.error(f"cannot write the pages: {error}")
    print(f"wrote {', '.join(str(path.relative_to(root)) for path in texts)}")


if __name__ == "__main__":
    main()
