"""unit: its losses, its latents, and the settings that it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import l1_loss

from fastgan.data import InputSpec
from fastgan.recipes import UNIT, Batch, DrawRequest, ImageSpec, RecipeError
from fastgan.recipes.domains import DomainBatch
from fastgan.recipes.unit import divergence
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

IMAGE = InputSpec("image", channels=3)
DOMAINS = ImageSpec(3, 16, inputs={"other": IMAGE})
SMALL = {"ngf": 2, "ndf": 2, "patch": 16, "blocks": 1}


def images(count, seed):
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def batch(count=2):
    return Batch(
        images(count, 0), torch.zeros(count, dtype=torch.int64), inputs={"other": images(count, 1)}
    )


def drawn(recipe, networks, data):
    rows = recipe.draw_inputs(
        DrawRequest(len(data.real), 0, torch.Generator().manual_seed(0), networks)
    )
    return DomainBatch(data.real, data.labels, data.inputs, **rows)


def test_networks_have_the_sizes_that_the_docs_say():
    """G is the paper's table, with residual blocks of the same width as the layer before."""
    with torch.device("meta"):
        networks = UNIT().build_networks(ImageSpec(3, 256, inputs={"other": IMAGE}))
    counts = {
        name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()
    }
    assert counts == {"G": 18_008_838, "D_A": 2_763_841, "D_B": 2_763_841, "noise": 0}


def test_losses_are_the_papers():
    """L_VAE, L_GAN and L_CC of both domains (eq. 3 to 5), with means for sums over entries."""
    recipe = UNIT(**SMALL)
    networks = recipe.build_networks(DOMAINS)
    rows = drawn(recipe, networks, batch())
    a, b, G = rows.real, rows.inputs["other"], networks["G"]

    def kl(mean):
        normal = torch.distributions.Normal
        return torch.distributions.kl_divergence(normal(mean, 1.0), normal(0.0, 1.0)).mean()

    expected, fakes = torch.zeros(()), {}
    ways = zip((a, b), rows.latent_noise, rows.cycle_noise, "BA", (0, 1), (1, 0))
    for image, noise, cycle_noise, other, here, there in ways:
        mean = G.encode(image, here)
        latents = mean + noise
        fakes[other] = fake = G.decode(latents, there)
        fake_mean = G.encode(fake, there)
        back = G.decode(fake_mean + cycle_noise, here)
        vae = 0.1 * kl(mean) + 100 * l1_loss(G.decode(latents, here), image)
        gan = -10 * networks[f"D_{other}"](fake).sigmoid().log().mean()
        cycle = 0.1 * (kl(mean) + kl(fake_mean)) + 100 * l1_loss(back, image)
        expected = expected + vae + gan + cycle
    g = recipe.g_loss(networks, rows)
    torch.testing.assert_close(g.total, expected, rtol=1e-4, atol=1e-4)
    d = recipe.d_loss(networks, replace(rows, **g.outputs))
    expected = sum(
        -networks[f"D_{domain}"](real).sigmoid().log().mean()
        - (1 - networks[f"D_{domain}"](fakes[domain]).sigmoid()).log().mean()
        for domain, real in (("A", a), ("B", b))
    )
    torch.testing.assert_close(d.total, expected, rtol=1e-4, atol=1e-4)


def test_divergence_is_half_the_mean_square():
    mean = torch.tensor([[3.0, 0.0], [-1.0, 2.0]])
    assert divergence(mean) == (9 + 1 + 4) / 4 / 2


def test_noise_has_a_row_for_each_image_and_kind():
    recipe = UNIT(**SMALL)
    networks = recipe.build_networks(DOMAINS)
    batch_with_noise = drawn(recipe, networks, batch(3))
    rows = [*batch_with_noise.latent_noise, *batch_with_noise.cycle_noise]
    assert all(row.shape == (3, 8, 4, 4) for row in rows)
    every = torch.stack(rows)
    assert 0.9 < every.std() < 1.1 and len(every.unique()) == every.numel()


@pytest.mark.parametrize("norm", ["instance", "none"])
def test_every_player_trains_its_own_networks_and_all_of_them_move(norm):
    recipe = UNIT(**SMALL, batch=4, accumulate=2, norm=norm)
    state = TrainState.create(recipe, DOMAINS)
    before = {name: [p.clone() for p in n.parameters()] for name, n in state.networks.items()}
    stats = TrainStep(state)([batch(4)])
    assert {
        "loss/G",
        "loss/D",
        "gradient/G",
        "gradient/D",
        "cycle/G",
        "cycle_kl/G",
        "D(fake)",
    } <= set(stats)
    for player in recipe.players():
        ours = {
            id(p) for group in state.optimizers[player.name].param_groups for p in group["params"]
        }
        assert ours == {
            id(p) for name in player.networks for p in state.networks[name].parameters()
        }
    for name, network in state.networks.items():
        assert not any(torch.equal(p, was) for p, was in zip(network.parameters(), before[name])), (
            name
        )


def test_interpolation_begins_and_ends_at_the_images_as_they_are_translated():
    recipe = UNIT(**SMALL)
    networks = recipe.build_networks(DOMAINS)
    start, end = images(2, 0), images(2, 1)
    in_a, in_b = recipe.interpolate(networks, start, end, [0.0, 0.5, 1.0])
    assert in_a.shape == in_b.shape == (3, 2, 3, 16, 16)
    for share, image in ((0, start), (2, end)):
        torch.testing.assert_close(in_a[share], networks["G"](image, 0, 0))
        translated = recipe.translate(networks, {"image": image}, generator=torch.Generator())
        torch.testing.assert_close(in_b[share], translated)
    assert not torch.equal(in_a[1], in_a[0]) and not torch.equal(in_b[1], in_b[2])


def test_both_directions_and_the_views_are_of_the_right_domains():
    recipe = UNIT(**SMALL)
    networks, data = recipe.build_networks(DOMAINS), batch()
    G, a, b = networks["G"], data.real, data.inputs["other"]
    output = recipe.sample(networks, 2, generator=torch.Generator(), rows=data)
    assert torch.equal(output, G.decode(G.encode(b, 1), 0))
    views = recipe.views(networks, data, output)
    assert torch.equal(views["A to B"], G.decode(G.encode(a, 0), 1))
    assert torch.equal(views["B again"], G.decode(G.encode(b, 1), 1))
    assert torch.equal(views["B to A to B"], G.decode(G.encode(output, 0), 1))
    halfway = G.encode(a, 0).mean(0, keepdim=True).expand(2, -1, -1, -1)
    torch.testing.assert_close(views["the same in B"], G.decode(halfway, 1))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: UNIT(ngf=0), "ngf must be at least 1, got 0."),
        (lambda: UNIT(blocks=-1), "blocks must be at least 0, got -1."),
        (lambda: UNIT(patch=17), "patch must be one of 1, 16, 34, 70, 142, 286 or None, got 17."),
        (lambda: UNIT(norm="layer"), "norm must be one of instance, batch, none, got 'layer'."),
        (
            lambda: UNIT(norm="batch"),
            "batch must be at least 2 (batch norm needs it), got 1.",
        ),
        (
            lambda: UNIT(cycle_kl_weight=-1.0),
            "cycle_kl_weight must be at least 0, got -1.0.",
        ),
        (
            lambda: UNIT(patch=16).check_images(ImageSpec(3, 18, inputs={"other": IMAGE})),
            "resolution must be a multiple of 4 and at least 8 for unit, got 18.",
        ),
        (
            lambda: UNIT(patch=70).check_images(DOMAINS),
            "resolution must be at least 24 for patches of 70 pixels in unit, got 16: choose a "
            "smaller patch or a higher resolution.",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, said):
    with pytest.raises(RecipeError) as error:
        make()
    assert str(error.value) == said
