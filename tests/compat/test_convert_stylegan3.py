"""StyleGAN3's generators in official pickles: restored to the bit, told from StyleGAN2's, refused.

No source code in a file is run.
"""

from __future__ import annotations

import warnings

import pytest
import torch

import fastgan
from fastgan.compat import load_generator
from fastgan.compat.networks import save_network
from fastgan.foreign.errors import CompatError
from fastgan.networks.stylegan2 import StyleGAN2Generator
from fastgan.networks.stylegan3 import StyleGAN3Generator
from fastgan.recipes import StyleGAN3R, StyleGAN3T
from fastgan.training.state import TrainState
from fastgan.training.transfer import make_plan, read_source, source_settings
from tests.compat import fake_official, fake_stylegan3
from tests.compat.fake_stylegan3 import network

R = {"kernel_size": 1, "radial": True}
LAYOUTS = {
    "t": {},
    "r": R,
    "labels, grey": {"c_dim": 3, "channels": 1, "mapping_layers": 3},
    "32 pixels": {"resolution": 32, "num_layers": 14, "channel_base": 128},
    "full precision": {"half_resolutions": 0, "conv_clamp": None},
    "one width": {"channel_base": 4096},
}


def pickled(tmp_path, g: StyleGAN3Generator, **networks):
    path = tmp_path / "network.pkl"
    return fake_official.network_pickle(path, G_ema=fake_stylegan3.Generator(g), **networks)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pictures_are_those_of_the_file(layout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    theirs = network(**LAYOUTS[layout])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load_generator(pickled(tmp_path, theirs))
    assert [entry.name for entry in tmp_path.iterdir()] == ["network.pkl"]
    assert type(loaded) is StyleGAN3Generator and not loaded.training
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert loaded.config == theirs.config
    z = torch.randn(2, 6)
    labels = torch.tensor([0, 2]) if theirs.c_dim else None
    assert torch.equal(loaded(z, labels, truncation_psi=0.7), theirs(z, labels, truncation_psi=0.7))


def test_widths_are_found_where_the_file_states_none(tmp_path):
    theirs = fake_stylegan3.Generator(network())
    fake_official.forget(theirs, "channel_base", "channel_max")
    path = fake_official.network_pickle(tmp_path / "network.pkl", G_ema=theirs)
    loaded = load_generator(path)
    assert loaded.config["channel_max"] == 6
    expected = network().state_dict()
    assert all(torch.equal(t, expected[name]) for name, t in loaded.state_dict().items())


def test_one_file_may_hold_either_kind(tmp_path):
    """Both have the class name Generator, and the modules tell."""
    path = pickled(
        tmp_path, network(), G=fake_official.Generator(8), D=fake_official.Discriminator(8)
    )
    assert type(load_generator(path)) is StyleGAN3Generator
    assert type(load_generator(path, network="G")) is StyleGAN2Generator


@pytest.mark.parametrize("options", [{}, R])
def test_load_and_convert(options, tmp_path):
    g = network(**options)
    gan = fastgan.load(pickled(tmp_path, g))
    assert gan.recipe.name == ("stylegan3-r" if options else "stylegan3-t")
    assert gan.origin == f"StyleGAN3, from {tmp_path / 'network.pkl'}"
    assert gan.can("truncate") and gan.can("project") and not gan.can("noise")
    images = gan.sample(2, seed=3, truncation=0.5)
    save_network(gan.generator, tmp_path / "g.safetensors", name="G_ema")
    again = fastgan.load(tmp_path / "g.safetensors")
    assert again.generator.config == g.config
    assert torch.equal(again.sample(2, seed=3, truncation=0.5), images)


def renamed_layer(g: fake_stylegan3.Generator, name: str, new: str) -> None:
    modules = g.synthesis._modules
    g.synthesis._modules = {new if key == name else key: m for key, m in modules.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.synthesis._modules.pop("L2_36_6"), "it has no layers L0, L1 and so on"),
        (
            lambda g: renamed_layer(g, "L2_36_6", "L2_52_6"),
            "its layer L2_52_6 must have size 36 by its schedule, got 52",
        ),
        (
            lambda g: renamed_layer(g, "L1_36_6", "L1_36_1"),
            "its channels (6, 1, 6, 6, 6) don't fall",
        ),
        (
            lambda g: g.synthesis.L1_36_6.down_filter.mul_(1.1),
            "a filter of its layer 'L1_36_6' isn't the one of its schedule",
        ),
        (
            lambda g: g.synthesis.L1_36_6.register_buffer("up_filter", None),
            "a filter of its layer 'L1_36_6' isn't the one of its schedule",
        ),
        (
            lambda g: setattr(g.synthesis, "num_critical", 9),
            "its schedule isn't one of a StyleGAN3Generator (num_critical must be a whole",
        ),
        (
            lambda g: setattr(g.synthesis, "margin_size", 10**8),
            "its schedule isn't one of a StyleGAN3Generator (margin must be a whole",
        ),
        (lambda g: setattr(g.synthesis, "output_scale", "x"), "its output_scale is 'x', no number"),
        (
            lambda g: g.synthesis.L1_36_6.parameter("weight", 6, 6, 1, 1),
            "'synthesis.L1.weight' must have shape [6, 6, 3, 3] by its configuration",
        ),
        (lambda g: g.synthesis.L1_36_6.parameter("extra", 2), "a tensor 'synthesis.L1.extra'"),
        (
            lambda g: delattr(g.synthesis.input, "freqs"),
            "it has no tensor 'synthesis.input.freqs', which a StyleGAN3Generator needs",
        ),
    ],
)  # fmt: skip
def test_other_networks_are_refused(change, message, refusal):
    theirs = fake_stylegan3.Generator(network())
    change(theirs)
    assert message in refusal(fake_official.dumps({"G_ema": theirs}))


class Touch:
    """Something that runs a command when a pickle of it is loaded."""

    def __reduce__(self):
        import os

        return os.system, ("touch ran",)


@pytest.mark.parametrize("place", ["in the state", "for a tensor", "at the top"])
def test_a_file_that_runs_something_is_refused(place, refusal):
    theirs = fake_stylegan3.Generator(network())
    top = {"G_ema": theirs}
    if place == "in the state":
        theirs.synthesis.L0_36_6.in_cutoff = Touch()
    elif place == "for a tensor":
        theirs.synthesis.input._buffers["freqs"] = Touch()
    else:
        top["training_set_kwargs"] = Touch()
    assert "it asks for 'posix.system'" in refusal(fake_official.dumps(top))


def test_a_converted_file_with_a_huge_schedule_is_refused(tmp_path):
    g = network()
    g.config["margin"] = 10**9
    save_network(g, tmp_path / "g.safetensors", name="G_ema")
    with pytest.raises(CompatError, match="its configuration isn't one of a StyleGAN3Generator"):
        load_generator(tmp_path / "g.safetensors")


@pytest.mark.parametrize("options", [{}, R])
def test_training_goes_on_from_a_file(options, tmp_path):
    kind = StyleGAN3R if options else StyleGAN3T
    g = network(**options, channel_max=8, channel_base=64, conv_clamp=None, half_resolutions=0)
    source = read_source(pickled(tmp_path, g))
    recipe = kind(**(source_settings(source, kind) or {}), batch=4)
    recipe, plan = make_plan(source, recipe, source.images)
    assert recipe.blur_sigma == 0
    state = TrainState.create(recipe, source.images, plan=plan)
    for name, tensor in g.state_dict().items():
        assert torch.equal(state.networks["G"].state_dict()[name], tensor), name
    assert state.networks["G"].config["channel_max"] == 8
