"""Tables of the kernels: aggregated for people, complete for machines."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.document import Rows
from benchmarks.evidence.listing import Kernel
from benchmarks.evidence.thresholds import occupancy


def family_table(kernels: Sequence[Kernel]) -> tuple[list[str], Rows]:
    """Return a row per family and element type: the worst instantiation and architecture."""
    architectures = sorted({k.architecture for k in kernels})
    header = ["kernel", "type", "variants", *(f"registers sm_{a}" for a in architectures)]
    header += ["warps at a time, %", "spilled, B", "shared, B", "128-bit loads", "128-bit stores"]
    groups: dict[tuple[str, str], list[Kernel]] = {}
    for k in sorted(kernels, key=lambda k: (k.op, k.name.family, k.name.element)):
        groups.setdefault((f"{k.op}: {k.name.family}", k.name.element), []).append(k)
    rows = []
    for (family, element), group in groups.items():
        registers = [
            max(k.resources.registers for k in group if k.architecture == a) for a in architectures
        ]
        row = [family, element or "–", str(len({k.signature for k in group})), *map(str, registers)]
        row.append(f"{occupancy(max(registers)):.0%}".rstrip("%"))
        row.append(str(max(k.resources.spill_stores + k.resources.spill_loads for k in group)))
        row.append(str(max(k.resources.shared for k in group)))
        fast = [k for k in group if k.name.vectorised]
        row += [_range([k.wide_loads for k in fast]), _range([k.wide_stores for k in fast])]
        rows.append(row)
    return header, rows


def _range(values: Sequence[int]) -> str:
    if not values:
        return "–"
    return str(values[0]) if min(values) == max(values) else f"{min(values)} to {max(values)}"


def save_all(kernels: Sequence[Kernel], folder: Path) -> list[Path]:
    """Save every kernel on every architecture, as JSON and CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "kernels.json", folder / "kernels.csv"]
    rows = [_flat(k) for k in kernels]
    paths[0].write_text(json.dumps(rows, indent=1) + "\n")
    with paths[1].open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
    return paths


def _flat(kernel: Kernel) -> dict[str, object]:
    data = asdict(kernel)
    return {**data.pop("name"), **data.pop("resources"), **data}
