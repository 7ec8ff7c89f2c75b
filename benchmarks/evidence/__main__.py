from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import evidence
from benchmarks.document import MissingMarkers, markdown, plain, write_part
from benchmarks.evidence import tables, thresholds, toolchain
from benchmarks.evidence.listing import Kernel

ARCHITECTURES = (80, 90, 100)


def part_of_document(kernels: list[Kernel], problems: list[str], version: str) -> list[str]:
    architectures = ", ".join(f"sm_{a}" for a in sorted({k.architecture for k in kernels}))
    verdict = "All thresholds hold."
    if problems:
        verdict = f"**{len(problems)} thresholds missed**, the first: {problems[0]}."
    count = len({k.signature for k in kernels})
    counted = f"{count} kernels, compiled by nvcc {version} for {architectures}."
    return [f"{counted} {verdict}", "", *markdown(*tables.family_table(kernels))]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evidence", description=evidence.SUMMARY
    )
    parser.add_argument("--write", type=Path, help="the Markdown file to write the table into")
    parser.add_argument(
        "--architectures", type=int, nargs="+", default=list(ARCHITECTURES), metavar="90"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=toolchain.ROOT / "build" / "evidence",
        help="for the full tables",
    )
    given = parser.parse_args(arguments)
    try:
        kernels = toolchain.gather(toolchain.ops_with_kernels(), given.architectures, given.out)
        problems = thresholds.problems(kernels)
        print("\n".join(plain(*tables.family_table(kernels))))
        if given.write:
            version = toolchain.nvcc_version(toolchain.find_nvcc())
            write_part(given.write, "evidence", part_of_document(kernels, problems, version))
    except toolchain.ToolProblem as problem:
        parser.error(str(problem))
    except (OSError, MissingMarkers) as error:
        parser.error(f"cannot write the table to {given.write}: {error}")
    print(f"\nevery kernel: {', '.join(map(str, tables.save_all(kernels, given.out)))}")
    print(
        f"{len(problems)} thresholds missed" if problems else "all thresholds hold",
        *problems,
        sep="\n  ",
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
