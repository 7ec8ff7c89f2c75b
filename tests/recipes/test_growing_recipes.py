"""progan and stylegan: steps while they grow, and the settings that they refuse."""

from __future__ import annotations

import copy

import pytest
import torch

from fastgan.recipes import Batch, DrawRequest, ImageSpec, ProGAN, RecipeError, StyleGAN
from fastgan.recipes.growing import growing_parts
from fastgan.recipes.styles import StyleBatch
from fastgan.training.compiling import compiled
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

IMAGES = ImageSpec(2, 16, 3)
KINDS = [ProGAN, StyleGAN]


def small(kind, **settings):
    """Return a recipe with batches of 4; a resolution fades in over 16 images, then has 8."""
    sizes = {
        "z_dim": 4,
        "channel_base": 32,
        "channel_max": 4,
        "batch": 4,
        "stable_kimg": 0.008,
        "fade_kimg": 0.016,
    }
    styles = {"w_dim": 4, "mapping_layers": 1} if issubclass(kind, StyleGAN) else {}
    return kind(**{**sizes, **styles, **settings})


def step_of(recipe, **options):
    return TrainStep(TrainState.create(recipe, IMAGES), **options)


def a_batch(recipe, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(recipe.batch) % 3
    return [Batch(torch.randn(recipe.batch, 2, 16, 16, generator=generator), labels)]


def resolutions_seen(step):
    """Return lists of the heights of G's outputs and D's inputs, which later calls fill."""
    seen = {"G": [], "D": []}
    g = next(growing_parts([step.state.networks["G"]]))
    g.register_forward_hook(lambda network, args, output: seen["G"].append(output.shape[2]))
    step.state.networks["D"].register_forward_pre_hook(
        lambda network, args: seen["D"].append(args[0].shape[2])
    )
    return seen


@pytest.mark.parametrize(
    ("kimg", "growth"),
    [
        (0, 0),
        (599.999, 0),
        (600, 0),
        (800, 0.25),
        (1400, 1),
        (1999, 1),
        (2000, 1),
        (2200, 1.25),
        (11200, 8),
    ],
)
def test_the_schedule(kimg, growth):
    """Stable for 600,000 images, then fades over 800,000, and so on."""
    assert ProGAN(stable_kimg=600).growth(round(1000 * kimg)) == pytest.approx(growth)


def test_the_papers_settings():
    progan, stylegan = ProGAN(), StyleGAN()
    assert (progan.stable_kimg, progan.fade_kimg, progan.batch) == (800, 800, 16)
    assert (progan.loss, progan.penalty, progan.drift, progan.n_critic) == (
        "wasserstein",
        "wgan-gp",
        0.001,
        1,
    )
    assert (stylegan.loss, stylegan.penalty, stylegan.style_mixing) == ("non-saturating", "r1", 0.9)
    for recipe in (progan, stylegan):
        assert (recipe.lr, recipe.betas, recipe.ema, recipe.z_dim) == (
            1e-3,
            (0.0, 0.99),
            0.999,
            512,
        )
        assert recipe.weight_of_penalty(torch.zeros(1, 3, 1024, 1024)) == 10


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_grows_and_ends_at_the_full_resolution(kind):
    step = step_of(small(kind))
    seen, resolutions = resolutions_seen(step), []
    lowest = 4 if kind is ProGAN else 8
    for i in range(15):
        for calls in seen.values():
            calls.clear()
        step(a_batch(step.state.recipe, i))
        (resolution,) = set(seen["G"])
        assert set(seen["D"]) == {resolution}
        resolutions.append(resolution)
        parts = list(growing_parts([*step.state.networks.values(), *step.state.ema.values()]))
        assert len(parts) == 3 and len({part.growth.item() for part in parts}) == 1
        assert {part.current for part in parts} == {resolution}
        if i in (0, 4, 14):
            sample = step.state.recipe.sample(step.state.sampler, 2, generator=torch.Generator())
            assert sample.shape == (2, 2, 16, 16)
    # The first level has 8 images. Each later one has 16 that fade and 8 that don't. A fade starts
    # at 0, so its first step still has the lower resolution.
    levels = [lowest] * 3 + [2 * lowest] * 6 + [4 * lowest] * 6
    assert resolutions == [min(16, r) for r in levels]


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_trains_the_layers_in_use_alone(kind):
    recipe = small(kind, conditional=True)
    step = step_of(recipe)
    # In the middle of level 1's fade.
    step.state.nimg = 16
    before = {
        name: copy.deepcopy(network.state_dict()) for name, network in step.state.networks.items()
    }
    stats = step(a_batch(recipe))
    assert all(value.isfinite() for value in stats.values())
    # At 16×16 StyleGAN has two levels only.
    of_16 = {"G": ("torgb.2.", "blocks.2."), "D": ("fromrgb.2.", "blocks.1.")}
    for name, network in step.state.networks.items():
        names = [key for key, _ in network.named_parameters()]
        unused = {key for key in names if kind is ProGAN and key.startswith(of_16[name])}
        assert {
            key for key in names if torch.equal(network.get_parameter(key), before[name][key])
        } == unused


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_resumes_in_the_middle_of_a_fade(kind):
    recipe = small(kind)
    step = step_of(recipe)
    step.state.nimg = 12
    step(a_batch(recipe, 3))
    assert step.state.networks["D"].growth == 0.25
    saved = copy.deepcopy(step.state.state_dict())
    again = step_of(recipe)
    again.state.load_state_dict(saved)
    generator = torch.Generator
    samples = [
        recipe.sample(s.state.sampler, 2, generator=generator().manual_seed(1))
        for s in (step, again)
    ]
    assert torch.equal(*samples)
    for i in (4, 5):
        a, b = step(a_batch(recipe, i)), again(a_batch(recipe, i))
        assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    for part in ("networks", "ema"):
        for name, tensors in step.state.state_dict()[part].items():
            other = again.state.state_dict()[part][name]
            assert all(torch.equal(t, other[key]) for key, t in tensors.items())


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (
            ProGAN,
            {
                "augment": "diffaugment",
                "loss": "relativistic",
                "penalty": "r1+r2",
                "conditional": True,
            },
        ),
        (
            ProGAN,
            {"precision": "bf16", "full_precision": ("G",), "accumulate": 2, "instance_noise": 0.1},
        ),
        (
            StyleGAN,
            {
                "precision": "bf16",
                "full_precision": ("D",),
                "penalty_every": 2,
                "style_mixing": 0.0,
            },
        ),
        (
            StyleGAN,
            {"n_critic": 2, "accumulate": 2, "historical_averaging": 0.1, "flip_labels": 0.1},
        ),
    ],
)
def test_options_of_all_recipes_while_fading(kind, settings):
    recipe = small(kind, **settings)
    step = step_of(recipe)
    step.state.nimg = 16
    seen = resolutions_seen(step)
    stats = step(a_batch(recipe) * step.batches)
    assert {"loss/D", "loss/G"} <= stats.keys() and all(
        value.isfinite() for value in stats.values()
    )
    if not recipe.full_precision:
        assert set(seen["D"]) == {8 if kind is ProGAN else 16}


def test_styles_are_mixed_among_the_layers_in_use():
    recipe = small(StyleGAN, style_mixing=1.0)
    networks = recipe.build_networks(IMAGES)
    g, styles = networks["G"], []
    request = DrawRequest(64, 0, torch.Generator().manual_seed(0), networks)
    labels = torch.zeros(64, dtype=torch.int64)
    batch = StyleBatch(torch.zeros(64, 2, 8, 8), labels, **recipe.draw_noise(request))
    g.synthesis.register_forward_pre_hook(lambda network, args: styles.append(args[0]))
    recipe.generate(networks, batch)
    own = (styles[0] == g.mapping(batch.noise)).all(2)[:, : g.synthesis.active]
    assert g.synthesis.active == 4 and own[:, 0].all() and not own.all(1).any()
    assert set(own.sum(1).tolist()) == {1, 2, 3}


def test_a_function_has_a_graph_for_each_of_many_resolutions():
    class Stack(torch.nn.Module):
        level = 0

        def forward(self, x):
            for _ in range(self.level):
                x = x + 1
            return x.sum()

    network, x = Stack(), torch.zeros(2)
    run = compiled(lambda x: network(x), backend="eager")
    for network.level in range(10):
        assert run(torch.zeros(2**network.level)) == network.level * 2**network.level
    assert run(x) == 18


@pytest.mark.long
def test_a_compiled_step_is_the_eager_one_and_a_fade_is_no_new_graph():
    from torch._dynamo.utils import counters

    recipe = small(ProGAN, fade_kimg=0.008)
    ends = []
    for options in ({}, {"compile": "step", "backend": "aot_eager"}):
        torch._dynamo.reset()
        counters.clear()
        state = TrainState.create(recipe, ImageSpec(1, 8))
        state.nimg = 8 + 2
        step = TrainStep(state, **options)
        # Fades of 0.25, 0.75 and 1.
        for seed in range(3):
            generator = torch.Generator().manual_seed(seed)
            images = torch.randn(4, 1, 8, 8, generator=generator)
            stats = step([Batch(images, torch.zeros(4, dtype=torch.int64))])
        assert counters["stats"]["unique_graphs"] == (2 if options else 0)
        ends.append(
            (
                stats,
                [p.detach() for network in state.networks.values() for p in network.parameters()],
            )
        )
    torch.testing.assert_close(*ends, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"fade_kimg": 0.0}, "fade_kimg must be a positive number, got 0.0"),
        ({"stable_kimg": -1.0}, "stable_kimg must be at least 0, got -1.0"),
        ({"channel_base": 4}, "channel_base must be at least 8, got 4"),
        ({"channel_max": 0}, "channel_max must be at least 1, got 0"),
        ({"batch": 18, "group_size": 4}, "the images computed at once are a multiple of "
                                         "group_size, 4, or fewer"),
        ({"augment": "ada"}, "augment must be one of none, diffaugment, got 'ada'"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be(kind, settings, said):
    with pytest.raises(RecipeError, match=said):
        small(kind, **settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"style_mixing": 1.5}, "style_mixing must be at least 0 and at most 1, got 1.5"),
        ({"w_dim": 0}, "w_dim must be at least 1, got 0"),
        (
            {"precision": "bf16", "full_precision": ("G",)},
            "full_precision must be a tuple of D, got",
        ),
    ],
)
def test_settings_that_styles_cannot_have(settings, said):
    with pytest.raises(RecipeError, match=said):
        small(StyleGAN, **settings)


@pytest.mark.parametrize("kind", KINDS)
def test_images_that_cannot_be(kind):
    with pytest.raises(
        RecipeError,
        match=f"resolution must be one of 8, 16, .*1024 for {kind.name}, got 4",
    ):
        small(kind).check_images(ImageSpec(1, 4))
    with pytest.raises(
        RecipeError, match="channel_base must be at least the resolution, 64, got 32"
    ):
        small(kind).check_images(ImageSpec(1, 64))
    with pytest.raises(RecipeError, match="conditional needs labels, but the data set has none"):
        small(kind, conditional=True).check_images(ImageSpec(1, 8))
