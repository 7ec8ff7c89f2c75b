"""Comparison of runs: differing settings only, every run's figures, a self-contained page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastgan.recipes import CGAN, GAN, ImageSpec, StyleGAN2
from fastgan.training import train
from fastgan.training.comparison import _parameters, compare, read_runs, write_comparison
from fastgan.training.config import RunConfig
from fastgan.training.run_dir import RunDirError
from fastgan.training.run_settings import RunSettings
from tests.training.page import Page

TINY = GAN(batch=16, z_dim=4, g_hidden=(8,), d_hidden=(8,))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for name, recipe in (
        ("plain", TINY),
        ("fast <D> [4x]", replace(TINY, d_lr=0.001, spectral_norm=True, z_dim=6)),
    ):
        train(
            recipe,
            data="digits",
            resolution=8,
            total_images=160,
            out=str(root / name),
            device="cpu",
            log_every=16,
            measure_samples=20,
            console=None,
        )
    return [root / "plain", root / "fast <D> [4x]"]


def test_the_table_has_what_differs(folders):
    lines = {line.name: line.values for line in compare(read_runs(folders))}
    settings = {line.name for line in compare(read_runs(folders)) if line.kind == "setting"}
    assert settings == {"d-lr", "spectral-norm", "z-dim"}
    assert lines["d-lr"] == ("–", "0.001") and lines["spectral-norm"] == ("off", "on")
    assert lines["real images shown"] == ("160", "160")
    # D has 64·8 + 8 + 8 + 1.
    assert lines["parameters of D"] == ("529", "529")
    # G has z·8 + 8, batch norm's 16, and 8·64 + 64.
    assert lines["parameters of G"] == ("632", "648")
    assert lines["classes that appear (higher is better)"][0].endswith(" of 10")
    assert float(lines["images/s"][0].replace(",", "")) > 0


def test_the_page_needs_nothing_beside_itself(folders, tmp_path):
    out = tmp_path / "new" / "page.html"
    write_comparison(out, read_runs(folders))
    page = Page(out.read_text())
    # Each run has samples, and curves in two themes.
    assert len(page.references) == 2 * 3
    assert all(reference.startswith("data:image/png;base64,") for reference in page.references)
    assert (
        "fast <D> [4x]" in page.text
        and "2 runs side by side" in page.text
        and "spectral-norm" in page.text
    )


def test_a_run_that_has_only_begun_and_names_that_meet(folders, tmp_path):
    begun = tmp_path / "plain"
    begun.mkdir()
    (begun / "config.json").write_bytes((folders[0] / "config.json").read_bytes())
    runs = read_runs([folders[0], begun])
    assert [run.name for run in runs] == [str(folders[0]), str(begun)]
    lines = {line.name: line.values for line in compare(runs)}
    assert lines["real images shown"] == ("160", "–") and lines["images/s"][1] == "–"
    assert lines["KL to uniform (lower is better)"][1] == "–"
    write_comparison(tmp_path / "page.html", runs)
    with pytest.raises(RunDirError, match=r"There is no run in .*name out folders"):
        read_runs([folders[0], tmp_path / "none"])
    # It holds a page, and no run.
    with pytest.raises(RunDirError, match=r"There is no run in .*name out folders"):
        read_runs([folders[0], tmp_path])


@pytest.mark.parametrize(
    "recipe", [CGAN(), StyleGAN2(augment="ada")], ids=lambda recipe: recipe.name
)
def test_parameters_are_those_of_the_networks(recipe):
    """The count takes no memory, and leaves out networks without parameters."""
    images = ImageSpec(3, 32, 10)
    networks = recipe.build_networks(images)
    counts = {name: sum(p.numel() for p in networks[name].parameters()) for name in ("G", "D")}
    assert _parameters(RunConfig(recipe, RunSettings.of(recipe), images, "data", "")) == counts


def test_the_command(folders, tmp_path, capsys):
    from fastgan import cli

    assert cli.run(["compare", *map(str, folders), "--out", str(tmp_path / "page.html")]) == 0
    output = capsys.readouterr().out
    assert "plain" in output.splitlines()[0] and "fast <D> [4x]" in output.splitlines()[0]
    assert "parameters of G" in output and (tmp_path / "page.html").exists()
    with pytest.raises(cli.UsageError, match=r"RUNS must be two runs or more, got 1\."):
        cli.run(["compare", str(folders[0])])
    with pytest.raises(
        cli.UsageError, match=r"--out must be a file that ends in .html, got 'page.txt'"
    ):
        cli.run(["compare", *map(str, folders), "--out", "page.txt"])
