"""inpaint: its holes, its losses, and the known pixels, which stay the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from fastgan.recipes import Batch, DrawRequest, ImageSpec, Inpaint, RecipeError
from fastgan.recipes.inpaint import InpaintBatch
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

IMAGES = ImageSpec(3, 16)
SMALL = {"ngf": 2, "ndf": 2, "patch": 16}


def batch(count=2, seed=0):
    real = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return Batch(real, torch.zeros(count, dtype=torch.int64))


def drawn(recipe, count=2):
    return recipe.draw_inputs(DrawRequest(count, 0, torch.Generator().manual_seed(1)))


def test_holes_are_rectangles_of_the_sizes_and_anywhere():
    recipe = Inpaint(hole=(0.25, 0.5))
    masks = recipe.masks(drawn(recipe, 500)["holes"], 16, 32)
    assert masks.shape == (500, 1, 16, 32) and set(masks.unique().tolist()) == {0.0, 1.0}
    rows, columns = masks.amax(3).sum(2), masks.amax(2).sum(2)
    # They are full rectangles.
    assert torch.equal(rows * columns, masks.sum((2, 3)))
    assert (
        set(rows.flatten().tolist()) == set(range(4, 9))
        and columns.min() == 8
        and columns.max() == 16
    )
    # Every row and column is sometimes in a hole.
    assert masks.mean((0, 1, 3)).min() > 0 and masks.mean((0, 1, 2)).min() > 0


def test_a_hole_of_one_size_and_the_ends_of_the_draw_stay_inside():
    recipe = Inpaint(hole=(0.5, 0.5))
    corners = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]).mul(0.9999999)
    first, last = recipe.masks(corners, 16, 16)
    assert first[0, :8, :8].all() and last[0, 8:, 8:].all() and first.sum() == last.sum() == 64


def test_the_losses_are_of_the_filled_image_and_of_the_hole():
    recipe = Inpaint(**SMALL, l1_weight=50.0)
    networks = recipe.build_networks(IMAGES)
    assert networks["G"].in_channels == 4
    rows = replace(InpaintBatch.of(batch()), **drawn(recipe))
    mask = recipe.masks(rows.holes, 16, 16)
    condition = torch.cat([rows.real * (1 - mask), mask], 1)
    fake = rows.real * (1 - mask) + networks["G"](condition) * mask
    logits = networks["D"](fake, condition)
    errors = [(fake - rows.real)[i].abs()[:, mask[i, 0] > 0].mean() for i in range(2)]
    g = recipe.g_loss(networks, rows)
    expected = -logits.sigmoid().log().mean() + 50 * sum(errors) / 2
    torch.testing.assert_close(g.total, expected)
    torch.testing.assert_close(g.outputs["fakes"], fake)
    d = recipe.d_loss(networks, replace(rows, **g.outputs))
    real = networks["D"](rows.real, condition)
    expected = -(real.sigmoid().log().mean() + (1 - logits.sigmoid()).log().mean()) / 2
    torch.testing.assert_close(d.total, expected)


def test_known_pixels_are_kept_to_the_bit_and_hidden_ones_are_not_used():
    recipe = Inpaint(**SMALL)
    networks = recipe.build_networks(IMAGES)
    data = batch(3)
    views = recipe.views(
        networks, data, recipe.sample(networks, 3, generator=torch.Generator(), rows=data)
    )
    assert list(views) == ["masked", "output", "target"] and views["target"] is data.real
    mask = recipe.source(data)["mask"].expand_as(data.real) > 0
    assert torch.equal(views["output"][~mask], data.real[~mask])
    assert (
        not torch.equal(views["output"][mask], data.real[mask]) and not views["masked"][mask].any()
    )
    other = torch.where(mask, -data.real, data.real)
    for name, image in (("output", data.real), ("hidden", other)):
        inputs = {"image": image, "mask": mask[:, :1].float()}
        views[name] = recipe.translate(networks, inputs, generator=torch.Generator())
    assert torch.equal(views["output"], views["hidden"])


def test_samples_have_the_same_holes_every_time():
    recipe = Inpaint(**SMALL)
    masks = [recipe.source(batch(count, seed))["mask"] for count, seed in ((2, 0), (4, 1))]
    assert torch.equal(masks[0], masks[1][:2]) and not torch.equal(*masks[0])


def test_both_players_move_in_micro_batches():
    """D sees the holes that G filled."""
    state = TrainState.create(Inpaint(**SMALL, batch=4, accumulate=2), IMAGES)
    before = {name: [p.clone() for p in n.parameters()] for name, n in state.networks.items()}
    stats = TrainStep(state)([batch(4)])
    assert {"loss/G", "l1/G", "loss/D", "D(fake)"} <= set(stats)
    for name, network in state.networks.items():
        assert not any(torch.equal(p, was) for p, was in zip(network.parameters(), before[name])), (
            name
        )


@pytest.mark.parametrize("hole", [(0.0, 0.5), (0.5, 0.25), (0.5, 1.0)])
def test_holes_that_cannot_be_are_refused(hole):
    with pytest.raises(RecipeError) as error:
        Inpaint(hole=hole)
    assert str(error.value) == (
        f"hole must be two numbers above 0 and below 1, the larger one second, got {hole}."
    )
