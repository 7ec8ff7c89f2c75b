"""Forms of networks that are exported, and the files that networks are loaded from."""

from __future__ import annotations

import pytest
import torch

from fastgan import load
from fastgan.compat import load_generator
from fastgan.errors import FastganError
from fastgan.export import (
    ExportError,
    discriminator_form,
    generator_form,
    load_safetensors,
    to_safetensors,
)
from fastgan.networks.stylegan2 import StyleGAN2Discriminator


def test_forms_of_a_styled_generator(styled):
    """z with truncation and noise, and w, are the network's own outputs."""
    form = generator_form(styled, truncation_psi=0.5, noise="none", batch=3)
    z, c = form.example
    assert (z.shape, c.tolist()) == ((3, 8), torch.eye(3).tolist())
    expected = styled(z, c, truncation_psi=0.5, noise_mode="none")
    assert torch.equal(form.module(z, c), expected)
    assert not torch.allclose(expected, styled(z, c, noise_mode="none"), atol=1e-3)
    assert not torch.allclose(
        expected, styled(z, c, truncation_psi=0.5, noise_mode="const"), atol=1e-3
    )
    synthesis = generator_form(styled, inputs="w")
    (ws,) = synthesis.example
    assert torch.equal(synthesis.module(ws), styled.synthesis(ws, noise_mode="const"))
    with pytest.raises(ExportError, match="truncation_psi acts before w: leave it out"):
        generator_form(styled, inputs="w", truncation_psi=0.5)


def test_a_discriminator_gets_whole_groups():
    D = StyleGAN2Discriminator(8, 3, channel_base=64, channel_max=16, c_dim=2, group_size=3).eval()
    images, c = discriminator_form(D, (3, 8, 8)).example
    assert (images.shape, c.shape) == ((6, 3, 8, 8), (6, 2)) and images.abs().max() == 1
    assert len(discriminator_form(D, (3, 8, 8), batch=9).example[0]) == 9


@pytest.mark.parametrize(
    "options, said",
    [
        ({"truncation_psi": 0.5}, "no truncation"),
        ({"noise": "const"}, "no noise"),
        ({"inputs": "w"}, "no input of w"),
    ],
)
def test_settings_without_effect_are_refused(run_of, options, said):
    G = run_of("dcgan")[1].networks["G"]
    with pytest.raises(ExportError, match=f"DCGANGenerator has {said}: leave that out"):
        generator_form(G, **options)


def test_a_run_gives_the_averaged_generator(run_of, normal):
    folder, state = run_of("gan")
    z = normal(5, 4)
    found = load(folder).source()
    assert found.others == ("D",)
    assert torch.equal(found.network(z), state.ema["G"](z)) and not torch.equal(
        found.network(z), state.networks["G"](z)
    )
    assert found.name == "G_ema" and found.title.startswith(
        "averaged G of gan after 0 images, from "
    )
    judge = load(folder).source("D")
    assert (judge.name, judge.signature.inputs[0].shape) == (
        "D",
        (1, 8, 8),
    ) and not judge.network.training


@pytest.mark.parametrize("recipe", ["gan", "dcgan", "stylegan2"])
def test_safetensors_rebuild_the_network(run_of, normal, tmp_path, recipe):
    source = load(run_of(recipe)[0]).source()
    written = to_safetensors(
        source.network, tmp_path / "G.safetensors", name=source.name, about=source.described
    )
    assert written.difference == 0 and b"private" not in written.path.read_bytes()
    again = load(written.path).source()
    _, loaded, images, _ = load_safetensors(written.path)
    assert (again.name, again.described) == (source.name, source.described)
    assert again.signature.outputs[0].shape == images.shape
    (z,) = generator_form(source.network, batch=3).example
    for network in (loaded, again.network):
        torch.manual_seed(1)
        expected = source.network(z)
        torch.manual_seed(1)
        assert torch.equal(network(z), expected)
    with pytest.raises(
        ExportError, match=r"holds the weights of G.*: it has no network 'D', only G\."
    ):
        load(written.path).source("D")


def test_safetensors_of_a_stylegan2_open_as_checkpoints_of_others_do(styled, normal, tmp_path):
    path = to_safetensors(styled, tmp_path / "G.safetensors").path
    z, c = normal(2, 8), torch.tensor([2, 0])
    for G in (load_generator(path), load(path).source().network):
        assert torch.equal(G(z, c, noise_mode="const"), styled(z, c, noise_mode="const"))
    with pytest.raises(ExportError, match=r"names no recipe: .* fastgan\.compat\.load_generator"):
        load_safetensors(path)
    with pytest.raises(FastganError, match=r"has no network .D., only G\."):
        load(path).source("D")


def test_foreign_and_spoilt_safetensors_are_refused(run_of, tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    (tmp_path / "damaged.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    for name in ("foreign", "damaged"):
        with pytest.raises(
            ExportError, match=f"{name}.safetensors' isn't a safetensors file of fastgan"
        ):
            load(tmp_path / f"{name}.safetensors").source()
    about = load(run_of("gan")[0]).source().about
    to_safetensors(torch.nn.Linear(2, 2), tmp_path / "other.safetensors", about=about)
    with pytest.raises(
        ExportError, match=r"doesn't hold the network that it describes \(Error\(s\) in loading"
    ):
        load_safetensors(tmp_path / "other.safetensors")
