"""Runs of recipes that translate: their inputs, their grids, and resuming bit for bit."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from pairs import Negatives

from fastgan.data import InMemoryDataset, to_float
from fastgan.evaluation import measures
from fastgan.inference.samples import sample_images, save_grid, unseen, view_rows
from fastgan.recipes import GAN, ImageSpec, Pix2Pix, RecipeError
from fastgan.training import Callback
from fastgan.training.checkpoint import load_checkpoint
from fastgan.training.state import TrainState

PIL = pytest.importorskip("PIL.Image")
TILE = 64 + 2


@pytest.fixture
def pix2pix():
    return Pix2Pix(batch=2, ngf=2, ndf=2, patch=16, ema=0.9, mirror=True, decay_after=10)


def test_a_run_resumes_bit_for_bit_and_its_rate_falls(resumes, pix2pix):
    """The run goes through the decay, mirrored, with dropout."""
    rates = []

    class Watch(Callback):
        def on_step(self, run, stats):
            rates.append(run.state.optimizers["G"].param_groups[0]["lr"])

    data = {"dataset": Negatives(), "checkpoint_every": 8, "total_images": 24}
    resumes(pix2pix, stop=16, callbacks=[Watch()], **data)
    assert rates == pytest.approx([2e-4] * 6 + [2e-4 * left / 14 for left in (12, 10, 8, 6, 4, 2)])


@pytest.fixture
def rates():
    """Return a list of G's learning rates by step, of runs with the callback `watch`."""

    class Watch(Callback):
        def __init__(self):
            self.seen = []

        def on_step(self, run, stats):
            self.seen.append(run.state.optimizers["G"].param_groups[0]["lr"] / 2e-4)

    return Watch()


def test_more_images_leave_the_end_of_the_decay_where_it_was(run, pix2pix, rates, assert_same):
    """A run extended towards the end of its decay equals one of full length."""
    data = {"dataset": Negatives(), "checkpoint_every": 8}
    planned = dataclasses.replace(pix2pix, decay_until=32)
    unbroken, _ = run(planned, out="unbroken", callbacks=[rates], total_images=32, **data)
    expected, rates.seen = rates.seen, []
    run(planned, callbacks=[rates], total_images=24, **data)
    resumed, said = run(planned, resume=True, callbacks=[rates], total_images=32, **data)
    assert rates.seen == expected and "--decay-until" not in said
    assert rates.seen[-2:] == pytest.approx([4 / 22, 2 / 22])
    states = [load_checkpoint(result.run.latest_checkpoint).state for result in (resumed, unbroken)]
    assert_same(*({k: v for k, v in state.items() if k != "seconds"} for state in states))


def test_images_beyond_the_end_of_the_decay_are_refused_and_a_new_end_is_announced(
    run, pix2pix, rates
):
    data = {"dataset": Negatives(), "checkpoint_every": 8}
    first, _ = run(pix2pix, total_images=24, **data)
    assert first.config.recipe.decay_until == 24
    state = first.run.latest_checkpoint.read_bytes()
    data |= {"total_images": 48, "resume": True}
    with pytest.raises(
        RecipeError, match=r"decay_until must be at least total_images, 48, .* got 24: raise"
    ):
        run(pix2pix, **data)
    assert first.run.latest_checkpoint.read_bytes() == state
    longer = dataclasses.replace(pix2pix, decay_until=48)
    again, said = run(longer, callbacks=[rates], **data)
    assert (
        "decay_until is 48 now, and was 24: after 24 images learning rates go on at 0.632 times "
        "their first values in place of 0."
    ) in said
    assert rates.seen == pytest.approx([(48 - n) / 38 for n in range(24, 48, 2)])
    assert again.config.recipe.decay_until == 48
    # The run keeps the new end.
    _, said = run(pix2pix, **data)
    assert "--decay-until" not in said


def test_fewer_images_keep_the_end_of_the_decay(run, pix2pix, rates):
    data = {"dataset": Negatives(), "checkpoint_every": 4}
    run(dataclasses.replace(pix2pix, decay_until=24), total_images=12, **data)
    result, _ = run(pix2pix, resume=True, callbacks=[rates], total_images=16, **data)
    assert (
        rates.seen == pytest.approx([12 / 14, 10 / 14]) and result.config.recipe.decay_until == 24
    )


def test_the_report_and_the_grids_show_inputs_outputs_and_targets(run, pix2pix):
    result, _ = run(pix2pix, dataset=Negatives(), total_images=24)
    page = result.run.report.read_text()
    assert (
        "Rows, in turn: input, output, target" in page and "The same inputs through the run" in page
    )
    assert f"fastgan translate {result.run.root}" in page
    with PIL.open(result.run.samples) as picture:
        # The grid has two bands of three rows.
        assert picture.size == (8 * TILE + 2, 6 * TILE + 2)


def test_a_grid_pairs_what_belongs_together(pix2pix, tmp_path):
    data = Negatives()
    state = TrainState.create(pix2pix, ImageSpec.of(data))
    names, images = view_rows(pix2pix, state.sampler, seed=0, rows=7, columns=4, dataset=data)
    assert names == ("input", "output", "target") and images.shape == (2 * 3 * 4, 3, 16, 16)
    for band in range(2):
        shown, output, target = images[12 * band :][:12].split(4)
        assert torch.equal(target, to_float(data.batch(torch.arange(4) + 4 * band)[0]))
        assert torch.allclose(shown, -target, atol=1e-6) and not torch.equal(output, target)
    again = view_rows(pix2pix, state.sampler, seed=0, rows=7, columns=4, dataset=data)[1]
    # Dropout follows the seed.
    assert torch.equal(images, again)
    other = view_rows(pix2pix, state.sampler, seed=1, rows=7, columns=4, dataset=data)[1]
    assert not torch.equal(images, other)
    assert save_grid(tmp_path / "a.png", GAN(z_dim=4), _gan(), seed=0, rows=1, columns=2) == ()


def _gan():
    return TrainState.create(GAN(z_dim=4, g_hidden=(4,), d_hidden=(4,)), ImageSpec(1, 8)).sampler


def test_samples_are_of_images_that_were_not_shown(pix2pix):
    data = Negatives()
    held_out = unseen(pix2pix, data)
    assert len(held_out) == 10 and not torch.equal(held_out.image(0), data.image(0))
    assert unseen(pix2pix, held_out) is held_out and unseen(GAN(), data) is data
    networks = TrainState.create(pix2pix, ImageSpec.of(data)).sampler
    many = sample_images(pix2pix, networks, 13, seed=0, chunk=5, dataset=held_out)
    assert many.shape == (13, 3, 16, 16)
    without = dataclasses.replace(pix2pix, dropout=0.0)
    networks = TrainState.create(without, ImageSpec.of(data)).sampler
    many = sample_images(without, networks, 13, seed=0, chunk=5, dataset=held_out)
    # After its last image the set begins anew.
    assert torch.allclose(many[10:], many[:3], atol=1e-6)
    with pytest.raises(RecipeError, match="dataset must be a data set for the samples of pix2pix"):
        sample_images(pix2pix, networks, 2, seed=0)


def test_measures_compare_translations_with_their_targets(pix2pix, monkeypatch):
    """A G that inverts its input is at distance 0 from the targets, for any features."""
    data = Negatives()
    networks = TrainState.create(pix2pix, ImageSpec.of(data)).sampler
    monkeypatch.setattr(
        Pix2Pix, "translate", lambda self, networks, inputs, *, generator: -inputs["input"]
    )
    found = measures.evaluate(pix2pix, networks, data, ("fd",), features="digits", samples=20)
    assert found["measures"]["fd_digits"] < 1e-3


def test_data_without_what_a_recipe_takes_is_refused(run, pix2pix):
    images = torch.zeros(4, 3, 16, 16, dtype=torch.uint8)
    alone = InMemoryDataset("alone", images, torch.zeros(4, dtype=torch.int64))
    with pytest.raises(
        RecipeError,
        match=r"^pix2pix learns from pairs of images, but the data set gives images alone",
    ):
        run(pix2pix, dataset=alone)


def test_what_networks_are_built_for_survives_a_checkpoint(pix2pix):
    images = ImageSpec.of(Negatives())
    assert ImageSpec.from_plain(images.to_plain()) == images
    assert ImageSpec.from_plain({"channels": 1, "resolution": 8, "num_classes": 0}) == ImageSpec(
        1, 8
    )
