"""`fastgan doctor`: versions, backends that are usable, and the precision that auto takes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from rich.table import Table

from fastgan.cli.parse import parse
from fastgan.cli.tables import print_tables
from fastgan.ops import backends
from fastgan.recipes import RECIPES
from fastgan.runtime import amx_kernels, threads, versions
from fastgan.training.auto_precision import Choice, choose


@dataclass(frozen=True)
class DoctorOptions:
    """Show versions, usable backends and what stops the others, and the precision auto takes."""


def run(arguments: list[str]) -> int:
    """Run `fastgan doctor` with these arguments, and return the exit status."""
    parse(DoctorOptions, arguments, prog="fastgan doctor")
    print_tables(_versions(), "", _backends(), "", _precisions())
    return 0


def _versions() -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, version in versions().items():
        table.add_row(name, version)
    table.add_row("AMX kernels", amx_kernels())
    table.add_row("threads", threads())
    return table


def _precisions() -> Table:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    names: dict[Choice, list[str]] = {}
    for recipe in RECIPES.values():
        names.setdefault(choose(recipe, device), []).append(recipe.name)
    most = max(map(len, names.values()))
    table = Table(
        "precision auto", f"of recipes on {device.type}", "since", box=None, padding=(0, 2, 0, 0)
    )
    for choice, recipes in names.items():
        usual = len(recipes) == most and len(names) > 1
        which = "the others" if usual else ", ".join(recipes) if len(names) > 1 else "all"
        table.add_row(choice.precision, which, choice.reason)
    return table


def _backends() -> Table:
    table = Table(
        "backend", "usable", "devices", "why not, and what to do", box=None, padding=(0, 2, 0, 0)
    )
    for status in backends().values():
        problem = "" if status.usable else f"{status.reason}: {status.remedy}"
        table.add_row(
            status.name, "yes" if status.usable else "no", ", ".join(status.devices), problem
        )
    return table
