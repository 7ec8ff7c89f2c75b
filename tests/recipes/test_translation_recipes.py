"""pix2pix, cyclegan and colorize: their players, losses, and the settings that they refuse."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import l1_loss

from fastgan.data import InputSpec
from fastgan.recipes import Colorize, CycleGAN, DrawRequest, ImageSpec, Pix2Pix, RecipeError
from fastgan.recipes.direct import TranslationBatch
from fastgan.recipes.domains import DomainBatch
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

IMAGE = InputSpec("image", channels=3)
PAIRS, DOMAINS = (ImageSpec(3, 16, inputs={name: IMAGE}) for name in ("input", "other"))
SMALL = {"ngf": 2, "ndf": 2, "patch": 16}


def images(count, seed):
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def pairs(count=2):
    return TranslationBatch(
        images(count, 0), torch.zeros(count, dtype=torch.int64), inputs={"input": images(count, 1)}
    )


def domains(count=2):
    return DomainBatch(
        images(count, 0), torch.zeros(count, dtype=torch.int64), inputs={"other": images(count, 1)}
    )


@pytest.mark.parametrize(
    ("recipe", "spec", "sizes"),
    [
        (Pix2Pix(), {"input": IMAGE}, {"G": 54_404_675, "D": 2_766_913}),
        (CycleGAN(replay=0), {"other": IMAGE}, {"G_AB": 11_372_931, "D_A": 2_763_841}),
    ],
)
def test_networks_have_the_papers_sizes(recipe, spec, sizes):
    """54.4 and 11.4 million, without biases before a norm, which have no effect."""
    with torch.device("meta"):
        networks = recipe.build_networks(ImageSpec(3, 256, inputs=spec))
    counts = {
        name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()
    }
    assert counts.items() >= sizes.items()


def test_pix2pix_losses_are_the_papers():
    recipe = Pix2Pix(**SMALL, dropout=0.0)
    networks, batch = recipe.build_networks(PAIRS), pairs()
    g = recipe.g_loss(networks, batch)
    condition = batch.inputs["input"]
    fake = networks["G"](condition)
    logits = networks["D"](fake, condition)
    expected = -logits.sigmoid().log().mean() + 100 * l1_loss(fake, batch.real)
    assert torch.allclose(g.total, expected, rtol=1e-4) and torch.equal(g.outputs["fakes"], fake)
    with_fakes = TranslationBatch(batch.real, batch.labels, batch.inputs, fakes=fake.detach())
    d = recipe.d_loss(networks, with_fakes)
    real = networks["D"](batch.real, condition)
    expected = -(real.sigmoid().log().mean() + (1 - logits.sigmoid()).log().mean()) / 2
    assert torch.allclose(d.total, expected, rtol=1e-4)


def test_cyclegan_losses_are_the_papers():
    recipe = CycleGAN(**SMALL, blocks=0)
    networks, batch = recipe.build_networks(DOMAINS), domains()
    a, b, to_b, to_a = batch.real, batch.inputs["other"], networks["G_AB"], networks["G_BA"]
    g = recipe.g_loss(networks, batch)
    expected = (networks["D_B"](to_b(a)) - 1).square().mean() + (
        networks["D_A"](to_a(b)) - 1
    ).square().mean()
    expected = expected + 10 * (l1_loss(to_a(to_b(a)), a) + l1_loss(to_b(to_a(b)), b))
    expected = expected + 5 * (l1_loss(to_a(a), a) + l1_loss(to_b(b), b))
    assert torch.allclose(g.total, expected, rtol=1e-4)
    d = recipe.d_loss(networks, DomainBatch(a, batch.labels, batch.inputs, **g.outputs))
    expected = sum(
        (
            (networks[f"D_{domain}"](real) - 1).square().mean()
            + networks[f"D_{domain}"](fake).square().mean()
        )
        / 2
        for domain, real, fake in (("A", a, to_a(b)), ("B", b, to_b(a)))
    )
    assert torch.allclose(d.total, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("recipe", "images", "batch"),
    [
        (Pix2Pix(**SMALL, batch=4, accumulate=2), PAIRS, pairs),
        (CycleGAN(**SMALL, batch=4, accumulate=2, blocks=0), DOMAINS, domains),
    ],
)
def test_every_player_trains_its_own_networks_and_all_of_them_move(recipe, images, batch):
    state = TrainState.create(recipe, images)
    step = TrainStep(state)
    before = {name: [p.clone() for p in n.parameters()] for name, n in state.networks.items()}
    stats = step([batch(4)])
    assert {"loss/G", "loss/D", "gradient/G", "gradient/D"} <= set(stats)
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


def test_cyclegan_pools_remember_each_domain():
    recipe = CycleGAN(**SMALL, blocks=0, replay=4)
    state = TrainState.create(recipe, DOMAINS)
    step = TrainStep(state)
    for _ in range(12):
        step([domains(1)])
    pools = [state.networks[name] for name in ("pool_A", "pool_B")]
    assert all(pool.full.any() for pool in pools)
    assert not torch.equal(pools[0].images, pools[1].images)
    rows = recipe.draw_for_d(DrawRequest(3, 0, torch.Generator().manual_seed(0)))
    assert all(len(set(draws.replay_slots.tolist())) == 3 for draws in rows["draws"])
    assert "pool_A" not in CycleGAN(**SMALL, replay=0).build_networks(DOMAINS)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: Pix2Pix(patch=17),
            "patch must be one of 1, 16, 34, 70, 142, 286 or None, got 17.",
        ),
        (lambda: Pix2Pix(norm="layer"), "norm must be one of instance, batch, none, got 'layer'."),
        (
            lambda: Pix2Pix(norm="batch"),
            "batch must be at least 2 (batch norm needs it), got 1.",
        ),
        (
            lambda: Pix2Pix(dropout=1.0),
            "dropout must be at least 0 and less than 1, got 1.0.",
        ),
        (lambda: Pix2Pix(l1_weight=-1.0), "l1_weight must be at least 0, got -1.0."),
        (
            lambda: CycleGAN(replay=3, batch=4),
            "replay must be 0 or at least batch, 4, got 3.",
        ),
        (lambda: CycleGAN(blocks=-1), "blocks must be at least 0, got -1."),
        (lambda: CycleGAN(lr=0.0), "lr must be a positive number, got 0.0."),
        (
            lambda: CycleGAN(decay_after=10).settled(10),
            "decay_after must be at least 0 and less than total_images, 10, got 10.",
        ),
        (
            lambda: CycleGAN(decay_after=20, decay_until=20),
            "decay_after must be at least 0 and less than decay_until, 20, got 20.",
        ),
        (
            lambda: CycleGAN(decay_until=10),
            "decay_until must be None where decay_after is None, got 10: set both, or none.",
        ),
        (
            lambda: CycleGAN(decay_after=2, decay_until=9).settled(10),
            "decay_until must be at least total_images, 10, since the learning rate falls to 0 "
            "there, got 9: raise decay_until too, or lower total_images.",
        ),
        (
            lambda: Pix2Pix().check_images(ImageSpec(3, 36, inputs={"input": IMAGE})),
            "resolution must be a multiple of 8 for pix2pix, got 36.",
        ),
        (
            lambda: CycleGAN(patch=16).check_images(ImageSpec(3, 18, inputs={"other": IMAGE})),
            "resolution must be a multiple of 4 and at least 8 for cyclegan, got 18.",
        ),
        (
            lambda: Pix2Pix(patch=70).check_images(PAIRS),
            "resolution must be at least 24 for patches of 70 pixels in pix2pix, got 16: choose a "
            "smaller patch or a higher resolution.",
        ),
        (
            lambda: CycleGAN().sample({}, 2, generator=torch.Generator()),
            "rows must have one row for each of the 2 images of cyclegan, got none.",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, said):
    with pytest.raises(RecipeError) as error:
        make()
    assert str(error.value) == said


def test_rates_fall_to_nothing():
    recipe = CycleGAN(decay_after=50).settled(100)
    assert [recipe.lr_lambda(n) for n in (0, 50, 75, 100, 120)] == [1.0, 1.0, 0.5, 0.0, 0.0]
    assert CycleGAN().settled(100).lr_lambda(99) == 1.0
    longer = CycleGAN(decay_after=50, decay_until=100).settled(60)
    assert [longer.lr_lambda(n) for n in (0, 50, 60, 75)] == [1.0, 1.0, 0.8, 0.5]


def test_colorize_sees_no_colours():
    recipe = Colorize(**SMALL, dropout=0.0)
    grey = images(2, 0).mean(1, keepdim=True).expand(-1, 3, -1, -1)
    assert torch.allclose(recipe.condition({"image": grey}), grey[:, :1], atol=1e-6)
    red = torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    assert torch.allclose(recipe.condition({"image": red}), torch.tensor(0.299 - 0.701))
    networks = recipe.build_networks(ImageSpec(3, 16))
    assert networks["G"].in_channels == 1
    with pytest.raises(RecipeError, match="Images of colorize must have colours, got grey ones"):
        recipe.check_images(ImageSpec(1, 16))
