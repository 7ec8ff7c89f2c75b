"""Diagnosis of a run's folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastgan.data import DataError, to_float
from fastgan.diagnose.figures import LEAST_ROWS, NEIGHBOURS, Figures, log_figures, sample_figures
from fastgan.diagnose.symptoms import Symptom, symptoms_of
from fastgan.errors import FastganError
from fastgan.inference.samples import sample_images
from fastgan.metrics.real import spread
from fastgan.recipes import Recipe
from fastgan.seeds import derive_seed
from fastgan.trained import load
from fastgan.training.config import RunConfig
from fastgan.training.log import read_log
from fastgan.training.run_dir import RunDir


class DiagnoseError(FastganError):
    """The run can't be diagnosed; the message says what it lacks."""


@dataclass(frozen=True)
class Diagnosis:
    """Failures that a run shows.

    Attributes:
        nimg: images that the run has shown.
        figures: everything that was measured.
        symptoms: failures, the gravest first.
        unseen: reason why the samples weren't examined; empty if they were.
    """

    recipe: Recipe
    nimg: int
    figures: Figures
    symptoms: tuple[Symptom, ...]
    unseen: str = ""

    @property
    def healthy(self) -> bool:
        return not self.symptoms


def diagnose_run(folder: str | Path, *, seed: int = 0) -> Diagnosis:
    """Diagnose a run by its log, its measures and samples of its newest checkpoint.

    Samples are compared with the data of the run. Without the data or a checkpoint the log alone
    decides.

    Args:
        folder: folder of the run, which may still go on.
        seed: seed of the samples.

    Raises:
        DiagnoseError: there is no run, or its log is too short.
    """
    run = RunDir(Path(folder))
    config = run.saved_config() if run.root.is_dir() else None
    if config is None:
        raise DiagnoseError(
            f"There is no run in {str(folder)!r}: name the `out` folder of fastgan train."
        )
    rows = read_log(run.log)
    if len(rows) < LEAST_ROWS:
        raise DiagnoseError(
            f"A diagnosis needs {LEAST_ROWS} lines of log, got {len(rows)} in {str(run.log)!r}: "
            f"train longer, or with a lower `log_every`."
        )
    figures = log_figures(rows, config.recipe.d_loss_scale) | _measured(run)
    unseen = ""
    try:
        figures |= _of_samples(run, config, seed)
    except (FastganError, OSError) as error:
        unseen = str(error)
    return Diagnosis(
        config.recipe, int(rows[-1]["nimg"]), figures, symptoms_of(figures, config.recipe), unseen
    )


def _of_samples(run: RunDir, config: RunConfig, seed: int) -> Figures:
    gan = load(run.root)
    recipe = gan.recipe
    dataset = config.settings.open_data(recipe, gan.image_spec)
    if dataset.fingerprint != config.data_fingerprint:
        raise DataError(
            f"{config.settings.data!r} no longer holds the images that the run was trained on."
        )
    count = min(NEIGHBOURS, len(dataset))
    real = to_float(dataset.batch(spread(count, len(dataset)))[0])
    fake = sample_images(
        recipe, gan.networks, count, seed=derive_seed(seed, "diagnose"), dataset=dataset
    )
    return sample_figures(real, fake)


def _measured(run: RunDir) -> Figures:
    """Return the share of the data's classes that appear, by the run's own measures."""
    measures: dict[str, Any] = (
        json.loads(run.measures.read_text("utf-8")) if run.measures.exists() else {}
    )
    if "classes_hit" in measures:
        return {"classes_shown": measures["classes_hit"] / measures["num_classes"]}
    return {}
