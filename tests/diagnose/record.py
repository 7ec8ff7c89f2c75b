"""Record of the catalogue's figures in docs/diagnose.json, and the tables made of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fastgan.diagnose import symptoms
from fastgan.diagnose.figures import Figures
from tests.diagnose.catalogue import SEEDS, TRIALS, Trial

DOCS = Path(__file__).parents[2] / "docs"
RECORD, PAGE = DOCS / "diagnose.json", DOCS / "diagnose.md"

Rows = dict[str, dict[str, Any]]
"""By trial: its options, and figures by seed."""

# Columns of the table of runs, and their figures.
COLUMNS = {
    "certainty": "certainty",
    "its peak": "certainty_peak",
    "apart": "apart",
    "covered": "covered",
    "classes": "classes_shown",
    "of input": "input_effect",
    "of noise": "noise_effect",
    "features": "features",
    "sharpness": "sharpness",
    "L1": "l1_share",
}


def read() -> Rows:
    """Return the record; empty if there is none yet."""
    return json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {}


def write(rows: Rows) -> None:
    """Write the record without trials that no longer exist, and the tables of the page."""
    kept = {trial.name: rows[trial.name] for trial in TRIALS if trial.name in rows}
    RECORD.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    PAGE.write_text(with_tables(PAGE.read_text("utf-8"), kept), "utf-8")


def added(rows: Rows, trial: Trial, seed: int, found: Figures) -> Rows:
    """Return the record with the figures of a run, without those of other options."""
    entry = rows.get(trial.name, {})
    if entry.get("options") != trial.options:
        entry = {"options": trial.options, "seeds": {}}
    seeds = dict(sorted({**entry["seeds"], str(seed): found}.items()))
    return {**rows, trial.name: {**entry, "seeds": seeds}}


def figures(rows: Rows, trial: Trial, seed: int) -> Figures | None:
    """Return the figures of a run with today's options; None if it isn't recorded."""
    entry = rows.get(trial.name, {})
    return entry["seeds"].get(str(seed)) if entry.get("options") == trial.options else None


def with_tables(page: str, rows: Rows) -> str:
    """Return the page with today's tables between its markers."""
    for name, lines in {"thresholds": thresholds(rows), "runs": runs(rows)}.items():
        before, mark, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->\n")
        if not mark or not end:
            raise SystemExit(f"{PAGE} must have a table between <!-- {name} --> and <!-- end -->")
        page = before + mark + "".join(f"{line}\n" for line in lines) + end + after
    return page


def thresholds(rows: Rows) -> list[str]:
    """Return a table of all thresholds, between the figures of healthy and of broken runs."""
    lines = [
        "| failure | figure | threshold | healthy runs | runs that show it |",
        "|---|---|---|---|---|",
    ]
    shown: dict[tuple[str, str, float, str, bool], list[float]] = {}
    healthy: dict[tuple[str, bool], list[float]] = {}
    for trial in TRIALS:
        for found in _set_on(rows, trial):
            for failure, evidence in symptoms.evidence_of(found).items():
                for name, value, threshold, _ in evidence:
                    side = "over" if value > threshold else "under"
                    key = (failure, name, threshold, side, _other_kind(name, found))
                    shown.setdefault(key, []).append(value)
            if not trial.shows:
                for name, value in found.items():
                    healthy.setdefault((name, _other_kind(name, found)), []).append(value)
    order = list(symptoms.FAILURES)
    for key in sorted(shown, key=lambda key: order.index(key[0])):
        failure, name, threshold, side, other = key
        lines.append(
            f"| {failure} | `{name}` | {side} {threshold:g} "
            f"| {_range(healthy.get((name, other), []))} | {_range(shown[key])} |"
        )
    return lines


def runs(rows: Rows) -> list[str]:
    """Return a table of all trials with the ranges of their figures and their diagnoses."""
    lines = [
        f"| runs | seeds | {' | '.join(COLUMNS)} | diagnosis |",
        "|---" * (len(COLUMNS) + 3) + "|",
    ]
    for trial in TRIALS:
        seeds = _set_on(rows, trial)
        if not seeds:
            continue
        cells = [
            _range(found[name] for found in seeds if name in found) for name in COLUMNS.values()
        ]
        counts: dict[str, int] = {}
        for found in seeds:
            for failure in symptoms.evidence_of(found) or ("healthy",):
                counts[failure] = counts.get(failure, 0) + 1
        diagnosis = ", ".join(
            name if count == len(seeds) else f"{name} ({count})" for name, count in counts.items()
        )
        lines.append(f"| {trial.name} | {len(seeds)} | {' | '.join(cells)} | {diagnosis} |")
    return lines


def _set_on(rows: Rows, trial: Trial) -> list[Figures]:
    """Return the figures of a trial's runs that the thresholds were set on."""
    seeds = rows.get(trial.name, {}).get("seeds", {})
    return [seeds[str(seed)] for seed in SEEDS if str(seed) in seeds]


def _other_kind(name: str, found: Figures) -> bool:
    """Return True if the figure of this run has a threshold of its own kind."""
    return {"apart": "input_effect", "swing": "certainty_swing"}.get(name) in found


def _range(values: Iterable[float]) -> str:
    values = sorted(values)
    if not values:
        return "–"
    low, high = (f"{value:.2g}" for value in (values[0], values[-1]))
    return low if low == high else f"{low} to {high}"
