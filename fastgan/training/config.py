"""Options of a run, and its configuration, which is saved beside it and in each checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from fastgan._version import __version__
from fastgan.data import ImageDataset
from fastgan.data.discovery import few
from fastgan.evaluation.plan import MeasureSettings
from fastgan.files import write_atomic
from fastgan.metrics.feature_networks import FeaturesName
from fastgan.metrics.figures import Metric
from fastgan.names import local_name, portable_name
from fastgan.recipes import ImageSpec, Recipe, RecipeError, get_recipe
from fastgan.recipes.fields import check_fields
from fastgan.recipes.registry import reference_of
from fastgan.training.defaults import Defaults
from fastgan.training.run_settings import ConfigError, RunSettings

WhichMeasures = Literal["auto", "none", Metric]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of a run that don't change what it learns.

    None of them changes the trained weights, except for rounding.

    Raises:
        ConfigError: a value isn't of its type or is out of range.
    """

    out: str | None = None
    """Folder for all files; None takes runs/RECIPE, or sweeps/RECIPE for a sweep."""
    resume: bool = False
    """Go on with the run in `out`, with its saved settings; start it if nothing is there yet."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device to train on; auto takes a CUDA device if there is one."""
    log_every: int = 1_000
    """Images between two lines of log.jsonl."""
    samples_every: int = 10_000
    """Images between two grids in samples/, always of the same noise."""
    checkpoint_every: int = 20_000
    """Images between two checkpoints."""
    keep: int = 3
    """Newest checkpoints to keep."""
    measure_every: int = 0
    """Images between two measures of the samples; best.pt keeps the best. 0 measures at the end."""
    measure: tuple[WhichMeasures, ...] = ("auto",)
    """Measures of the samples; auto takes those of the data, others add to it, none takes none."""
    measure_samples: int | None = None
    """Samples to measure; None takes 2,000, or 25,600 for the modes of stacked-mnist."""
    measure_features: FeaturesName | None = None
    """Features for fd, kd, score and prdc; None takes mobilenet, or inception for fid, kid, is."""
    measure_weights: str | None = None
    """File of Inception's weights; None takes the one that torch-fidelity downloads."""
    workers: int | None = None
    """Threads that prepare batches; None takes one per core for images on disk, else 0."""
    compile: Literal["off", "step"] = "off"
    """torch.compile: off, or step for one graph per update: slow to start, faster on a GPU."""
    deterministic: bool = False
    """Take deterministic algorithms alone on a GPU, so that equal runs give equal bits; slower."""
    graphs: Literal["auto", "on", "off"] = "auto"
    """CUDA graphs of updates: auto captures them on a GPU where that is possible."""

    @property
    def measuring(self) -> MeasureSettings:
        """Settings of the run's measures."""
        return MeasureSettings(
            self.measure, self.measure_features, self.measure_weights, self.measure_samples
        )

    def __post_init__(self) -> None:
        # One name from Python or from options of older runs.
        which = (self.measure,) if isinstance(self.measure, str) else self.measure
        object.__setattr__(self, "measure", which)
        check_fields(self, ConfigError)
        which = self.measure
        if "none" in which and len(which) > 1:
            raise ConfigError(
                f"`measure` none excludes other measures, got {' '.join(which)}: leave none out."
            )
        least = {
            "log_every": 1,
            "samples_every": 1,
            "checkpoint_every": 1,
            "keep": 1,
            "measure_every": 0,
            "measure_samples": 10,
            "workers": 0,
        }
        for option, limit in least.items():
            value = getattr(self, option)
            if value is not None and value < limit:
                raise ConfigError.of(option, f"at least {limit}", value)


@dataclass(frozen=True)
class Beginning:
    """Origin of the trained weights that a run began with.

    Attributes:
        source: path that the caller gave.
        file: name of the file that was read.
        sha256: SHA-256 of that file.
        title: description for a person.
        whole: averaged networks all of whose weights are from there.
    """

    source: str
    file: str
    sha256: str
    title: str
    whole: tuple[str, ...] = ()

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Beginning:
        """Undo ``asdict``, after JSON too. Raise TypeError for anything else."""
        return cls(**{**plain, "whole": tuple(plain.get("whole", ()))})


@dataclass(frozen=True)
class RunConfig:
    """Recipe, settings, data and first weights of a run. Two runs that share them are the same.

    Attributes:
        recipe: the GAN, with its settings.
        settings: data, length and seed.
        image_spec: images that the networks are built for.
        dataset: the data set's own name, for people.
        data_fingerprint: SHA-256 of the data set's content.
        beginning: trained weights that the run began with, None for weights drawn from the seed.
        defaults: origin of the values that the user didn't give, None if all come from a caller.
    """

    recipe: Recipe
    settings: RunSettings
    image_spec: ImageSpec
    dataset: str
    data_fingerprint: str
    beginning: Beginning | None = None
    defaults: Defaults | None = None

    @classmethod
    def of(cls, recipe: Recipe, settings: RunSettings, dataset: ImageDataset) -> RunConfig:
        """Return the configuration of a run on a data set.

        Raises:
            RecipeError: the recipe's networks can't be built for the data set's images.
        """
        images = ImageSpec.of(dataset)
        if not 1 <= images.channels <= 4:
            raise RecipeError(
                f"Images must have 1 to 4 channels (grey, grey and alpha, RGB, RGBA), got "
                f"{images.channels}: give each picture fewer."
            )
        recipe.check_data(dataset)
        return cls(recipe, settings, images, dataset.name, dataset.fingerprint)

    def to_plain(self) -> dict[str, Any]:
        """Return the configuration as strings, numbers, lists and dicts."""
        settings = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in (asdict(self.settings) | asdict(self.recipe)).items()
        }
        settings["data"] = portable_name(self.settings.data)
        reference = reference_of(type(self.recipe))
        began = {} if self.beginning is None else {"beginning": _plain(self.beginning)}
        return {
            "fastgan": __version__,
            "recipe": self.recipe.name,
            **({} if reference is None else {"recipe_class": reference}),
            "settings": settings,
            "images": self.image_spec.to_plain(),
            "dataset": self.dataset,
            "data_fingerprint": self.data_fingerprint,
            **began,
            **({} if self.defaults is None else {"defaults": asdict(self.defaults)}),
        }

    @classmethod
    def from_plain(cls, plain: Any) -> RunConfig:
        """Undo ``to_plain``.

        Raises:
            ConfigError, RecipeError: ``plain`` isn't such a configuration.
        """
        try:
            of_the_run, of_the_recipe = split_settings(plain["settings"])
            of_the_run["data"] = local_name(of_the_run["data"])
            return cls(
                get_recipe(plain["recipe"], plain.get("recipe_class")).from_settings(of_the_recipe),
                RunSettings(**of_the_run),
                ImageSpec.from_plain(plain["images"]),
                plain["dataset"],
                plain["data_fingerprint"],
                Beginning.from_plain(plain["beginning"]) if "beginning" in plain else None,
                Defaults(**plain["defaults"]) if "defaults" in plain else None,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"The saved configuration is incomplete or damaged ({error!r})."
            ) from error

    def settled(self, saved: RunConfig | None = None) -> RunConfig:
        """Return this configuration in the form that a run stores.

        Args:
            saved: configuration of the run that is resumed, None for a new run.

        Raises:
            RecipeError: the run can't go on with these settings.
        """
        recipe = self.recipe.settled(
            self.settings.total_images, None if saved is None else saved.recipe
        )
        kept = saved or self
        return replace(self, recipe=recipe, beginning=kept.beginning, defaults=kept.defaults)

    def check_resumable(self, new: RunConfig) -> None:
        """Check that ``new`` is this run, possibly with more images.

        Raises:
            ConfigError: it isn't; the message names the first difference.
        """
        ours, theirs = self.to_plain(), new.to_plain()
        pairs = [("recipe", ours["recipe"], theirs["recipe"])]
        pairs += [
            (f"`{name}`", value, theirs["settings"].get(name))
            for name, value in ours["settings"].items()
            if name not in (*self.recipe.extends, *_EXTENDS)
        ]
        for name, was, now in pairs:
            if was != now:
                raise ConfigError(
                    f"This run was started with {name} {_spelt(was)}, got {_spelt(now)}: leave it "
                    f"out to go on, or start another run in a new `out` folder."
                )
        self._check_classes(new)
        unnamed = replace(self.image_spec, class_names=new.image_spec.class_names)
        if unnamed != new.image_spec or self.data_fingerprint != new.data_fingerprint:
            raise ConfigError(
                f"This run was started on the data set {self.dataset!r}, but `data` "
                f"{new.settings.data} holds other images: give it the same data, or start another "
                f"run in a new `out` folder."
            )

    def _check_classes(self, new: RunConfig) -> None:
        """Raise ConfigError if a label of ``new`` has another meaning than here."""
        was, now = self.image_spec.class_names, new.image_spec.class_names
        if was == now or (not was and now == tuple(sorted(now))):
            return
        if not was:
            if self.image_spec.num_classes != len(now) or not getattr(
                self.recipe, "conditional", False
            ):
                return
            how = f"in the order {few(sorted(now), 4)}, but it's {few(now, 4)} now"
        elif not now:
            how = f"{few(was, 4)}, but `data` {new.settings.data} has none"
        elif sorted(was) == sorted(now):
            how = f"in the order {few(was, 4)}, but it's {few(now, 4)} now"
        else:
            gone = [name for name in was if name not in now]
            fresh = [name for name in now if name not in was]
            parts = [
                f"{what} {few(names)}" for what, names in (("lacks", gone), ("has", fresh)) if names
            ]
            how = f"{few(was, 4)}, but `data` {new.settings.data} {' and '.join(parts)}"
        raise ConfigError(
            f"This run was started with the classes {how}: name them as they were, or start "
            f"another run in a new `out` folder."
        )


def split_settings(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split saved settings into those of the run and those of its recipe."""
    names = {entry.name for entry in fields(RunSettings)}
    of_the_run = {name: value for name, value in settings.items() if name in names}
    return of_the_run, {name: value for name, value in settings.items() if name not in names}


def _plain(beginning: Beginning) -> dict[str, Any]:
    return asdict(beginning) | {"whole": list(beginning.whole)}


def _spelt(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def save_config(path: Path, config: RunConfig) -> None:
    """Write a configuration as JSON."""
    write_atomic(path, [json.dumps(config.to_plain(), indent=2).encode() + b"\n"])


def save_options(path: Path, options: RunOptions) -> None:
    """Write the options that a run keeps when the command line resumes it."""
    kept = {name: value for name, value in asdict(options).items() if name not in _OF_A_START}
    write_atomic(path, [json.dumps(kept, indent=2).encode() + b"\n"])


def load_options(path: Path, given: RunOptions) -> RunOptions:
    """Read the options of ``save_options``.

    Output folder, resume and device are those of ``given``. The result is ``given`` if the file
    can't be read.
    """
    try:
        kept = json.loads(path.read_text("utf-8"))
        return RunOptions(**kept, **{name: getattr(given, name) for name in _OF_A_START})
    except (OSError, ValueError, TypeError, ConfigError):
        return given


_OF_A_START = ("out", "resume", "device")
_EXTENDS = ("total_images", "data")
"""Settings of a run that may change at a resume; data is compared by what it holds."""


def load_config(path: Path) -> RunConfig:
    """Read the configuration of ``save_config``.

    Raises:
        ConfigError, RecipeError: the file can't be read; the message names ``path``.
    """
    try:
        plain = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"The configuration {str(path)!r} can't be read ({error}).") from error
    return RunConfig.from_plain(plain)
