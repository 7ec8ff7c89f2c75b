"""`fastgan evaluate`: figures in a table and in JSON, a picture of neighbours, and errors."""

from __future__ import annotations

import json
import re

import pytest
import torch

from fastgan.compat.networks import save_network
from fastgan.data import open_dataset
from fastgan.evaluation.measures import evaluate
from fastgan.metrics.digits import SHA256
from fastgan.networks.stylegan2 import StyleGAN2Generator
from fastgan.training.state import TrainState

PIL = pytest.importorskip("PIL.Image")

IN_DIGITS = ("--features", "digits", "--samples", 20)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that measured itself when it ended."""
    from fastgan.recipes import GAN
    from fastgan.training import train

    recipe = GAN(
        batch=16,
        z_dim=4,
        g_hidden=(8,),
        d_hidden=(8,),
    )
    result = train(
        recipe,
        data="digits",
        resolution=8,
        total_images=64,
        seed=3,
        out=str(tmp_path_factory.mktemp("trained") / "run"),
        measure=("fd", "prdc"),
        measure_features="digits",
        measure_samples=20,
        console=None,
    )
    return result


def test_a_run_s_own_figures_again(fastgan, trained, tmp_path):
    out, picture = tmp_path / "new" / "e.json", tmp_path / "n.png"
    metrics = ["--metrics", "modes", "fd", "prdc", *IN_DIGITS, "--seed", 3]
    outcome = fastgan("evaluate", trained.run.root, *metrics, "--out", out, "--neighbours", picture)
    assert outcome.status == 0, outcome.err
    found = json.loads(out.read_text())
    expected = {name: value for name, value in trained.measures.items() if name != "samples"}
    assert found["measures"] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert found["settings"]["features"]["sha256"] == SHA256 and found["settings"]["samples"] == 20
    assert found["data"]["fingerprint"] == open_dataset("digits", resolution=8).fingerprint
    newest = trained.run.latest_checkpoint
    assert f"gan after 64 images, from {newest}, against 1,797 images of digits." in outcome.out
    assert re.search(r"measure of 20 samples +value +real images +better", outcome.out)
    assert re.search(r"FD-digits +[\d.]+ +[\d.]+ +lower", outcome.out)
    assert re.search(r"classes that appear +\d of 10 +higher", outcome.out)
    assert "precision, digits" in outcome.out and f"Made {picture} and {out}." in outcome.out
    with PIL.open(picture) as shown:
        assert shown.size == (6 * 66 + 2, 8 * 66 + 2)


def test_the_networks_before_training_stand_beside(fastgan, trained, tmp_path):
    out = tmp_path / "e.json"
    options = ["--metrics", "fd", *IN_DIGITS, "--untrained", "--out", out]
    outcome = fastgan("evaluate", trained.run.root, *options)
    assert re.search(r"FD-digits( +[\d.]+){3} +lower", outcome.out)
    start = TrainState.create(trained.config.recipe, trained.config.image_spec, seed=3)
    data = open_dataset("digits", resolution=8)
    expected = evaluate(start.recipe, start.sampler, data, ("fd",), features="digits", samples=20)
    assert json.loads(out.read_text())["untrained"] == pytest.approx(expected["measures"])


def test_neighbours_in_pixels_and_the_measures_of_the_data(fastgan, trained, tmp_path):
    pixels = ["--neighbours", tmp_path / "p.png", "--neighbours-in", "pixels", "--real", 100]
    outcome = fastgan("evaluate", trained.run.root, "--metrics", "modes", *IN_DIGITS[2:], *pixels)
    assert outcome.status == 0, outcome.err
    assert "against the classes of digits." in outcome.out and "FD" not in outcome.out
    assert (tmp_path / "p.png").stat().st_size > 500


def test_other_data_and_a_network_without_a_run(fastgan, refused, trained, tmp_path):
    outcome = fastgan("evaluate", trained.run.root, "--data", "mnist5k", "--real", 50, *IN_DIGITS)
    assert outcome.status == 0 and "against 50 images of mnist5k." in outcome.out
    assert (
        "KD-digits" in outcome.out
        and "coverage, digits" in outcome.out
        and "KL to uniform" in outcome.out
    )

    torch.manual_seed(0)
    small = {"z_dim": 4, "w_dim": 4, "channel_base": 32, "channel_max": 4, "mapping_layers": 1}
    made = {"3": StyleGAN2Generator(8, 3, c_dim=2, **small), "2": StyleGAN2Generator(8, 2, **small)}
    for name, network in made.items():
        save_network(network, tmp_path / f"{name}.safetensors", name="G_ema")
    grey, colour = tmp_path / "2.safetensors", tmp_path / "3.safetensors"
    wide = ["--data", "shapes", "--real", 20, *IN_DIGITS]
    outcome = fastgan("evaluate", colour, *wide, "--metrics", "fd", "ppl")
    assert outcome.status == 0, outcome.err
    assert f"StyleGAN2, from {colour}, against 20 images of shapes." in outcome.out
    assert "path length in w, embedded network" in outcome.out
    assert (
        "Only square grey and colour images can be measured, but this network makes 2×8×8."
        in refused("evaluate", grey, *wide)
    )
    assert "name what to compare with in --data." in refused("evaluate", colour)
    assert "has no start to measure: leave --untrained out." in refused(
        "evaluate", colour, "--untrained", *wide
    )


def test_a_run_with_targets(fastgan, tmp_path):
    run, small = (
        tmp_path / "run",
        "--resolution 16 --ngf 1 --ndf 1 --patch 16 --batch 4 --total-images 4",
    )
    assert fastgan("train", "pix2pix", *small.split(), "--out", run).status == 0
    options = ["--metrics", "l1", "perceptual", "--samples", 20, "--out", tmp_path / "e.json"]
    outcome = fastgan("evaluate", run, *options)
    assert outcome.status == 0, outcome.err
    assert "against the images of shapes." in outcome.out
    assert re.search(r"L1 +[\d.]+ \(input [\d.]+\) +lower", outcome.out)
    found = json.loads((tmp_path / "e.json").read_text())["measures"]
    assert list(found) == ["l1", "perceptual", "l1_of_input", "perceptual_of_input"]


def test_changed_data_are_told(fastgan, trained, monkeypatch):
    from fastgan.training import run_settings

    monkeypatch.setattr(
        run_settings, "open_dataset", lambda spec, **options: open_dataset("mnist5k", **options)
    )
    with pytest.warns(
        UserWarning, match="'digits' no longer holds the images that this checkpoint was"
    ):
        assert (
            fastgan("evaluate", trained.run.root, "--metrics", "modes", *IN_DIGITS[2:]).status == 0
        )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--samples 9", "--samples must be at least 10, got 9."),
        ("--real -1", "--real must be at least 0, got -1."),
        ("--out e.txt", "--out must be a file that ends in .json, got 'e.txt'."),
        ("--neighbours n.gif", "--neighbours must be a file that ends in .png, got 'n.gif'."),
        ("--weights nowhere.pth", "There is no file 'nowhere.pth' of weights: check --weights."),
        ("--metrics fd fidd", "'fidd'"),
        (
            "--metrics fid --features digits",
            "features must be inception for fid, got 'digits': ask for fd",
        ),
        (
            "--metrics psnr",
            "gan makes images that have no targets to be compared with: leave psnr out.",
        ),
        (
            "--metrics modes --data shapes",
            "The modes of shapes can't be counted, since only digits, stacked-mnist, faces",
        ),
    ],
)  # fmt: skip
def test_refused(refused, trained, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    assert said in refused("evaluate", trained.run.root, *options.split())
    assert not list(tmp_path.iterdir())
