"""stargan: its losses, attributes by name, and the settings that it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from fastgan.data import InputSpec
from fastgan.recipes import Batch, ImageSpec, RecipeError, StarGAN
from fastgan.recipes.attributes import Attributes
from fastgan.recipes.stabilizers import Draws
from fastgan.recipes.stargan import StarGANBatch
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

SPEC = InputSpec(
    "attributes",
    names=("colour=red", "colour=green", "striped", "light background"),
    groups=((0, 1),),
)
IMAGES = ImageSpec(3, 16, inputs={"attributes": SPEC})
SMALL = {"ngf": 2, "ndf": 2, "blocks": 1}
ROWS = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 0], [0, 1, 1, 1], [1, 0, 0, 1]])


def batch(count=4, seed=0):
    images = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return Batch(images, torch.zeros(count, dtype=torch.int64), inputs={"attributes": ROWS[:count]})


def ready(recipe, rows):
    (rows,) = recipe.before_step({}, {}, 0, [StarGANBatch.of(rows)])
    return replace(rows, draws=Draws(alpha=torch.linspace(0.1, 0.9, len(rows.real))))


def entropy(logits, attributes):
    group = -(attributes[:, :2] * logits[:, :2].log_softmax(1)).sum(1)
    probabilities = logits[:, 2:].sigmoid()
    free = -(
        attributes[:, 2:] * probabilities.log()
        + (1 - attributes[:, 2:]) * (1 - probabilities).log()
    ).sum(1)
    return (group + free).mean()


def test_networks_have_the_papers_sizes():
    """8.4 and 44.8 million at 128×128 with five attributes."""
    five = InputSpec("attributes", names=("black", "blond", "brown", "gender", "aged"))
    with torch.device("meta"):
        networks = StarGAN().build_networks(ImageSpec(3, 128, inputs={"attributes": five}))
    counts = {
        name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()
    }
    assert counts == {"G": 8_430_528, "D": 44_762_048, "attributes": 0}


def test_losses_are_the_papers():
    recipe = StarGAN(**SMALL, batch=4)
    networks, rows = recipe.build_networks(IMAGES), ready(recipe, batch())
    real, own = rows.real, rows.inputs["attributes"]
    target = own[[3, 0, 1, 2]]
    assert torch.equal(rows.target_attributes, target)
    G, D = networks["G"], networks["D"]
    fake = G(real, target)
    output = D(fake)
    patches, class_logits = output.logits[0], output.class_logits
    g = recipe.g_loss(networks, rows)
    expected = -patches.mean() + entropy(class_logits, target) + 10 * F.l1_loss(G(fake, own), real)
    torch.testing.assert_close(g.total, expected, rtol=1e-4, atol=1e-5)
    with_fakes = recipe.with_fakes(networks, rows)
    assert not with_fakes.fakes.requires_grad
    d = recipe.d_loss(networks, with_fakes)
    expected = patches.mean() - D(real).logits[0].mean() + entropy(D(real).class_logits, own)
    torch.testing.assert_close(d.total, expected, rtol=1e-4, atol=1e-5)
    alpha = rows.draws.alpha.view(-1, 1, 1, 1)
    between = (alpha * real + (1 - alpha) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(D(between).logits[0].sum(), between)
    expected = 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(
        recipe.penalty_loss(networks, with_fakes), expected, rtol=1e-4, atol=1e-4
    )


def test_an_identity_weight_holds_images_whose_attributes_stay():
    recipe, plain = StarGAN(**SMALL, batch=4, identity_weight=5.0), StarGAN(**SMALL, batch=4)
    networks, rows = recipe.build_networks(IMAGES), ready(recipe, batch())
    expected = F.l1_loss(networks["G"](rows.real, rows.inputs["attributes"]), rows.real)
    loss, without = (of.g_loss(networks, rows) for of in (recipe, plain))
    torch.testing.assert_close(loss.total - without.total, 5 * expected)
    assert "identity/G" in loss.stats and "identity/G" not in without.stats


def test_d_moves_n_critic_times_and_pieces_add_up_to_the_whole():
    """Target attributes don't depend on micro-batches."""

    def after(**options):
        recipe = StarGAN(**SMALL, batch=4, n_critic=2, **options)
        state = TrainState.create(recipe, IMAGES)
        step = TrainStep(state)
        assert step.batches == 2
        stats = step([batch(seed=1), batch(seed=2)])
        assert {"loss/G", "loss/D", "wgan-gp/D", "attributes/D", "reconstruction/G"} <= set(stats)
        assert {s["step"].item() for s in state.optimizers["D"].state.values()} == {2}
        return stats

    whole, pieces = after(), after(accumulate=2)
    assert whole.keys() == pieces.keys()
    for name in ("loss/D", "loss/G", "wgan-gp/D"):
        torch.testing.assert_close(pieces[name], whole[name], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("names", "row"),
    [
        ([], [1, 0, 1, 0]),
        (["green"], [0, 1, 1, 0]),
        (["colour=green", "not striped"], [0, 1, 0, 0]),
        (["red", "light background"], [1, 0, 1, 1]),
        (["striped", "not light background"], [1, 0, 1, 0]),
    ],
)
def test_attributes_are_set_by_name(names, row):
    assert Attributes(SPEC).set(ROWS[:1], names).tolist() == [row]
    assert ROWS[0].tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ["stripes"],
            "Unknown attribute 'stripes': did you mean 'striped'? The attributes are colour=red, "
            "colour=green, striped, light background.",
        ),
        (["not red"], "An image has one of several, so 'not red' isn't enough: say colour=green."),
        (["red", "green"], "'red' and 'green' exclude each other: choose one."),
        (["striped", "not striped"], "'striped' and 'not striped' exclude each other: choose one."),
    ],
)
def test_attributes_that_cannot_be_are_refused(names, said):
    with pytest.raises(RecipeError) as error:
        Attributes(SPEC).set(ROWS, names)
    assert str(error.value) == said


def test_attributes_without_a_name_stay_as_d_classifies_them():
    recipe = StarGAN(**SMALL)
    networks = recipe.build_networks(IMAGES)
    logits = networks["D"](batch().real).class_logits
    expected = torch.stack(
        [
            logits[:, 0] > logits[:, 1],
            logits[:, 1] > logits[:, 0],
            logits[:, 2] > 0,
            logits[:, 3] > 0,
        ]
    )
    expected = expected.T.float()
    assert torch.equal(recipe.wanted(networks, batch().real, []), expected)
    expected[:, 2] = 1
    assert torch.equal(recipe.wanted(networks, batch().real, ["striped"]), expected)
    large = torch.nn.functional.interpolate(batch().real, size=(32, 48), mode="nearest")
    assert recipe.wanted(networks, large, ["green"])[:, :2].tolist() == [[0, 1]] * 4


def test_views_are_the_input_and_each_attribute_in_turn():
    recipe = StarGAN(**SMALL)
    networks, data = recipe.build_networks(IMAGES), batch()
    rows = recipe.views(networks, data, data.real)
    assert list(rows) == [
        "input",
        "colour=red",
        "colour=green",
        "striped changed",
        "light background changed",
    ]
    assert torch.equal(rows["input"], data.real)
    green = torch.cat([torch.tensor([[0.0, 1]] * 4), ROWS[:, 2:]], 1)
    plain = torch.cat([ROWS[:, :2], 1 - ROWS[:, 2:3], ROWS[:, 3:]], 1)
    for name, target in (("colour=green", green), ("striped changed", plain)):
        torch.testing.assert_close(rows[name], networks["G"](data.real, target))
    sampled = recipe.sample(networks, 4, generator=torch.Generator(), rows=data)
    torch.testing.assert_close(sampled, networks["G"](data.real, ROWS[[3, 0, 1, 2]]))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: StarGAN(batch=1),
            "batch must be at least 2 (images take each other's attributes), got 1.",
        ),
        (lambda: StarGAN(n_critic=0), "n_critic must be at least 1, got 0."),
        (lambda: StarGAN(class_weight=-1.0), "class_weight must be at least 0, got -1.0."),
        (
            lambda: StarGAN().check_images(ImageSpec(3, 24, inputs={"attributes": SPEC})),
            "resolution must be a power of 2 and at least 8 for stargan, got 24.",
        ),
        (
            lambda: StarGAN().translate({}, {"image": batch().real}, generator=torch.Generator()),
            "stargan needs the attributes to give to images, got none: give translate "
            '"attributes" beside '
            "\"image\", such as wanted(networks, images, ['striped']).",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, said):
    with pytest.raises(RecipeError) as error:
        make()
    assert str(error.value) == said
