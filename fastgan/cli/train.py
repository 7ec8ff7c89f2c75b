"""`fastgan train RECIPE`: train a GAN, or go on with a run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import tyro
from rich.console import Console

from fastgan.cli import UsageError, with_options
from fastgan.cli.choose import with_recipe
from fastgan.cli.environment import check_environment
from fastgan.cli.parse import parse
from fastgan.data.reading import Fit
from fastgan.names import printable
from fastgan.recipes import RECIPES, Recipe, RecipeError, import_recipe
from fastgan.recipes.base import hint_for
from fastgan.runtime import tune_cpu_allocator
from fastgan.training.auto_preset import AnyPreset, Asked, resolve
from fastgan.training.budget import images_in
from fastgan.training.config import ConfigError, RunOptions
from fastgan.training.defaults import Defaults
from fastgan.training.distributed import choose_device
from fastgan.training.loop import train
from fastgan.training.progress import duration, say
from fastgan.training.report import measures_sentence
from fastgan.training.resume import saved_run
from fastgan.training.run import RunResult
from fastgan.training.run_dir import RunDir
from fastgan.training.run_settings import RunSettings
from fastgan.training.transfer import Source, read_source, source_settings

USAGE = "\n".join(
    [
        "usage: fastgan train [RECIPE] [OPTIONS]",
        "",
        "recipes:",
        *(
            f"  {name:<{max(map(len, RECIPES))}}  {recipe.summary}"
            for name, recipe in RECIPES.items()
        ),
        "",
        "RECIPE may also be module:Class, a recipe of your own.",
        "fastgan train --data DATA chooses a recipe by the data and the device.",
        "fastgan train RECIPE --help shows a recipe's options.",
    ]
)


@dataclasses.dataclass(frozen=True)
class Budget:
    """Time of a run."""

    hours: float | None = None
    """Hours that the run may take, in place of --total-images: the first steps are timed."""


_From = Annotated[
    str | None,
    tyro.conf.arg(
        name="from",
        help="Trained weights to begin with: a run's folder (its newest checkpoint), a checkpoint, "
        "an export as safetensors, or a StyleGAN2 file of another program.",
    ),
]


_Preset = Annotated[
    AnyPreset,
    tyro.conf.arg(
        help="Defaults of the other options: the paper's, or those of small networks for a CPU or "
        "an hour; auto chooses by device, budget and resolution. --preset small --help shows them.",
    ),
]


@dataclasses.dataclass(frozen=True)
class FirstLook:
    """Options that the defaults of the others depend on."""

    preset: AnyPreset = "auto"
    data: str | None = None
    resolution: int | None = None
    fit: Fit = "crop"
    total_images: int | None = None
    hours: float | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    from_: _From = None

    def asked(self, *, help: bool) -> Asked:
        """Return what the preset depends on; no data are opened, and auto is paper, for the help.

        Raises:
            ConfigError: options exclude each other.
        """
        preset, resolution, device = self.preset, self.resolution, "cpu"
        if not help:
            device = choose_device(self.device).type
        else:
            preset, resolution = "paper" if preset == "auto" else preset, resolution or 32
        return Asked(
            preset=preset,
            data=self.data,
            resolution=resolution,
            fit=self.fit,
            total_images=self.total_images,
            hours=self.hours,
            device=device,
            begins_trained=self.from_ is not None,
        )


def run(arguments: list[str]) -> int:
    """Run `fastgan train` with these arguments, and return the exit status."""
    if not arguments or arguments[0] in ("--help", "-h"):
        print(USAGE)
        return 0
    chosen: list[str] = []
    if arguments[0].startswith("-"):
        arguments, chosen = with_recipe(arguments)
    name, *rest = arguments
    start = parse_start(name, rest)
    check_environment()
    tune_cpu_allocator()
    console = OptionsConsole(quiet=not _speaks())
    for line in [*chosen, *start.news]:
        say(console, line)
    dataset = None
    if start.hours is not None:
        dataset = start.settings.open_data(start.recipe)
        device = choose_device(start.options.device)
        images, speed = images_in(start.hours, start.recipe, start.settings, dataset, device)
        say(console, f"`total_images` {images:,}: {start.hours:g} h at {speed:,.0f} images/s.")
        # Schedules of the preset depend on the length.
        start = parse_start(name, rest, total_images=images)
    result = train(
        start.recipe,
        start.settings,
        start.options,
        dataset=dataset,
        init_from=start.init_from,
        defaults=start.defaults,
        console=console,
    )
    if not console.quiet:
        print_result(console, result)
    return 0 if result.stopped_by is None else 128 + result.stopped_by


class OptionsConsole(Console):
    """Console on which settings in backticks are options."""

    @staticmethod
    def spell(text: str) -> str:
        return with_options(text)


class Start(NamedTuple):
    """Run that a command line describes.

    Attributes:
        init_from: trained weights to begin with.
        news: lines for a person.
        hours: time of the run, from which its length follows; None for the length in `settings`.
        defaults: preset of the values that aren't in the command line; None with --resume.
    """

    recipe: Recipe
    settings: RunSettings
    options: RunOptions
    init_from: str | Source | None = None
    news: Sequence[str] = ()
    hours: float | None = None
    defaults: Defaults | None = None


def parse_run(name: str, arguments: list[str]) -> tuple[Recipe, RunSettings]:
    """Return the recipe and the run's settings of a command line, as `parse_start` reads them."""
    start = parse_start(name, arguments)
    return start.recipe, start.settings


def parse_start(name: str, arguments: list[str], *, total_images: int | None = None) -> Start:
    """Return the run that a command line describes.

    Options that aren't there are those of the saved run with --resume, if there is one. With --from
    sizes of networks and the resolution are those of the trained weights.

    Args:
        name: recipe.
        arguments: its options.
        total_images: length that was measured for --hours; None if it wasn't yet.

    Raises:
        UsageError: the command line is wrong.
        FastganError: the saved run or the trained weights can't be read.
    """
    prog = f"fastgan train {name}"
    recipe = _recipe_of(name, arguments, prog)
    form = form_of(recipe, ("budget", Budget, dataclasses.field(default_factory=Budget)))
    default = _saved_run(form, arguments, recipe, prog) if _resumes(arguments) else None
    if default is None:
        return fill(form, recipe, arguments, prog, total_images)
    given: Any = parse(form, arguments, prog=prog, default=default, elsewhere=other_recipes)
    hours = given.budget.hours
    if hours is not None:
        check_hours(arguments)
    if given.preset != default.preset:
        raise ConfigError(
            f"This run was started with `preset` {default.preset}, got {given.preset}: leave it "
            f"out to go on, or start another run in a new `out` folder."
        )
    kept = f"The run keeps its `total_images`, {given.run.total_images:,}."
    news = [] if hours is None else [kept]
    return Start(given.recipe, given.run, given.output, given.from_, news)


def fill(
    form: Any,
    recipe: type[Recipe],
    arguments: Sequence[str],
    prog: str,
    total_images: int | None = None,
) -> Start:
    """Return a new run that a command line describes, with the defaults of its preset.

    Args:
        form: dataclass of `form_of`.
        recipe: class of the recipe.
        arguments: options of the command line.
        prog: name of the command.
        total_images: length that was measured for --hours; None if it wasn't yet.

    Raises:
        UsageError: the command line is wrong.
        FastganError: the data or the trained weights can't be read.
    """
    base, defaults = base_of(form, recipe, arguments, prog, total_images)
    given: Any = parse(form, arguments, prog=prog, default=base, elsewhere=other_recipes)
    hours = given.budget.hours
    if hours is not None:
        check_hours(arguments)
    start = from_source(given, base, lambda usual: parse(form, arguments, prog=prog, default=usual))
    return start._replace(defaults=defaults, hours=hours if total_images is None else None)


def base_of(
    form: Any,
    recipe: type[Recipe],
    arguments: Sequence[str],
    prog: str,
    total_images: int | None = None,
) -> tuple[Any, Defaults]:
    """Return a form with the defaults of a command line's preset, and their origin.

    Raises:
        UsageError: the command line is wrong.
        FastganError: the data can't be read, or the recipe has no such preset.
    """
    helps = bool({"--help", "-h"} & set(arguments))
    first = [argument for argument in arguments if argument not in ("--help", "-h")]
    asked = parse(FirstLook, first, prog=prog, partial=True).asked(help=helps)
    of_recipe, of_run, defaults = resolve(recipe, asked)
    if total_images is not None:
        settled = dataclasses.replace(
            asked, preset=defaults.preset, hours=None, total_images=total_images
        )
        of_recipe, of_run, _ = resolve(recipe, settled)
        of_run["total_images"] = total_images
    return form(recipe=recipe(**of_recipe), run=RunSettings.of(recipe, **of_run)), defaults


def check_hours(arguments: Sequence[str]) -> None:
    """Raise UsageError for --hours where the length of the run is settled otherwise."""
    if any(word.partition("=")[0].replace("_", "-") == "--total-images" for word in arguments):
        raise UsageError("--hours and --total-images exclude each other: leave one of them out.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            "--hours times the steps of one process, but torchrun started several: give "
            "--total-images."
        )


def other_recipes(written: str) -> str:
    """Return the hint that an option is one of other recipes; empty if it is of none."""
    return hint_for(written.strip("-").replace("-", "_"), ())


def from_source(given: Any, base: Any, parse_again: Callable[[Any], Any]) -> Start:
    """Return the run of a form, which is parsed again for the sizes of trained weights.

    Args:
        given: form of `form_of`, as parsed.
        base: form with the defaults that it was parsed with.
        parse_again: parses the command line with other defaults.

    Raises:
        FastganError: the trained weights can't be read.
    """
    recipe = type(given.recipe)
    if given.from_ is None or not _speaks():
        return Start(given.recipe, given.run, given.output, given.from_)
    source = read_source(given.from_)
    sizes = source_settings(source, recipe)
    if sizes is None:
        return Start(given.recipe, given.run, given.output, source)
    usual = dataclasses.replace(
        given,
        recipe=dataclasses.replace(base.recipe, **sizes),
        run=dataclasses.replace(base.run, resolution=source.images.resolution),
    )
    given = parse_again(usual)
    chosen = dataclasses.asdict(given.recipe) | {"resolution": given.run.resolution}
    taken = [
        f"--{setting.replace('_', '-')} {_spelt(value)}"
        for setting, value in (sizes | {"resolution": source.images.resolution}).items()
        if chosen[setting] == value
    ]
    news = [f"As {source.path} has it: {', '.join(taken)}."] if taken else []
    return Start(given.recipe, given.run, given.output, source, news)


def _speaks() -> bool:
    """Return True in the process, of those of torchrun, that reads and writes."""
    return int(os.environ.get("RANK", "0")) == 0


def _spelt(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _recipe_of(name: str, arguments: list[str], prog: str) -> type[Recipe]:
    """Return the recipe of a name, or that of the run to resume if it has this name."""
    try:
        return import_recipe(name)
    except RecipeError:
        if not _resumes(arguments):
            raise
        options = parse(RunOptions, arguments, prog=prog, partial=True)
        config = RunDir(Path(options.out or f"runs/{name}")).find_config()
        if config is None or config.recipe.name != name:
            raise
        return type(config.recipe)


def _resumes(arguments: list[str]) -> bool:
    return "--resume" in arguments and not {"--help", "-h"} & set(arguments)


def _saved_run(form: Any, arguments: list[str], recipe: type[Recipe], prog: str) -> Any:
    """Return the saved run's recipe, settings and options; None if there is no run.

    Options are parsed first, without settings of the recipe, which are checked with the saved ones.
    """
    saved = saved_run(recipe, parse(RunOptions, arguments, prog=prog, partial=True))
    if saved is None:
        return None
    config, kept = saved
    preset = "auto" if config.defaults is None else config.defaults.preset
    return form(recipe=config.recipe, run=config.settings, output=kept, preset=preset)


def print_result(console: Console, result: RunResult) -> None:
    """Print the figures of a run and the files that it made."""
    run, seconds = result.run, result.seconds
    speed = f", {result.nimg / seconds:,.0f} images/s" if seconds else ""
    lines = [
        f"{result.nimg:,} images in {duration(seconds)}{speed}.",
        f"Not measured: {result.unmeasured}"
        if result.unmeasured
        else measures_sentence(result.measures),
        "Made:",
    ]
    made = {
        run.samples: "samples",
        run.curves: "losses, D(real) and D(fake)",
        run.report: "the whole report in one page",
        run.latest_checkpoint: "checkpoint",
        run.best_checkpoint: "the checkpoint with the best measure",
    }
    there = {path: what for path, what in made.items() if path is not None and path.exists()}
    width = max(len(printable(path)) for path in there)
    lines += [f"  {printable(path):<{width}}  {what}" for path, what in there.items()]
    for line in filter(None, lines):
        say(console, line)


def form_of(recipe: type[Recipe], *more: tuple[str, Any, Any]) -> Any:
    """Return a dataclass of the recipe, the run's settings and its options.

    Args:
        recipe: class of the recipe.
        more: further fields, which come first in the help.
    """
    form = dataclasses.make_dataclass(
        "TrainForm",
        [
            *more,
            ("recipe", recipe, dataclasses.field(default_factory=recipe)),
            ("run", RunSettings, dataclasses.field(default=RunSettings.of(recipe))),
            ("output", RunOptions, dataclasses.field(default_factory=RunOptions)),
            ("preset", _Preset, dataclasses.field(default="auto")),
            ("from_", _From, dataclasses.field(default=None)),
        ],
    )
    form.__doc__ = recipe.__doc__
    return form
