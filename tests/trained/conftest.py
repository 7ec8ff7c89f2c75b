"""Small untrained runs of recipes, as folders with one checkpoint."""

from __future__ import annotations

import pytest

from tests.trained.runs import save_run


@pytest.fixture(scope="session")
def run_of(tmp_path_factory):
    """Return `run_of(recipe)`: the folder of a small run, made once."""
    folders = {}

    def make(recipe):
        if recipe not in folders:
            folders[recipe] = save_run(tmp_path_factory.mktemp(recipe), recipe)
        return folders[recipe]

    return make
