"""Generator of StyleGAN3: counts, layer tables, layers and whole networks against recorded values.

stylegan3_vectors.json has values of an independent implementation, in float64.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fastgan.metrics.equivariance import decibels, rotation_error, translation_error
from fastgan.networks.stylegan2 import MappingNetwork
from fastgan.networks.stylegan3 import (
    LayerPlan,
    StyleGAN3Generator,
    StyleGAN3Synthesis,
    plan_layers,
)
from fastgan.networks.stylegan3.synthesis import AliasFreeLayer
from fastgan.nn import FourierInput

VECTORS = json.loads(Path(__file__).with_name("stylegan3_vectors.json").read_text(encoding="utf-8"))
# Our demodulation adds its epsilon to other sums of squares, and filters are rounded to float32.
TOLERANCE = 1e-7


def index(n: int) -> Tensor:
    return torch.arange(n, dtype=torch.float64)


def fill(module: torch.nn.Module, names: dict[str, str]) -> None:
    """Set the parameters by the formula of the recorded values; `names` are those of the record."""
    order = sorted(names.values())
    for own, parameter in module.named_parameters():
        name = names[own]
        base = torch.sin(0.9 * index(parameter.numel()) + 0.37 * order.index(name) + 0.1)
        if name.endswith("affine.bias"):
            base = 0.2 * base + (0.0 if "input" in name else 1.0)
            base[0] += "input" in name
        elif name.endswith("bias"):
            base = 0.3 * base
        parameter.data = base.reshape(parameter.shape)


def set_frequencies(layer: FourierInput) -> None:
    i = index(len(layer.freqs))
    directions = torch.stack([torch.cos(2.4 * i), torch.sin(2.4 * i)], 1)
    layer.freqs.copy_(layer.bandwidth * ((i + 1) / len(i)).sqrt()[:, None] * directions)
    layer.phases.copy_((0.37 * i) % 1 - 0.5)


def assert_close(found: Tensor, expected: dict) -> None:
    assert list(found.shape) == expected["shape"]
    scale = max(expected["sumsq"], 1e-9) ** 0.5
    of_sum = TOLERANCE * scale * found.numel() ** 0.5
    assert found.sum().item() == pytest.approx(expected["sum"], abs=of_sum)
    assert found.square().sum().item() == pytest.approx(expected["sumsq"], rel=TOLERANCE)
    for entry in expected.get("entries", ()):
        found_entry = found[tuple(entry["idx"])].item()
        assert found_entry == pytest.approx(entry["value"], abs=TOLERANCE * scale)


def arguments(case: dict) -> dict:
    """Return our arguments of a configuration in the record."""
    names = {
        "img_resolution": "resolution", "img_channels": "channels", "conv_kernel": "kernel_size",
        "use_radial_filters": "radial",
    }  # fmt: skip
    return {names.get(name, name): value for name, value in case.items()}


def configuration(rotation: bool) -> dict:
    return {"kernel_size": 1, "radial": True} if rotation else {}


@pytest.mark.parametrize(
    "row", VECTORS["param_counts"], ids=lambda r: f"{r['cfg'][10:]}{r['resolution']}"
)
def test_counts_are_the_published_ones(row):
    with torch.device("meta"):
        g = StyleGAN3Generator(
            row["resolution"], channel_base=row["channel_base"], channel_max=row["channel_max"],
            c_dim=10 if "c_dim=10" in row["cfg"] else 0, **configuration("-r" in row["cfg"]),
        )  # fmt: skip
    assert sum(p.numel() for p in g.parameters()) == row["G_params"]
    assert sum(p.numel() for p in g.mapping.parameters()) == row["mapping_params"]
    if "G_buffers" in row:
        assert sum(b.numel() for b in g.buffers()) == row["G_buffers"]
        assert sum(p.numel() for p in g.synthesis.input.parameters()) == row["input_params"]
    assert g.num_ws == 16


@pytest.mark.parametrize("name", VECTORS["layer_tables"])
def test_layer_tables(name):
    kind, (resolution, base, most) = (
        name[0],
        (int("".join(filter(str.isdigit, part))) for part in name.split("_")),
    )
    size, plans = plan_layers(
        resolution, 3, channel_base=base, channel_max=most, half_resolutions=4,
        **configuration(kind == "r"),
    )  # fmt: skip
    input_size, *rows = VECTORS["layer_tables"][name]
    assert list(size) == input_size and len(plans) == len(rows)
    for plan, values in zip(plans, rows):
        row = dict(zip(VECTORS["layer_columns"], values))
        assert row["name"] == f"{plan.name}_{plan.out_size[0]}_{plan.out_channels}"
        assert plan.in_size == (row["in_size"],) * 2 and plan.out_size[0] == plan.out_size[1]
        assert plan.padding == tuple(2 * row["padding"])
        own = (plan.in_channels, plan.kernel_size, plan.critical, plan.half)
        assert own == (row["in_ch"], row["k"], row["crit"], row["fp16"])
        for column in ("in_rate", "out_rate", "up", "down", "up_taps", "down_taps"):
            assert getattr(plan, column) == row[column]
        for column in ("in_cutoff", "out_cutoff", "in_half_width", "out_half_width"):
            assert getattr(plan, column) == pytest.approx(row[column], rel=1e-10)
        for taps, column in ((plan.up_filter(), "up"), (plan.down_filter(), "down")):
            squares = row[f"{column}_filter_sumsq"]
            assert (taps is None) == (squares is None)
            if taps is not None:
                assert taps.double().square().sum().item() == pytest.approx(squares, rel=1e-6)


@pytest.mark.parametrize("case", VECTORS["synthesis_input"]["cases"], ids=lambda c: c["name"])
def test_fourier_input(case):
    width, height = case["size_w_h"]
    layer = FourierInput(
        5, case["channels"], (height, width), sampling_rate=16, bandwidth=2.0
    ).double()
    set_frequencies(layer)
    layer.affine.weight.data = 0.5 * torch.sin(0.9 * index(20) + 0.2).reshape(4, 5)
    layer.affine.bias.data = torch.tensor([1, 0.1, 0.05, -0.03], dtype=torch.float64)
    layer.weight.data = torch.sin(0.9 * index(36) + 0.1).reshape(6, 6)
    w = torch.sin(0.7 * index(5) + 0.5 * index(2)[:, None])
    transform = torch.tensor(case["transform"], dtype=torch.float64)
    assert_close(layer(w, transform), case["y"])
    layer.transform.copy_(transform)
    assert torch.equal(layer(w), layer(w, transform.expand(2, 3, 3)))


@pytest.mark.parametrize("case", VECTORS["mapping"]["cases"], ids=lambda c: f"c{c['c_dim']}")
def test_mapping(case):
    m = MappingNetwork(6, case["c_dim"], 6, num_ws=4, num_layers=2).double()
    fill(m, {name: name for name, _ in m.named_parameters()})
    with torch.no_grad():
        for name, p in m.named_parameters():
            p.mul_(100 if name.startswith("fc") else 1)
    m.w_avg.copy_(0.1 * torch.cos(index(6)))
    z = 3 * torch.sin(0.1 * (index(2)[:, None] + 2 * index(6))) + 0.2
    labels = torch.tensor([0, 2]) if case["c_dim"] else None

    def check(name: str, found: Tensor) -> None:
        expected = torch.tensor(case[name], dtype=torch.float64)
        assert torch.allclose(found, expected, rtol=0, atol=1e-6), name

    check("w", m(z, labels)[:, 0])
    check("w_trunc0p7", m(z, labels, truncation_psi=0.7)[:, 3])
    cut = m(z, labels, truncation_psi=0.5, truncation_cutoff=2)
    check("w_trunc0p5_cutoff2_sample0", cut[0])
    m(z, labels, update_w_avg=True)
    check("w_avg_after_one_update", m.w_avg)


def plan_of(case: dict) -> LayerPlan:
    """Return the plan of a recorded layer; its sizes are (width, height) or one number."""
    kwargs = case["kwargs"]
    sizes = {}
    for name in ("in_size", "out_size"):
        size = kwargs[name]
        sizes[name] = (size[1], size[0]) if isinstance(size, list) else (size, size)
    last = kwargs["is_torgb"]
    return LayerPlan(
        index=0, in_channels=kwargs["in_channels"], out_channels=kwargs["out_channels"],
        kernel_size=1 if last else kwargs["conv_kernel"], **sizes,
        in_rate=kwargs["in_sampling_rate"], out_rate=kwargs["out_sampling_rate"],
        in_cutoff=kwargs["in_cutoff"], out_cutoff=kwargs["out_cutoff"],
        in_half_width=kwargs["in_half_width"], out_half_width=kwargs["out_half_width"],
        up=case["up"], down=case["down"], up_taps=case["up_taps"], down_taps=case["down_taps"],
        radial=kwargs.get("use_radial_filters", False) and not kwargs["is_critically_sampled"],
        critical=kwargs["is_critically_sampled"], half=False, to_image=last,
    )  # fmt: skip


@pytest.mark.parametrize("case", VECTORS["synthesis_layer"]["cases"], ids=lambda c: c["name"])
def test_layers_and_their_gradients(case):
    plan = plan_of(case)
    assert list(plan.padding) == case["padding"]
    layer = AliasFreeLayer(plan, 6, clamp=256.0, magnitude_ema_beta=0.999).double()
    names = {name: name.removeprefix("act.") for name, _ in layer.named_parameters()}
    fill(layer, names)
    layer.magnitude_ema.fill_(case["magnitude_ema_before"])

    def waves(shape: list[int], shift: float) -> Tensor:
        n, c, h, w = (index(size) for size in shape)
        sums = n[:, None, None, None] + 2 * c[:, None, None] + 3 * h[:, None] + 5 * w
        return torch.sin(0.1 * sums + shift)

    x = (1.3 * waves([2, plan.in_channels, *plan.in_size], 0.0)).requires_grad_()
    w = torch.sin(0.7 * index(6) + 0.5 * index(2)[:, None]).requires_grad_()
    y = layer(x, w)
    assert_close(y, case["y"])
    gradients = torch.autograd.grad(y, [x, w, *layer.parameters()], waves(list(y.shape), 0.7))
    assert_close(gradients[0], case["grad_x"])
    assert_close(gradients[1], case["grad_w"])
    for name, gradient in zip(names.values(), gradients[2:], strict=True):
        assert_close(gradient, case["grad_params"][name])
    layer(x, w, update_ema=True)
    assert layer.magnitude_ema.item() == pytest.approx(case["magnitude_ema_after_update"])


def recorded_network(case: dict) -> StyleGAN3Synthesis:
    """Return a recorded synthesis network, in float64."""
    s = StyleGAN3Generator(**arguments(case["kwargs"])).double().synthesis
    recorded = dict(zip(s.names, case["layer_names"], strict=True))
    names = {}
    for name, _ in s.named_parameters():
        layer, _, rest = name.partition(".")
        names[name] = f"{recorded.get(layer, layer)}.{rest.removeprefix('act.')}"
    fill(s, names)
    set_frequencies(s.input)
    for i, (own, _) in enumerate(sorted(recorded.items(), key=lambda pair: pair[1])):
        getattr(s, own).magnitude_ema.fill_(0.5 + 0.25 * i)
    return s


def styles(s: StyleGAN3Synthesis) -> Tensor:
    """Return the styles of the record."""
    return torch.sin(
        0.7 * index(6) + 1.1 * index(s.num_ws)[:, None] + 0.5 * index(2)[:, None, None]
    )


@pytest.mark.parametrize("case", VECTORS["tiny_networks"]["cases"], ids=lambda c: c["name"])
def test_tiny_networks_layer_by_layer(case):
    s = recorded_network(case)
    recorded = dict(zip(s.names, case["layer_names"], strict=True))
    outputs = {}
    for own, layer in (("input", s.input), *zip(s.names, s.layers())):
        layer.register_forward_hook(lambda _, __, y, own=own: outputs.__setitem__(own, y))
    transform = None
    if case["transform"] is not None:
        transform = torch.tensor(case["transform"], dtype=torch.float64)
    ws = torch.sin(0.7 * index(6) + 1.1 * index(s.num_ws)[:, None] + 0.5 * index(2)[:, None, None])
    assert s.num_ws == case["num_ws"]
    assert sum(p.numel() for p in s.parameters()) == case["params"]
    assert_close(s(ws, transform=transform), case["y"])
    for own, recorded_name in (("input", "input"), *recorded.items()):
        if "per_layer_output" in case:
            assert_close(outputs[own], case["per_layer_output"][recorded_name])
    s(ws, transform=transform, update_emas=True)
    for own, value in case.get("magnitude_ema_after_one_update_beta0p999", {}).items():
        layer = getattr(s, own.partition("_")[0])
        assert layer.magnitude_ema.item() == pytest.approx(value, rel=1e-9)


def test_scores_of_a_recorded_network():
    """The ratios of R's tiny network tell a transform from its inverse by 50 dB."""
    case = VECTORS["tiny_networks"]["cases"][1]
    s = recorded_network(case)
    ws = styles(s)

    def images_of(ws: Tensor, transform: Tensor | None) -> Tensor:
        return s(ws, transform=None if transform is None else transform.double()).float()

    with torch.no_grad():
        whole = decibels(*translation_error(images_of, ws, (3, -2), 32))
        part = decibels(*translation_error(images_of, ws, (0.11 * 32, -0.07 * 32), 32))
        turned = decibels(*rotation_error(images_of, ws, 0.6))
    # The record's transforms are float64, and ours are rounded to float32.
    assert whole == pytest.approx(119.3474, abs=1)
    assert part == pytest.approx(101.6621, abs=0.1)
    assert turned == pytest.approx(103.0247, abs=0.2)


def small(resolution: int = 16, channels: int = 3, **options) -> StyleGAN3Generator:
    torch.manual_seed(0)
    sizes = {"z_dim": 6, "w_dim": 5, "channel_base": 64, "channel_max": 6, "num_layers": 5}
    return StyleGAN3Generator(resolution, channels, **{**sizes, **options})


def latents(g: StyleGAN3Generator, count: int = 2) -> Tensor:
    return torch.randn(count, g.z_dim, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("resolution", "channels", "base", "size"),
    [
        (16, 1, None, (16, 16)), (32, 4, (8, 16), (16, 32)), (24, 2, None, (24, 24)),
        (64, 3, (4, 3), (16, 12)), (40, 1, (2, 6), (5, 15)),
    ],
)  # fmt: skip
def test_sizes_of_the_images(resolution, channels, base, size):
    g = small(resolution, channels, base=base)
    assert g(latents(g)).shape == (2, channels, *size)
    assert g.synthesis.image_size == size
    again = StyleGAN3Generator(**json.loads(json.dumps(g.config)))
    again.load_state_dict(g.state_dict())
    assert torch.equal(again(latents(g)), g(latents(g)))


def test_names_in_the_state_dict():
    names = set(small(num_layers=3).state_dict())
    layer = {"weight", "magnitude_ema", "affine.weight", "affine.bias"}
    expected = {f"synthesis.L{i}.{part}" for i in range(3) for part in layer | {"act.bias"}}
    expected |= {f"synthesis.L3.{part}" for part in layer | {"bias"}}
    own = ("weight", "affine.weight", "affine.bias", "freqs", "phases", "transform")
    expected |= {f"synthesis.input.{part}" for part in own}
    expected |= {f"mapping.fc{i}.{p}" for i in (0, 1) for p in ("weight", "bias")}
    expected |= {"mapping.w_avg"}
    assert names == expected


def test_the_image_follows_a_translation():
    """A shift by whole pixels moves the pixels, apart from the frame's edge."""
    g = small(32, num_layers=8).double()
    ws = g.mapping(latents(g))
    shift = torch.eye(3, dtype=torch.float64)
    shift[0, 2] = -4 / 32
    still, moved = g.synthesis(ws), g.synthesis(ws, transform=shift)
    error = (moved[..., 4:] - still[..., :-4]).square().mean()
    assert error < 1e-5 * still.var()


def test_emas_move_on_request_only():
    g = small()
    before = {name: b.clone() for name, b in g.named_buffers()}
    g(latents(g))
    assert all(torch.equal(b, before[name]) for name, b in g.named_buffers())
    g(latents(g), update_emas=True)
    moved = {name for name, b in g.named_buffers() if not torch.equal(b, before[name])}
    assert moved == {"mapping.w_avg", *(f"synthesis.L{i}.magnitude_ema" for i in range(6))}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_of_the_highest_rates(dtype):
    g = small(64, num_layers=5, half_resolutions=2)
    taken = []
    for layer in g.synthesis.layers():
        layer.register_forward_hook(lambda layer, _, y: taken.append((layer.plan.half, y.dtype)))
    full = g(latents(g))
    assert {dtype for _, dtype in taken} == {torch.float32}
    taken.clear()
    with torch.autocast("cpu", dtype=dtype):
        half = g(latents(g))
    dtypes = {False: torch.float32, True: dtype}
    assert all(dtype == dtypes[planned] for planned, dtype in taken)
    assert {planned for planned, _ in taken} == {False, True}
    assert half.dtype == torch.float32 and not torch.equal(half, full)
    assert torch.allclose(half, full, atol=0.05 * full.abs().max().item())


def test_the_gradient_reaches_every_parameter():
    g = small()
    torch.autograd.backward(g(latents(g)).square().sum())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in g.parameters())
    assert all(p.grad.any() for p in g.parameters())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"resolution": 8}, "resolution must be a whole number from 16 to 4096, got 8"),
        ({"channels": 5}, "channels must be one of 1, 2, 3, 4, got 5"),
        ({"num_critical": 5}, "num_critical must be a whole number from 0 to 4, got 5"),
        ({"first_stopband": 1.0}, "first_stopband must be above first_cutoff"),
        ({"last_stopband_rel": 1.0}, "last_stopband_rel must be above 1"),
        ({"first_cutoff": 1e-9}, "first_cutoff, which is at least 0.5, got .* and 1e-09"),
        ({"margin": -1}, "margin must be a whole number from 0 to 256, got -1"),
        ({"filter_size": 1}, "filter_size must be a whole number from 2 to 16, got 1"),
        ({"lrelu_upsampling": 3}, "lrelu_upsampling must be one of 1, 2, 4, 8, got 3"),
        ({"kernel_size": 2}, "kernel_size must be one of 1, 3, 5, 7, got 2"),
        ({"base": (0, 16)}, r"base must be two whole numbers .* got \(0, 16\)"),
        ({"resolution": 24, "base": (1, 2)}, r"base must be .* 24 / 16 are whole"),
        ({"channel_base": 4}, "channel_base / resolution must be"),
        ({"half_resolutions": -1}, "half_resolutions must be a whole number of at least 0, got -1"),
        ({"conv_clamp": 0}, "conv_clamp must be None or a number above 0, got 0"),
        ({"magnitude_ema_beta": 2}, "magnitude_ema_beta must be from 0 to 1, got 2"),
        ({"output_scale": 0}, "output_scale must be a number above 0, got 0"),
    ],
)
def test_settings_are_checked(arguments, says):
    with pytest.raises(ValueError, match=says):
        small(**arguments)


def test_inputs_are_checked():
    g = small()
    with pytest.raises(ValueError, match=r"ws must be a floating-point \[N, 7, 5\]|ws must be a"):
        g.synthesis(torch.zeros(2, 3, 5))
    with pytest.raises(ValueError, match=r"transform must have shape \[3, 3\] or \[2, 3, 3\]"):
        g(latents(g), transform=torch.eye(2))
