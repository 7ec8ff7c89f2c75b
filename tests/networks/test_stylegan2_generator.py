"""Generator of StyleGAN2: sizes, styles, noise, truncation and precision.

tests/compat compares its values with the paper.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fastgan import ops
from fastgan.networks.stylegan2 import MappingNetwork, StyleGAN2Generator
from fastgan.nn import ModulatedConv2d


def generator(resolution: int = 16, channels: int = 3, **options) -> StyleGAN2Generator:
    """Return a small generator whose noise and biases are not zero."""
    torch.manual_seed(0)
    small = {"z_dim": 12, "w_dim": 10, "mapping_layers": 2, "channel_base": 64, "channel_max": 8}
    g = StyleGAN2Generator(resolution, channels, **{**small, **options})
    with torch.no_grad():
        for name, p in g.named_parameters():
            if name.endswith(("noise.strength", ".bias")) and "affine" not in name:
                p.copy_(0.2 * torch.randn(p.shape))
    return g


def latents(g: StyleGAN2Generator, count: int = 3) -> Tensor:
    return torch.randn(count, g.z_dim, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("resolution", "base", "count", "num_ws"),
    [(1024, 32768, 30_370_060, 18), (256, 16384, 24_767_458, 14)],
)
def test_counts_are_the_published_ones(resolution, base, count, num_ws):
    with torch.device("meta"):
        g = StyleGAN2Generator(resolution, channel_base=base)
    assert sum(p.numel() for p in g.parameters()) == count
    assert g.num_ws == g.synthesis.num_ws == num_ws


def test_names_in_the_state_dict():
    g = generator(8, c_dim=2)
    layer = {"weight", "bias", "affine.weight", "affine.bias"}
    noisy = layer | {"noise.strength", "noise.const"}
    expected = {"synthesis.b4.const", "mapping.w_avg"}
    for name, parts in (
        ("b4.conv1", noisy),
        ("b8.conv0", noisy),
        ("b8.conv1", noisy),
        ("b4.torgb", layer),
        ("b8.torgb", layer),
    ):
        expected |= {f"synthesis.{name}.{part}" for part in parts}
    expected |= {
        f"mapping.{name}.{part}" for name in ("embed", "fc0", "fc1") for part in ("weight", "bias")
    }
    assert set(g.state_dict()) == expected
    again = StyleGAN2Generator(**g.config)
    again.load_state_dict(g.state_dict())
    c = torch.tensor([0, 1, 0])
    assert torch.equal(
        again(latents(g), c, noise_mode="const"), g(latents(g), c, noise_mode="const")
    )


@pytest.mark.parametrize(
    ("resolution", "channels", "base"), [(8, 1, (4, 4)), (16, 4, (2, 4)), (32, 2, (4, 3))]
)
def test_sizes_of_the_images(resolution, channels, base):
    g = generator(resolution, channels, base=base)
    size = (base[0] * resolution // 4, base[1] * resolution // 4)
    assert g(latents(g)).shape == (3, channels, *size)
    assert g.synthesis.image_size == size


def test_each_block_adds_to_the_image_of_the_one_before():
    """A zero ``torgb`` at the highest resolution leaves the image below, upsampled."""
    g, low = generator(16), generator(8)
    names = set(low.state_dict())
    low.load_state_dict({name: t for name, t in g.state_dict().items() if name in names})
    ws = g.mapping(latents(g))
    with torch.no_grad():
        g.synthesis.b16.torgb.weight.zero_()
        g.synthesis.b16.torgb.bias.zero_()
    small = low.synthesis(ws[:, : low.num_ws], noise_mode="const")
    found = g.synthesis(ws, noise_mode="const")
    assert torch.allclose(found, ops.upsample2d(small, ops.setup_filter([1, 3, 3, 1])), atol=1e-6)


def test_each_layer_takes_its_w():
    """``torgb`` shares the w of the next block's first convolution."""
    g, taken = generator(16), {}

    def take(name):
        return lambda layer, inputs: taken.update({name: inputs[1][0, 0].item()})

    for name, layer in g.synthesis.named_modules():
        if isinstance(layer, ModulatedConv2d):
            layer.register_forward_pre_hook(take(name))
    numbered = torch.arange(g.num_ws, dtype=torch.float32)[None, :, None].expand(2, -1, g.w_dim)
    g.synthesis(numbered)
    assert taken == {
        "b4.conv1": 0, "b4.torgb": 1, "b8.conv0": 1, "b8.conv1": 2, "b8.torgb": 3,
        "b16.conv0": 3, "b16.conv1": 4, "b16.torgb": 5,
    }  # fmt: skip


def test_noise_modes():
    g, z = generator(), latents(generator())
    const, none = (g(z, noise_mode=mode) for mode in ("const", "none"))
    assert torch.equal(const, g(z, noise_mode="const")) and torch.equal(
        none, g(z, noise_mode="none")
    )
    assert not torch.allclose(const, none) and not torch.equal(g(z), g(z))
    with torch.no_grad():
        for name, p in g.named_parameters():
            if name.endswith("noise.strength"):
                p.zero_()
    assert torch.equal(g(z), g(z, noise_mode="none"))


def test_only_the_direction_of_z_counts():
    g = generator()
    z = latents(g)
    assert torch.allclose(g.mapping(3 * z), g.mapping(z), atol=1e-5)
    assert torch.allclose(g.mapping(z)[:, 0], g.mapping(z)[:, -1])


def test_labels_change_the_image():
    g = generator(c_dim=3)
    z, classes = latents(g), torch.tensor([0, 1, 2])
    ws = g.mapping(z, classes)
    assert torch.equal(g.mapping(z, torch.eye(3)), ws)
    assert not torch.allclose(g.mapping(z, classes.flip(0))[0], ws[0])
    assert torch.allclose(g.mapping(z, classes.flip(0))[1], ws[1])


def test_truncation():
    g, z = generator(), latents(generator())
    g.mapping.w_avg.normal_(generator=torch.Generator().manual_seed(2))
    ws, mean = g.mapping(z), g.mapping.w_avg
    assert torch.allclose(g.mapping(z, truncation_psi=0.0), mean.expand_as(ws))
    assert torch.allclose(g.mapping(z, truncation_psi=0.7), mean + 0.7 * (ws - mean), atol=1e-6)
    cut = g.mapping(z, truncation_psi=0.7, truncation_cutoff=2)
    assert torch.equal(cut[:, 2:], ws[:, 2:]) and not torch.allclose(cut[:, :2], ws[:, :2])
    whole = g(z, truncation_psi=0.5, noise_mode="const")
    assert torch.equal(whole, g.synthesis(g.mapping(z, truncation_psi=0.5), noise_mode="const"))


def test_the_mean_of_w_moves_when_asked_to():
    g, z = generator(w_avg_beta=0.75), latents(generator())
    g.mapping(z)
    assert not g.mapping.w_avg.any()
    w = g.mapping(z, update_w_avg=True)[:, 0]
    assert torch.allclose(g.mapping.w_avg, 0.25 * w.mean(0), atol=1e-6)
    assert not g.mapping.w_avg.requires_grad


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_of_the_highest_resolutions(dtype):
    g, seen = generator(32, half_resolutions=2, conv_clamp=256.0), {}
    for r in (4, 8, 16, 32):
        layer = getattr(g.synthesis, f"b{r}").conv1
        layer.register_forward_pre_hook(
            lambda layer, inputs, r=r: seen.update({r: inputs[0].dtype})
        )
    g.mapping.fc0.register_forward_hook(lambda layer, _, y: seen.update(mapping=y.dtype))
    with torch.autocast("cpu", dtype=dtype):
        half = g(latents(g), noise_mode="const")
    singles = torch.float32
    assert seen == {4: singles, 8: singles, 16: dtype, 32: dtype, "mapping": singles}
    full = g(latents(g), noise_mode="const")
    assert half.dtype == singles and not torch.equal(half, full)
    assert torch.allclose(half, full, atol=2e-2 if dtype == torch.float16 else 0.2)
    assert set(seen.values()) == {singles}


def test_without_half_resolutions_autocast_changes_nothing():
    g = generator(16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        images = g(latents(g), noise_mode="const")
    assert torch.equal(images, g(latents(g), noise_mode="const"))


def test_no_layer_exceeds_the_clamp():
    g, largest = generator(conv_clamp=0.5), {}
    for name, layer in g.synthesis.named_modules():
        if isinstance(layer, ModulatedConv2d):
            layer.register_forward_hook(
                lambda _, inputs, y, name=name: largest.update({name: y.abs().max().item()})
            )
    g(latents(g))
    assert max(largest.values()) == pytest.approx(0.5) and len(largest) == 8


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_every_parameter_has_a_gradient(backend):
    g = generator(c_dim=2)
    with ops.use_backend(backend):
        images = g(latents(g), torch.tensor([0, 1, 1]), noise_mode="const")
    images.square().sum().backward()
    assert [name for name, p in g.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"resolution": 48}, "resolution must be one of .* got 48"),
        ({"channels": 5}, "channels must be one of 1, 2, 3, 4, got 5"),
        ({"z_dim": 0}, "z_dim must be a whole number of at least 1, got 0"),
        ({"w_dim": -1}, "w_dim must be a whole number of at least 1, got -1"),
        ({"mapping_layers": 0}, "num_layers must be a whole number of at least 1, got 0"),
        ({"w_avg_beta": 2.0}, "w_avg_beta must be None or from 0 to 1, got 2.0"),
        ({"channel_base": 8}, "channel_base must be a whole number of at least 16, got 8"),
        ({"base": (4, 0)}, "base must be two whole numbers of at least 1"),
    ],
)
def test_arguments_out_of_range(arguments, said):
    with pytest.raises(ValueError, match=said):
        generator(**arguments)


def test_a_mapping_network_needs_an_input():
    with pytest.raises(ValueError, match="z_dim or c_dim must be at least 1, got 0 for both"):
        MappingNetwork(0, 0, num_ws=None)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda g: g(torch.zeros(3, 5)), r"z must be a \[N, 12\] tensor, got \[3, 5\]"),
        (
            lambda g: g(latents(g), noise_mode="loud"),
            "noise_mode must be one of random, const, none, got 'loud'",
        ),
        (
            lambda g: g.synthesis(torch.zeros(3, 2, 10)),
            r"ws must be a \[N, 6, 10\] tensor, got \[3, 2, 10\]",
        ),
        (lambda g: g(latents(g), torch.zeros(3, 2)), "for a network without classes, got"),
        (
            lambda g: g(latents(g), truncation_psi=0.5),
            "w_avg_beta must be a number for truncation_psi",
        ),
        (
            lambda g: g.mapping(latents(g), update_w_avg=True),
            "w_avg_beta must be a number for update_w_avg",
        ),
    ],
)
def test_wrong_calls_are_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call(generator(w_avg_beta=None))
