"""Training and diagnosis of one attempt, and its record."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import torch

from benchmarks.machine import cpu_model
from benchmarks.remedies.cases import CASES, SEEDS, Attempt, Case
from fastgan.cli.train import parse_run
from fastgan.data import save_png, to_float
from fastgan.data.images import image_grid, to_uint8
from fastgan.data.scatter import scatter
from fastgan.diagnose import diagnose_run, symptoms_of
from fastgan.files import write_atomic
from fastgan.metrics.real import spread
from fastgan.recipes import Recipe
from fastgan.trained import load
from fastgan.training import train
from fastgan.training.log import read_log
from fastgan.training.run_dir import RunDir

RECORDS = Path(__file__).with_name("records.json")
LINES = 32
"""Lines of a run's log."""
MEASURED, POINTS, TILES, COLUMNS = 2000, 512, 48, 8
NEVER = 10**9
CURVES = ("loss/D", "gradient/G")
"""Columns of the log that are drawn."""


@dataclass(frozen=True)
class Record:
    """Outcome of an attempt with one seed.

    Attributes:
        case, attempt, seed: what was run.
        command: its command line.
        figures: figures of the diagnosis, and measures.
        curves: columns of the log.
        seconds: processor time of training.
        machine: model of the processor.
    """

    case: str
    attempt: str
    seed: int
    command: str
    figures: dict[str, float]
    curves: dict[str, list[float]]
    seconds: float
    machine: str

    @cached_property
    def symptoms(self) -> dict[str, list[str]]:
        """Failures that `diagnose` names by the figures, and its suggestions for each."""
        recipe = recipe_of(self.command.partition(" --seed ")[0])
        found = symptoms_of(self.figures, recipe)
        return {s.name: [f"{r.option} ({r.why})" for r in s.remedies] for s in found}


@cache
def recipe_of(command: str) -> Recipe:
    """Return the recipe of a command line."""
    _, _, name, *arguments = command.split()
    return parse_run(name, arguments)[0]


def load_records(path: Path = RECORDS) -> list[Record]:
    """Return all records of a file, none if it isn't there."""
    return [Record(**entry) for entry in json.loads(path.read_text())] if path.exists() else []


def find_record(records: list[Record], case: Case, attempt: Attempt, seed: int) -> Record | None:
    """Return the record of an attempt; None if its command differs or it hasn't run."""
    command = case.command(attempt, seed)
    return next((record for record in records if record.command == command), None)


def state(case: Case, record: Record, broken: Record) -> str:
    """Return "broken" or "mended" where the diagnosis and the first figure agree, else "between".

    A mended run shows neither the failure nor one that the broken run with its seed doesn't show.
    """
    figure = record.figures[case.figures[0]]
    if case.failure in record.symptoms and case.is_broken(figure):
        return "broken"
    gone = record.symptoms.keys() <= broken.symptoms.keys() - {case.failure}
    return "mended" if gone and case.is_mended(figure) else "between"


def states(case: Case, attempt: Attempt, done: list[Record]) -> list[str]:
    """Return the states of an attempt, one for each seed; "missing" without a record."""
    found = []
    for seed in SEEDS:
        record = find_record(done, case, attempt, seed)
        broken = find_record(done, case, case.attempts[0], seed)
        found.append(state(case, record, broken) if record and broken else "missing")
    return found


def complete(case: Case, attempt: Attempt, seed: int, *, out: Path, records: Path) -> Record:
    """Run an attempt unless it is recorded, and record it."""
    done = load_records(records)
    if (kept := find_record(done, case, attempt, seed)) is not None:
        return kept
    record = run_attempt(case, attempt, seed, out / case.name / f"{attempt.name}-{seed}")
    known = [
        found
        for case in CASES
        for attempt in case.attempts
        for seed in SEEDS
        if (found := find_record([*done, record], case, attempt, seed))
    ]
    lines = ",\n".join(json.dumps(asdict(entry)) for entry in known)
    write_atomic(records, [f"[\n{lines}\n]\n".encode()])
    print(f"{case.name}, {attempt.name}, {seed}: {', '.join(record.symptoms) or 'healthy'}")
    return record


def run_attempt(case: Case, attempt: Attempt, seed: int, folder: Path) -> Record:
    """Train on one thread, diagnose, and save a picture of the samples beside the run.

    A folder in which the same command was trained is diagnosed again.
    """
    torch.set_num_threads(1)
    command = case.command(attempt, seed)
    seconds = train_attempt(case, attempt, seed, folder)
    diagnosis = diagnose_run(folder)
    draw_samples(folder)
    home = RunDir(folder)
    measured = json.loads(home.measures.read_text())
    figures = diagnosis.figures | {
        name: measured[name] for name in ("classes_hit", "near_modes") if name in measured
    }
    rows = read_log(home.log)
    return Record(
        case.name,
        attempt.name,
        seed,
        command,
        {name: rounded(value) for name, value in figures.items()},
        {name: [rounded(row[name]) for row in rows if name in row] for name in CURVES},
        seconds,
        cpu_model(),
    )


def train_attempt(case: Case, attempt: Attempt, seed: int, folder: Path) -> float:
    """Train unless the folder holds a run of this command; return the processor's seconds."""
    command, note = case.command(attempt, seed), folder / "trained.json"
    if note.exists() and (kept := json.loads(note.read_text()))["command"] == command:
        return float(kept["seconds"])
    shutil.rmtree(folder, ignore_errors=True)
    recipe, run = parse_run(case.recipe, case.arguments(attempt, seed))
    began = time.process_time()
    train(
        # Outcomes don't depend on the CPU.
        replace(recipe, precision="fp32"),
        run,
        out=str(folder),
        device="cpu",
        log_every=max(1, run.total_images // LINES),
        samples_every=NEVER,
        checkpoint_every=NEVER,
        measure_samples=MEASURED,
        console=None,
    )
    seconds = round(time.process_time() - began, 1)
    note.write_text(json.dumps({"command": command, "seconds": seconds}))
    return seconds


def rounded(value: float) -> float:
    """Return a value of four digits."""
    return float(f"{value:.4g}")


def draw_samples(folder: Path) -> None:
    """Save a grid of samples as picture.png; points are drawn over those of the data."""
    gan = load(folder)
    dataset = gan.open_data()
    if dataset.resolution == 1:
        real = to_float(dataset.batch(spread(POINTS, len(dataset)))[0])
        picture = scatter(gan.sample(POINTS), behind=real)
    else:
        picture = image_grid(to_uint8(gan.sample(TILES)), COLUMNS, padding=1)
    save_png(folder / "picture.png", picture)
