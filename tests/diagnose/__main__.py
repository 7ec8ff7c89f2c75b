"""Train the runs of `catalogue`, record their figures, and write the tables of docs/diagnose.md.

    python -m tests.diagnose [TRIAL...] [--seeds 0 1 2 3] [--folder FOLDER] [--again]

Runs recorded with today's settings are skipped, unless `--again` is set. Runs that are kept in
FOLDER are only diagnosed anew. Without names all trials run, one seed after the other.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from fastgan.cli.train import parse_run
from fastgan.diagnose import diagnose_run
from fastgan.diagnose.figures import Figures
from fastgan.training import train
from tests.diagnose import record
from tests.diagnose.catalogue import HELD_OUT, SEEDS, TRIALS, Trial


def figures_of(trial: Trial, seed: int, folder: Path) -> Figures:
    """Train a run in a folder, unless it is there, and return its figures."""
    if not list((folder / "checkpoints").glob("*.pt")):
        shutil.rmtree(folder, ignore_errors=True)
        name, *options = trial.options.split()
        recipe, run = parse_run(name, ["--preset", "paper", *options, "--seed", str(seed)])
        result = train(
            replace(recipe, precision="fp32"), run, out=str(folder), device="cpu",
            log_every=run.total_images // 32, samples_every=run.total_images,
            measure_samples=500, console=None,
        )  # fmt: skip
        if result.stopped_by is not None:
            raise SystemExit(128 + result.stopped_by)
    diagnosis = diagnose_run(folder)
    if diagnosis.unseen:
        raise SystemExit(f"{trial.name}, seed {seed}: {diagnosis.unseen}")
    return {name: float(f"{value:.4g}") for name, value in diagnosis.figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.diagnose", description=__doc__.partition("\n")[0]
    )
    names = [trial.name for trial in TRIALS]
    parser.add_argument("trials", nargs="*", metavar="TRIAL", help="all without any")
    parser.add_argument("--seeds", nargs="+", type=int, default=[*SEEDS, HELD_OUT])
    parser.add_argument("--folder", type=Path, help="folder to keep the runs in")
    parser.add_argument("--again", action="store_true", help="repeat runs that are recorded")
    given = parser.parse_args()
    if unknown := sorted(set(given.trials) - set(names)):
        parser.error(f"TRIAL must be one of {', '.join(names)}, got {', '.join(unknown)}")
    torch.set_num_threads(1)
    for seed in given.seeds:
        for trial in TRIALS:
            rows = record.read()
            known = record.figures(rows, trial, seed)
            if (given.trials and trial.name not in given.trials) or (known and not given.again):
                continue
            start = time.process_time()
            with tempfile.TemporaryDirectory() as temporary:
                folder = (given.folder or Path(temporary)) / f"{trial.name} {seed}"
                found = figures_of(trial, seed, folder)
            record.write(record.added(record.read(), trial, seed, found))
            print(f"{trial.name} {seed}: {time.process_time() - start:.0f} s {found}", flush=True)
    record.write(record.read())


if __name__ == "__main__":
    main()
