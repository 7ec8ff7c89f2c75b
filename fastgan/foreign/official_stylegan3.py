"""Reader of StyleGAN3 generators in network pickles.

Sizes follow from the names of layers and from tensors. The schedule follows from the constructor's
arguments and their defaults; the filters in the file tell whether it is the right one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan.foreign.errors import Refusal, describe
from fastgan.foreign.module_records import ModuleRecords
from fastgan.foreign.weights import Weights
from fastgan.networks.stylegan3.schedule import LayerPlan, plan_bands, plan_layers

MAX_LAYERS = 100
# Constructor's arguments that files leave out where they have these values.
DEFAULTS: dict[str, tuple[str, int | float]] = {
    "num_critical": ("num_critical", 2),
    "first_cutoff": ("first_cutoff", 2.0),
    "first_stopband": ("first_stopband", 2**2.1),
    "last_stopband_rel": ("last_stopband_rel", 2**0.3),
    "margin": ("margin_size", 10),
    "filter_size": ("filter_size", 6),
    "lrelu_upsampling": ("lrelu_upsampling", 2),
    "output_scale": ("output_scale", 0.25),
    "half_resolutions": ("num_fp16_res", 4),
}


def read_stylegan3(g: ModuleRecords) -> Weights:
    """Return the weights of a StyleGAN3 generator.

    Raises:
        Refusal: it isn't of a known layout, or its filters aren't those of its schedule.
    """
    names = _layer_names(g)
    sizes = [tuple(map(int, name.split("_")[1:])) for name in names]
    z_dim, c_dim, mapping_layers, rate = g.mapping()
    first, last = f"synthesis.{names[0]}", f"synthesis.{names[-1]}"
    kernel_size = g.shape(f"{first}.weight", 4)[2]
    config: dict[str, Any] = {
        "resolution": sizes[-1][0],
        "channels": g.shape(f"{last}.weight", 4)[0],
        "z_dim": z_dim,
        "w_dim": g.shape(f"{first}.affine.weight", 2)[1],
        "c_dim": c_dim,
        "mapping_layers": mapping_layers,
        "mapping_lr_multiplier": rate,
        "w_avg_beta": g.setting(("w_avg_beta",), ("mapping",), 0.998),
        "num_layers": len(names) - 1,
        "kernel_size": kernel_size,
        "radial": any(n.endswith("down_filter") and t.ndim == 2 for n, t in g.tensors.items()),
        "conv_clamp": g.setting(("conv_clamp",), (first,), 256.0, warn=False),
        "magnitude_ema_beta": g.setting(("magnitude_ema_beta",), (first,), 0.999, warn=False),
    }
    for name, (theirs, default) in DEFAULTS.items():
        config[name] = g.setting((theirs,), ("synthesis",), default, warn=False)
    try:
        bands = plan_bands(config["resolution"], **{name: config[name] for name in _BANDS})
        widths = [size[1] for size in sizes[:-1]]
        stated = [g.setting((name,), ("synthesis",), None, warn=False) for name in _WIDTHS]
        config |= zip(_WIDTHS, _widths([band.cutoff for band in bands], widths, stated))
        _, plans = plan_layers(
            **{name: value for name, value in config.items() if name in _SCHEDULE}
        )
    except (ArithmeticError, TypeError, ValueError) as error:
        raise Refusal(f"its schedule isn't one of a StyleGAN3Generator ({error})") from error
    renamed = _renamed(g, names, plans, sizes)
    return Weights("StyleGAN3Generator", config, renamed)


_BANDS = ("num_layers", "num_critical", "first_cutoff", "first_stopband", "last_stopband_rel")
_WIDTHS = ("channel_base", "channel_max")
_SCHEDULE = (
    *_BANDS, *_WIDTHS, "resolution", "channels", "margin", "kernel_size", "radial", "filter_size",
    "lrelu_upsampling",
)  # fmt: skip


def _layer_names(g: ModuleRecords) -> list[str]:
    """Return the names of the layers in order, such as L0_36_512."""
    pattern = r"synthesis\.(L(\d{1,3})_\d{1,5}_\d{1,5})"
    found = {
        int(match[2]): match[1] for name in g.records if (match := re.fullmatch(pattern, name))
    }
    if not 2 <= len(found) <= MAX_LAYERS or sorted(found) != list(range(len(found))):
        raise Refusal("it has no layers L0, L1 and so on, so it is no StyleGAN3 of a known layout")
    return [found[i] for i in range(len(found))]


def _widths(
    cutoffs: Sequence[float], widths: Sequence[int], stated: Sequence[Any]
) -> tuple[int | float, int]:
    """Find ``channel_base`` and ``channel_max`` that give these widths, if they can the stated."""
    narrow = [(w, f) for w, f in zip(widths, cutoffs) if w < max(widths)]
    # The middle of all bases that round to the narrower widths.
    least = max([(w - 0.5) * 2 * f for w, f in narrow], default=2 * max(widths) * max(cutoffs))
    most = min([(w + 0.5) * 2 * f for w, f in narrow], default=least)
    for base, limit in (tuple(stated), (32768, 512), (round((least + most) / 2), max(widths))):
        if type(base) is int and type(limit) is int and widths == [
            round(min(base / 2 / f, limit)) for f in cutoffs[: len(widths)]
        ]:  # fmt: skip
            return base, limit
    raise Refusal(
        f"its channels ({', '.join(map(str, widths))}) don't fall as those of fastgan's networks do"
    )


def _renamed(
    g: ModuleRecords,
    names: Sequence[str],
    plans: Sequence[LayerPlan],
    sizes: Sequence[tuple[int, ...]],
) -> dict[str, Tensor]:
    """Return the tensors by fastgan's names, without the filters, which the plans make."""
    own = dict(zip(names, plans))
    for name, plan, (size, _) in zip(names, plans, sizes):
        if plan.out_size != (size, size):
            raise Refusal(
                f"its layer {name} must have size {plan.out_size[0]} by its schedule, got {size}"
            )
        for kind, expected in (("up", plan.up_filter()), ("down", plan.down_filter())):
            _check_filter(g.tensors.get(f"synthesis.{name}.{kind}_filter"), expected, name)
    tensors = {}
    for name, tensor in g.tensors.items():
        if name.endswith(("up_filter", "down_filter")):
            continue
        module, layer, rest = name.partition(".")[0], *_split(name)
        if module == "synthesis" and layer in own:
            plan = own[layer]
            rest = "act.bias" if rest == "bias" and not plan.to_image else rest
            name = f"synthesis.{plan.name}.{rest}"
        tensors[name] = tensor
    return tensors


def _split(name: str) -> tuple[str, str]:
    """Return the second part of a dotted name, and what follows it."""
    _, _, inside = name.partition(".")
    layer, _, rest = inside.partition(".")
    return layer, rest


def _check_filter(found: Tensor | None, expected: Tensor | None, name: str) -> None:
    if found is None or expected is None:
        same = found is expected
    else:
        same = found.shape == expected.shape and torch.allclose(found.float(), expected, atol=1e-5)
    if not same:
        raise Refusal(
            f"a filter of its layer {describe(name)} isn't the one of its schedule, which fastgan "
            f"designs anew"
        )
