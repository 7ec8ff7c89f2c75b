"""`fastgan sweep RECIPE`: train at several values of settings, and compare the runs."""

from __future__ import annotations

import dataclasses
import re
import textwrap
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import tyro
from rich.table import Table
from rich.text import Text

from fastgan.cli import UsageError, option, say, with_options
from fastgan.cli.environment import check_environment
from fastgan.cli.parse import parse
from fastgan.cli.tables import print_tables
from fastgan.cli.train import OptionsConsole, base_of, form_of, from_source, other_recipes
from fastgan.names import printable
from fastgan.recipes import RECIPES, Recipe, import_recipe
from fastgan.runtime import tune_cpu_allocator
from fastgan.sweeps import Point, Range, Sweep, SweepError
from fastgan.sweeps.entry import name_of
from fastgan.sweeps.plan import SweepPlan, check_name
from fastgan.sweeps.run import run_sweep
from fastgan.sweeps.space import Values, text_of
from fastgan.training.run_settings import RunSettings

USAGE = "\n".join(
    [
        "usage: fastgan sweep RECIPE --vary NAME=VALUES [--vary NAME=VALUES ...] [OPTIONS]",
        "",
        f"recipes: {', '.join(RECIPES)}, or module:Class",
        "fastgan sweep RECIPE --help shows its options, which are those of fastgan train as well.",
    ]
)
MOST = 90
"""Characters of an error in the table; trials.csv has all of it."""
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(:log)?")


@dataclass(frozen=True)
class SweepOptions:
    """Options of a sweep beside those of its runs."""

    vary: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Setting and its values, such as lr=1e-4,4e-4; a range 1e-5..1e-2:log for random and optuna.
    Once for each setting to vary."""
    seeds: int = 1
    """Runs of each point, with the seeds from `seed` on."""
    random: int | None = None
    """Points to draw at random in place of the grid of all values."""
    optuna: int | None = None
    """Points that optuna suggests, each from the results before it."""


def run(arguments: list[str]) -> int:
    """Run `fastgan sweep` with these arguments, and return the exit status."""
    if not arguments or arguments[0] in ("--help", "-h"):
        print(USAGE)
        return 0
    name, *rest = arguments
    prog = f"fastgan sweep {name}"
    recipe = import_recipe(name)
    more = ("sweep", SweepOptions, dataclasses.field(default_factory=SweepOptions))
    form = form_of(recipe, more)
    base, defaults = base_of(form, recipe, rest, prog)
    given: Any = parse(form, rest, prog=prog, default=base, elsewhere=other_recipes)
    start = from_source(given, base, lambda usual: parse(form, rest, prog=prog, default=usual))
    asked = given.sweep
    vary = read_values(recipe, asked.vary, prog=prog)
    _check_fixed(vary, rest)
    plan = SweepPlan(
        recipe=start.recipe,
        settings=start.settings,
        options=start.options,
        vary=vary,
        seeds=asked.seeds,
        random=asked.random,
        optuna=asked.optuna,
        init_from=name_of(start.init_from),
    )
    check_environment()
    tune_cpu_allocator()
    for line in (*start.news, defaults.line):
        say(line)
    found = run_sweep(plan, init_from=start.init_from, console=OptionsConsole())
    print_sweep(found)
    return 0 if found.stopped_by is None else 128 + found.stopped_by


def _check_fixed(vary: Iterable[str], arguments: Iterable[str]) -> None:
    """Raise UsageError for an option whose setting varies, since no run would have its value."""
    fixed = {a.partition("=")[0].replace("_", "-") for a in arguments if a.startswith("--")}
    for name in vary:
        if fixed & {option(name), option(f"no_{name}")}:
            raise UsageError(
                f"{option(name)} has no meaning beside --vary {name}, whose values every run takes "
                f"in turn: leave one of them out."
            )


def read_values(recipe: type[Recipe], given: Iterable[str], *, prog: str) -> dict[str, Values]:
    """Return the values of each setting in texts such as ``lr=1e-4,4e-4``.

    Raises:
        SweepError, UsageError: a text can't be read, or names no setting.
    """
    vary: dict[str, Values] = {}
    for text in given:
        written, equals, values = text.partition("=")
        name = written.strip().lstrip("-").replace("-", "_")
        if not equals or not name or not values.strip():
            raise SweepError(f"`vary` must be a setting and values, as lr=1e-4,4e-4, got {text!r}.")
        check_name(recipe, name)
        if name in vary:
            raise SweepError(
                f"`vary` must name a setting once, got `{name}` again: list its values."
            )
        kind = _kind_of(recipe, name)
        vary[name] = _range(kind, values.strip()) or [
            _value(name, kind, value.strip(), prog) for value in values.split(",")
        ]
    return vary


def _kind_of(recipe: type[Recipe], name: str) -> Any:
    return {**typing.get_type_hints(RunSettings), **typing.get_type_hints(recipe)}[name]


def _range(kind: Any, text: str) -> Range | None:
    kinds = {kind, *typing.get_args(kind)}
    found = _RANGE.fullmatch(text)
    if found is None or not kinds & {int, float}:
        return None
    number = float if float in kinds else int
    try:
        return Range(number(found[1]), number(found[2]), log=found[3] is not None)
    except ValueError:
        raise SweepError(f"The range of a whole number must be whole, got {text!r}.") from None


def _value(name: str, kind: Any, text: str, prog: str) -> Any:
    """Read a value as `fastgan train` reads it after its option."""
    if kind is bool:
        switches = {
            "true": True,
            "on": True,
            "yes": True,
            "false": False,
            "off": False,
            "no": False,
        }
        if text.lower() not in switches:
            raise SweepError(f"`vary` must have true or false for `{name}`, got {text!r}.")
        return switches[text.lower()]
    several = typing.get_origin(kind) is tuple
    words = [option(name), *(text.split() if several else [text])]
    form = dataclasses.make_dataclass("Setting", [(name, kind)])
    return getattr(parse(form, words, prog=prog), name)


def print_sweep(found: Sweep) -> None:
    """Print the points, the best first, and the files of the sweep."""
    print_tables(_table(found))
    print()
    unfinished = sum(trial.status == "open" for trial in found.trials)
    if unfinished:
        say(f"{unfinished:,} of {len(found.trials):,} trials are open: the same command goes on.")
    if found.best is not None:
        say(f"Best: {_inline(found.best)} in {found.best.trials[0].folder}")
    made = {
        found.chart: f"{found.label} over each setting",
        found.table: "a line for each trial",
        found.results: "all results",
    }
    there = {path: what for path, what in made.items() if path.exists()}
    width = max((len(printable(path)) for path in there), default=0)
    for path, what in there.items():
        say(f"  {printable(path):<{width}}  {what}")


def _table(found: Sweep) -> Table:
    names = [name.replace("_", "-") for name in (found.points[0].settings if found.points else ())]
    measure = f"{found.label} ({found.better} is better)"
    table = Table(*names, measure, "runs", "remarks", box=None, padding=(0, 2, 0, 0))
    for point in found.points:
        cells = [*map(text_of, point.settings.values()), _mean(point), _runs(point)]
        table.add_row(*map(_cell, cells), _cell("; ".join(_remarks(point)) or "–"))
    return table


def _mean(point: Point) -> str:
    if point.mean is None:
        return "–"
    return f"{point.mean:.4g}" + (f" ± {point.spread:.2g}" if point.spread is not None else "")


def _runs(point: Point) -> str:
    count = len(point.trials)
    return str(count) if len(point.values) == count else f"{len(point.values)} of {count}"


def _remarks(point: Point) -> list[str]:
    """Return the failures of a point's runs, and what their diagnosis says."""
    remarks = [
        f"seed {trial.seed} failed: {textwrap.shorten(trial.error, MOST, placeholder=' …')}"
        for trial in point.failed
    ]
    seen = [trial.symptoms for trial in point.trials if trial.symptoms is not None]
    symptoms = dict.fromkeys(symptom for found in seen for symptom in found)
    for symptom in symptoms:
        count = sum(symptom in found for found in seen)
        remarks.append(symptom if count == len(seen) else f"{symptom} in {count} of {len(seen)}")
    return remarks or (["healthy"] if seen else [])


def _inline(point: Point) -> str:
    settings = (f"--{n.replace('_', '-')} {text_of(v)}" for n, v in point.settings.items())
    return " ".join(settings)


def _cell(text: str) -> Text:
    """Return a cell without rich's markup and emoji, with names of settings as options."""
    return Text(printable(with_options(text)))
