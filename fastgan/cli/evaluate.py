"""`fastgan evaluate CHECKPOINT`: measure samples of a checkpoint against real images."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import tyro
from rich.table import Table

from fastgan.cli import UsageError, say
from fastgan.cli.environment import check_environment
from fastgan.cli.parse import parse
from fastgan.cli.tables import print_tables
from fastgan.data import save_png
from fastgan.data.reading import Fit
from fastgan.evaluation.measures import draw_neighbours, evaluate
from fastgan.evaluation.plan import make_plan
from fastgan.files import write_atomic
from fastgan.metrics.feature_networks import FeaturesName
from fastgan.metrics.figures import Metric, figures
from fastgan.metrics.real import MAX_REAL
from fastgan.names import printable
from fastgan.runtime import tune_cpu_allocator
from fastgan.trained import load
from fastgan.training.distributed import choose_device
from fastgan.training.state import TrainState


@dataclass(frozen=True)
class EvaluateOptions:
    """Measure samples of a checkpoint against real images, the run's own or others."""

    checkpoint: tyro.conf.Positional[str]
    """Checkpoint, folder of a run (its newest one), export (.safetensors) or StyleGAN2 (.pkl)."""
    metrics: tuple[Metric, ...] = ()
    """Metrics; without any fd, kd, prdc, modes if there is a classifier, and those of targets."""
    features: FeaturesName | None = None
    """Features for fd, kd, score and prdc; None is mobilenet, or inception for fid, kid and is."""
    weights: str | None = None
    """File of Inception's weights; None is the one that torch-fidelity downloads."""
    samples: int | None = None
    """Images to draw; None takes 2,000, or 25,600 for the modes of stacked-mnist."""
    seed: int = 0
    """Seed of the samples: the same seed measures the same images."""
    data: str | None = None
    """Data set to compare with; None is the run's own. A network without a run needs it."""
    fit: Fit | None = None
    """Way to make pictures square: crop, pad or stretch; None is the run's own, or crop."""
    range: str | None = None
    """Values LOW:HIGH of black and white in files above 8 bits, or auto; None is the run's."""
    real: int = MAX_REAL
    """Limit of real images, evenly spread over a larger set; 0 takes all."""
    untrained: bool = False
    """Measure the run's networks before training too."""
    out: str | None = None
    """JSON file for the figures and everything that they depend on."""
    neighbours: str | None = None
    """PNG file for the first samples, each beside the real images nearest to it."""
    neighbours_in: Literal["features", "pixels"] = "features"
    """Space in which neighbours are near."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device; auto takes a CUDA device if there is one."""


def run(arguments: list[str]) -> int:
    """Run `fastgan evaluate` with these arguments, and return the exit status."""
    options = parse(EvaluateOptions, arguments, prog="fastgan evaluate")
    _check(options)
    check_environment()
    tune_cpu_allocator()
    gan = load(options.checkpoint, device=choose_device(options.device))
    if gan.config is None and options.data is None:
        raise UsageError(
            "A network without a run has no data of its own: name what to compare with in --data."
        )
    if gan.config is None and options.untrained:
        raise UsageError("A network without a run has no start to measure: leave --untrained out.")
    dataset = gan.open_data(options.data, fit=options.fit, range=options.range)
    for note in dataset.notes:
        warnings.warn(note, stacklevel=1)
    metrics: tuple[str, ...] = options.metrics or gan.default_metrics(dataset)
    take = partial(
        evaluate,
        gan.recipe,
        dataset=dataset,
        metrics=metrics,
        features=options.features,
        weights=options.weights,
        samples=options.samples,
        seed=options.seed,
        real=options.real or None,
    )
    found = take(networks=gan.networks)
    if options.untrained and gan.config is not None:
        start = TrainState.create(
            gan.recipe,
            gan.config.image_spec,
            seed=gan.config.settings.seed,
            device=choose_device(options.device),
        )
        found["untrained"] = take(networks=start.sampler)["measures"]
    found["checkpoint"] = {"path": printable(options.checkpoint), "networks": printable(gan.origin)}
    say(f"{gan.origin}, against {_against(found)}.")
    _show(found)
    made = []
    if options.neighbours is not None:
        made.append(options.neighbours)
        features = make_plan(gan.recipe, dataset, metrics, features=options.features).features
        picture = draw_neighbours(
            gan.recipe,
            gan.networks,
            dataset,
            features=features if options.neighbours_in == "features" else None,
            weights=options.weights,
            seed=options.seed,
            real=options.real or None,
        )
        save_png(options.neighbours, picture)
    if options.out is not None:
        made.append(options.out)
        out = Path(options.out)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(out, [json.dumps(found, indent=2).encode() + b"\n"])
    if made:
        say(f"Made {' and '.join(made)}.")
    return 0


def _check(options: EvaluateOptions) -> None:
    """Raise UsageError for options that are out of range, and for files that can't be written."""
    for option, least in (("samples", 10), ("seed", 0), ("real", 0)):
        value = getattr(options, option)
        if value is not None and value < least:
            raise UsageError(f"--{option} must be at least {least}, got {value}.")
    for option, suffix in (("out", ".json"), ("neighbours", ".png")):
        name = getattr(options, option)
        if name is not None and Path(name).suffix.lower() != suffix:
            raise UsageError(f"--{option} must be a file that ends in {suffix}, got {name!r}.")
    if options.weights is not None and not Path(options.weights).is_file():
        raise UsageError(f"There is no file {options.weights!r} of weights: check --weights.")


def _against(found: dict[str, Any]) -> str:
    data, of = found["data"], found["settings"].get("features")
    if of:
        return f"{of['real_images']:,} images of {data['name']}"
    what = "classes" if "modes" in found["settings"]["metrics"] else "images"
    return f"the {what} of {data['name']}"


def _show(found: dict[str, Any]) -> None:
    title = f"measure of {found['settings']['samples']:,} samples"
    others = {
        heading: {figure.label: figure.value for figure in figures(found[name])}
        for name, heading in (("untrained", "untrained"), ("floors", "real images"))
        if found.get(name)
    }
    table = Table(title, "value", *others, "better", box=None)
    for label, value, better in figures(found["measures"]):
        table.add_row(label, value, *(other.get(label, "") for other in others.values()), better)
    print_tables(table)
