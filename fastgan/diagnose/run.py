"""Diagnosis of a run's folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from fastgan.data import DataError, ImageDataset, to_float
from fastgan.diagnose.answers import answer_figures, target_figures
from fastgan.diagnose.figures import LEAST_ROWS, Figures, log_figures
from fastgan.diagnose.images import quality_figures, sample_figures
from fastgan.diagnose.symptoms import Symptom, symptoms_of
from fastgan.errors import FastganError
from fastgan.inference.samples import data_rows, evaluation, sample_images, unseen
from fastgan.metrics.real import spread
from fastgan.recipes import Networks, Recipe
from fastgan.recipes.translation import Translation
from fastgan.seeds import derive_seed
from fastgan.trained import load
from fastgan.training.config import RunConfig
from fastgan.training.log import read_log
from fastgan.training.run_dir import RunDir

NEIGHBOURS = 256
"""Real images, and samples, that are compared."""
EXCHANGED = 64
"""Rows whose inputs are exchanged."""


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
    config = run.find_config()
    if config is None:
        raise DiagnoseError(f"There is no run in {str(folder)!r}: {_instead(Path(folder))}")
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


def _instead(path: Path) -> str:
    """Return what to name in place of a path that is no run's folder."""
    if path.is_file():
        root = next((str(p) for p in path.parents if RunDir(p).config.exists()), None)
        return "it is a file." if root is None else f"it is a file of the run, name {root!r}."
    runs = sorted([*path.glob("*/config.json"), *path.glob("trials/*/config.json")])
    if runs:
        return f"it is a folder of runs, name one of them, such as {str(runs[0].parent)!r}."
    return "name the `out` folder of fastgan train."


def _of_samples(run: RunDir, config: RunConfig, seed: int) -> Figures:
    gan = load(run.root)
    recipe = gan.recipe
    dataset = config.settings.open_data(recipe, gan.image_spec)
    if dataset.fingerprint != config.data_fingerprint:
        raise DataError(
            f"{config.settings.data!r} no longer holds the images that the run was trained on."
        )
    seed = derive_seed(seed, "diagnose")
    if isinstance(recipe, Translation):
        return _of_translations(recipe, gan.networks, dataset, seed)
    count = min(NEIGHBOURS, len(dataset))
    indices = spread(count, len(dataset))
    real, others = _images(dataset, indices), _images_without(dataset, indices)
    fake = sample_images(recipe, gan.networks, count, seed=seed)
    return sample_figures(real, fake) | quality_figures(real, fake, others)


def _of_translations(
    recipe: Translation, networks: Networks, dataset: ImageDataset, seed: int
) -> Figures:
    """Compare outputs of held-out rows with the real images of these rows, and with other ones."""
    held_out = unseen(recipe, dataset)
    count = min(NEIGHBOURS, len(held_out))
    trained = _images(dataset, spread(NEIGHBOURS, len(dataset)))
    # Without a held-out part the rows are images of the data as well.
    others = _images_without(dataset, torch.arange(count)) if held_out is dataset else trained
    with evaluation(networks) as networks:
        rows = data_rows(recipe, networks, held_out, range(count))
        assert rows is not None
        generator = Generator().manual_seed(seed)
        output = recipe.sample(networks, count, generator=generator, rows=rows).float()
        figures = target_figures(recipe, networks, rows, output, trained.mean(0))
        figures |= answer_figures(recipe, networks, rows.rows(slice(EXCHANGED)), seed)
    real, fake = rows.real.cpu(), output.cpu()
    return sample_figures(real, fake) | quality_figures(real, fake, others) | figures


def _images(dataset: ImageDataset, indices: Tensor) -> Tensor:
    return to_float(dataset.batch(indices)[0])


def _images_without(dataset: ImageDataset, indices: Tensor) -> Tensor:
    """Return images that aren't at these places, as many at most."""
    rest = torch.ones(len(dataset), dtype=torch.bool)
    rest[indices] = False
    others = rest.nonzero()[:, 0]
    return _images(dataset, others[spread(len(indices), len(others))])


def _measured(run: RunDir) -> Figures:
    """Return the share of the data's classes that appear, by the run's own measures."""
    measures: dict[str, Any] = (
        json.loads(run.measures.read_text("utf-8")) if run.measures.exists() else {}
    )
    if "classes_hit" in measures:
        return {"classes_shown": measures["classes_hit"] / measures["num_classes"]}
    return {}
