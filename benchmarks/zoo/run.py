"""Training of entries in their own processes, their measures, and records for the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from benchmarks.zoo.entries import Entry
from fastgan.data import BatchLoader, ImageDataset, image_grid, save_png, to_uint8
from fastgan.evaluation.measures import Measures, evaluate
from fastgan.evaluation.plan import SAMPLES
from fastgan.files import write_atomic
from fastgan.inference.samples import unseen, view_rows
from fastgan.metrics.figures import OF_TARGETS
from fastgan.recipes import ImageSpec
from fastgan.seeds import derive_seed
from fastgan.training.checkpoint import restore
from fastgan.training.loop import next_batch
from fastgan.training.run_dir import RunDir, find_checkpoint
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

COLUMNS, ROWS = 16, 4
VIEWS = 6  # rows of grids with inputs, once all of them are there
TIMED_STEPS = 16  # enough for each lazy term's turn


@dataclass(frozen=True)
class Outcome:
    """Outcome of an entry.

    Args:
        speed: images per second of one core.
        parameters: numbers of parameters by network.
        views: rows of the grid.
    """

    name: str
    command: str
    images: int
    speed: float
    parameters: dict[str, int]
    samples: int
    untrained: Measures
    trained: Measures
    views: list[str] = field(default_factory=list)


def outcome_file(root: Path, entry: Entry) -> Path:
    return root / entry.name / "outcome.json"


def load_outcome(root: Path, entry: Entry) -> Outcome | None:
    """Return the recorded outcome of this command, or None if it hasn't run."""
    path = outcome_file(root, entry)
    if not path.exists():
        return None
    found = Outcome(**json.loads(path.read_text()))
    return found if found.command == entry.command else None


def run_entries(root: Path, entries: Sequence[Entry], jobs: int) -> None:
    """Run entries that aren't done, several at a time, each in a process of one thread.

    Small networks gain little by more threads. Later entries usually take longer, so they start
    first.

    Raises:
        subprocess.CalledProcessError: training fails; its message is on the terminal.
    """
    command = [sys.executable, "-m", "benchmarks.zoo", "--out", str(root), "--jobs", "0"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    waiting = [entry.name for entry in reversed(entries) if load_outcome(root, entry) is None]
    with ThreadPoolExecutor(jobs) as pool:
        for _ in pool.map(
            lambda name: subprocess.run([*command, name], check=True, env=environment), waiting
        ):
            pass


def run_entry(root: Path, entry: Entry) -> Outcome:
    """Train an entry, or continue an earlier call; nothing is done twice.

    Raises:
        subprocess.CalledProcessError: training fails; its message is on the terminal.
    """
    if (kept := load_outcome(root, entry)) is not None:
        return kept
    folder = RunDir(root / entry.name / "run")
    resume = ["--resume"] if folder.config.exists() else []
    subprocess.run(
        [
            sys.executable,
            "-m",
            "fastgan",
            "train",
            entry.name,
            *entry.arguments,
            # Outcomes don't depend on the CPU.
            "--precision",
            "fp32",
            "--out",
            str(folder.root),
            *resume,
        ],
        check=True,
    )
    outcome = measured(entry, folder)
    write_atomic(
        outcome_file(root, entry), [json.dumps(asdict(outcome), indent=2).encode() + b"\n"]
    )
    return outcome


def measured(entry: Entry, folder: RunDir) -> Outcome:
    """Measure a finished run and its initial networks; draw its grid next to the run's folder."""
    found = find_checkpoint(folder.root)
    recipe, run = found.saved.config.recipe, found.saved.config.settings
    dataset = run.open_data(recipe)
    state = TrainState.create(recipe, ImageSpec.of(dataset))
    shown = unseen(recipe, dataset)
    metrics = (
        ("fd", *(OF_TARGETS if recipe.paired else ())) if recipe.translates else ("modes", "fd")
    )
    samples = min(SAMPLES, len(shown)) if recipe.translates else None
    before = evaluate(recipe, state.sampler, shown, metrics, samples=samples)
    restore(state, found.saved, found.path)
    after = evaluate(recipe, state.sampler, shown, metrics, samples=samples)
    seed, rows = derive_seed(run.seed, "grid"), VIEWS if recipe.translates else ROWS
    views, images = view_rows(
        recipe, state.sampler, seed=seed, rows=rows, columns=COLUMNS, dataset=shown
    )
    save_png(folder.root.parent / "grid.png", image_grid(to_uint8(images), COLUMNS, padding=0))
    images_shown = state.nimg
    parameters = {
        name: sum(p.numel() for p in network.parameters())
        for name, network in state.networks.items()
    }
    return Outcome(
        entry.name,
        entry.command,
        images_shown,
        speed(state, dataset),
        {name: count for name, count in parameters.items() if count},
        after["settings"]["samples"],
        before["measures"],
        after["measures"],
        list(views),
    )


def speed(state: TrainState, dataset: ImageDataset) -> float:
    """Return images per second of one core in further steps, by the processor's time."""
    step, recipe = TrainStep(state), state.recipe
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with BatchLoader(dataset, seed=state.seed, start=state.nimg, batch=recipe.batch) as batches:
        step([next_batch(batches) for _ in range(step.batches)])
        nimg, began = state.nimg, time.process_time()
        for _ in range(TIMED_STEPS):
            step([next_batch(batches) for _ in range(step.batches)])
        seconds = time.process_time() - began
    torch.set_num_threads(before)
    return (state.nimg - nimg) / seconds
