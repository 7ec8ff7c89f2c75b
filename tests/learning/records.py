"""Recorded figures of the experiments in `records.json`, and their table in `TABLE.md`.

A cell is a recipe at a level of CPU code. It holds the figures of each seed, the CPU and the
version of torch. Figures are only used with the settings that they were recorded with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.learning.catalogue import EXPERIMENTS
from tests.learning.experiment import Experiment, Figures

FOLDER = Path(__file__).parent
RECORDS, TABLE = FOLDER / "records.json", FOLDER / "TABLE.md"
LEVELS = ("avx512", "avx2", "baseline")
MARGIN = 0.05
"""Least distance of a recorded figure from its bound, as a share of the bound."""

Records = dict[str, dict[str, Any]]

HEAD = """\
# Learning, measured

Written by `python -m tests.learning`; don't edit. The experiments are described in this folder's
modules. FD is a Fréchet distance, IoU an intersection over union; columns 0 to 4 are seeds. The
margin is the distance of the worst seed from the bound, as a share of the bound. `avx512`, `avx2`
and `baseline` are the instruction sets that our kernels, torch and oneDNN were limited to.
"""


def read() -> Records:
    """Return recorded figures by recipe; empty if there are none yet."""
    return json.loads(RECORDS.read_text()) if RECORDS.exists() else {}


def write(records: Records) -> None:
    """Write the records, and the table made of them."""
    RECORDS.write_text(json.dumps(records, indent=1, sort_keys=True) + "\n")
    TABLE.write_text(table(records))


def add(
    records: Records,
    experiment: Experiment,
    level: str,
    seed: int,
    figures: Figures,
    machine: Mapping[str, str],
) -> None:
    """Record a run; drop figures of other settings, and of other machines at the same level."""
    entry = records.setdefault(experiment.recipe, {})
    if entry.get("settings") != experiment.settings:
        entry.clear()
        entry.update(settings=experiment.settings, levels={})
    cell = entry["levels"].setdefault(level, {})
    if {key: cell.get(key) for key in machine} != dict(machine):
        cell.clear()
        cell.update(machine, seeds={})
    cell["seeds"][str(seed)] = figures


def seeds(records: Records, experiment: Experiment, level: str) -> dict[str, Figures]:
    """Return a cell's figures by seed, with today's settings; empty if there are none."""
    entry = records.get(experiment.recipe, {})
    if entry.get("settings") != experiment.settings:
        return {}
    return dict(sorted(entry["levels"].get(level, {}).get("seeds", {}).items()))


def table(records: Records) -> str:
    """Return the Markdown table of all cells: a section per machine, a row per bounded figure."""
    sections: dict[str, list[str]] = {}
    for experiment in EXPERIMENTS.values():
        for level in LEVELS:
            if not (cell := seeds(records, experiment, level)):
                continue
            machine = records[experiment.recipe]["levels"][level]
            rows = sections.setdefault(f"{machine['cpu']}, torch {machine['torch']}", [])
            rows += _rows(experiment, level, cell)
    parts = [HEAD]
    for machine, rows in sections.items():
        columns = "| recipe | figure | code | 0 | 1 | 2 | 3 | 4 | bound | margin |"
        parts.append("\n".join([f"## {machine}", "", columns, "|---" * 10 + "|", *rows, ""]))
    return "\n".join(parts)


def _rows(experiment: Experiment, level: str, cell: dict[str, Figures]) -> list[str]:
    rows = []
    for name, bound in experiment.bounds.items():
        figures = [f"{cell[str(seed)][name]:.3g}" if str(seed) in cell else "" for seed in range(5)]
        margin = min(bound.margin(figures[name]) for figures in cell.values())
        cells = [experiment.recipe, name, level, *figures, str(bound), f"{margin:.0%}"]
        rows.append("| " + " | ".join(cells) + " |")
    return rows
