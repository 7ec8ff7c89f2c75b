"""Thresholds, record and page agree: each run is diagnosed as its trial says, with a margin."""

from __future__ import annotations

import pytest

from fastgan.diagnose import symptoms
from fastgan.recipes import RECIPES
from tests.diagnose import record
from tests.diagnose.catalogue import HELD_OUT, SEEDS, TRIALS

ROWS = record.read()
THRESHOLDS = {
    name: value
    for name, value in vars(symptoms).items()
    if name.isupper() and isinstance(value, float)
}
MARGIN = 0.1
"""Share by which any one threshold may be off."""


def wrong(seeds: tuple[int, ...] = SEEDS) -> list[str]:
    """Return runs whose diagnosis isn't that of their trial."""
    return [
        f"{trial.name}, seed {seed}: {sorted(found)}"
        for trial in TRIALS
        for seed in seeds
        for found in [symptoms.evidence_of(record.figures(ROWS, trial, seed) or {})]
        if (not set(trial.shows) <= set(found) if trial.shows else found)
    ]


def test_every_run_is_recorded_with_today_s_options():
    missing = [
        (trial.name, seed)
        for trial in TRIALS
        for seed in (*SEEDS, HELD_OUT)
        if record.figures(ROWS, trial, seed) is None
    ]
    assert not missing, "run python -m tests.diagnose"
    assert list(ROWS) == [trial.name for trial in TRIALS]


def test_every_run_is_diagnosed_as_its_trial_says():
    assert wrong() == []


def test_so_is_every_run_that_set_no_threshold():
    assert wrong((HELD_OUT,)) == []


@pytest.mark.parametrize("factor", [1 - MARGIN, 1 + MARGIN])
@pytest.mark.parametrize("name", THRESHOLDS)
def test_no_diagnosis_hangs_by_a_hair(name, factor, monkeypatch):
    monkeypatch.setattr(symptoms, name, THRESHOLDS[name] * factor)
    assert wrong() == []


def test_every_failure_has_runs_and_so_have_all_kinds_of_recipes():
    shown = {failure for trial in TRIALS for failure in trial.shows}
    assert shown == set(symptoms.FAILURES)
    recipes = [RECIPES[trial.options.split()[0]] for trial in TRIALS]
    kinds = {recipe.task if recipe.translates else "noise" for recipe in recipes}
    assert kinds == {"noise", None, "domains", "attributes", "maps", "captions"}
    assert all(recipes.count(recipe) >= 2 for recipe in recipes)


def test_the_page_shows_the_record():
    page = record.PAGE.read_text("utf-8")
    assert page == record.with_tables(page, ROWS)
