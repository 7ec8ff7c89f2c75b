"""Networks from official pickles compute the images and logits of plain PyTorch."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from fastgan.compat import load_discriminator, load_generator
from fastgan.foreign.errors import CompatError
from tests.compat import fake_official as fake
from tests.compat import oracle

LAYOUTS = {
    "ada": {"resolution": 16},
    "ada-labels": {"resolution": 16, "c_dim": 3, "layers": 3, "lr": 0.02, "channels": 1},
    "stylegan3": {
        "resolution": 32,
        "nested": False,
        "beta": 0.998,
        "fp16": 4,
        "clamp": 1.5,
        "channels": 4,
    },
    "stylegan3-labels": {
        "resolution": 8,
        "nested": False,
        "c_dim": 2,
        "fp16": 1,
        "clamp": 256,
        "beta": 0.998,
    },
}


def labels(c_dim: int, number: int) -> torch.Tensor | None:
    return torch.eye(c_dim)[torch.arange(number) % c_dim] if c_dim else None


def double(t: torch.Tensor | None) -> torch.Tensor | None:
    return None if t is None else t.double()


@pytest.fixture(autouse=True)
def strict(seeded):
    """Turn warnings into errors, since files with all settings are read without one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pictures_are_those_of_the_file(layout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = LAYOUTS[layout]
    theirs, other = fake.Generator(**options), fake.Generator(8)
    path, protocol = tmp_path / "network.pkl", 3 if layout == "ada" else 4
    fake.network_pickle(path, protocol=protocol, G=other, D=fake.Discriminator(8), G_ema=theirs)
    g = load_generator(path)
    # No source code was run.
    assert [entry.name for entry in tmp_path.iterdir()] == ["network.pkl"]
    c_dim, layers = options.get("c_dim", 0), options.get("layers", 2)
    assert (g.z_dim, g.w_dim, g.c_dim, g.channels) == (12, 16, c_dim, options.get("channels", 3))
    assert g.config["w_avg_beta"] == options.get("beta", 0.995)
    assert g.config["mapping_lr_multiplier"] == options.get("lr", 0.01)
    assert (g.config["channel_base"], g.config["channel_max"]) == (256, 24)
    assert g.config["conv_clamp"] == options.get("clamp")
    # The lowest resolution is always in full precision, but a file's count may include it.
    assert g.config["half_resolutions"] == min(options.get("fp16", 0), g.num_ws // 2 - 1)
    assert not g.training and not any(p.requires_grad for p in g.parameters())

    z = torch.randn(3, 12)
    c = labels(c_dim, 3)
    tensors, known = oracle.doubles(theirs), {"layers": layers, "lr": options.get("lr", 0.01)}
    for mode, psi, cutoff in (("const", 1.0, None), ("none", 0.7, 3), ("const", 0.7, None)):
        expected = oracle.generate(
            tensors,
            z.double(),
            double(c),
            psi=psi,
            cutoff=cutoff,
            noise_mode=mode,
            clamp=options.get("clamp"),
            **known,
        )
        images = g(z, c, truncation_psi=psi, truncation_cutoff=cutoff, noise_mode=mode)
        assert images.dtype == torch.float32 and images.shape == expected.shape
        assert (images - expected).abs().max() < 1e-4, (mode, psi)
    if options.get("clamp", 256) < 256:
        unclamped = oracle.generate(tensors, z.double(), psi=0.7, **known)
        assert (expected - unclamped).abs().max() > 0.1
    ws = g.mapping(z, c, truncation_psi=0.7)
    assert torch.equal(g.synthesis(ws, noise_mode="const"), images)
    # Noise differs in each call.
    assert not torch.allclose(g(z, c), g(z, c))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_logits_are_those_of_the_file(layout, tmp_path):
    options = {k: v for k, v in LAYOUTS[layout].items() if k not in ("nested", "beta")}
    theirs = fake.Discriminator(**options, group=2)
    d = load_discriminator(fake.network_pickle(tmp_path / "network.pkl", D=theirs))
    clamp = options.get("clamp")
    assert d.config["group_size"] == 2 and d.config["conv_clamp"] == clamp
    assert d.config["half_resolutions"] == min(options.get("fp16", 0), len(d.resolutions))
    size, channels, c_dim = (
        options["resolution"],
        options.get("channels", 3),
        options.get("c_dim", 0),
    )
    images, c = torch.randn(4, channels, size, size), labels(c_dim, 4)
    known = {"layers": options.get("layers", 2), "lr": options.get("lr", 0.01)}
    expected = oracle.discriminate(
        oracle.doubles(theirs), images.double(), double(c), group=2, clamp=clamp, **known
    )
    logits = d(images, c)
    assert logits.shape == expected.shape == (4,)
    assert (logits - expected).abs().max() < 1e-4


def test_one_of_several_networks(tmp_path):
    theirs = {"G": fake.Generator(8), "D": fake.Discriminator(8), "G_ema": fake.Generator(8)}
    path = fake.network_pickle(tmp_path / "network.pkl", **theirs)
    for name in ("G", "G_ema"):
        const = load_generator(path, network=name).state_dict()["synthesis.b4.const"]
        assert torch.equal(const, theirs[name].synthesis.b4.const)
    with pytest.raises(
        CompatError, match="holds a discriminator there, not a generator: use load_discriminator"
    ):
        load_generator(path, network="D")
    without = fake.network_pickle(tmp_path / "without.pkl", G=theirs["G"], D=theirs["D"])
    with pytest.raises(CompatError, match=r"There is no G_ema in '.*without.pkl': it has G, D\."):
        load_generator(without)
    only = fake.network_pickle(tmp_path / "only.pkl", G=theirs["G"])
    assert torch.equal(load_generator(only).synthesis.b4.const, theirs["G"].synthesis.b4.const)
    with pytest.raises(CompatError, match=r"There is no D|holds a generator only"):
        load_discriminator(only)


@pytest.mark.parametrize("nested", [True, False])
def test_settings_are_also_read_from_the_arguments(tmp_path, nested):
    """Attributes may be missing or have other names."""
    options = {"fp16": 1, "clamp": 7.5, "beta": 0.9, "lr": 0.03, "nested": nested}
    g = fake.Generator(16, **options)
    for part in g.modules():
        for name in ("use_fp16", "conv_clamp", "w_avg_beta", "bias_gain"):
            part.__dict__.pop(name, None)
    config = load_generator(fake.network_pickle(tmp_path / "network.pkl", G_ema=g)).config
    settings = [
        config[name]
        for name in ("half_resolutions", "conv_clamp", "w_avg_beta", "mapping_lr_multiplier")
    ]
    assert settings == [1, 7.5, 0.9, 0.03]


def test_settings_that_a_file_does_not_state(tmp_path):
    names = ("use_fp16", "num_fp16_res", "conv_clamp", "w_avg_beta", "bias_gain", "lr_multiplier")
    path = fake.network_pickle(
        tmp_path / "network.pkl", G_ema=fake.forget(fake.Generator(8), *names)
    )
    with pytest.warns(UserWarning) as caught:
        load_generator(path)
    messages = [str(warning.message).partition(" doesn't state ")[2] for warning in caught]
    expected = [
        "lr_multiplier: 0.01 is used.",
        "num_fp16_res: 0 is used.",
        "conv_clamp: None is used.",
        "w_avg_beta: 0.998 is used.",
    ]
    assert sorted(messages) == sorted(expected)


def test_frozen_layers_are_buffers_there(tmp_path):
    theirs = fake.Discriminator(8)
    for name in ("weight", "bias"):
        tensor = getattr(theirs.b8.fromrgb, name).detach()
        delattr(theirs.b8.fromrgb, name)
        theirs.b8.fromrgb.register_buffer(name, tensor)
    d = load_discriminator(fake.network_pickle(tmp_path / "network.pkl", D=theirs))
    assert torch.equal(d.b8.fromrgb.weight, theirs.b8.fromrgb.weight)


def test_a_mapping_network_without_w_avg(tmp_path):
    g = load_generator(
        fake.network_pickle(tmp_path / "network.pkl", G_ema=fake.Generator(8, beta=None))
    )
    assert g.config["w_avg_beta"] is None and "mapping.w_avg" not in g.state_dict()


@pytest.mark.parametrize(("base", "most"), [(100, 512), (256, 24), (48, 512), (4096, 24)])
def test_any_widths_that_follow_the_rule(tmp_path, base, most):
    theirs = fake.Generator(16, base=base, most=most)
    for stated in (True, False):
        if not stated:
            fake.forget(theirs, "channel_base", "channel_max")
        g = load_generator(fake.network_pickle(tmp_path / "network.pkl", G_ema=theirs))
        if stated:
            assert (g.config["channel_base"], g.config["channel_max"]) == (base, most)
        widths = [block.conv1.weight.shape[0] for block in g.synthesis.blocks()]
        assert widths == [min(base // r, most) for r in (4, 8, 16)]


def without(part: nn.Module, name: str) -> None:
    delattr(part, name)


def widened(g: fake.Generator) -> None:
    g.synthesis.b8 = fake.SynthesisBlock(24, 20, 16, 8, 3, fp16=False, clamp=None)
    g.synthesis.b16 = fake.SynthesisBlock(20, 22, 16, 16, 3, fp16=False, clamp=None)


def unclampable(g: fake.Generator) -> None:
    for part in g.modules():
        if hasattr(part, "conv_clamp"):
            part.conv_clamp = -1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda g: setattr(g.synthesis.b8, "architecture", "resnet"),
            "isn't of the architecture 'skip'",
        ),
        (lambda g: without(g.synthesis.b8, "torgb"), "isn't of the architecture 'skip'"),
        (
            lambda g: setattr(g.mapping.fc1, "activation", "relu"),
            "'mapping.fc1' has the activation 'relu'",
        ),
        (lambda g: g.synthesis.b8.conv0.resample_filter.fill_(1 / 16), "isn't [1, 3, 3, 1]"),
        (
            lambda g: without(g.synthesis.b8.conv0, "noise_const"),
            "it has no tensor 'synthesis.b8.conv0.noise.const'",
        ),
        (lambda g: g.synthesis.parameter("extra", 2), "it has a tensor 'synthesis.extra'"),
        (
            lambda g: g.mapping.fc1.parameter("weight", 16, 9),
            "'mapping.fc1.weight' must have shape [16, 16] by its configuration, got [16, 9]",
        ),
        (
            lambda g: g.mapping.fc0.parameter("weight", 16),
            "no tensor 'mapping.fc0.weight' of 2 dimensions",
        ),
        (
            widened,
            "its channels (24 at 4, 20 at 8, 22 at 16) don't follow min(base // resolution, max",
        ),
        (lambda g: without(g.synthesis, "b8"), "no blocks b4, b8 and so on"),
        (
            lambda g: setattr(g.synthesis.b8, "use_fp16", True),
            "blocks of half precision aren't the highest",
        ),
        (
            lambda g: setattr(g.mapping, "w_avg_beta", 1.5),
            "w_avg_beta must be None or from 0 to 1, got 1.5",
        ),
        (
            lambda g: setattr(g.mapping, "w_avg_beta", "0.9"),
            "its w_avg_beta is '0.9', no number that fits",
        ),
        (unclampable, "conv_clamp must be None or a number above 0"),
        (
            lambda g: setattr(g.synthesis.b8.conv0, "conv_clamp", 128),
            "'synthesis.b8.conv0' has another conv_clamp",
        ),
    ],
)
def test_generators_that_are_something_else(tmp_path, change, message):
    g = fake.Generator(16)
    change(g)
    refused(lambda: load_generator(fake.network_pickle(tmp_path / "network.pkl", G_ema=g)), message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: setattr(d.b8, "architecture", "orig"), "isn't of the architecture 'resnet'"),
        (lambda d: without(d.b8, "skip"), "isn't of the architecture 'resnet'"),
        (lambda d: d.b4.conv.parameter("weight", 24, 26, 3, 3), "got [24, 26, 3, 3]"),
        (
            lambda d: setattr(d.b4.mbstd, "group_size", None),
            "group_size must be a whole number of at least 1",
        ),
        (
            lambda d: setattr(d.b16, "use_fp16", 7) or d._init_kwargs.update(num_fp16_res=9**9),
            "half_resolutions isn't",
        ),
    ],
)
def test_discriminators_that_are_something_else(tmp_path, change, message):
    d = fake.Discriminator(16)
    change(d)
    path = fake.network_pickle(tmp_path / "network.pkl", D=d)
    refused(lambda: load_discriminator(path), message)


def refused(load, message: str) -> None:
    with pytest.raises(CompatError) as caught:
        load()
    text = str(caught.value)
    assert message in text and "network.pkl' can't be used: " in text
    assert text.endswith(".") and "\n" not in text
