"""Recipe of a `fastgan train` that names none: the saved run's, or one that suits the data."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastgan.cli import UsageError
from fastgan.cli.parse import parse
from fastgan.data import Reading, open_dataset
from fastgan.training.config import RunOptions
from fastgan.training.distributed import choose_device
from fastgan.training.recipe_choice import DataFacts, choose_recipe, task_of_folder
from fastgan.training.run_dir import RunDir
from fastgan.training.run_settings import RunSettings

PROG = "fastgan train"


def with_recipe(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return a command line with a recipe in front of it, and lines for a person.

    With --resume it is the recipe of the run in --out. Otherwise it follows from the data and the
    device, and so do --conditional and --resolution unless they are there.

    Raises:
        UsageError: neither data nor a run to resume is named.
        DataError, ConfigError: the data or the run can't be read.
    """
    usual = RunSettings(data="", total_images=1)
    form = dataclasses.make_dataclass(
        "Data",
        [
            ("run", RunSettings, dataclasses.field(default=usual)),
            ("output", RunOptions, dataclasses.field(default_factory=RunOptions)),
        ],
    )
    asked: Any = parse(form, arguments, prog=PROG, partial=True)
    if asked.output.resume and asked.output.out is not None:
        config = RunDir(Path(asked.output.out)).find_config()
        if config is not None:
            return [config.recipe.name, *arguments], []
    if not asked.run.data:
        raise UsageError("The command needs a recipe, or --data to choose one by: see its --help.")
    task = task_of_folder(asked.run.data)
    reading = Reading(fit=asked.run.fit, range=asked.run.range)
    resolution = asked.run.resolution
    dataset = open_dataset(asked.run.data, resolution=resolution, task=task, reading=reading)
    device = choose_device(asked.output.device).type
    chosen = choose_recipe(DataFacts.of(dataset, task), device)
    given = {word.partition("=")[0].replace("_", "-") for word in arguments}
    more: list[str] = []
    if chosen.conditional and not given & {"--conditional", "--no-conditional"}:
        more.append("--conditional")
    if resolution is None:
        more += ["--resolution", str(chosen.resolution)]
    said = " ".join([chosen.recipe, *more])
    return [chosen.recipe, *arguments, *more], [f"Recipe {said}: {chosen.reason}."]
