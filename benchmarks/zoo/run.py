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
from functools import partial
from pathlib import Path

import torch

from benchmarks.machine import commit, cpu_model
from benchmarks.zoo.entries import Entry
from fastgan.data import BatchLoader, ImageDataset, image_grid, save_png, to_uint8
from fastgan.evaluation.measures import Measures, evaluate
from fastgan.evaluation.plan import SAMPLES
from fastgan.files import write_atomic
from fastgan.inference.samples import unseen, view_rows
from fastgan.metrics.feature_networks import FeaturesName
from fastgan.metrics.figures import OF_TARGETS
from fastgan.recipes import ImageSpec
from fastgan.runtime import versions
from fastgan.seeds import derive_seed
from fastgan.training.checkpoint import restore
from fastgan.training.log import read_log
from fastgan.training.loop import next_batch
from fastgan.training.run_dir import RunDir, find_checkpoint
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

COLUMNS, ROWS = 16, 4
VIEWS = 6  # rows of grids with inputs, once all of them are there
OWN_FEATURES: dict[str, FeaturesName] = {"mnist5k": "digits", "faces": "faces"}
"""Features of a data set's own domain; other sets have MobileNetV2's."""
TIMED_STEPS = 16  # enough for each lazy term's turn


@dataclass(frozen=True)
class Outcome:
    """Outcome of an entry with one seed.

    Args:
        seconds: time of the training.
        speed: images per second of one core.
        parameters: numbers of parameters by network.
        untrained, trained: measures before and after.
        floors: Fréchet distances of real images from other real images.
        machine: CPU and versions that it ran with.
        views: rows of the grid.
    """

    name: str
    command: str
    seed: int
    images: int
    seconds: float
    speed: float
    parameters: dict[str, int]
    samples: int
    untrained: Measures
    trained: Measures
    floors: Measures
    machine: dict[str, str]
    views: list[str] = field(default_factory=list)


def seed_folder(root: Path, entry: Entry, seed: int) -> Path:
    return root / entry.name / f"seed-{seed}"


def outcome_file(root: Path, entry: Entry, seed: int) -> Path:
    return seed_folder(root, entry, seed) / "outcome.json"


def load_outcome(root: Path, entry: Entry, seed: int = 0) -> Outcome | None:
    """Return the recorded outcome of this command, or None if it hasn't run."""
    path = outcome_file(root, entry, seed)
    if not path.exists():
        return None
    found = Outcome(**json.loads(path.read_text()))
    return found if found.command == entry.command else None


def run_entries(root: Path, runs: Sequence[tuple[Entry, int]], jobs: int) -> None:
    """Run entries and seeds that aren't done, several at a time, each in a process of one thread.

    Small networks gain little by more threads. Later entries usually take longer, so they start
    first.

    Raises:
        subprocess.CalledProcessError: training fails; its message is on the terminal.
    """
    command = [sys.executable, "-m", "benchmarks.zoo", "--out", str(root), "--jobs", "0"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def run(entry: Entry, seed: int) -> None:
        subprocess.run([*command, entry.name, "--seeds", str(seed)], check=True, env=environment)

    waiting = [
        (entry, seed) for entry, seed in reversed(runs) if load_outcome(root, entry, seed) is None
    ]
    with ThreadPoolExecutor(jobs) as pool:
        for _ in pool.map(lambda pair: run(*pair), waiting):
            pass


def run_entry(root: Path, entry: Entry, seed: int = 0) -> Outcome:
    """Train an entry, or continue an earlier call; nothing is done twice.

    Raises:
        subprocess.CalledProcessError: training fails; its message is on the terminal.
    """
    if (kept := load_outcome(root, entry, seed)) is not None:
        return kept
    folder = RunDir(seed_folder(root, entry, seed) / "run")
    resume = ["--resume"] if folder.config.exists() else []
    subprocess.run(
        [
            sys.executable,
            "-m",
            "fastgan",
            "train",
            entry.name,
            *entry.arguments,
            "--seed",
            str(seed),
            "--out",
            str(folder.root),
            *resume,
        ],
        check=True,
    )
    outcome = measured(entry, folder)
    write_atomic(
        outcome_file(root, entry, seed), [json.dumps(asdict(outcome), indent=2).encode() + b"\n"]
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
    take = partial(
        evaluate,
        recipe,
        dataset=shown,
        metrics=metrics,
        features=OWN_FEATURES.get(run.data),
        samples=samples,
    )
    before = take(networks=state.sampler)
    restore(state, found.saved, found.path)
    after = take(networks=state.sampler)
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
        run.seed,
        images_shown,
        round(read_log(folder.log)[-1]["seconds"], 1),
        round(speed(state, dataset), 1),
        {name: count for name, count in parameters.items() if count},
        after["settings"]["samples"],
        before["measures"],
        after["measures"],
        after["floors"],
        {"cpu": cpu_model(), "commit": commit()} | versions(),
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
