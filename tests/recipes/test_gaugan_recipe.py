"""gaugan: its losses, its learning rates, and the settings that it refuses."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fastgan.data import InputSpec
from fastgan.recipes import GauGAN, ImageSpec, RecipeError
from fastgan.recipes.direct import TranslationBatch
from fastgan.recipes.gaugan import coloured
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

MAP = InputSpec("map", names=("background", "circle", "square"))
IMAGES = ImageSpec(3, 16, inputs={"map": MAP})
SMALL = {"ngf": 1, "ndf": 2, "hidden": 4, "patch": 16}


def batch(count=4):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(count, 3, 16, 16, generator=generator) * 2 - 1
    maps = torch.randint(0, 3, (count, 16, 16), generator=generator)
    return TranslationBatch(images, torch.zeros(count, dtype=torch.int64), inputs={"map": maps})


def test_networks_have_the_papers_sizes():
    """97.5 million in G on COCO-Stuff, whose maps have 184 planes."""
    spec = InputSpec("map", names=tuple(map(str, range(184))))
    with torch.device("meta"):
        networks = GauGAN().build_networks(ImageSpec(3, 256, inputs={"map": spec}))
    counts = {
        name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()
    }
    assert counts == {"G": 97_480_899, "D": 5_904_514}


def test_losses_are_the_papers():
    recipe = GauGAN(**SMALL)
    networks, rows = recipe.build_networks(IMAGES), batch()
    for network in networks.values():
        # Spectral norms stay constant.
        network.eval()
    G, D = networks["G"], networks["D"]
    planes = F.one_hot(rows.inputs["map"], 3).movedim(-1, 1).float()
    fake = G(planes)
    output, real = D(fake, planes), D(rows.real, planes)
    assert len(output.logits) == len(output.features) == 2
    adversarial = -(output.logits[0].mean() + output.logits[1].mean()) / 2
    scales = zip(output.features, real.features)
    matching = sum((f - r).abs().mean() for a, b in scales for f, r in zip(a, b)) / 2
    g = recipe.g_loss(networks, rows)
    torch.testing.assert_close(g.total, adversarial + 10 * matching, rtol=1e-4, atol=1e-5)
    assert torch.equal(g.outputs["fakes"], fake)
    with_fakes = TranslationBatch(rows.real, rows.labels, rows.inputs, fakes=fake.detach())
    d = recipe.d_loss(networks, with_fakes)
    scales = zip(output.logits, real.logits)
    expected = sum((1 - b).relu().mean() + (1 + a).relu().mean() for a, b in scales) / 2
    torch.testing.assert_close(d.total, expected, rtol=1e-4, atol=1e-5)


def test_both_players_move_at_their_own_rates_under_spectral_norm():
    state = TrainState.create(GauGAN(**SMALL, batch=4, accumulate=2), IMAGES)
    rates = {name: o.param_groups[0]["lr"] for name, o in state.optimizers.items()}
    assert rates == {"G": 1e-4, "D": 4e-4}
    before = {name: [p.clone() for p in n.parameters()] for name, n in state.networks.items()}
    assert {"loss/G", "loss/D", "feature_matching/G", "certainty"} <= set(
        TrainStep(state)([batch()])
    )
    for name, network in state.networks.items():
        assert any("parametrizations" in key for key, _ in network.named_parameters())
        assert all(not torch.equal(p, was) for p, was in zip(network.parameters(), before[name])), (
            name
        )


def test_maps_are_shown_in_colours_and_translated_at_other_sizes():
    recipe = GauGAN(**SMALL)
    networks, data = recipe.build_networks(IMAGES), batch()
    rows = recipe.views(networks, data, data.real)
    assert list(rows) == ["map", "output", "target"]
    picture, classes = coloured(data.inputs["map"]), data.inputs["map"]
    colours = {tuple(colour) for colour in picture.movedim(1, -1).reshape(-1, 3).tolist()}
    assert len(colours) == 3 and torch.equal(picture.amax(1) == -1, classes == 0)
    wide = torch.zeros(1, 16, 24, dtype=torch.int64)
    output = recipe.translate(networks, {"map": wide}, generator=torch.Generator())
    assert output.shape == (1, 3, 16, 24) and 24 % recipe.size_divisor(networks) == 0


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: GauGAN(d_lr=0.0), "d_lr must be a positive number, got 0.0."),
        (lambda: GauGAN(scales=0), "scales must be at least 1, got 0."),
        (lambda: GauGAN(patch=17), "patch must be one of 1, 16, 34, 70, 142, 286 or None, got 17."),
        (
            lambda: GauGAN(feature_matching=-1.0),
            "feature_matching must be at least 0, got -1.0.",
        ),
        (
            lambda: GauGAN().check_images(ImageSpec(3, 24, inputs={"map": MAP})),
            "resolution must be one of 16, 32, 64, 128, 256 for gaugan, got 24.",
        ),
        (
            lambda: GauGAN(patch=70).check_images(ImageSpec(3, 32, inputs={"map": MAP})),
            "resolution must be at least 48 for patches of 70 pixels at 2 scales in gaugan, got "
            "32: choose a smaller patch, fewer scales or a higher resolution.",
        ),
        (
            lambda: GauGAN().translate(
                {}, {"map": torch.zeros(1, 3, 16, 16)}, generator=torch.Generator()
            ),
            "The map must be classes, int64 [N, H, W], got a picture: give gaugan a map.",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, said):
    with pytest.raises(RecipeError) as error:
        make()
    assert str(error.value) == said
