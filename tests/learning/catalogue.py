"""All learning experiments by the name of their recipe, and the choice for `make test`."""

from __future__ import annotations

from tests.learning import conditions, digits, domains, paired
from tests.learning.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    experiment.recipe: experiment
    for module in (digits, paired, domains, conditions)
    for experiment in module.EXPERIMENTS
}

QUICK = ("dcgan", "stylegan2", "pix2pix", "cyclegan", "gaugan")
"""One recipe of each family, with seed 0: images from noise, styles, pairs, two domains, maps."""

PENDING = ("lightgan",)
"""Recipes that weren't trained yet with all seeds at all instruction sets."""

SEEDS = (0, 1, 2, 3, 4)
