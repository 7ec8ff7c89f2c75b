"""Each failure is found in a log with its signs, by the right numbers; a healthy log has none."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
import torch

from fastgan.diagnose import log_figures, sample_figures, symptoms_of
from fastgan.diagnose.symptoms import FAILURES
from fastgan.losses.adversarial import adversarial_loss
from fastgan.losses.stabilizers import flip_labels
from fastgan.recipes import DCGAN, GAN, RECIPES, SAGAN, WGANGP, Pix2Pix, StarGAN, StyleGAN2

EVEN = 2 * math.log(2)
LIKE_DATA = {"spread": 0.9, "apart": 0.9, "covered": 0.9, "classes_shown": 1.0}
UNLIKE_DATA = {"spread": 0.7, "apart": 0.7, "covered": 0.1}


def log(loss_d, *, loss_g=None, gradient=None, fake=None, rows=30, skipped=0):
    """Return rows whose columns are functions of the run's progress from 0 to 1."""
    columns = {
        "loss/D": loss_d,
        "loss/G": loss_g or (lambda t: 1.0),
        "gradient/G": gradient or (lambda t: 1.0),
        "D(fake)": fake or (lambda t: 0.4),
    }
    table = []
    for i in range(rows):
        t = i / (rows - 1)
        row = {name: column(t) for name, column in columns.items()}
        table.append(row | {"step": 10 * (i + 1), "nimg": 160 * (i + 1), "skipped": skipped})
    return table


def seen(rows, samples=None, recipe=None):
    recipe = recipe or GAN()
    figures = log_figures(rows, recipe.d_loss_scale) | (samples or {})
    return {
        symptom.name: {e.figure for e in symptom.evidence}
        for symptom in symptoms_of(figures, recipe)
    }


def learning(t):
    """Return D's loss of a run in which D leads and G catches up."""
    return EVEN * (0.6 + 0.35 * t)


def test_a_healthy_log_shows_nothing():
    assert seen(log(learning)) == {}
    assert seen(log(learning), LIKE_DATA) == {}
    at_the_end = log(lambda t: EVEN, fake=lambda t: 0.51)
    assert seen(at_the_end, LIKE_DATA) == {}


def test_d_too_strong_is_a_d_loss_near_zero():
    assert seen(log(lambda t: 0.05)) == {"D too strong": {"certainty"}}
    assert seen(log(lambda t: 0.05), UNLIKE_DATA) == {"D too strong": {"certainty"}}
    assert seen(log(lambda t: EVEN * 0.3)) == {}
    # D's loss can't fall below the entropy of its labels.
    smoothed = GAN(real_label=0.9)
    assert seen(log(lambda t: 0.35), recipe=smoothed) == {"D too strong": {"certainty"}}
    assert seen(log(lambda t: 0.35)) == {}


def test_vanishing_gradients_need_a_sure_d():
    gone = {"gradient": lambda t: 10.0 ** (-3 * t)}
    assert seen(log(lambda t: 0.5, **gone)) == {
        "vanishing gradients": {"gradient_g_kept", "certainty"}
    }
    # Gradients are small here because G has nothing left to learn.
    assert seen(log(lambda t: EVEN * 0.95, **gone)) == {}


def test_g_too_strong_is_an_undecided_d_while_samples_differ_from_the_data():
    never = log(lambda t: EVEN, fake=lambda t: 0.5)
    assert seen(never, UNLIKE_DATA) == {"G too strong": {"certainty", "certainty_peak", "covered"}}
    fooled = log(lambda t: EVEN * (0.5 + 0.51 * min(2 * t, 1)), fake=lambda t: 0.4 + 0.2 * t)
    assert seen(fooled, UNLIKE_DATA) == {"G too strong": {"certainty", "fooled", "covered"}}
    assert "G too strong" not in seen(never, LIKE_DATA)
    # Without samples the log alone must show more.
    assert seen(never) == {} and "G too strong" in seen(fooled)


@pytest.mark.parametrize(
    "samples",
    [{"spread": 0.9, "apart": 0.1}, {"spread": 0.05, "apart": 0.8}, {"classes_shown": 0.3}],
    ids=["one-beside-the-other", "one-for-all", "classes"],
)
def test_mode_collapse_is_seen_in_the_samples(samples):
    assert list(seen(log(learning), samples)) == ["mode collapse"]
    assert seen(log(learning), LIKE_DATA | {"classes_shown": 0.6}) == {}


def test_oscillation_is_about_the_trend():
    around = log(lambda t: EVEN * (0.5 + 0.35 * math.sin(25 * t)))
    assert seen(around) == {"oscillation": {"swing"}}
    # A fall is no swing.
    assert seen(log(lambda t: EVEN * (0.9 - 0.7 * t))) == {}
    assert seen(log(learning, skipped=9)) == {"oscillation": {"skipped"}}
    critic = WGANGP()
    # A swing about as large as the loss is none.
    assert seen(log(lambda t: 8 * math.cos(25 * t)), recipe=critic) == {}
    wild = log(lambda t: 40.0 if round(29 * t) % 5 == 0 else -1.0)
    assert seen(wild, recipe=critic) == {"oscillation": {"swing"}}


@pytest.mark.parametrize(
    "loss", ["minimax", "non-saturating", "least-squares", "hinge", "relativistic"]
)
@pytest.mark.parametrize("flipped", [0.0, 0.1])
def test_the_scale_of_d_s_loss(loss, flipped):
    """The scale equals minima of the loss: one logit for all images, or one for each side."""
    smooth = {"real_label": 0.9} if loss not in ("hinge", "relativistic") else {}
    scale = GAN(loss=loss, flip_labels=flipped, **smooth).d_loss_scale
    function = adversarial_loss(loss, **smooth)
    swapped = torch.arange(10) < 10 * flipped

    def of(real, fake):
        ones = torch.ones(10, dtype=torch.float64)
        return float(function.d(*flip_labels(real * ones, fake * ones, swapped)))

    grid = torch.linspace(-9, 9, 361, dtype=torch.float64)
    undecided = min((of(t, t), float(t)) for t in grid)
    assert scale.undecided == pytest.approx(undecided[0], abs=2e-3)
    # One side after the other suffices: pairs matter by their difference alone.
    real = min(grid, key=lambda t: of(t, grid[0]))
    assert scale.least == pytest.approx(min(of(real, t) for t in grid), abs=2e-3)
    if loss in ("minimax", "non-saturating"):
        assert scale.even == pytest.approx(1 / (1 + math.exp(-undecided[1])), abs=0.02)
    elif loss == "least-squares":
        assert scale.even == pytest.approx(undecided[1], abs=0.03)


def test_games_without_a_scale_take_certainty_from_the_logits():
    recipe = WGANGP()
    assert recipe.d_loss_scale is None

    def certain(column):
        return [row | {"certainty": column(i / 29)} for i, row in enumerate(log(learning))]

    sure = certain(lambda t: 0.95)
    assert seen(sure, UNLIKE_DATA, recipe) == {"D too strong": {"certainty"}}
    assert seen(sure, LIKE_DATA, recipe) == {}
    around = certain(lambda t: 0.5 + 0.45 * math.sin(25 * t))
    assert seen(around, LIKE_DATA, recipe) == {"oscillation": {"certainty_swing"}}
    blind = [row | {"logit(real)": 1.0, "logit(fake)": 1.1} for row in certain(lambda t: 0.01)]
    for row in blind:
        del row["D(fake)"]
    assert "fooled" not in log_figures(blind, None)
    assert seen(blind, UNLIKE_DATA, recipe) == {
        "G too strong": {"certainty", "certainty_peak", "covered"}
    }
    assert GAN(flip_labels=0.5).d_loss_scale is None


def test_samples_among_real_images():
    generator = torch.Generator().manual_seed(0)
    real = torch.rand(64, 1, 4, 4, generator=generator) * 2 - 1
    same = sample_figures(real, torch.rand(64, 1, 4, 4, generator=generator) * 2 - 1)
    assert 0.8 < same["spread"] < 1.2 and 0.8 < same["apart"] < 1.2 and same["covered"] > 0.8
    two_modes = real[:2].repeat(32, 1, 1, 1) + 0.01 * torch.randn(64, 1, 4, 4, generator=generator)
    few = sample_figures(real, two_modes)
    assert few["apart"] < 0.1 and few["covered"] < 0.3
    one = sample_figures(real, torch.zeros(64, 1, 4, 4))
    assert one["spread"] == 0 and one["apart"] == 0


@pytest.mark.parametrize(
    "recipe",
    [
        GAN(),
        GAN(loss="minimax", batch_norm=False),
        DCGAN(),
        WGANGP(),
        StyleGAN2(),
        GAN(n_gen=2, n_critic=2),
    ],
    ids=lambda recipe: recipe.name,
)
def test_every_remedy_is_one_that_the_recipe_can_take(recipe):
    figures = {
        "certainty": 0.99, "gradient_g_kept": 0.0, "apart": 0.0, "swing": 9.0,
    }  # fmt: skip
    ill = symptoms_of(figures, recipe)
    ill += symptoms_of({"certainty": 0.0, "fooled": 1.0}, recipe)
    names = {"D too strong", "vanishing gradients", "mode collapse", "oscillation", "G too strong"}
    assert {symptom.name for symptom in ill} == names
    for symptom in ill:
        assert len(symptom.remedies) >= 2
        for remedy in symptom.remedies:
            assert replace(recipe, **remedy.settings) != recipe


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_remedies_of_every_recipe(recipe):
    """Each failure has remedies; those with settings change a field that the recipe has."""
    recipe = recipe()
    ill = {
        "certainty": 0.99, "gradient_g_kept": 0.0, "swing": 9.0, "features": 99.0,
        **({"input_effect": 0.0} if recipe.translates else {"apart": 0.0}),
    }  # fmt: skip
    found = symptoms_of(ill, recipe) + symptoms_of({"certainty": 0.0, "fooled": 1.0}, recipe)
    assert {symptom.name for symptom in found} == set(FAILURES)
    for symptom in found:
        assert symptom.remedies, symptom.name
        for remedy in symptom.remedies:
            if remedy.settings:
                assert replace(recipe, **remedy.settings) != recipe
                assert all(
                    f"--{name.replace('_', '-')}" in remedy.option.replace("--no-", "--")
                    for name in remedy.settings
                )
            else:
                assert symptom.name == "poor quality"
        assert len({(remedy.option, remedy.why) for remedy in symptom.remedies}) == len(
            symptom.remedies
        )


SIX = (
    "longer",
    "larger networks",
    "better architecture",
    "data",
    "further data|augment",
    "attention",
)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_poor_quality_has_the_six_remedies(recipe):
    """Longer training, capacity, architecture, data, augmentation, self-attention where missing."""
    (symptom,) = symptoms_of({"features": 99.0}, recipe())
    whys = [remedy.why for remedy in symptom.remedies]
    has_attention = getattr(recipe(), "attention", 0) is None
    for words in SIX[:-1] if has_attention else SIX:
        assert any(re.search(words, why) for why in whys), (words, whys)
    assert len(whys) == 6 - has_attention


def test_remedies_of_poor_quality_are_settings_where_there_are_any():
    def options(recipe):
        return [remedy.option for remedy in symptoms_of({"features": 99.0}, recipe)[0].remedies]

    assert options(GAN()) == [
        "--resume", "--g-hidden 512 1024 2048 --d-hidden 1024 512", "", "",
        "--augment diffaugment", "",
    ]  # fmt: skip
    assert "--attention None" in options(SAGAN(attention=0))
    assert "--channel-base 65536 --channel-max 1024" in options(StyleGAN2(channel_base=32768))
    # Colours are attributes of its pictures, which diffaugment would change.
    assert options(StarGAN())[1:-1] == ["--ngf 128 --ndf 128", "--blocks 12", "", "--mirror"]


@pytest.mark.parametrize(
    ("figure", "bad", "good"),
    [
        ("features", 40.0, 5.0), ("sharpness", 0.01, 0.5), ("sharpness", 20.0, 2.0),
        ("checkerboard", 50.0, 2.0), ("l1_share", 3.0, 0.5),
    ],
)  # fmt: skip
def test_poor_quality_is_seen_in_features_sharpness_boards_and_targets(figure, bad, good):
    assert seen(log(learning), LIKE_DATA | {figure: bad}) == {"poor quality": {figure}}
    assert seen(log(learning), LIKE_DATA | {figure: good}) == {}


def test_outputs_that_ignore_their_input_or_noise_are_mode_collapse():
    answers = {"input_effect": 0.9, "noise_effect": 0.5, "apart": 0.3, "spread": 0.2}
    # Outputs needn't have every detail of real images.
    assert seen(log(learning), answers, Pix2Pix()) == {}
    for figure in ("input_effect", "noise_effect", "apart"):
        ill = answers | {figure: 0.01}
        assert seen(log(learning), ill, Pix2Pix()) == {"mode collapse": {figure}}


def test_a_lesser_failure_s_remedy_doesn_t_contradict_a_graver_one_s():
    figures = {"certainty": 0.0, "certainty_peak": 0.1, "covered": 0.1, "apart": 0.1}
    weak, collapse = symptoms_of(figures, GAN(lr=4e-4))
    assert (weak.name, collapse.name) == ("G too strong", "mode collapse")
    assert "--d-lr 0.0016" in [remedy.option for remedy in weak.remedies]
    options = [remedy.option for remedy in collapse.remedies]
    assert "--unroll 5" in options and not any(o.startswith("--d-lr") for o in options)
    (alone,) = symptoms_of({"apart": 0.1}, GAN(lr=4e-4))
    assert "--d-lr 0.0001" in [remedy.option for remedy in alone.remedies]


def test_remedies_answer_the_recipe_s_own_settings():
    def options(figures, recipe):
        return [remedy.option for remedy in symptoms_of(figures, recipe)[0].remedies]

    strong = options({"certainty": 0.99}, GAN(lr=4e-4, dropout=0.0))
    assert (
        "--d-lr 0.0001" in strong and "--dropout 0.3" in strong and "--d-hidden 256 128" in strong
    )
    assert "--dropout 0.3" not in options({"certainty": 0.99}, GAN())
    assert "--batch-norm" in options({"apart": 0.0}, GAN(batch_norm=False))
    assert "--loss non-saturating" in options({"gradient_g_kept": 0.0}, GAN(loss="minimax"))
    wgan_gp = "--loss wasserstein --penalty wgan-gp --n-critic 5 --betas 0 0.9"
    assert wgan_gp in options({"apart": 0.0}, DCGAN())
    assert "--d-lr 0.0008" in options({"certainty": 0.0, "fooled": 1.0}, GAN())
