"""`fastgan train RECIPE --from`: settings that are taken over, output and errors."""

from __future__ import annotations

import pytest

from fastgan.cli import run
from fastgan.cli.train import parse_start
from fastgan.training.config import ConfigError, load_config
from tests.training.transfers import save, small, spec, trained

QUIET = ["--measure", "none", "--batch", "4", "--total-images", "4", "--data", "digits"]


@pytest.fixture
def source(tmp_path):
    images = spec("stylegan2", resolution=8)
    return save(tmp_path / "source", trained(small("stylegan2"), images), images)


def test_sizes_and_resolution_are_those_of_the_source(source):
    start = parse_start("stylegan2-ada", ["--from", str(source), "--batch", "8"])
    recipe = start.recipe
    assert (recipe.z_dim, recipe.channel_max, recipe.batch) == (4, 8, 8)
    assert start.settings.resolution == 8
    assert recipe.lr == type(recipe)().lr and recipe.augment == "ada"
    assert "--z-dim 4" in start.news[0] and "--resolution 8" in start.news[0]


def test_given_settings_take_precedence(source):
    start = parse_start(
        "stylegan2", ["--from", str(source), "--resolution", "16", "--channel-max", "4"]
    )
    assert (
        start.settings.resolution == 16
        and start.recipe.channel_max == 4
        and start.recipe.w_dim == 4
    )
    assert "--resolution" not in start.news[0]


def test_another_process_leaves_the_file_to_the_first(source, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    start = parse_start("stylegan2", ["--from", "nothing-here.pt"])
    assert start.init_from == "nothing-here.pt" and start.news == ()


def test_a_run_begins_and_goes_on(source, tmp_path, capsys):
    out = str(tmp_path / "run")
    line = ["train", "stylegan2", "--from", str(source), "--out", out, *QUIET, "--resume"]
    assert run(line) == 0
    said = capsys.readouterr().out
    assert "As " in said and "G: all" in said and "D: all" in said
    beginning = load_config(tmp_path / "run" / "config.json").beginning
    assert beginning is not None and beginning.source == str(source)
    more = [word if word != "4" else "8" for word in line[:-1]]
    more[more.index("--batch") + 1] = "4"
    assert run([*more, "--resume"]) == 0
    assert "Resumed after 4 images" in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r"another file"):
        run(["train", "stylegan2", "--out", out, "--resume", "--from", "elsewhere.pt"])


@pytest.mark.parametrize("recipe", ["dcgan", "pix2pix", "r3gan"])
def test_a_recipe_of_other_networks_takes_no_settings(source, recipe):
    start = parse_start(recipe, ["--from", str(source)])
    assert start.news == () and start.settings.resolution is None


def test_a_missing_file_is_one_sentence(refused, tmp_path):
    said = refused("train", "stylegan2", "--from", "nowhere.pkl", "--out", tmp_path / "run", *QUIET)
    assert "'nowhere.pkl' can't be read: No such file" in said
    assert not (tmp_path / "run").exists()


def test_a_source_of_other_networks_is_one_sentence(refused, source, tmp_path):
    said = refused("train", "gan", "--from", source, "--out", tmp_path / "run", *QUIET)
    assert "No weight fits" in said and "MLPGenerator" in said and "StyleGAN2Generator" in said


def test_from_is_suggested_by_its_name(refused):
    assert "--from" in refused("train", "stylegan2", "--frmo", "x")
