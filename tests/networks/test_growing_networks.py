"""Growing networks: levels, fading, and sizes of ProGAN and StyleGAN."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fastgan.losses import penalties
from fastgan.networks.growing import Growing
from fastgan.networks.progan import ProGANDiscriminator, ProGANGenerator
from fastgan.networks.stylegan import BILINEAR, StyleGANGenerator

SMALL = {"channel_base": 64, "channel_max": 4}
FILTERED = {"lowest": 8, "resample_filter": BILINEAR}


def progan(resolution=16, **options) -> ProGANGenerator:
    torch.manual_seed(0)
    return ProGANGenerator(resolution, 2, z_dim=6, **SMALL, **options)


def stylegan(resolution=16, **options) -> StyleGANGenerator:
    """Return a generator whose noise has strength."""
    torch.manual_seed(0)
    g = StyleGANGenerator(resolution, 2, z_dim=6, w_dim=5, mapping_layers=2, **SMALL, **options)
    for layer in g.synthesis.layers:
        torch.nn.init.normal_(layer.noise.strength)
    return g


def discriminator(resolution=16, **options) -> ProGANDiscriminator:
    torch.manual_seed(1)
    return ProGANDiscriminator(resolution, 2, **SMALL, **options)


def part_of(network) -> Growing:
    return next(m for m in network.modules() if isinstance(m, Growing))


def images_of(g, **options) -> Tensor:
    z = torch.randn(3, 6, generator=torch.Generator().manual_seed(2))
    # Noise is drawn anew.
    torch.manual_seed(3)
    return g(z, **options)


def a_batch(resolution, dtype=torch.float32) -> Tensor:
    return torch.randn(
        3, 2, resolution, resolution, generator=torch.Generator().manual_seed(4), dtype=dtype
    )


def gradients(network, output) -> set[str]:
    """Return the names of parameters with a gradient other than zero."""
    names, parameters = zip(*network.named_parameters())
    found = torch.autograd.grad(output.square().sum(), parameters, allow_unused=True)
    return {name for name, gradient in zip(names, found) if gradient is not None and gradient.any()}


@pytest.mark.parametrize(
    ("network", "options", "count"),
    [
        (ProGANGenerator, {}, 23_079_115),
        (ProGANDiscriminator, {}, 23_087_249),
        (StyleGANGenerator, {}, 26_218_088),
        (ProGANDiscriminator, FILTERED, 23_085_201),
    ],
)
def test_counts_at_1024(network, options, count):
    """The papers have 23.1 M for ProGAN's two networks and 26.2 M for StyleGAN's generator."""
    with torch.device("meta"):
        made = network(1024, 3, **options)
    assert sum(p.numel() for p in made.parameters()) == count
    published = 26.2e6 if network is StyleGANGenerator else 23.1e6
    assert count == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize("make", [progan, stylegan])
def test_images_are_of_the_full_resolution_at_every_growth(make):
    g = make()
    part = part_of(g)
    for growth in (0, 0.4, 1, len(part.resolutions) - 1):
        part.grow(growth)
        small, large = images_of(g, enlarge=False), images_of(g)
        assert small.shape == (3, 2, part.current, part.current) and large.shape == (3, 2, 16, 16)
        factor = 16 // part.current
        assert torch.equal(large, small.repeat_interleave(factor, 2).repeat_interleave(factor, 3))


@pytest.mark.parametrize("make", [progan, stylegan])
def test_a_level_of_g_fades_in_from_the_one_below_enlarged(make):
    g = make()
    part, shown = part_of(g), {}
    for growth in (0, 1):
        part.grow(growth)
        shown[growth] = images_of(g)
    # Level 1 with a fade of 0.
    part.growth.fill_(0)
    assert torch.equal(images_of(g), shown[0])
    for growth in (0.25, 0.5):
        part.grow(growth)
        assert part.level == 1
        torch.testing.assert_close(images_of(g), shown[0].lerp(shown[1], growth))
    part.grow(1)
    whole = images_of(g, enlarge=False)
    # With a fade of 1 the level below has no effect.
    torch.nn.init.normal_(part.torgb[0].weight)
    assert torch.equal(images_of(g, enlarge=False), whole)


def test_a_level_of_d_fades_in_from_the_one_below_averaged():
    d, seen = discriminator(), {}
    images = a_batch(8)
    for growth in (0, 1):
        d.grow(growth)
        seen[growth] = d(F.avg_pool2d(images, 2) if growth == 0 else images)
    d.grow(1)
    d.growth.fill_(0)
    assert torch.equal(d(images), seen[0])
    d.fromrgb[0].weight.data.mul_(3.0)
    d.grow(1)
    assert torch.equal(d(images), seen[1])


def test_real_images_fade_like_generated_ones():
    d, images = discriminator(), a_batch(16)
    averaged = {r: F.avg_pool2d(images, 16 // r) for r in (4, 8)}
    d.grow(0)
    assert torch.equal(d.fade_real(images), averaged[4])
    d.grow(0.25)
    below = averaged[4].repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(d.fade_real(images), below.lerp(averaged[8], 0.25))
    d.grow(1)
    assert torch.equal(d.fade_real(images), averaged[8])
    d.grow(2)
    assert torch.equal(d.fade_real(images), images)


@pytest.mark.parametrize("options", [{}, FILTERED], ids=["mean", "filtered"])
def test_d_takes_the_full_resolution_and_the_current_one(options):
    d, images = discriminator(**options), a_batch(16)
    d.grow(0)
    small = F.avg_pool2d(images, 16 // d.current)
    assert d(images).shape == (3,) and torch.equal(d(images), d(small))


@pytest.mark.parametrize("make", [progan, stylegan])
def test_gradients_reach_the_active_layers_of_g_alone(make):
    g = make()
    part = part_of(g)
    every = {name for name, _ in g.named_parameters()}
    part.grow(0.5)
    reached = gradients(g, images_of(g))
    names = {f"{torgb}.{kind}" for torgb in ("torgb.0", "torgb.1") for kind in ("weight", "bias")}
    prefix = "synthesis." if make is stylegan else ""
    assert {prefix + name for name in names} <= reached
    above = [name for name in every if "blocks.2" in name or "torgb.2" in name]
    if make is progan:
        assert above and every - reached == set(above)
    else:
        # At 16 level 1 is the last one.
        assert every == reached
        part.grow(0)
        unused = every - gradients(g, images_of(g))
        last = [f"synthesis.layers.{i}." for i in (4, 5)] + ["synthesis.torgb.1."]
        assert unused == {name for name in every if any(name.startswith(prefix) for prefix in last)}


def test_gradients_reach_the_active_layers_of_d_alone():
    d = discriminator()
    every = {name for name, _ in d.named_parameters()}
    d.grow(0.5)
    unused = every - gradients(d, d(a_batch(8)))
    assert unused == {name for name in every if name.startswith(("fromrgb.2.", "blocks.1."))}


@pytest.mark.parametrize("make", [progan, stylegan, discriminator])
def test_growth_is_in_the_state_dict(make):
    network, other = make(), make()
    part_of(network).grow(0.3)
    other.load_state_dict(network.state_dict())
    part = part_of(other)
    assert part.level == 1 and torch.equal(part.growth, torch.tensor(0.3))
    # In float32 this is 0.
    part.grow(1e-60)
    assert part.level == 0 and part.growth == 0
    twin = copy.deepcopy(network)
    part_of(twin).grow(0)
    assert part_of(network).level == 1 and part_of(twin).level == 0


def test_pixels_of_progan_have_unit_length_and_z_is_normalised():
    g, seen = progan(), []
    for block in g.blocks:
        block.register_forward_hook(lambda *call: seen.append(call[2].square().mean(1)))
    z = torch.randn(3, 6)
    torch.testing.assert_close(g(2 * z), g(z))
    assert all(torch.allclose(norm, torch.ones_like(norm), atol=1e-3) for norm in seen)


@pytest.mark.parametrize("make", [progan, stylegan])
def test_labels_change_the_image(make):
    g, z = make(c_dim=3), torch.randn(2, 6)
    options = {"noise_mode": "const"} if make is stylegan else {}
    images = [g(z, torch.full([2], i), **options) for i in (0, 1)]
    assert not torch.allclose(*images)
    assert torch.equal(g(z, torch.eye(3)[[0, 0]], **options), images[0])


def test_the_logit_is_that_of_the_label():
    d, images = discriminator(c_dim=3, group_size=1), a_batch(16)
    logits = torch.stack([d(images, torch.full([3], i)) for i in range(3)], 1)
    assert torch.equal(d(images, torch.tensor([2, 0, 1])), logits[range(3), [2, 0, 1]])


def test_styles_noise_and_truncation():
    g, z = stylegan(), torch.randn(3, 6)
    const, none = (g(z, noise_mode=mode) for mode in ("const", "none"))
    assert torch.equal(const, g(z, noise_mode="const")) and not torch.allclose(const, none)
    assert not torch.equal(g(z), g(z))
    g(z, update_w_avg=True)
    assert g.mapping.w_avg.any() and g.num_ws == 6
    mean = g(z, truncation_psi=0.0, noise_mode="none")
    torch.testing.assert_close(mean[0], mean[1])
    ws = g.mapping(z)
    ws = torch.cat([ws[:, :4], torch.zeros(3, 2, 5)], 1)
    g.synthesis.grow(0)
    expected = g(z, noise_mode="none")
    # Level 0 uses the first four styles alone.
    torch.testing.assert_close(g.synthesis(ws, noise_mode="none"), expected)


@pytest.mark.parametrize("options", [{}, FILTERED], ids=["mean", "filtered"])
@pytest.mark.parametrize("penalty", ["r1", "wgan-gp"])
def test_penalties_while_fading_against_finite_differences(options, penalty):
    """The derivative of a penalty in D's weights, a second derivative of D, is right in float64."""
    d = ProGANDiscriminator(8, 1, channel_base=8, channel_max=2, group_size=2, **options).double()
    d.grow(0.3 if not options else 0)
    generator = torch.Generator().manual_seed(0)
    real, fake = (
        torch.randn(2, 1, 8, 8, generator=generator, dtype=torch.float64) for _ in range(2)
    )
    alpha = torch.rand(2, generator=generator, dtype=torch.float64)
    names = [name for name, p in d.named_parameters() if name.endswith("weight")]

    def value(*weights):
        def call(images):
            return torch.func.functional_call(d, dict(zip(names, weights)), (images,))

        if penalty == "r1":
            return penalties.r1(call, real)
        return penalties.wgan_gp(call, real, fake, alpha=alpha)

    weights = [d.get_parameter(name).detach().clone().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(value, weights, fast_mode=True)


@pytest.mark.parametrize(
    ("make", "arguments", "said"),
    [
        (ProGANGenerator, {"resolution": 4}, "resolution must be one of .* got 4"),
        (
            ProGANGenerator,
            {"channel_base": 4, "resolution": 8},
            "channel_base must be a whole number of at least 8",
        ),
        (ProGANGenerator, {"z_dim": 0}, "z_dim must be a whole number of at least 1, got 0"),
        (StyleGANGenerator, {"w_dim": 0}, "w_dim must be a whole number of at least 1, got 0"),
        (ProGANDiscriminator, {"lowest": 2}, "lowest must be one of 4, 8, got 2"),
        (
            ProGANDiscriminator,
            {"group_size": 0, "resolution": 8},
            "group_size must be a whole number of at least 1, got 0",
        ),
    ],
)
def test_arguments_out_of_range(make, arguments, said):
    with pytest.raises(ValueError, match=said):
        make(**arguments)


def test_inputs_that_do_not_fit():
    g, d, s = progan(8), discriminator(8), stylegan(8)
    with pytest.raises(ValueError, match=r"growth must be from 0 to 1, got 1.5"):
        g.grow(1.5)
    with pytest.raises(ValueError, match=r"z must be a \[N, 6\] tensor, got \[2, 5\]"):
        g(torch.zeros(2, 5))
    d.grow(0)
    with pytest.raises(
        ValueError,
        match=r"\[N, 2, 4, 4\], the current resolution, or \[N, 2, 8, 8\], got \[2, 2, 16",
    ):
        d(torch.zeros(2, 2, 16, 16))
    with pytest.raises(ValueError, match="for a network without classes, got"):
        d(torch.zeros(2, 2, 8, 8), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match="got none; this network needs them"):
        progan(8, c_dim=2)(torch.zeros(2, 6))
    with pytest.raises(ValueError, match=r"ws must be a \[N, 4, 5\] tensor, got \[2, 3, 5\]"):
        s.synthesis(torch.zeros(2, 3, 5))
    with pytest.raises(
        ValueError, match="noise_mode must be one of random, const, none, got 'loud'"
    ):
        s(torch.zeros(2, 6), noise_mode="loud")
