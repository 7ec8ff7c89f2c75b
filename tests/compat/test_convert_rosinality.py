"""Networks from rosinality's state dicts compute the images and logits of plain PyTorch.

Layers are those of the oracle: a transposed convolution by the unflipped weight, then the filter.
"""

from __future__ import annotations

import argparse
import os
import warnings

import pytest
import torch

from fastgan.compat import load_discriminator, load_generator
from fastgan.foreign.errors import CompatError
from tests.compat import fake_official as fake
from tests.compat import oracle


def generator_state(g: fake.Generator) -> dict[str, torch.Tensor]:
    """Return the tensors of `g` by rosinality's names and shapes."""
    state = {"input.input": g.synthesis.b4.const[None]}
    for i, layer in enumerate((g.mapping.fc0, g.mapping.fc1), 1):
        state |= {f"style.{i}.weight": layer.weight, f"style.{i}.bias": layer.bias}
    blocks = list(g.synthesis.children())
    convs = [
        block.conv1 if i == 1 else block.conv0
        for block in blocks
        for i in (0, 1)
        if i or hasattr(block, "conv0")
    ]
    for k, conv in enumerate(convs):
        name = "conv1" if k == 0 else f"convs.{k - 1}"
        state |= {
            f"{name}.conv.weight": conv.weight[None],
            f"{name}.conv.modulation.weight": conv.affine.weight,
            f"{name}.conv.modulation.bias": conv.affine.bias,
            f"{name}.noise.weight": conv.noise_strength[None],
            f"{name}.activate.bias": conv.bias,
            f"noises.noise_{k}": conv.noise_const[None, None],
        }
        if k % 2:
            state[f"{name}.conv.blur.kernel"] = conv.resample_filter * 4
    for k, block in enumerate(blocks):
        name = f"to_rgbs.{k - 1}" if k else "to_rgb1"
        state |= {
            f"{name}.conv.weight": block.torgb.weight[None],
            f"{name}.conv.modulation.weight": block.torgb.affine.weight,
            f"{name}.conv.modulation.bias": block.torgb.affine.bias,
            f"{name}.bias": block.torgb.bias[None, :, None, None],
        }
        if k:
            state[f"{name}.upsample.kernel"] = block.resample_filter * 4
    return {name: t.detach().clone() for name, t in state.items()}


def discriminator_state(d: fake.Discriminator) -> dict[str, torch.Tensor]:
    blocks = list(d.children())[:-1]
    state = {"convs.0.0.weight": blocks[0].fromrgb.weight, "convs.0.1.bias": blocks[0].fromrgb.bias}
    for k, block in enumerate(blocks, 1):
        state |= {
            f"convs.{k}.conv1.0.weight": block.conv0.weight,
            f"convs.{k}.conv1.1.bias": block.conv0.bias,
            f"convs.{k}.conv2.0.kernel": block.resample_filter,
            f"convs.{k}.conv2.1.weight": block.conv1.weight,
            f"convs.{k}.conv2.2.bias": block.conv1.bias,
            f"convs.{k}.skip.0.kernel": block.resample_filter,
            f"convs.{k}.skip.1.weight": block.skip.weight,
        }
    state |= {"final_conv.0.weight": d.b4.conv.weight, "final_conv.1.bias": d.b4.conv.bias}
    for i, layer in enumerate((d.b4.fc, d.b4.out)):
        state |= {f"final_linear.{i}.weight": layer.weight, f"final_linear.{i}.bias": layer.bias}
    return {name: t.detach().clone() for name, t in state.items()}


@pytest.fixture
def file(tmp_path, seeded):
    """Return a function that writes a file by torch.save and returns its path."""

    def write(content, **options):
        path = tmp_path / "network.pt"
        torch.save(content, path, **options)
        return path

    return write


def extras() -> dict:
    """Return the entries that a training run saves beside its networks."""
    args = argparse.Namespace(lr=0.002, path="data", augment=False, mixing=0.9)
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return {"args": args, "g_optim": optimizer.state_dict(), "ada_aug_p": 0.0}


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("resolution", [8, 32])
def test_pictures_and_logits_are_those_of_the_file(file, resolution, archive):
    g, d = fake.Generator(resolution), fake.Discriminator(resolution)
    saved = {
        "g": generator_state(fake.Generator(resolution)),
        "g_ema": generator_state(g),
        "d": discriminator_state(d),
    }
    saved["latent_avg"] = g.mapping.w_avg
    path = file(saved | extras(), _use_new_zipfile_serialization=archive)
    ours, theirs = load_generator(path), oracle.doubles(g)
    z = torch.randn(4, 12)
    for mode, psi, cutoff in (("const", 1.0, None), ("none", 0.7, 2)):
        expected = oracle.generate(
            theirs, z.double(), layers=2, psi=psi, cutoff=cutoff, noise_mode=mode
        )
        images = ours(z, truncation_psi=psi, truncation_cutoff=cutoff, noise_mode=mode)
        assert (images - expected).abs().max() < 1e-4
    logits = load_discriminator(path)(images)
    expected = oracle.discriminate(oracle.doubles(d), images.double())
    assert (logits - expected).abs().max() < 1e-4
    other = load_generator(path, network="G")
    assert torch.equal(other.synthesis.b4.const, saved["g"]["input.input"][0])


def test_the_mean_of_w_where_a_file_has_none(file):
    g = fake.Generator(8)
    loaded = load_generator(file({"g_ema": generator_state(g)}))
    w = oracle.mapped(oracle.doubles(g), torch.randn(50_000, 12).double(), None, layers=2, lr=0.01)
    assert (loaded.mapping.w_avg - w.mean(0)).abs().max() < 6 * w.std() * (
        1 / 10_000 + 1 / 50_000
    ) ** 0.5
    assert torch.equal(
        load_generator(file({"g_ema": generator_state(g)})).mapping.w_avg, loaded.mapping.w_avg
    )


def changed(state: dict, name: str, value: object) -> dict:
    return (
        {**state, name: value}
        if value is not None
        else {k: v for k, v in state.items() if k != name}
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("convs.0.conv.weight", None, "it has no tensor for 'synthesis.b8.conv0.weight'"),
        ("conv1.activate.bias", None, "it has no tensor 'synthesis.b4.conv1.bias'"),
        ("style.1.weight", None, "it has no tensor for 'mapping.fc0.weight'"),
        (
            "style.2.weight",
            None,
            "it has a tensor 'mapping.fc1.bias', which a StyleGAN2Generator has no use",
        ),
        ("extra.weight", torch.zeros(2), "it has a tensor 'extra.weight', which isn't known"),
        (
            "conv1.conv.extra",
            torch.zeros(2),
            "it has a tensor 'conv1.conv.extra', which isn't known",
        ),
        ("style.1.bias", "text", "its 'style.1.bias' is 'text', no tensor"),
        (
            "input.input",
            torch.zeros(2, 24, 4, 4),
            r"its 'input.input' must have 3 axes, got shape \[2, 24, 4, 4\]",
        ),
        (
            "noises.noise_0",
            torch.zeros(1, 1, 5, 4),
            r"must have shape \[4, 4\] by its configuration, got \[5, 4\]",
        ),
        ("to_rgbs.0.upsample.kernel", torch.ones(4, 4), r"isn't \[1, 3, 3, 1\]"),
        ("noises.noise_0", torch.zeros(1).expand(1, 1, 4, 4), "claim more bytes than it has"),
    ],
)
def test_generators_that_are_something_else(file, name, value, message):
    state = changed(generator_state(fake.Generator(8)), name, value)
    with pytest.raises(CompatError, match=f"network.pt' can't be used: .*{message}"):
        load_generator(file({"g_ema": state, "latent_avg": torch.zeros(16)}))


class Bomb:
    def __reduce__(self):
        return os.system, ("touch canary",)


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "legacy"])
def test_code_is_refused_with_its_name(file, archive, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = file({"g_ema": Bomb()}, _use_new_zipfile_serialization=archive)
    with pytest.raises(
        CompatError,
        match=r"nothing in it was run: it asks for '(posix|nt)\.system', more than tensors",
    ):
        load_generator(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["network.pt"]


def test_files_that_are_something_else(file, tmp_path):
    for content in ({"state_dict": {}}, [1], {"g": 3}):
        with pytest.raises(
            CompatError,
            match=r"There is no G_ema in .*: it has no network of StyleGAN2 or StyleGAN3 at all",
        ):
            load_generator(file(content))
    state = {"g_ema": generator_state(fake.Generator(8))}
    for archive in (True, False):
        path = file(state, _use_new_zipfile_serialization=archive)
        content = path.read_bytes()
        for end in (30, len(content) // 2, len(content) - 30):
            path.write_bytes(content[:end])
            with (
                pytest.raises(CompatError, match="is damaged or cut short"),
                warnings.catch_warnings(),
            ):
                warnings.simplefilter("error")
                load_generator(path)
