"""text2image: its losses on right and wrong captions, and images from words."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import relu

from fastgan.data import InputSpec
from fastgan.recipes import Batch, DrawRequest, ImageSpec, RecipeError, Text2Image
from fastgan.recipes.text2image import Text2ImageBatch
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

WORDS = InputSpec("caption", names=("", "blue", "circle", "red"), length=2)
IMAGES = ImageSpec(3, 16, inputs={"caption": WORDS})
SMALL = {"ngf": 2, "ndf": 2, "z_dim": 3, "text_dim": 4}
CAPTIONS = torch.tensor([[1, 2], [3, 2], [1, 0], [1, 0]])


def batch(recipe):
    """Return four images as the players see them; the last one's wrong caption equals its own."""
    real = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    plain = Batch(real, torch.zeros(4, dtype=torch.int64), inputs={"caption": CAPTIONS})
    (batch,) = recipe.before_step({}, {}, 0, [Text2ImageBatch.of(plain)])
    drawn = recipe.draw_inputs(DrawRequest(4, 0, torch.Generator().manual_seed(1)))
    return replace(batch, **drawn)


def test_d_rejects_fakes_and_wrong_captions():
    """In eval mode spectral norm stays constant."""
    recipe = Text2Image(**SMALL)
    networks = {name: network.eval() for name, network in recipe.build_networks(IMAGES).items()}
    rows = batch(recipe)
    g = recipe.g_loss(networks, rows)
    fake, d = g.outputs["fakes"], networks["D"]
    torch.testing.assert_close(fake, networks["G"](rows.noise, CAPTIONS))
    torch.testing.assert_close(g.total, -d(fake, CAPTIONS).mean())
    assert torch.equal(rows.wrong_captions, CAPTIONS[[3, 0, 1, 2]])
    # The last one isn't wrong.
    mismatched = relu(1 + d(rows.real, rows.wrong_captions))[:3].sum() / 4
    expected = (
        relu(1 - d(rows.real, CAPTIONS)).mean()
        + (relu(1 + d(fake, CAPTIONS)).mean() + mismatched) / 2
    )
    with_fakes = replace(rows, fakes=fake)
    torch.testing.assert_close(recipe.d_loss(networks, with_fakes).total, expected)


def test_images_are_of_the_caption_and_of_the_noise():
    recipe = Text2Image(**SMALL, encoder="mean")
    networks = {name: network.eval() for name, network in recipe.build_networks(IMAGES).items()}
    rows = batch(recipe)
    images = recipe.sample(networks, 4, generator=torch.Generator().manual_seed(0), rows=rows)
    assert images.shape == (4, 3, 16, 16) and images.abs().max() <= 1
    # One caption, different noise.
    assert not torch.allclose(images[2], images[3], atol=1e-4)
    inputs = {"caption": CAPTIONS[[0, 0, 0, 0]]}
    others = recipe.translate(networks, inputs, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(others[0], images[0])
    # The same noise, another caption.
    assert not torch.allclose(others[1], images[1], atol=1e-4)
    assert list(recipe.views(networks, rows, images)) == ["output", "of the same caption"]


def test_both_players_move_in_micro_batches():
    recipe = Text2Image(**SMALL, batch=4, accumulate=2, d_lr=1e-3)
    state = TrainState.create(recipe, IMAGES)
    rates = {name: o.param_groups[0]["lr"] for name, o in state.optimizers.items()}
    assert rates == {"D": 1e-3, "G": 2e-4}
    before = {name: [p.clone() for p in n.parameters()] for name, n in state.networks.items()}
    real = torch.rand(4, 3, 16, 16) * 2 - 1
    stats = TrainStep(state)(
        [Batch(real, torch.zeros(4, dtype=torch.int64), inputs={"caption": CAPTIONS})]
    )
    assert {"loss/D", "logit(real)", "logit(fake)", "logit(wrong)", "certainty"} <= set(stats)
    for name, network in state.networks.items():
        assert not any(torch.equal(p, was) for p, was in zip(network.parameters(), before[name])), (
            name
        )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Text2Image(encoder="lstm"), "encoder must be one of gru, mean, got 'lstm'."),
        (lambda: Text2Image(d_lr=0.0), "d_lr must be a positive number, got 0.0."),
        (lambda: Text2Image(text_dim=0), "text_dim must be at least 1, got 0."),
        (
            lambda: Text2Image().check_images(ImageSpec(3, 24, inputs={"caption": WORDS})),
            "resolution must be one of 16, 32, 64, 128, 256 for text2image, got 24.",
        ),
        (
            lambda: Text2Image().check_images(ImageSpec(3, 16)),
            "text2image learns from images with captions, but the data set gives images alone: "
            "open it with open_dataset(..., task='captions').",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, said):
    with pytest.raises(RecipeError) as error:
        make()
    assert str(error.value) == said
