"""Learning experiment: a recipe, its settings, the figures to measure and their bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from benchmarks.bounds import Bound, failures
from fastgan.cli.train import parse_run
from fastgan.data import BatchLoader, ImageDataset
from fastgan.inference.samples import data_rows, evaluation, sample_images, unseen
from fastgan.recipes import Batch, ImageSpec, Recipe
from fastgan.training.loop import next_batch
from fastgan.training.run_settings import RunSettings
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

Figures = dict[str, float]


class Trial:
    """One run of a recipe, without files: networks before, during and after training.

    Args:
        recipe: settings of the recipe.
        run: settings of the run, with its length and seed.
        dataset: training images.
    """

    def __init__(self, recipe: Recipe, run: RunSettings, dataset: ImageDataset) -> None:
        self.recipe = recipe.settled(run.total_images)
        self.run, self.dataset = run, dataset
        self.unseen = unseen(recipe, dataset)
        self.state = TrainState.create(self.recipe, ImageSpec.of(dataset), seed=run.seed)

    def learn(self, images: int | None = None) -> None:
        """Train until `images` images were shown, `run.total_images` by default."""
        step = TrainStep(self.state)
        with BatchLoader(
            self.dataset,
            seed=self.run.seed,
            start=self.state.nimg,
            batch=self.recipe.batch,
            device="cpu",
        ) as batches:
            while self.state.nimg < (images or self.run.total_images):
                step([next_batch(batches) for _ in range(step.batches)])

    def rows(self, count: int) -> Batch:
        """Return the first held-out rows, for recipes that translate."""
        rows = data_rows(self.recipe, self.state.networks, self.unseen, range(count))
        assert rows is not None
        return rows

    def samples(self, count: int, *, of: ImageDataset | None = None) -> Tensor:
        """Return generated images, float32 `[count, C, H, W]`.

        Recipes that translate make them from held-out rows, or from rows of the data set `of`.
        """
        dataset = of or self.unseen
        return sample_images(self.recipe, self.state.sampler, count, seed=0, dataset=dataset)

    def translate(self, **inputs: Tensor) -> Tensor:
        """Return translations of the inputs by the averaged networks."""
        with evaluation(self.state.sampler) as networks:
            return self.recipe.translate(networks, inputs, generator=torch.Generator())


@dataclass(frozen=True)
class Experiment:
    """Experiment that shows that a recipe learns.

    Attributes:
        recipe: name of the recipe, and of the experiment.
        settings: options of `fastgan train`, without `--seed`; `--images` is short for
            `--total-images`.
        dataset: function that returns the training images.
        measure: function that trains a trial and returns its figures, and those of baselines.
        bounds: limits by the name of a figure; a figure without one is only shown.
    """

    recipe: str
    settings: str
    dataset: Callable[[RunSettings], ImageDataset]
    measure: Callable[[Trial], Figures]
    bounds: Mapping[str, Bound] = field(default_factory=dict)

    def run(self, seed: int, precision: str = "fp32") -> Figures:
        """Train on one thread and return the figures."""
        options = self.settings.replace("--images ", "--total-images ").split()
        recipe, run = parse_run(
            self.recipe,
            ["--preset", "paper", *options, "--precision", precision, "--seed", str(seed)],
        )
        with _one_thread():
            figures = self.measure(Trial(recipe, run, self.dataset(run)))
        return {name: float(f"{figure:.4g}") for name, figure in figures.items()}

    def failures(self, figures: Figures, *, margin: float = 0.0) -> list[str]:
        """Return a text for each figure that doesn't pass its bound by the margin."""
        return failures(self.recipe, figures, self.bounds, margin=margin)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch on one thread within a block: with small layers two take twice as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
