"""`fastgan.train`, and figures and exports of what it returns."""

from __future__ import annotations

import inspect
import os
import shutil
import signal
import typing

import pytest
import torch
from PIL import Image

import fastgan
from fastgan.data import InMemoryDataset
from fastgan.errors import FastganError
from fastgan.recipes import GAN
from fastgan.training import Callback, RunOptions

SMALL = {"resolution": 8, "batch": 16, "z_dim": 4, "g_hidden": (8,), "d_hidden": (8,)}


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    """A run of four steps, made by the name of its recipe."""
    return fastgan.train(
        "gan", data="digits", out=tmp_path_factory.mktemp("run") / "gan", console=None,
        total_images=64,
        measure=("prdc",), measure_samples=20, measure_features="digits", **SMALL,
    )  # fmt: skip


def test_a_run_by_name_gives_its_networks_and_figures(gan):
    assert gan.recipe.name == "gan" and gan.result.nimg == 64 and gan.result.run.report.exists()
    assert "precision_digits" in gan.measures and gan.origin.startswith("gan after 64 images, in ")
    again = fastgan.load(gan.result.run.root)
    assert torch.equal(gan.sample(3, seed=1), again.sample(3, seed=1)) and not again.measures


def test_a_recipe_and_a_data_set_in_memory(tmp_path):
    images = torch.randint(0, 256, (32, 1, 8, 8), dtype=torch.uint8)
    dataset = InMemoryDataset("mine", images, torch.zeros(32, dtype=torch.int64))
    recipe = GAN(batch=16, z_dim=4, g_hidden=(8,), d_hidden=(8,))
    options = RunOptions(measure=("none",))
    gan = fastgan.train(
        recipe, data=dataset, out=tmp_path / "run", options=options, console=None, total_images=32
    )
    assert gan.result.nimg == 32 and gan.recipe.z_dim == 4 and gan.measures == {}
    assert gan.image_spec.resolution == 8


def test_a_resumed_run_takes_what_is_left_out_from_the_run(gan, tmp_path):
    """Errors name settings that were given alone, not the defaults of others."""
    out = shutil.copytree(gan.result.run.root, tmp_path / "gan")
    resumed = {"out": out, "resume": True, "console": None}
    with pytest.raises(FastganError, match=r"started with z_dim 4, got 5: leave it out to go on"):
        fastgan.train("gan", z_dim=5, **resumed)
    with pytest.raises(FastganError, match=r"must be 'gan', got 'dcgan': name that recipe"):
        fastgan.train("dcgan", **resumed)
    more = fastgan.train("gan", total_images=80, measure="none", **resumed)
    assert more.result.nimg == 80 and more.recipe == gan.recipe
    assert more.config.settings.data == "digits" and more.config.settings.resolution == 8


class Kill(Callback):
    """Callback that sends this process a signal after the first step."""

    def __init__(self, number):
        self.number = number

    def on_step(self, run, stats):
        os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_script_after_the_checkpoint(number, tmp_path):
    """Networks of half a run aren't returned as its result."""
    raised = KeyboardInterrupt if number == signal.SIGINT else SystemExit
    with pytest.raises(raised) as caught:
        fastgan.train(
            "gan", data="digits", out=tmp_path / "gan", console=None, total_images=64,
            measure="none", callbacks=[Kill(number)], **SMALL,
        )  # fmt: skip
    assert raised is KeyboardInterrupt or caught.value.code == 143
    assert fastgan.load(tmp_path / "gan").origin.startswith("gan after 16 images")


def test_an_unknown_setting_is_refused_before_anything_is_done(tmp_path):
    for name, said in {
        "z_dims": r"'z_dims' is no setting of gan and no option of a run: did you mean 'z_dim'\?",
        "cycle_weight": r"no option of a run: it is for cyclegan, unit\.",
        "qqq": r"'qqq' is no setting of gan and no option of a run, of accumulate, ",
    }.items():
        with pytest.raises(TypeError, match=said):
            fastgan.train("gan", out=tmp_path / "run", **{name: 3})
    with pytest.raises(FastganError, match=r"dcgam.*dcgan"):
        fastgan.train("dcgam")
    with pytest.raises(TypeError, match="name of a recipe or a recipe object, got GAN: call the"):
        fastgan.train(GAN)
    with pytest.raises(TypeError, match=r"recipe must be the name .*, got int: docs/recipes"):
        fastgan.train(3)
    with pytest.raises(TypeError, match=r"data must be a folder, .*, got Tensor: put images in"):
        fastgan.train("gan", data=torch.zeros(8, 1, 8, 8), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_figures_are_those_of_the_measures(gan):
    figures = gan.evaluate(["prdc", "modes"], features="digits", samples=20, real=100)
    assert {"precision_digits", "coverage_digits", "classes_hit"} <= figures.keys()
    with pytest.raises(FastganError, match="Unknown metric 'fdd': did you mean 'fd'"):
        gan.evaluate(["fdd"])
    one = gan.evaluate("modes", data="digits", samples=20)
    assert one["classes_hit"] == figures["classes_hit"]
    assert gan.default_metrics(gan.open_data()) == ("fd", "kd", "prdc", "modes")
    path = gan.export(gan.result.run.root / "G.safetensors").path
    with pytest.raises(FastganError, match="has no data of its own: name some in data"):
        fastgan.load(path).evaluate("fd")


def test_points_are_trained_measured_and_drawn(tmp_path):
    small = {"z_dim": 4, "g_hidden": (8,), "d_hidden": (8,), "batch": 16, "console": None}
    points = fastgan.train(
        "gan", data="ring", total_images=64, measure_samples=20, out=tmp_path / "run", **small
    )
    measured = points.evaluate(samples=20)
    assert set(measured) == {"classes_hit", "num_classes", "kl_to_uniform", "near_modes"}
    assert points.sample(3).shape == (3, 2, 1, 1)
    # A scatter plot, not a grid of 64 tiles.
    assert Image.open(tmp_path / "run" / "samples.png").size == (256, 256)


def test_exports_go_by_the_ending(gan, tmp_path):
    written = gan.export(tmp_path / "G.pt2", batch=2)
    assert written.signature.inputs[0].name == "z" and written.difference < 1e-4
    program = torch.export.load(written.path).module()
    z = torch.randn(2, 4)
    torch.testing.assert_close(program(z), gan.generator(z))
    form = gan.form("D", batch=3)
    assert form.example[0].shape == (3, 1, 8, 8)
    before = written.path.read_bytes()
    with pytest.raises(FastganError, match=r"G\.pt2' exists: replace it with force, or choose"):
        gan.export(tmp_path / "G.pt2", batch=3)
    assert written.path.read_bytes() == before
    gan.export(tmp_path / "G.pt2", batch=3, force=True)
    assert written.path.read_bytes() != before
    for path, options, said in (
        ("G.pth", {}, r"must end in \.safetensors, \.pt2, \.onnx, got 'G\.pth'"),
        ("G.safetensors", {"batch": 2}, "batch has no meaning for safetensors: leave it out"),
        ("G.onnx", {"portable": True}, "portable has no meaning for onnx: leave it out"),
        ("G.onnx", {"network": "E"}, "Recipe 'gan' has no network 'E', only G, D"),
        ("G.onnx", {"to": "tflite"}, "to must be one of safetensors, .*, got 'tflite'"),
    ):
        with pytest.raises(FastganError, match=said):
            gan.export(path, **options)


def test_the_interface_is_typed_and_documented():
    names = [fastgan.load, fastgan.train]
    names += [m for n, m in inspect.getmembers(fastgan.Trained) if not n.startswith("_")]
    for member in names:
        function = member.fget if isinstance(member, property) else member
        assert inspect.getdoc(function), function
        hints = typing.get_type_hints(function)
        parameters = set(inspect.signature(function).parameters) - {"self"}
        assert parameters | {"return"} <= hints.keys(), function
    assert typing.get_type_hints(fastgan.load)["return"] is fastgan.Trained
    assert typing.get_type_hints(fastgan.train)["return"] is fastgan.Trained
