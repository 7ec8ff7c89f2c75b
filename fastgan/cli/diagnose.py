"""`fastgan diagnose RUN`: which failure of GAN training a run shows, and what may help."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro

from fastgan.cli import UsageError, say
from fastgan.cli.parse import parse
from fastgan.diagnose import Diagnosis, Evidence, diagnose_run
from fastgan.files import write_atomic
from fastgan.runtime import tune_cpu_allocator

ILL = 3
"""Exit status for a run that shows a failure."""


@dataclass(frozen=True)
class DiagnoseOptions:
    """Say which failure of GAN training a run shows, by which numbers, and what may help; exit status 3 if it shows one."""

    run: tyro.conf.Positional[str]
    """The --out folder of a run, ended or still going."""
    out: str | None = None
    """JSON file for the figures, the failures and the remedies."""
    seed: int = 0
    """Seed of the samples that are looked at."""


def run(arguments: list[str]) -> int:
    """Runs `fastgan diagnose` with these arguments; returns the exit status."""
    options = parse(DiagnoseOptions, arguments, prog="fastgan diagnose")
    if options.seed < 0:
        raise UsageError(f"--seed must be at least 0, but {options.seed} came.")
    if options.out is not None and Path(options.out).suffix.lower() != ".json":
        raise UsageError(f"--out must be a file that ends in .json, but {options.out!r} came.")
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
        lines.append(f"The log alone was judged, not the samples: {found.unseen}")
    for symptom in found.symptoms:
        lines += ["", f"{symptom.name[:1].upper()}{symptom.name[1:]}, seen by"]
        lines += [f"  {_shown(evidence)}" for evidence in symptom.evidence]
        if symptom.remedies:
            width = max(len(remedy.option) for remedy in symptom.remedies)
            lines += ["What may help:"]
            lines += [f"  {remedy.option:<{width}}  {remedy.why}" for remedy in symptom.remedies]
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
