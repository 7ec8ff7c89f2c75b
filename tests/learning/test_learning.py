"""Recipes learn: each experiment's figures are within bounds that five seeds passed by a margin."""

from __future__ import annotations

import pytest

from tests.learning.catalogue import EXPERIMENTS, QUICK, SEEDS


def check(recipe: str, seed: int) -> None:
    experiment = EXPERIMENTS[recipe]
    figures = experiment.run(seed)
    print(recipe, seed, figures)
    assert not experiment.failures(figures), figures


@pytest.mark.slow
@pytest.mark.parametrize("recipe", QUICK)
def test_a_recipe_of_each_family_learns(recipe):
    check(recipe, 0)


LONG = [
    (recipe, seed)
    for recipe in EXPERIMENTS
    for seed in SEEDS
    if (recipe, seed) not in {(q, 0) for q in QUICK}
]


@pytest.mark.long
@pytest.mark.parametrize(("recipe", "seed"), LONG)
def test_every_recipe_learns_with_every_seed(recipe, seed):
    check(recipe, seed)
