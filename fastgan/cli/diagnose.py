"""`fastgan diagnose RUN`: name the failure of GAN training that a run shows, and remedies."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro

from fastgan.cli import UsageError, say
from fastgan.cli.parse import parse
from fastgan.diagnose import Diagnosis, Evidence, Figures, diagnose_run
from fastgan.files import write_atomic
from fastgan.runtime import tune_cpu_allocator

ILL = 3
"""Exit status for a run with a failure."""


@dataclass(frozen=True)
class DiagnoseOptions:
    """Name the failures of GAN training that a run shows, with numbers and remedies.

    The exit status is 3 if there are any.
    """

    run: tyro.conf.Positional[str]
    """The --out folder of a run, ended or still going."""
    out: str | None = None
    """JSON file for the figures, the failures and the remedies."""
    seed: int = 0
    """Seed of the samples that are examined."""


def run(arguments: list[str]) -> int:
    """Run `fastgan diagnose` with these arguments, and return the exit status."""
    options = parse(DiagnoseOptions, arguments, prog="fastgan diagnose")
    if options.seed < 0:
        raise UsageError(f"--seed must be at least 0, got {options.seed}.")
    if options.out is not None and Path(options.out).suffix.lower() != ".json":
        raise UsageError(f"--out must be a file that ends in .json, got {options.out!r}.")
    tune_cpu_allocator()
    found = diagnose_run(options.run, seed=options.seed)
    for line in _said(found):
        say(line)
    if options.out is not None:
        out = Path(options.out)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(out, [json.dumps(_plain(found), indent=2).encode() + b"\n"])
        say(f"Made {options.out}.")
    return 0 if found.healthy else ILL


def _said(found: Diagnosis) -> list[str]:
    names = ", ".join(symptom.name for symptom in found.symptoms) or "healthy"
    lines = [f"{found.recipe.name} after {found.nimg:,} images: {names}."]
    if found.unseen:
        lines.append(f"The diagnosis is of the log alone, without samples: {found.unseen}")
    lines += _measured(found.figures)
    for symptom in found.symptoms:
        lines += ["", f"{symptom.name[:1].upper()}{symptom.name[1:]}, shown by"]
        lines += [f"  {_shown(evidence)}" for evidence in symptom.evidence]
        if symptom.remedies:
            width = max(len(remedy.option) for remedy in symptom.remedies)
            lines += ["Remedies to try:"]
            lines += [f"  {remedy.option:<{width}}  {remedy.why}" for remedy in symptom.remedies]
    return lines


def _measured(figures: Figures) -> list[str]:
    """Return lines of figures that are of interest for healthy runs too."""
    lines = []
    if "certainty" in figures:
        lines.append(f"D's certainty: {figures['certainty']:.2f} (0: undecided, 1: never wrong)")
    if "l1" in figures:
        others = ", ".join(
            f"{name.removeprefix('l1_of_')} {value:.3g}"
            for name, value in figures.items()
            if name.startswith("l1_of_")
        )
        lines.append(f"L1 distance from the targets: {figures['l1']:.3g} ({others})")
    return lines


def _shown(evidence: Evidence) -> str:
    beyond = "over" if evidence.value > evidence.threshold else "under"
    return f"{evidence.says}: {evidence.value:.3g}, {beyond} {evidence.threshold:g}"


def _plain(found: Diagnosis) -> dict[str, Any]:
    return {
        "recipe": found.recipe.name,
        "nimg": found.nimg,
        "healthy": found.healthy,
        "figures": found.figures,
        "symptoms": [
            {
                "name": symptom.name,
                "evidence": [evidence._asdict() for evidence in symptom.evidence],
                "remedies": [remedy._asdict() for remedy in symptom.remedies],
            }
            for symptom in found.symptoms
        ],
        "unseen": found.unseen,
        "settings": asdict(found.recipe),
    }
