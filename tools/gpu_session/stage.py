"""Run one stage in this process: ``python -m tools.gpu_session.stage NAME ...``.

The session starts it. Figures are lines of its standard output.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from pathlib import Path

from tools.gpu_session.context import Context, print_fact, print_figure

#: Environment variable with a folder of packages that the machine may lack.
PACKAGES = "FASTGAN_SESSION_PACKAGES"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.gpu_session.stage")
    parser.add_argument("name")
    parser.add_argument("--part", default="")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--out", type=Path, default=Path("."))
    given = parser.parse_args(arguments)
    ends = time.monotonic() + given.seconds
    if PACKAGES in os.environ:
        # At the end, so that a package of the machine takes precedence.
        sys.path.append(os.environ[PACKAGES])
    stage = importlib.import_module(f"tools.gpu_session.stages.{given.name}")
    stage.run(
        Context(
            device=given.device,
            quick=given.quick,
            seed=given.seed,
            ends=ends,
            out=given.out,
            figure_to=print_figure,
            fact_to=print_fact,
            part=given.part,
        )
    )


if __name__ == "__main__":
    main()
