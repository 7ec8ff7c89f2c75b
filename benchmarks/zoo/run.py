"""Trains one entry in a process of its own, measures it, and keeps what the page shows of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.zoo.entries import Entry
from fastgan.data import image_grid, open_dataset, save_png, to_uint8
from fastgan.recipes import ImageSpec
from fastgan.train.checkpoint import restore
from fastgan.train.files import write_atomic
from fastgan.train.log import read_log
from fastgan.train.measures import Measures, evaluate
from fastgan.train.run_dir import RunDir, find_checkpoint
from fastgan.train.samples import sample_images
from fastgan.train.state import TrainState, derive_seed

METRICS = ("modes", "fd")
COLUMNS, ROWS = 16, 4


@dataclass(frozen=True)
class Outcome:
    """What one entry came to. seconds: trained, without measures. parameters: by network, those that learn."""

    name: str
    command: str
    images: int
    seconds: float
    parameters: dict[str, int]
    samples: int
    untrained: Measures
    trained: Measures


def outcome_file(root: Path, entry: Entry) -> Path:
    return root / entry.name / "outcome.json"


def load_outcome(root: Path, entry: Entry) -> Outcome | None:
    """What was kept of this very command, None if it has yet to run."""
    path = outcome_file(root, entry)
    if not path.exists():
        return None
    found = Outcome(**json.loads(path.read_text()))
    return found if found.command == entry.command else None


def run_entry(root: Path, entry: Entry) -> Outcome:
    """Trains, or goes on where an earlier call was stopped; nothing is done twice.

    Raises subprocess.CalledProcessError where training fails; what it says is on the terminal.
    """
    if (kept := load_outcome(root, entry)) is not None:
        return kept
    folder = RunDir(root / entry.name / "run")
    resume = ["--resume"] if folder.config.exists() else []
    subprocess.run(
        [sys.executable, "-m", "fastgan", "train", entry.name, *entry.arguments, "--out", str(folder.root), *resume],
        check=True,
    )  # fmt: skip
    outcome = measured(entry, folder)
    write_atomic(outcome_file(root, entry), [json.dumps(asdict(outcome), indent=2).encode() + b"\n"])
    return outcome


def measured(entry: Entry, folder: RunDir) -> Outcome:
    """Measures a finished run and the networks it started from; draws its grid beside the run's folder."""
    found = find_checkpoint(folder.root)
    recipe = found.saved.config.recipe
    dataset = open_dataset(recipe.data, resolution=recipe.resolution)
    state = TrainState.create(recipe, ImageSpec(dataset.channels, dataset.resolution, dataset.num_classes))
    before = evaluate(recipe, state.sampler, dataset, METRICS)
    restore(state, found.saved, found.path)
    after = evaluate(recipe, state.sampler, dataset, METRICS)
    images = to_uint8(
        sample_images(recipe, state.sampler, COLUMNS * ROWS, seed=derive_seed(recipe.seed, "grid"))
    )
    save_png(folder.root.parent / "grid.png", image_grid(images, COLUMNS, padding=0))
    parameters = {
        name: sum(p.numel() for p in network.parameters()) for name, network in state.networks.items()
    }
    return Outcome(
        entry.name,
        entry.command,
        state.nimg,
        read_log(folder.log)[-1]["seconds"],
        {name: count for name, count in parameters.items() if count},
        after["settings"]["samples"],
        before["measures"],
        after["measures"],
    )
