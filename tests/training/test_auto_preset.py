"""Choice of a run's preset, its values, and their place in the configuration."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fastgan.cli.train import parse_start
from fastgan.recipes import DCGAN, StyleGAN2, StyleGAN3T
from fastgan.training.auto_preset import Asked, choose, resolve
from fastgan.training.config import ConfigError
from fastgan.training.defaults import Defaults


@pytest.mark.parametrize(
    ("facts", "preset"),
    [
        ({"device": "cpu"}, "small"),
        ({"device": "cpu", "total_images": 999_999}, "small"),
        ({"device": "cpu", "total_images": 1_000_000}, "paper"),
        ({"device": "cpu", "begins_trained": True}, "paper"),
        ({"device": "cuda"}, "paper"),
        ({"device": "cuda", "total_images": 100_000}, "small"),
        ({"device": "cuda", "hours": 1.0}, "small"),
        ({"device": "cuda", "hours": 2.0}, "paper"),
        ({"device": "cuda", "hours": 1.0, "resolution": 128}, "paper"),
    ],
)
def test_auto_decides_by_device_budget_and_resolution(facts, preset):
    found = choose(DCGAN, **{"resolution": 64, **facts})
    assert found.preset == preset and found.reason


def test_a_recipe_of_ones_own_keeps_its_defaults():
    @dataclass(frozen=True, kw_only=True)
    class Mine(DCGAN):
        """A recipe without small networks."""

    assert choose(Mine, device="cpu", resolution=32) == ("paper", "dcgan has no other")


def test_small_lowers_a_resolution_that_nobody_asked_for():
    assert resolve(StyleGAN3T, Asked()).of_run == {"total_images": 90_000, "resolution": 16}
    found = resolve(StyleGAN3T, Asked(resolution=64))
    assert found.of_run == {"total_images": 90_000} and found.of_recipe["channel_base"] == 1024
    assert resolve(StyleGAN2, Asked(preset="paper"))[:2] == ({}, {})


def test_the_command_line_wins_over_the_preset():
    start = parse_start("dcgan", ["--resolution", "32", "--ngf", "8", "--preset", "small"])
    assert (start.recipe.ngf, start.recipe.ndf, start.settings.total_images) == (8, 32, 60_000)
    assert start.defaults == Defaults("small") and start.defaults.line == "Preset small."
    paper = parse_start("dcgan", ["--preset", "paper"])
    assert paper.recipe == DCGAN() and paper.settings.total_images == DCGAN.default_images


def test_schedules_follow_the_length():
    line = ["--resolution", "32", "--hours", "1"]
    assert parse_start("pix2pix", line).hours == 1.0
    start = parse_start("pix2pix", line, total_images=5_000)
    assert (start.recipe.decay_after, start.settings.total_images) == (2_500, 5_000)
    assert start.hours is None and start.defaults.hours == 1.0


def test_an_unknown_preset_is_refused():
    with pytest.raises(ConfigError, match="preset must be one of auto, paper, small, got 'large'"):
        Asked(preset="large")


def test_a_run_stores_its_preset_and_names_it_when_resumed(run, tiny):
    first, said = run(tiny, defaults=Defaults("small", "because"))
    assert "Preset small, chosen by auto: because." in said
    assert first.config.defaults == Defaults("small", "because")
    more, said = run(tiny, resume=True, total_images=400)
    assert "Preset small, as the run was started." in said
    assert more.config.defaults == first.config.defaults
