"""Files of fastgan itself: those of `save_network`, and checkpoints of runs."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from fastgan.compat import load_discriminator, load_generator
from fastgan.compat.networks import save_network
from fastgan.foreign.errors import CompatError
from fastgan.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from fastgan.recipes import ImageSpec, get_recipe
from fastgan.training.checkpoint import save_checkpoint
from fastgan.training.config import RunConfig
from fastgan.training.run_settings import RunSettings
from fastgan.training.state import TrainState

SIZES = {"channel_base": 64, "channel_max": 8}


def generator(**options) -> StyleGAN2Generator:
    return StyleGAN2Generator(16, 2, z_dim=4, w_dim=6, mapping_layers=2, **SIZES, **options)


@pytest.mark.parametrize(
    "options", [{}, {"c_dim": 3, "base": (4, 8), "half_resolutions": 1, "conv_clamp": 9.0}]
)
def test_a_saved_network_is_loaded_to_the_bit(tmp_path, seeded, options):
    g = generator(**options, w_avg_beta=0.9)
    d = StyleGAN2Discriminator(16, 2, mapping_layers=2, **SIZES, **options)
    path = tmp_path / "new" / "network.safetensors"
    for network, name, load in (
        (g, "G_ema", load_generator),
        (d, "D", load_discriminator),
        (g, "G", load_generator),
    ):
        save_network(network, path, name=name)
        loaded = load(path)
        assert loaded.config == network.config and not loaded.training
        for key, tensor in network.state_dict().items():
            assert torch.equal(loaded.state_dict()[key], tensor), key
    with pytest.raises(
        CompatError,
        match=r"holds a generator only: .* too with fastgan convert --network D, or use",
    ):
        load_discriminator(path)
    with pytest.raises(CompatError, match=r"There is no G_ema in '.*': it has G\."):
        load_generator(path, network="G_ema")


def rewritten(path, **changes) -> None:
    """Change entries of the metadata; remove it all for the network "-"."""
    description = {
        "network": "G_ema",
        "class": "StyleGAN2Generator",
        "config": generator().config,
    } | changes
    save_file(
        load_file(path),
        path,
        None if changes.get("network") == "-" else {"fastgan": json.dumps(description)},
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"network": "-"},
            "has no description of its network: use a file of fastgan convert",
        ),
        ({"class": "Module"}, "holds no network that this version of fastgan knows"),
        ({"class": ["x"]}, "holds no network that this version of fastgan knows"),
        ({"config": None}, "holds no network that this version of fastgan knows"),
        (
            {"config": {"resolution": 48}},
            "its configuration isn't one of a StyleGAN2Generator .*48",
        ),
        ({"config": {"os": 1}}, "its configuration isn't one of a StyleGAN2Generator"),
        (
            {"config": {"mapping_layers": 10**9}},
            "its mapping_layers isn't a whole number from 0 to",
        ),
        (
            {"config": {"half_resolutions": 10**12}},
            "its half_resolutions isn't a whole number from 0 to 16",
        ),
        ({"config": {"channel_base": 10**12, "channel_max": 10**12}}, "configuration"),
        ({"config": {"resolution": 1024}}, "it has no tensor 'mapping.fc2.bias'"),
    ],
)
def test_metadata_that_lies(tmp_path, changes, message):
    path = tmp_path / "network.safetensors"
    save_network(generator(), path, name="G_ema")
    rewritten(path, **changes)
    with pytest.raises(CompatError, match=message):
        load_generator(path)


def test_a_damaged_file(tmp_path):
    path = tmp_path / "network.safetensors"
    save_network(generator(), path, name="G_ema")
    content = path.read_bytes()
    for end in (9, 100, len(content) - 1):
        path.write_bytes(content[:end])
        with pytest.raises(
            CompatError, match=r"is no .safetensors file, or is damaged or cut short"
        ):
            load_generator(path)


@pytest.mark.parametrize("ema", [10.0, 0.0])
def test_a_run_of_stylegan2(tmp_path, ema):
    recipe = get_recipe("stylegan2")(
        z_dim=4, w_dim=6, mapping_layers=2, channel_base=64, channel_max=8, ema_kimg=ema, ema=0.0
    )
    images = ImageSpec(1, 8)
    state = TrainState.create(recipe, images)
    for network in state.ema.values():
        network.synthesis.b4.const.zero_()
    save_checkpoint(
        tmp_path / "checkpoints",
        RunConfig(recipe, RunSettings.of(recipe), images, "digits", "0"),
        state,
        keep=1,
    )
    for path in (tmp_path, tmp_path / "checkpoints" / "000000000.pt"):
        name = "G_ema" if ema else "G"
        g = load_generator(path, network=name)
        assert g.config == state.networks["G"].config
        assert torch.equal(
            g.synthesis.b4.const, (state.ema or state.networks)["G"].synthesis.b4.const
        )
        assert torch.equal(
            load_generator(path, network="G").synthesis.b4.const,
            state.networks["G"].synthesis.b4.const,
        )
        d = load_discriminator(path)
        assert torch.equal(d.b4.out.weight, state.networks["D"].b4.out.weight)


def test_a_run_of_another_recipe(tmp_path):
    recipe, images = get_recipe("gan")(z_dim=4, g_hidden=(4,), d_hidden=(4,)), ImageSpec(1, 8)
    state = TrainState.create(recipe, images)
    save_checkpoint(
        tmp_path, RunConfig(recipe, RunSettings.of(recipe), images, "digits", "0"), state, keep=1
    )
    with pytest.raises(CompatError, match="it has no network of StyleGAN2 or StyleGAN3 at all"):
        load_generator(tmp_path)
