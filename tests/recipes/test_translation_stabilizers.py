"""Stabilisers of the recipes from images to images: each one's effect, value and state."""

from __future__ import annotations

import copy
import functools
import itertools
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from small_recipes import SMALL, examples, small, small_data
from torch.func import functional_call
from torch.nn.functional import l1_loss, relu, softplus

from fastgan.losses import penalties
from fastgan.recipes import RECIPES, DrawRequest, ImageSpec, RecipeError
from fastgan.recipes.players import each_tensor
from fastgan.recipes.translation import Translation
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

NAMES = tuple(name for name, kind in RECIPES.items() if issubclass(kind, Translation))
WITH_BATCH_NORM = ("gaugan", "srgan", "text2image")
STABILIZERS = {
    "loss": {"loss": "relativistic"},
    "real_label": {"loss": "non-saturating", "real_label": 0.9},
    "fake_label": {"loss": "least-squares", "real_label": 0.9, "fake_label": 0.1},
    "flip_labels": {"flip_labels": 0.9},
    "instance_noise": {"instance_noise": 0.3},
    "penalty": {"penalty": "dragan"},
    "penalty_every": {"penalty": "zero-centered", "penalty_every": 2},
    "drift": {"drift": 1.0},
    "clip_weights": {"clip_weights": 0.01},
    "spectral_norm": {"spectral_norm": True},
    "orthogonal": {"orthogonal": 0.1},
    "historical_averaging": {"historical_averaging": 1.0},
    "feature_matching": {"feature_matching": 3.0},
    "unroll": {"unroll": 1},
    "replay": {"replay": 4},
    "augment": {"augment": "diffaugment"},
    "augment_p": {"augment": "ada", "augment_p": 0.9},
    "minibatch_discrimination": {"minibatch_discrimination": 2},
    "minibatch_stddev": {"minibatch_stddev": 2},
    "d_lr": {"d_lr": 1e-3},
    "n_critic": {"n_critic": 2},
    "n_gen": {"n_gen": 2},
}
"""Settings that switch a stabiliser on, by the setting that a recipe must have."""


def settings_of(name):
    return {entry.name for entry in fields(RECIPES[name])}


def tiny(name, **settings):
    usual = {"srgan": {"pretrain": 0}, "stargan": {"n_critic": 1}}.get(name, {})
    return small(name, **{"batch": 4, **usual, **settings})


@functools.cache
def data_of(name):
    dataset = small_data(tiny(name))
    return ImageSpec.of(dataset), [examples(dataset, 4, start) for start in range(0, 16, 4)]


def step_of(recipe):
    torch.manual_seed(0)
    return TrainStep(TrainState.create(recipe, data_of(recipe.name)[0]))


def take(step, count=1):
    """Take steps on the first images of the data, and return the statistics of each."""
    batches = data_of(step.state.recipe.name)[1]
    return [step([batches[(i + j) % 4] for j in range(step.batches)]) for i in range(count)]


def weights_of(step):
    return {
        f"{name}.{key}": value.detach().clone()
        for name in (*step.state.recipe.generators, *step.state.recipe.discriminators)
        for key, value in step.state.networks[name].named_parameters()
    }


@functools.cache
def plain(name, steps):
    """Return the weights after some steps without any stabiliser but the paper's."""
    step = step_of(tiny(name))
    take(step, steps)
    return weights_of(step)


@pytest.mark.parametrize(
    ("name", "setting"),
    [(n, s) for n in NAMES for s in STABILIZERS if s in settings_of(n)],
)
def test_every_stabilizer_acts_in_a_step(name, setting):
    # Pools and means of weights are full after a step.
    steps = 3 if setting in ("replay", "historical_averaging", "penalty_every") else 1
    settings = STABILIZERS[setting]
    if setting == "spectral_norm" and tiny(name).spectral_norm:
        settings = {"spectral_norm": False}
    step = step_of(tiny(name, **settings))
    stats = take(step, steps)
    assert all(value.isfinite() for row in stats for value in row.values())
    assert {"loss/G", "loss/D", "gradient/G", "gradient/D"} <= set(stats[-1])
    after, without = weights_of(step), plain(name, steps)
    assert all(value.isfinite().all() for value in after.values())
    assert after.keys() != without.keys() or any(
        not torch.equal(value, without[key]) for key, value in after.items()
    )


@pytest.mark.parametrize("name", [n for n in NAMES if n not in WITH_BATCH_NORM])
def test_two_micro_batches_are_one_batch(name):
    """Every image keeps its own draws. Batch norm, unrolling and means of features see a batch."""
    settings = {"loss": "hinge", "flip_labels": 0.5, "instance_noise": 0.3, "penalty": "wgan-gp",
                "drift": 0.1, "augment": "diffaugment"}  # fmt: skip
    settings |= {"replay": 8} if "replay" in settings_of(name) else {}
    settings |= {"dropout": 0.0} if "dropout" in settings_of(name) else {}
    whole, halves = (step_of(tiny(name, accumulate=n, **settings)) for n in (1, 2))
    if name == "stargan":
        # Images take each other's attributes before they are divided.
        assert whole.state.recipe.exchanged
    expected, got = take(whole)[0], take(halves)[0]
    assert expected.keys() == got.keys()
    for key in expected.keys() - {"certainty"}:
        torch.testing.assert_close(got[key], expected[key], rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("cyclegan", {"replay": 4, "augment": "ada", "ada_kimg": 1.0}),
        ("unit", {"replay": 4, "unroll": 1}),
        ("srgan", {"replay": 4, "minibatch_discrimination": 2}),
        ("gaugan", {"augment": "diffaugment"}),
    ],
)
def test_stabilizers_with_state_resume_bit_for_bit(name, settings):
    recipe = tiny(name, historical_averaging=0.1, **settings)
    step, again = step_of(recipe), step_of(recipe)
    take(step, 3)
    again.state.load_state_dict(copy.deepcopy(step.state.state_dict()))
    ours, theirs = take(step)[0], take(again)[0]
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    for key, network in step.state.networks.items():
        theirs = again.state.networks[key].state_dict()
        assert all(torch.equal(value, theirs[k]) for k, value in network.state_dict().items())
    assert step.state.networks["history_D"].count > 1
    if "replay" in settings:
        pools = [n for key, n in step.state.networks.items() if key.startswith("pool")]
        assert len(pools) == len(recipe.discriminators) and all(p.full.any() for p in pools)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("cyclegan", "stargan")])
def test_a_stabilizer_that_is_off_draws_nothing(name):
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    rows = tiny(name).draw_for_d(DrawRequest(4, 0, generator, shape=(3, 16, 16)))
    assert torch.equal(generator.get_state(), before) and rows.keys() == {"draws"}


def phase(name, **settings):
    """Return a recipe, its networks, and the batch of D's phase with what it has drawn."""
    torch.manual_seed(0)
    recipe = tiny(name, **settings)
    images, (first, *_) = data_of(name)
    networks = recipe.build_networks(images)
    (batch,) = recipe.before_step(networks, {}, 0, [recipe.batch_type.of(first)])
    shape = tuple(batch.real.shape[1:])

    def drawn(draw):
        generator = torch.Generator().manual_seed(1)
        return draw(DrawRequest(4, 0, generator, networks, shape))

    batch = replace(batch, **drawn(recipe.draw_for_g))
    outputs = recipe.g_loss(networks, batch).outputs or {}
    batch = replace(batch, **each_tensor(outputs, torch.Tensor.detach))
    batch = replace(batch, **drawn(recipe.draw_for_d))
    return recipe, networks, recipe.with_fakes(networks, batch)


def close(value, expected):
    torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)


LOSSES = {
    "non-saturating": lambda r, f: softplus(-r).mean() + softplus(f).mean(),
    "wasserstein": lambda r, f: f.mean() - r.mean(),
    "hinge": lambda r, f: relu(1 - r).mean() + relu(1 + f).mean(),
    "relativistic": lambda r, f: softplus(f - r).mean(),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_half_of_ds_in_pix2pix_and_cyclegan(loss):
    recipe, networks, batch = phase("pix2pix", loss=loss)
    D, condition = networks["D"], batch.inputs["input"]
    expected = LOSSES[loss](D(batch.real, condition), D(batch.fakes, condition)) / 2
    close(recipe.d_loss(networks, batch).total, expected)
    recipe, networks, batch = phase("cyclegan", loss=loss, replay=0)
    expected = sum(
        LOSSES[loss](networks[d](real), networks[d](fake)) / 2
        for d, real, fake in zip(("D_A", "D_B"), batch.images, batch.fakes)
    )
    close(recipe.d_loss(networks, batch).total, expected)


def test_g_in_a_loss_of_pairs_sees_real_images():
    recipe, networks, batch = phase("pix2pix", loss="relativistic", dropout=0.0)
    D, condition = networks["D"], batch.inputs["input"]
    fake = networks["G"](condition)
    expected = softplus(D(batch.real, condition) - D(fake, condition)).mean()
    close(recipe.g_loss(networks, batch).stats["adversarial/G"], expected)


@pytest.mark.parametrize("loss", ["non-saturating", "least-squares", "hinge", "wasserstein"])
def test_text2image_halves_both_kinds_of_fakes_in_every_loss(loss):
    labels = {} if loss in ("hinge", "wasserstein") else {"real_label": 0.8, "fake_label": 0.1}
    recipe, networks, batch = phase("text2image", loss=loss, **labels)
    caption, wrong, D = batch.inputs["caption"], batch.wrong_captions, networks["D"].eval()
    differs = (wrong != caption).any(1).float()
    with torch.no_grad():
        of_real, of_fake, of_wrong = (
            D(images, of)
            for images, of in ((batch.real, caption), (batch.fakes, caption), (batch.real, wrong))
        )
        total = recipe.d_loss(networks, batch).total
    d = recipe.adversarial.d
    each = [
        (d(of_real[i : i + 1], of_fake[i : i + 1]), d(of_real[i : i + 1], of_wrong[i : i + 1]))
        for i in range(4)
    ]
    if differs.all():
        close(total, torch.stack([a + b for a, b in each]).mean() / 2)
    for terms, expected in zip(recipe.adversarial.d_terms(of_real, of_fake), (of_real, of_fake)):
        assert terms.shape == expected.shape
    close(sum(terms.mean() for terms in recipe.adversarial.d_terms(of_real, of_fake)),
          d(of_real, of_fake))  # fmt: skip


def test_flipped_labels_exchange_logits_at_every_scale():
    flipped, networks, batch = phase("gaugan", flip_labels=1.0, scales=2, patch=1)
    swapped = replace(batch, real=batch.fakes, fakes=batch.real)
    straight = replace(flipped, flip_labels=0.0)
    networks["D"].eval()
    close(flipped.d_loss(networks, batch).total, straight.d_loss(networks, swapped).total)


def test_instance_noise_is_a_row_per_image_on_images_alone():
    recipe, networks, batch = phase("pix2pix", instance_noise=0.5)
    D, condition, noise = networks["D"], batch.inputs["input"], batch.draws
    assert noise.noise_real.std().item() == pytest.approx(0.5, abs=0.05)
    assert not torch.equal(noise.noise_real, noise.noise_fake)
    real = D(batch.real + noise.noise_real, condition)
    fake = D(batch.fakes + noise.noise_fake, condition)
    close(
        recipe.d_loss(networks, batch).total, (softplus(-real).mean() + softplus(fake).mean()) / 2
    )


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan"])
def test_r1_is_about_images_with_the_condition_held(name):
    recipe, networks, batch = phase(name, penalty="r1", penalty_weight=3.0)
    expected = torch.zeros(())
    games = (
        [("D", batch.real, (batch.inputs["input"],))]
        if name == "pix2pix"
        else [("D_A", batch.real, ()), ("D_B", batch.inputs["other"], ())]
    )
    for d, images, condition in games:
        images = images.clone().requires_grad_()
        (slope,) = torch.autograd.grad(networks[d](images, *condition).sum(), images)
        expected = expected + 3 * slope.square().sum((1, 2, 3)).mean() / 2
    close(recipe.penalty_loss(networks, batch), expected)
    # R1 generates no images.
    assert not recipe.players()[1].regularizers[0].needs_fakes
    close(recipe.penalty_loss(networks, replace(batch, fakes=None)), expected)


def test_penalties_between_images_take_a_place_of_each_domain():
    recipe, networks, batch = phase("unit", penalty="wgan-gp")
    expected = torch.zeros(())
    for d, real, fake, draws in zip(("D_A", "D_B"), batch.images, batch.fakes, batch.draws):
        expected = expected + 10 * penalties.wgan_gp(networks[d], real, fake, alpha=draws.alpha)
    close(recipe.penalty_loss(networks, batch), expected)
    assert not torch.equal(batch.draws.a.alpha, batch.draws.b.alpha)


def test_drift_is_about_real_images_at_every_scale():
    recipe, networks, batch = phase("gaugan", drift=0.5, scales=2, patch=1)
    D = networks["D"].eval()
    planes = recipe.planes(networks, batch.inputs)
    expected = 0.5 * torch.stack([r.square().mean() for r in D(batch.real, planes).logits]).mean()
    without = replace(recipe, drift=0.0).d_loss(networks, batch).total
    close(recipe.d_loss(networks, batch).total - without, expected)


def test_weights_of_both_ds_are_bounded():
    step = step_of(tiny("unit", loss="wasserstein", clip_weights=0.01, n_critic=2))
    take(step)
    most = {
        name: max(p.abs().max() for p in step.state.networks[name].parameters())
        for name in ("D_A", "D_B", "G")
    }
    assert most["D_A"] <= 0.01 and most["D_B"] <= 0.01 < most["G"]


def test_spectral_norm_bounds_both_ds():
    _, networks, _ = phase("cyclegan", spectral_norm=True)
    for name in ("D_A", "D_B"):
        for layer in (m for m in networks[name].modules() if isinstance(m, torch.nn.Conv2d)):
            largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item()
            assert largest == pytest.approx(1, rel=0.15)


def test_orthogonal_regularisation_is_about_both_generators():
    recipe, networks, _ = phase("cyclegan", orthogonal=0.1)
    (term,) = recipe.players()[0].regularizers
    expected = sum(
        penalties.orthogonal(penalties.filters_of(networks[name])) for name in ("G_AB", "G_BA")
    )
    close(term.loss(networks, None), 0.1 * expected)


def test_historical_averaging_is_about_all_networks_of_a_player():
    step = step_of(tiny("cyclegan", historical_averaging=0.5))
    names = ("D_A", "D_B")
    first = [p.detach().clone() for n in names for p in step.state.networks[n].parameters()]
    take(step)
    now = [p.detach() for n in names for p in step.state.networks[n].parameters()]
    # The mean of two weights is half their distance away from each.
    expected = 0.5 * sum(((p - was) / 2).square().sum() for p, was in zip(now, first))
    close(take(step)[0]["history/D"], expected)


def test_feature_matching_compares_each_image_of_pairs_and_means_of_others():
    recipe, networks, batch = phase("pix2pix", feature_matching=2.0, dropout=0.0)
    condition = batch.inputs["input"]
    real, fake = (
        networks["D"].features(images, condition)
        for images in (batch.real, networks["G"](condition))
    )
    distance = sum(l1_loss(f, r) for f, r in zip(fake, real))
    got = recipe.g_loss(networks, batch)
    close(got.stats["feature_matching/G"], distance)
    plain = replace(recipe, feature_matching=0.0).g_loss(networks, batch)
    close(got.total - plain.total, 2 * distance)

    recipe, networks, batch = phase("cyclegan", feature_matching=2.0)
    fakes = recipe.generate(networks, batch)
    distance = sum(
        (networks[d].features(r)[-1].mean(0) - networks[d].features(f)[-1].mean(0)).square().sum()
        for d, r, f in zip(("D_A", "D_B"), batch.images, fakes)
    )
    close(recipe.g_loss(networks, batch).stats["feature_matching/G"], distance)


@pytest.mark.parametrize("name", ["pix2pix", "gaugan", "srgan"])
def test_feature_matching_augments_an_image_as_its_target(name):
    settings = {"feature_matching": 1.0, "augment": "diffaugment", "instance_noise": 0.5}
    # Each call of a spectral norm changes its estimate.
    recipe, networks, batch = phase(name, **settings, spectral_norm=False)
    batch = recipe.with_condition(networks, batch)
    perfect = batch.real
    if name == "gaugan":
        perfect = recipe.output(networks, batch, batch.real, "fake")
    assert recipe.matching_loss(networks, batch, perfect).item() == 0


def test_unrolling_is_g_against_d_a_step_later():
    recipe, networks, batch = phase("pix2pix", unroll=1, unroll_lr=0.2, dropout=0.0)
    D, condition = networks["D"], batch.inputs["input"]
    weights = dict(D.named_parameters())
    fake = networks["G"](condition)
    loss = softplus(-D(batch.real, condition)).mean() + softplus(D(fake, condition)).mean()
    gradients = torch.autograd.grad(loss, list(weights.values()), retain_graph=True)
    later = {key: p - 0.2 * g for (key, p), g in zip(weights.items(), gradients)}
    expected = softplus(-functional_call(D, later, (fake, condition))).mean()
    got = recipe.g_loss(networks, batch).stats["adversarial/G"]
    close(got, expected)
    assert abs(got - softplus(-D(fake, condition)).mean()) > 1e-3


@pytest.mark.parametrize("name", ["pix2pix", "inpaint", "gaugan"])
def test_an_image_and_its_condition_are_augmented_alike(name):
    recipe, networks, batch = phase(name, augment="diffaugment")
    augment, rows = networks["augment"], batch.draws.augment_real
    images = augment(batch.real, rows)
    condition = batch.condition
    pictures = {"pix2pix": 3, "inpaint": 3, "gaugan": 0}[name]
    data = augment.move(condition[:, pictures:], rows) if pictures < condition.shape[1] else None
    parts = [augment(condition[:, :pictures], rows)] if pictures else []
    expected = torch.cat([*parts, *([] if data is None else [data])], 1)
    seen = []

    def spy(shown, labels):
        seen.append((shown, labels))
        return shown.mean((1, 2, 3))

    recipe.output({**networks, "D": spy}, batch, batch.real, "real")
    assert torch.equal(seen[0][0], images) and torch.equal(seen[0][1], expected)
    if data is not None:
        # Planes of data are moved and cut, so they stay 0 or 1.
        assert set(data.unique().tolist()) <= {0.0, 1.0}
        zeros = (images == 0).all(1, keepdim=True)
        assert (data * zeros)[:, :1].sum() == 0


def test_more_updates_of_d_generate_images_of_their_own():
    for name in ("inpaint", "unit", "text2image"):
        step = step_of(tiny(name, n_critic=2))
        assert step.batches == 2
        take(step)
        counts = {
            key: {int(state["step"]) for state in optimizer.state.values()}
            for key, optimizer in step.state.optimizers.items()
        }
        assert counts == {"G": {1}, "D": {2}}
    recipe, networks, batch = phase("inpaint", n_critic=2)
    assert torch.equal(batch.fakes, recipe.generate(networks, batch))


@pytest.mark.parametrize("setting", ["minibatch_discrimination", "minibatch_stddev"])
@pytest.mark.parametrize("name", ["srgan", "text2image"])
def test_d_compares_the_images_of_a_batch(name, setting):
    _, networks, batch = phase(name, **{setting: 2})
    captions = [batch.inputs["caption"]] if name == "text2image" else []
    D = networks["D"].eval()
    with torch.no_grad():
        if D.comparison.closeness is not None:
            D.comparison.closeness.weight.fill_(1)
        alike = batch.real[:1].expand(4, -1, -1, -1)
        logits = [D(images, *captions)[0].item() for images in (batch.real, alike)]
        if name == "text2image":
            # Captions of all images, twice: an image is compared once.
            twice = D(batch.real, torch.cat([captions[0]] * 2))
            close(twice[:4], twice[4:])
    assert abs(logits[0] - logits[1]) > 1e-6


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("pix2pix", {"flip_labels": 2.0}, "flip_labels must be at least 0 and at most 1, got 2.0"),
        ("unit", {"replay": 3}, "replay must be 0 or at least batch, 4, got 3"),
        ("stargan", {"n_gen": 0}, "n_gen must be at least 1, got 0"),
        ("srgan", {"loss": "hinge", "real_label": 0.9}, "don't fit loss hinge"),
        ("text2image", {"minibatch_stddev": 3}, "are a multiple of minibatch_stddev, 3, or fewer"),
        ("stargan", {"penalty": "none", "penalty_weight": 1.0}, "need a penalty, got none"),
    ],
)
def test_wrong_settings_are_named(name, settings, says):
    with pytest.raises(RecipeError, match=says):
        tiny(name, **settings)


def test_the_docs_table_has_the_settings_of_each_recipe():
    """A cell is yes where the recipe has the row's options."""
    page = Path(__file__).parents[2] / "docs" / "translation-recipes.md"
    lines = page.read_text(encoding="utf-8").splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("| stabiliser |"))
    rows = list(itertools.takewhile(lambda line: line[:1] == "|", lines[header + 2 :]))
    names = [cell.strip(" `") for cell in lines[header].split("|")[3:-1]]
    columns = [name for cell in names for name in cell.split("`, `")]
    assert sorted(columns) == sorted(NAMES) and SMALL.keys() >= set(columns)
    listed = set()
    for line in rows:
        _, _, options, *cells, _ = line.split("|")
        settings = [word.strip(" `-").replace("-", "_") for word in options.split(",")]
        listed |= set(settings)
        for names_of_cell, cell in zip(names, cells):
            for name in names_of_cell.split("`, `"):
                has = set(settings) <= settings_of(name)
                assert (cell.strip() == "yes") == has, (line, name)
                assert has or cell.strip()[-1:] in "abcd", (line, name)
    # Settings of a stabiliser that another option switches on, and those about StyleGAN's styles.
    of_others = {"penalty_every", "penalty_weight", "unroll_lr", "instance_noise_until",
                 "augment_pipe", "ada_target", "ada_kimg"}  # fmt: skip
    every = {entry.name for part in tiny("srgan").stabilizers for entry in fields(part)}
    of_styles = {name for name in every if name.startswith(("path_length", "style_mixing"))}
    assert every <= listed | of_others | of_styles
