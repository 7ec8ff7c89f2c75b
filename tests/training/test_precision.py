"""Half types, loss scales, and networks that stay in float32."""

from __future__ import annotations

import dataclasses
import types

import pytest
import torch

from fastgan import ops
from fastgan.recipes import DCGAN, RECIPES, Batch, ImageSpec, Recipe
from fastgan.training.precision import matmul_precision
from fastgan.training.state import TrainState
from fastgan.training.step import TooManySkips, TrainStep


def tiny(**settings):
    return DCGAN(z_dim=4, ngf=4, ndf=4, batch=4, **settings)


def step_of(recipe: Recipe) -> TrainStep:
    return TrainStep(TrainState.create(recipe, ImageSpec(1, 16)))


def a_batch(seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return [Batch(scale * torch.rand(4, 1, 16, 16, generator=generator), torch.zeros(4))]


def set_scale(scaler, scale):
    # The first call sets the scaler up.
    scaler.scale(torch.ones(()))
    scaler.update(scale)


def seen_dtypes(step):
    """Return the dtypes of outputs of each network's first convolution in a step."""
    seen = {}
    for name, network in step.state.networks.items():
        first = next(
            m
            for m in network.modules()
            if isinstance(m, (torch.nn.Conv2d, torch.nn.ConvTranspose2d))
        )
        first.register_forward_hook(
            lambda m, i, o, name=name: seen.setdefault(name, []).append(o.dtype)
        )
    step(a_batch())
    return seen


@pytest.mark.parametrize(
    ("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_half_types_compute_in_half_and_keep_float32_weights(precision, dtype):
    step = step_of(tiny(precision=precision, penalty="r1"))
    seen = seen_dtypes(step)
    assert set(seen["G"]) == {dtype}
    # D sees real and fake images, the penalty in float32, and images in G's turn.
    assert seen["D"] == [dtype, dtype, torch.float32, dtype]
    for network in step.state.networks.values():
        assert all(p.dtype == torch.float32 for p in network.parameters())


def test_a_network_can_stay_in_float32():
    seen = seen_dtypes(step_of(tiny(precision="bf16", full_precision=("D",))))
    assert set(seen["D"]) == {torch.float32} and set(seen["G"]) == {torch.bfloat16}


def test_features_of_a_network_that_stays_in_float32_are_in_float32():
    step = step_of(tiny(precision="bf16", full_precision=("D",), feature_matching=1.0))
    assert set(seen_dtypes(step)["D"]) == {torch.float32}


def test_half_types_follow_float32():
    stats = {
        precision: step_of(tiny(precision=precision))(a_batch())
        for precision in ("fp32", "tf32", "bf16")
    }
    for name, value in stats["fp32"].items():
        torch.testing.assert_close(stats["bf16"][name], value, rtol=0.05, atol=0.01)
    # The CPU has no TF32.
    assert stats["tf32"] == stats["fp32"]


def test_tf32_is_switched_on_for_the_step_alone():
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    with matmul_precision("tf32"):
        assert (
            matmul.fp32_precision == "tf32" and torch.backends.cudnn.conv.fp32_precision == "tf32"
        )
    with matmul_precision("fp32"):
        assert matmul.fp32_precision == "ieee"
    assert matmul.fp32_precision == before


def test_each_optimiser_has_its_loss_scale_which_is_saved():
    step = step_of(tiny(precision="fp16"))
    state = step.state
    assert set(state.scalers) == {"D", "G"} and state.scalers["D"] is not state.scalers["G"]
    # This scale overflows; G's default doesn't.
    set_scale(state.scalers["D"], 2.0**40)
    stats = step(a_batch())
    assert "loss/D" not in stats and state.scalers["D"].get_scale() == 2.0**39
    # A scale that is still falling is no failure.
    assert state.skipped["D"] == 1 and state.skipped_in_a_row["D"] == 0
    for _ in range(40):
        stats = step(a_batch())
    assert "loss/D" in stats and state.scalers["D"].get_scale() < 2.0**39
    again = TrainState.create(state.recipe, ImageSpec(1, 16))
    again.load_state_dict(state.state_dict())
    assert again.scalers["D"].state_dict() == state.scalers["D"].state_dict()
    assert again.skipped == state.skipped


def test_gradients_do_not_depend_on_the_loss_scale():
    weights = []
    for scale in (1.0, 256.0):
        step = step_of(tiny(precision="fp16", penalty="r1", full_precision=("D", "G")))
        for scaler in step.state.scalers.values():
            set_scale(scaler, scale)
        stats = step(a_batch())
        weights.append((stats["gradient/D"], stats["gradient/G"]))
    torch.testing.assert_close(weights[0], weights[1])


def test_fp16_that_never_fits_ends_too():
    step = step_of(tiny(precision="fp16"))
    with torch.no_grad():
        next(step.state.networks["D"].parameters()).fill_(1e30)
    with pytest.raises(TooManySkips, match="gradients of D were infinite or NaN 10 times in a row"):
        for _ in range(60):
            step(a_batch())
    assert step.state.scalers["D"].get_scale() <= 1


def test_a_checkpoint_of_another_precision_has_no_scales_to_load():
    saved = step_of(tiny()).state.state_dict()
    other = TrainState.create(dataclasses.replace(tiny(), precision="fp16"), ImageSpec(1, 16))
    with pytest.raises(KeyError):
        other.load_state_dict(saved)


STYLED = {
    "stylegan2": {
        "w_dim": 4, "mapping_layers": 1, "channel_base": 32, "channel_max": 4, "penalty_every": 1,
        "path_length_every": 1, "group_size": 4,
    },
    "stylegan3-t": {
        "w_dim": 4, "mapping_layers": 1, "channel_base": 32, "channel_max": 4, "num_layers": 3,
        "margin": 2, "augment": "none", "penalty_every": 1,
    },
    "r3gan": {"channel_base": 64, "channel_max": 8, "group_size": 4},
}  # fmt: skip


@pytest.mark.parametrize(
    ("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
@pytest.mark.parametrize("recipe", STYLED)
def test_the_highest_resolutions_alone_compute_in_half(recipe, precision, dtype):
    """Losses run them in half, regularisers in float32; the rest is always in float32."""
    made = RECIPES[recipe](
        z_dim=4, batch=4, precision=precision, half_resolutions=1, **STYLED[recipe]
    )
    step = step_of(made)
    # Clamps replace the loss scale.
    assert bool(step.state.scalers) == (recipe == "r3gan" and precision == "fp16")
    seen: dict[str, list[torch.dtype]] = {}

    def watch(name: str, layer: torch.nn.Module) -> None:
        layer.register_forward_hook(lambda m, i, o: seen.setdefault(name, []).append(o.dtype))

    d, g = step.state.networks["D"], step.state.networks["G"]
    watch("logits", d)
    if recipe == "r3gan":
        # Layers of each resolution are two blocks and a transition.
        watch("high D", d.layers[1].grouped)
        watch("low D", d.layers[3].grouped)
        watch("last layer", d.reduce)
        watch("high G", g.layers[-1].grouped)
        watch("low G", g.layers[-4].grouped)
        watch("images", g)
        watch("modulation", g.modulate)
    else:
        watch("high D", d.b16.conv1)
        watch("low D", d.b8.conv0)
        watch("mapping", g.mapping)
    if recipe == "stylegan2":
        watch("high G", g.synthesis.b16.conv1)
        watch("low G", g.synthesis.b8.conv1)
        watch("images", g.synthesis)
    elif recipe == "stylegan3-t":
        watch("high G", next(layer for layer in g.synthesis.layers() if layer.plan.half))
        watch("images", g.synthesis)
    stats = step(a_batch())
    assert stats.keys() >= {"loss/D", "loss/G"}
    # D judges real and fake images, penalties in float32, and images in G's turn.
    penalties, judged = (2, 2) if recipe == "r3gan" else (1, 1)
    expected = [dtype, dtype, *penalties * [torch.float32], *judged * [dtype]]
    assert seen.pop("high D") == expected
    path_length = [torch.float32] if recipe == "stylegan2" else []
    # D's turn draws images without gradients, G's turn with them.
    assert seen.pop("high G") == [dtype, dtype, *path_length]
    assert {d for dtypes in seen.values() for d in dtypes} == {torch.float32}


def test_demodulation_and_the_sum_of_images_stay_in_float32(monkeypatch):
    g = RECIPES["stylegan2"](
        z_dim=4, batch=4, precision="bf16", half_resolutions=1, **STYLED["stylegan2"]
    ).build_networks(ImageSpec(1, 16))["G"]
    factors, blocks = [], []

    def watched(x, weight, styles, **options):
        factors.append((x.dtype, weight.dtype, styles.dtype))
        return ops.modulated_conv2d(x, weight, styles, **options)

    fake = types.SimpleNamespace(modulated_conv2d=watched)
    monkeypatch.setattr("fastgan.nn.modulated_conv2d.ops", fake)
    for block in g.synthesis.blocks():
        block.register_forward_hook(lambda m, i, o: blocks.append((o[0].dtype, o[1].dtype)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        g(torch.randn(4, 4))
    single, half = torch.float32, torch.bfloat16
    assert factors == [(single,) * 3] * 5 + [(half, single, single)] * 3
    assert blocks == [(single, single), (single, single), (half, single)]


@pytest.mark.parametrize("recipe", STYLED)
def test_half_resolutions_follow_float32(recipe):
    sizes = {"z_dim": 4, "batch": 4, **STYLED[recipe]}
    full = step_of(RECIPES[recipe](**sizes))(a_batch())
    for precision in ("bf16", "fp16"):
        half = step_of(RECIPES[recipe](precision=precision, **sizes))(a_batch())
        assert half != full
        torch.testing.assert_close(half, full, rtol=0.1, atol=0.02)
    none = step_of(RECIPES[recipe](precision="bf16", half_resolutions=0, **sizes))(a_batch())
    assert none == full


def test_layers_are_clamped_in_float16_alone():
    for precision, clamp in (("fp32", None), ("bf16", None), ("fp16", 256.0)):
        networks = RECIPES["stylegan2"](
            z_dim=4, batch=4, precision=precision, **STYLED["stylegan2"]
        ).build_networks(ImageSpec(1, 16))
        assert networks["G"].config["conv_clamp"] == networks["D"].config["conv_clamp"] == clamp


def test_d_alone_can_stay_in_float32():
    recipe = RECIPES["stylegan2"](
        z_dim=4, batch=4, precision="bf16", full_precision=("D",), **STYLED["stylegan2"]
    )
    step, seen = step_of(recipe), {}
    for name, layer in (
        ("D", step.state.networks["D"].b16.conv0),
        ("G", step.state.networks["G"].synthesis.b16.conv0),
    ):
        layer.register_forward_hook(
            lambda m, i, o, name=name: seen.setdefault(name, []).append(o.dtype)
        )
    step(a_batch())
    assert set(seen["D"]) == {torch.float32} and torch.bfloat16 in seen["G"]
