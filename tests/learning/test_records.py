"""Recorded figures have today's settings, pass their bounds by a margin, and are in the table."""

from __future__ import annotations

import copy
import dataclasses

import pytest

from benchmarks.bounds import least, most
from fastgan.recipes import RECIPES
from tests.learning import records
from tests.learning.catalogue import EXPERIMENTS, PENDING, QUICK, SEEDS
from tests.learning.experiment import Experiment


def test_every_recipe_has_an_experiment():
    assert set(EXPERIMENTS) == set(RECIPES)
    assert set(QUICK) <= set(EXPERIMENTS)


@pytest.mark.parametrize("level", records.LEVELS)
def test_five_seeds_of_todays_settings_pass_with_a_margin(level):
    recorded = records.read()
    missing, failures = [], []
    for name, experiment in EXPERIMENTS.items():
        cell = records.seeds(recorded, experiment, level)
        if not cell.keys() >= set(map(str, SEEDS)):
            missing.append(name)
        for seed, figures in cell.items():
            failed = experiment.failures(figures, margin=records.MARGIN)
            failures += [f"seed {seed}: {text}" for text in failed]
    assert not failures
    assert set(missing) <= set(PENDING), "run python -m tests.learning"


def test_pending_recipes_are_not_recorded_in_full():
    recorded = records.read()
    for name in PENDING:
        cells = [records.seeds(recorded, EXPERIMENTS[name], level) for level in records.LEVELS]
        assert any(not cell.keys() >= set(map(str, SEEDS)) for cell in cells), name


def test_the_table_is_of_the_records_and_bounds():
    assert records.TABLE.read_text() == records.table(records.read()), (
        "run python -m tests.learning"
    )


def test_no_recipe_is_recorded_that_has_no_experiment():
    assert set(records.read()) <= set(EXPERIMENTS)


EXAMPLE = Experiment(
    "dcgan", "--batch 8", lambda _: None, lambda _: {}, {"FD": most(200), "share": least(0.5)}
)
MACHINE = {"cpu": "Some CPU", "torch": "2.11"}


@pytest.fixture
def recorded() -> records.Records:
    example: records.Records = {}
    for seed in SEEDS:
        records.add(example, EXAMPLE, "avx2", seed, {"FD": 150 + seed, "share": 0.8}, MACHINE)
    return example


def test_figures_of_other_settings_are_not_used(recorded):
    assert set(records.seeds(recorded, EXAMPLE, "avx2")) == set("01234")
    assert not records.seeds(recorded, EXAMPLE, "avx512")
    other = dataclasses.replace(EXAMPLE, settings="--batch 16")
    assert not records.seeds(recorded, other, "avx2")
    records.add(recorded, other, "avx512", 0, {"FD": 1, "share": 1}, MACHINE)
    assert not records.seeds(recorded, EXAMPLE, "avx2") and not records.seeds(
        recorded, other, "avx2"
    )


def test_a_cell_is_of_one_machine(recorded):
    before = copy.deepcopy(recorded)
    records.add(recorded, EXAMPLE, "avx2", 0, {"FD": 1, "share": 1}, MACHINE | {"torch": "2.14"})
    assert set(records.seeds(recorded, EXAMPLE, "avx2")) == {"0"}
    records.add(before, EXAMPLE, "baseline", 0, {"FD": 1, "share": 1}, MACHINE)
    assert set(records.seeds(before, EXAMPLE, "avx2")) == set("01234")


@pytest.mark.parametrize(
    ("figures", "margin", "failing"),
    [
        ({"FD": 199, "share": 0.51}, 0.0, []),
        ({"FD": 199, "share": 0.51}, 0.05, ["FD", "share"]),
        ({"FD": 189, "share": 0.53}, 0.05, []),
        ({"FD": 200, "share": 0.9}, 0.0, ["FD"]),
        ({"FD": 100, "share": float("nan")}, 0.0, ["share"]),
    ],
)
def test_a_figure_fails_at_its_bound_short_of_the_margin_or_not_a_number(figures, margin, failing):
    failures = EXAMPLE.failures(figures, margin=margin)
    assert [text.split(": ")[1].split(" is ")[0] for text in failures] == failing


def test_the_table_shows_each_seed_the_bound_and_the_worst_margin(recorded, monkeypatch):
    monkeypatch.setattr(records, "EXPERIMENTS", {"dcgan": EXAMPLE})
    table = records.table(recorded)
    assert "## Some CPU, torch 2.11" in table
    assert "| dcgan | FD | avx2 | 150 | 151 | 152 | 153 | 154 | < 200 | 23% |" in table
    assert "| dcgan | share | avx2 | 0.8 | 0.8 | 0.8 | 0.8 | 0.8 | > 0.5 | 60% |" in table
