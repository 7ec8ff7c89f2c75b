"""Outcomes of the zoo that are kept, so that the page is written without training again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from benchmarks.zoo.entries import ENTRIES
from benchmarks.zoo.run import Outcome

RECORDS = Path(__file__).resolve().parents[1] / "records" / "zoo.json"


def read(path: Path = RECORDS) -> list[Outcome]:
    """Return kept outcomes in the order of the zoo's entries, then of seeds."""
    if not path.exists():
        return []
    return [Outcome(**kept) for kept in json.loads(path.read_text())]


def keep(outcomes: Iterable[Outcome], path: Path = RECORDS) -> list[Outcome]:
    """Add outcomes to the kept ones, and return all.

    An outcome replaces those of its recipe that have its seed or another command.
    """
    found = read(path)
    for new in outcomes:
        found = [
            old
            for old in found
            if old.name != new.name or (old.command == new.command and old.seed != new.seed)
        ]
        found.append(new)
    order = {entry.name: place for place, entry in enumerate(ENTRIES)}
    found = sorted(
        (outcome for outcome in found if outcome.name in order),
        key=lambda outcome: (order[outcome.name], outcome.seed),
    )
    path.write_text(json.dumps([asdict(outcome) for outcome in found], indent=1) + "\n")
    return found
