"""Comparison of runs: settings that differ, measures, and one page without further files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from fastgan.files import write_atomic
from fastgan.metrics.figures import figures
from fastgan.training.comparison_page import PAGE
from fastgan.training.config import RunConfig
from fastgan.training.curves import draw_curves
from fastgan.training.log import Row, read_log
from fastgan.training.progress import duration
from fastgan.training.report import MISSING, NOT_MEASURED, data_uri, escaped, spelt
from fastgan.training.run_dir import RunDir, RunDirError


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs to compare.

    Attributes:
        name: name of the run among the others.
        run: folder of the run.
        config: configuration of the run.
        rows: rows of its log.
        measures: measures at its end, empty before it.
    """

    name: str
    run: RunDir
    config: RunConfig
    rows: list[Row]
    measures: Mapping[str, Any]


class Line(NamedTuple):
    """Line of the table.

    Attributes:
        kind: "setting", "measure" or "run".
        name: name of the setting or figure.
        values: a value for each run.
    """

    kind: str
    name: str
    values: tuple[str, ...]


def read_runs(folders: Sequence[str | Path]) -> list[ComparedRun]:
    """Read the runs in these folders.

    Raises:
        RunDirError: a folder holds no run.
    """
    runs = []
    for folder, name in zip(folders, _names([Path(folder) for folder in folders])):
        run = RunDir(Path(folder))
        config = run.find_config()
        if config is None:
            raise RunDirError(
                f"There is no run in {str(folder)!r}: name `out` folders of fastgan train."
            )
        measures = json.loads(run.measures.read_text("utf-8")) if run.measures.exists() else {}
        runs.append(ComparedRun(name, run, config, read_log(run.log), measures))
    return runs


def compare(runs: Sequence[ComparedRun]) -> list[Line]:
    """List the settings that differ, the measures of any run, and each run's course."""
    return [*_settings(runs), *_measures(runs), *_course(runs)]


def write_comparison(path: Path, runs: Sequence[ComparedRun]) -> None:
    """Write the page: the table, then curves and samples of each run.

    Raises:
        ReportError: matplotlib isn't installed.
    """
    head = "".join(f"<th>{escaped(run.name)}</th>" for run in runs)
    body = "".join(_table_row(line) for line in compare(runs))
    page = PAGE.substitute(
        title=escaped(" · ".join(run.name for run in runs)),
        count=len(runs),
        table=f"<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody>",
        columns="".join(_column(run) for run in runs),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, [page.encode()])


def _names(folders: Sequence[Path]) -> list[str]:
    """Return the folders' names, or their paths if two names are equal."""
    names = [folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _settings(runs: Sequence[ComparedRun]) -> list[Line]:
    tables = []
    for run in runs:
        plain = run.config.to_plain()
        of_the_data = {"data": run.config.dataset, "resolution": run.config.image_spec.resolution}
        tables.append({"recipe": plain["recipe"]} | plain["settings"] | of_the_data)
    lines = []
    for name in dict.fromkeys(name for table in tables for name in table):
        values = tuple(spelt(table.get(name)) for table in tables)
        if len(set(values)) > 1:
            lines.append(Line("setting", name.replace("_", "-"), values))
    return lines


def _measures(runs: Sequence[ComparedRun]) -> list[Line]:
    taken = [
        {f"{label} ({better} is better)": value for label, value, better in figures(run.measures)}
        for run in runs
    ]
    names = dict.fromkeys(name for measures in taken for name in measures)
    absent = ["not measured" if NOT_MEASURED in run.measures else MISSING for run in runs]
    return [
        Line("measure", name, tuple(run.get(name, none) for run, none in zip(taken, absent)))
        for name in names or (["measures"] if "not measured" in absent else [])
    ]


def _course(runs: Sequence[ComparedRun]) -> list[Line]:
    last = [run.rows[-1] if run.rows else {} for run in runs]
    speeds = [row["nimg"] / row["seconds"] if row.get("seconds") else None for row in last]
    lines = {
        "real images shown": [f"{row['nimg']:,.0f}" if row else MISSING for row in last],
        "time": [duration(row["seconds"]) if row else MISSING for row in last],
        "images/s": [MISSING if speed is None else f"{speed:,.0f}" for speed in speeds],
    }
    counts = [_parameters(run.config) for run in runs]
    for network in dict.fromkeys(name for count in counts for name in count):
        lines[f"parameters of {network}"] = [
            f"{count[network]:,}" if network in count else MISSING for count in counts
        ]
    return [Line("run", name, tuple(values)) for name, values in lines.items()]


def _parameters(config: RunConfig) -> dict[str, int]:
    """Count the parameters of each network that has any.

    The networks are built on the meta device, which takes no time and no memory.
    """
    with torch.random.fork_rng(devices=()), torch.device("meta"):
        networks = config.recipe.build_networks(config.image_spec)
    counts = {
        name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()
    }
    return {name: count for name, count in counts.items() if count}


def _table_row(line: Line) -> str:
    cells = "".join(f"<td>{escaped(value)}</td>" for value in line.values)
    return f'<tr class="{line.kind}"><th>{escaped(line.name)}</th>{cells}</tr>'


def _column(run: ComparedRun) -> str:
    name = escaped(run.name)
    grids = [run.run.samples, *sorted(run.run.grids.glob("*.png"), reverse=True)]
    newest = next((path for path in grids if path.exists()), None)
    samples = curves = ""
    if newest is not None:
        samples = (
            f'<img class="samples" src="{data_uri(newest.read_bytes())}" alt="Samples of {name}">'
        )
    if run.rows:
        loss = run.config.recipe.adversarial
        light, dark = (
            data_uri(draw_curves(run.rows, loss=loss, theme=theme)) for theme in ("light", "dark")
        )
        curves = (
            f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
            f'<img src="{light}" alt="Curves of {name}"></picture>'
        )
    return f"<section><h2>{name}</h2>{samples}{curves}</section>"
