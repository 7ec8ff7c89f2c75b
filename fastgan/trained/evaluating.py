"""Figures of trained networks, and data to compare them with."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastgan.data import ImageDataset
from fastgan.data.reading import Fit
from fastgan.evaluation.measures import evaluate
from fastgan.evaluation.plan import data_metrics
from fastgan.inference.errors import InferenceError
from fastgan.inference.samples import unseen
from fastgan.metrics.feature_networks import FeaturesName
from fastgan.metrics.figures import OF_TARGETS, Metric
from fastgan.metrics.real import MAX_REAL
from fastgan.trained.core import Core


class Evaluating(Core):
    """Figures of trained networks."""

    def evaluate(
        self,
        metrics: Metric | Sequence[Metric] | None = None,
        *,
        data: str | Path | ImageDataset | None = None,
        samples: int | None = None,
        seed: int = 0,
        real: int | None = MAX_REAL,
        features: FeaturesName | None = None,
        weights: str | Path | None = None,
    ) -> dict[str, float]:
        """Measure generated images against real ones.

        Args:
            metrics: "fd", "kd", "score", "prdc", "ppl", "modes"; "fid", "kid", "is"; "l1", "psnr",
                "ssim", "perceptual" for recipes with targets. None takes :meth:`default_metrics`.
            data: folder, name of a data set, or data set of real images; None takes the run's own.
            samples: number of generated images; None takes 2,000, or 25,600 for the modes of
                Stacked MNIST.
            seed: seed of the samples.
            real: limit of real images, evenly spread over a larger set; None takes all.
            features: "mobilenet", "digits", "faces" or "inception"; None takes "mobilenet", or
                "inception" for fid, kid and is.
            weights: file of Inception's weights.

        Returns:
            Figures by name, such as ``fd_mobilenet_v2``; docs/measures.md explains them.

        Raises:
            MetricError: a metric is unknown or can't be taken, or what it needs is missing.
            InferenceError: there is no data to compare with.
        """
        named: Sequence[str] = (metrics,) if isinstance(metrics, str) else metrics or ()
        dataset = self.open_data(data)
        found = evaluate(
            self.recipe,
            self.networks,
            dataset,
            named or self.default_metrics(dataset),
            features=features,
            weights=weights,
            samples=samples,
            seed=seed,
            real=real,
        )
        measures: dict[str, float] = found["measures"]
        return measures

    def default_metrics(self, dataset: ImageDataset) -> tuple[str, ...]:
        """Return the metrics that a data set has: fd, kd, prdc, and modes or those of targets.

        Points have modes alone.
        """
        if dataset.resolution == 1:
            return data_metrics(dataset)
        of_targets = OF_TARGETS if self.recipe.paired else ()
        return ("fd", "kd", "prdc", *data_metrics(dataset), *of_targets)

    def open_data(
        self,
        data: str | Path | ImageDataset | None = None,
        *,
        fit: Fit | None = None,
        range: str | None = None,
    ) -> ImageDataset:
        """Open images to compare with or to translate: held-out ones where there are any.

        Warns if the run's own data has changed since.

        Args:
            data: folder, name of a data set, or data set; None takes the run's own.
            fit, range: as in :meth:`reading`.

        Raises:
            InferenceError: a network without a run has no data of its own.
            DataError: the data can't be opened.
        """
        if isinstance(data, ImageDataset):
            return unseen(self.recipe, data)
        if data is None and self.config is None:
            raise InferenceError(
                "A network without a run has no data of its own: name some in `data`."
            )
        spec = self._image_spec
        if spec is None or (spec.channels not in (1, 3) and self.config is None):
            raise InferenceError(
                f"Only square grey and colour images can be measured, but this network makes "
                f"{self._size}."
            )
        reading = {"fit": fit, "range": range}
        changed: dict[str, Any] = {name: x for name, x in reading.items() if x is not None}
        if data is not None:
            changed["data"] = str(data)
        settings = replace(self._settings, **changed)
        dataset = settings.open_data(self.recipe, spec)
        if (
            self.config is not None
            and not changed
            and dataset.fingerprint != self.config.data_fingerprint
        ):
            warnings.warn(
                f"{settings.data!r} no longer holds the images that this checkpoint was trained "
                "on.",
                stacklevel=2,
            )
        return unseen(self.recipe, dataset)
