"""`fastgan.load`: every kind of file, and what is refused."""

from __future__ import annotations

import shutil

import pytest
import torch

import fastgan
from fastgan.compat.networks import save_network
from fastgan.errors import FastganError
from fastgan.inference.capabilities import CAPABILITIES
from fastgan.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from fastgan.recipes import StyleGAN2
from fastgan.training.checkpoint import load_checkpoint
from tests.compat import fake_official as fake
from tests.trained.runs import CLASSES, RUNS, STYLED

CAN = {
    "gan": {"sample", "evaluate"},
    "cgan": {"sample", "label", "evaluate"},
    "stylegan2": {
        "sample", "label", "truncate", "noise", "interpolate", "project", "evaluate",
    },
    "stylegan3-r": {
        "sample", "truncate", "interpolate", "project", "transform", "evaluate",
    },
    "pix2pix": {"translate", "evaluate"},
    "cyclegan": {"translate", "direction", "evaluate"},
    "stargan": {"translate", "attributes", "evaluate"},
    "gaugan": {"translate", "evaluate"},
    "inpaint": {"translate", "fill", "evaluate"},
    "srgan": {"translate", "evaluate"},
    "text2image": {"sample", "caption", "evaluate"},
}  # fmt: skip


@pytest.mark.parametrize("recipe", RUNS)
def test_a_run_knows_what_it_can(run_of, recipe):
    gan = fastgan.load(run_of(recipe))
    assert {name for name in CAPABILITIES if gan.can(name)} == CAN[recipe]
    assert gan.recipe.name == recipe and gan.image_spec == RUNS[recipe][1]
    assert not any(network.training for network in gan.networks.values())
    assert not any(p.requires_grad for G in gan.networks.values() for p in G.parameters())
    assert gan.generator is gan.networks[next(n for n in gan.networks if n.startswith("G"))]
    assert gan.discriminator is gan.networks[next(n for n in gan.networks if n.startswith("D"))]
    assert repr(gan) == f"<fastgan.Trained: {gan.origin}>" and "after 0 images" in gan.origin


def test_averages_are_taken_unless_the_trained_weights_are_asked_for(run_of):
    saved = load_checkpoint(next((run_of("cgan") / "checkpoints").glob("*.pt"))).state
    for average, weights in ((True, saved["ema"]), (False, saved["networks"])):
        G = fastgan.load(run_of("cgan"), average=average).generator
        assert all(torch.equal(t, weights["G"][name]) for name, t in G.state_dict().items())
    gan = fastgan.load(run_of("cgan"))
    assert gan.class_names == CLASSES and gan.config.recipe == gan.recipe
    assert gan.result is None and gan.measures == {}


def test_the_newest_checkpoint_the_best_one_and_a_file(run_of, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(run_of("gan"), run)
    newest = run / "checkpoints" / "000000000.pt"
    shutil.copy(newest, run / "checkpoints" / "best.pt")
    assert fastgan.load(run).origin.endswith("000000000.pt")
    assert fastgan.load(run, best=True).origin.endswith("best.pt")
    assert fastgan.load(newest, device="auto").device.type in ("cpu", "cuda")
    with pytest.raises(FastganError, match=r"is no folder: leave best out\."):
        fastgan.load(newest, best=True)
    (run / "checkpoints" / "best.pt").unlink()
    with pytest.raises(FastganError, match=r"no best checkpoint .* where measure_every is above 0"):
        fastgan.load(run, best=True)


@pytest.mark.parametrize("recipe", ["cgan", "stylegan2", "pix2pix"])
def test_an_export_does_what_its_run_does(run_of, tmp_path, recipe):
    gan = fastgan.load(run_of(recipe))
    path = gan.export(tmp_path / "G.safetensors").path
    again = fastgan.load(path)
    assert again.recipe.name == recipe and again.image_spec == gan.image_spec
    assert {n for n in CAPABILITIES if again.can(n)} == CAN[recipe] and again.config is None
    if recipe == "pix2pix":
        picture = torch.rand(3, 16, 16) * 2 - 1
        assert torch.equal(gan.translate(picture), again.translate(picture))
    else:
        assert torch.equal(gan.sample(2, seed=3, label="dog"), again.sample(2, seed=3, label=1))
    with pytest.raises(FastganError, match=r"needs the network D, but .* holds G: load the run"):
        again.networks["D"]
    with pytest.raises(FastganError, match=r"There is no discriminator in "):
        again.discriminator  # noqa: B018


def test_one_direction_of_an_export_says_what_it_lacks(run_of, tmp_path):
    gan = fastgan.load(run_of("cyclegan"))
    there = fastgan.load(gan.export(tmp_path / "G.safetensors", network="G_AB").path)
    picture = torch.rand(3, 16, 16) * 2 - 1
    assert torch.equal(there.translate(picture), gan.translate(picture, direction="AtoB"))
    with pytest.raises(FastganError, match=r"This needs the network G_BA, but .* holds G_AB"):
        there.translate(picture, direction="BtoA")


def test_an_official_pickle_is_read_as_data(tmp_path):
    networks = {"G": fake.Generator(8), "D": fake.Discriminator(8), "G_ema": fake.Generator(8)}
    path = fake.network_pickle(tmp_path / "net.pkl", **networks)
    gan = fastgan.load(path)
    assert isinstance(gan.recipe, StyleGAN2) and gan.origin == f"StyleGAN2, from {path}"
    assert gan.can("truncate") and gan.can("project") and gan.config is None
    images = gan.sample(2, seed=3, truncation=0.5)
    assert images.shape == (2, *gan.image_spec.shape) and images.abs().max() <= 1
    logits = gan.discriminator(images, *([torch.zeros(2).long()] if gan.can("label") else []))
    assert logits.shape[0] == 2
    assert gan.source("D").network is gan.discriminator


def test_what_fastgan_convert_wrote_and_images_that_are_not_square(tmp_path):
    torch.manual_seed(0)
    wide = StyleGAN2Generator(8, 3, base=(4, 8), **STYLED)
    save_network(wide, tmp_path / "wide.safetensors", name="G_ema")
    gan = fastgan.load(tmp_path / "wide.safetensors")
    assert gan.sample(2).shape == (2, 3, 8, 16) and not gan.can("evaluate")
    for use in (lambda: gan.image_spec, lambda: gan.evaluate("fd", data="shapes")):
        with pytest.raises(FastganError, match="Only square"):
            use()
    D = StyleGAN2Discriminator(8, 3, channel_base=64, channel_max=8)
    save_network(D, tmp_path / "D.safetensors", name="D")
    judge = fastgan.load(tmp_path / "D.safetensors")
    assert not judge.can("sample") and judge.discriminator is judge.networks["D"]
    with pytest.raises(FastganError, match="This needs the network G"):
        judge.sample()


def test_what_cannot_be_loaded_is_said_in_a_sentence(run_of, tmp_path):
    (tmp_path / "G.onnx").write_bytes(b"graph")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.pkl").write_text("x")
    newest = next((run_of("gan") / "checkpoints").glob("*.pt"))
    (tmp_path / "cut.pt").write_bytes(newest.read_bytes()[:1000])
    for name, said in {
        "nothing": r"There is no checkpoint '.*nothing'",
        "nothing.pkl": r"'.*nothing\.pkl' can't be read: No such file",
        "G.onnx": r"is a graph for other programs: load the run or the \.safetensors",
        "empty": r"There is no checkpoint in the folder",
        "text.pkl": "must be a network pickle",
        "cut.pt": "is truncated",
    }.items():
        with pytest.raises(FastganError, match=said):
            fastgan.load(tmp_path / name)
    with pytest.raises(FastganError, match=r"device must be a torch device or 'auto', got 'gpu'\."):
        fastgan.load(run_of("gan"), device="gpu")
    with pytest.raises(TypeError, match="path must be the path of a run or a file, got NoneType"):
        fastgan.load(None)
    gan = fastgan.load(run_of("gan"))
    with pytest.raises(FastganError, match=r"capability 'trunkate': did you mean 'truncate'\?"):
        gan.can("trunkate")
    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        fastgan.lode  # noqa: B018
    assert {"load", "train", "Trained"} <= set(dir(fastgan))
