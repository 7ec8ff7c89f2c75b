"""Reader of the state dicts of ``stylegan2-pytorch``: ``g``, ``g_ema``, ``d`` by ``torch.save``.

Modulated weights have a leading axis of 1, and the state dict holds the filters. There are no
labels, no half precision and no clamping. Files don't state the learning rate of the mapping
network, which is 0.01 as in the paper.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fastgan.foreign.errors import Refusal, describe
from fastgan.foreign.weights import (
    Weights,
    build_mapping,
    check_filter,
    flip_kernel,
    widths_as_base,
)

NAMES = {"G": "g", "G_ema": "g_ema", "D": "d"}

W_AVG_SAMPLES = 10_000
"""Number of latents whose mean w replaces a missing ``w_avg``."""

# Part of a name in the file: part of the name in fastgan, and number of axes in fastgan.
_STYLED = {
    "conv.weight": ("weight", 4),
    "conv.modulation.weight": ("affine.weight", 2),
    "conv.modulation.bias": ("affine.bias", 1),
    "noise.weight": ("noise.strength", 0),
    "activate.bias": ("bias", 1),
    "bias": ("bias", 1),
}
_PLAIN = {
    "conv1.0.weight": ("conv0.weight", 4),
    "conv1.1.bias": ("conv0.bias", 1),
    "conv2.1.weight": ("conv1.weight", 4),
    "conv2.2.bias": ("conv1.bias", 1),
    "skip.1.weight": ("skip.weight", 4),
}
_LAST = {
    "final_conv.0.weight": ("b4.conv.weight", 4),
    "final_conv.1.bias": ("b4.conv.bias", 1),
    "final_linear.0.weight": ("b4.fc.weight", 2),
    "final_linear.0.bias": ("b4.fc.bias", 1),
    "final_linear.1.weight": ("b4.out.weight", 2),
    "final_linear.1.bias": ("b4.out.bias", 1),
}


def read_rosinality(saved: Any) -> dict[str, Callable[[], Weights]]:
    """Find the networks in a loaded file.

    Args:
        saved: content of the file.

    Returns:
        Functions that return the weights of a network, by fastgan's name; they raise Refusal.
    """
    networks: dict[str, Callable[[], Weights]] = {}
    for name, key in NAMES.items():
        if isinstance(saved, dict) and isinstance(saved.get(key), dict):
            state = dict(saved[key])
            if name != "D" and isinstance(saved.get("latent_avg"), Tensor):
                state.setdefault("latent_avg", saved["latent_avg"])
            networks[name] = functools.partial(_discriminator if name == "D" else _generator, state)
    return networks


def _generator(state: dict[str, Any]) -> Weights:
    tensors = _rename(state, _in_generator)
    blocks = _blocks(tensors, "synthesis.b", ".conv1.weight")
    for r in blocks[1:]:
        name = f"synthesis.b{r}.conv0.weight"
        tensors[name] = flip_kernel(_require(tensors, name))
    base, limit = widths_as_base(
        {r: tensors[f"synthesis.b{r}.conv1.weight"].shape[0] for r in blocks}
    )
    w_dim, z_dim = _require(tensors, "mapping.fc0.weight").shape
    config = {
        "resolution": blocks[-1],
        "channels": _require(tensors, "synthesis.b4.torgb.weight").shape[0],
        "z_dim": z_dim,
        "w_dim": w_dim,
        "mapping_layers": sum(
            1 for name in tensors if re.fullmatch(r"mapping\.fc\d+\.weight", name)
        ),
        "channel_base": base,
        "channel_max": limit,
        "base": tuple(_require(tensors, "synthesis.b4.const").shape[1:]),
    }
    if "mapping.w_avg" not in tensors:
        tensors["mapping.w_avg"] = _mean_w(config, tensors)
    return Weights("StyleGAN2Generator", config, tensors)


def _discriminator(state: dict[str, Any]) -> Weights:
    numbers = [
        int(match[1]) for name in state if (match := re.match(r"convs\.(\d\d?)\.", str(name)))
    ]
    top = 4 * 2 ** max(numbers, default=0)
    tensors = _rename(state, functools.partial(_in_discriminator, top=top))
    widths = {
        r: tensors[f"b{r}.conv0.weight"].shape[0] for r in _blocks(tensors, "b", ".conv0.weight")
    }
    widths[4] = _require(tensors, "b4.conv.weight").shape[0]
    base, limit = widths_as_base(widths)
    config = {
        "resolution": top,
        "channels": _require(tensors, f"b{top}.fromrgb.weight").shape[1],
        "channel_base": base,
        "channel_max": limit,
    }
    return Weights("StyleGAN2Discriminator", config, tensors)


def _in_generator(name: str) -> tuple[str, int] | None:
    """Return fastgan's name of a tensor and its number of axes, None for an unknown name."""
    if name == "input.input":
        return "synthesis.b4.const", 3
    if name == "latent_avg":
        return "mapping.w_avg", 1
    if match := re.fullmatch(r"style\.(\d\d?)\.(weight|bias)", name):
        return f"mapping.fc{int(match[1]) - 1}.{match[2]}", 2 if match[2] == "weight" else 1
    if match := re.fullmatch(r"noises\.noise_(\d\d?)", name):
        return f"{_layer(int(match[1]))}.noise.const", 2
    if match := re.fullmatch(r"(?:conv1|convs\.(\d\d?)|to_rgb1|to_rgbs\.(\d\d?))\.(.+)", name):
        part, axes = _STYLED.get(match[3], ("", 0))
        if name.startswith("to_rgb"):
            layer = f"synthesis.b{4 if match[2] is None else 8 * 2 ** int(match[2])}.torgb"
        else:
            layer = _layer(0 if match[1] is None else int(match[1]) + 1)
        return (f"{layer}.{part}", axes) if part else None
    return None


def _layer(index: int) -> str:
    """Return the name of the convolution of this index; 0 is the one at 4×4."""
    return f"synthesis.b{4 * 2 ** ((index + 1) // 2)}.conv{(index + 1) % 2}"


def _in_discriminator(name: str, *, top: int) -> tuple[str, int] | None:
    """Return what `_in_generator` does; ``top`` is the resolution of the images."""
    if name in _LAST:
        return _LAST[name]
    if name in ("convs.0.0.weight", "convs.0.1.bias"):
        return (
            (f"b{top}.fromrgb.weight", 4)
            if name.endswith("weight")
            else (f"b{top}.fromrgb.bias", 1)
        )
    match = re.fullmatch(r"convs\.([1-9]\d?)\.(.+)", name)
    if match is None or match[2] not in _PLAIN:
        return None
    part, axes = _PLAIN[match[2]]
    return f"b{2 * top // 2 ** int(match[1])}.{part}", axes


def _rename(
    state: dict[str, Any], rename: Callable[[str], tuple[str, int] | None]
) -> dict[str, Tensor]:
    tensors = {}
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            raise Refusal(f"its {describe(name)} is {describe(tensor)}, no tensor")
        if str(name).endswith(".kernel"):
            check_filter(tensor, name)
            continue
        if (target := rename(str(name))) is None:
            raise Refusal(f"it has a tensor {describe(name)}, which isn't known")
        tensors[target[0]] = _with_axes(tensor, target[1], name)
    return tensors


def _with_axes(tensor: Tensor, axes: int, name: str) -> Tensor:
    """Drop axes of length 1, leading before trailing ones, until there are ``axes``."""
    shape = list(tensor.shape)
    while len(shape) > axes and 1 in (shape[0], shape[-1]):
        shape.pop(0 if shape[0] == 1 else -1)
    if len(shape) != axes:
        raise Refusal(f"its {describe(name)} must have {axes} axes, got shape {list(tensor.shape)}")
    return tensor.reshape(shape)


def _blocks(tensors: dict[str, Tensor], prefix: str, suffix: str) -> list[int]:
    matches = [
        re.fullmatch(rf"{re.escape(prefix)}(\d+){re.escape(suffix)}", name) for name in tensors
    ]
    resolutions = sorted(int(match[1]) for match in matches if match)
    if not resolutions:
        raise Refusal("it has no convolutions of StyleGAN2 by the names that are known")
    return resolutions


def _require(tensors: dict[str, Tensor], name: str) -> Tensor:
    if name not in tensors:
        raise Refusal(f"it has no tensor for {name!r}")
    return tensors[name]


def _mean_w(config: dict[str, Any], tensors: dict[str, Tensor]) -> Tensor:
    """Return the mean of w over latents of a fixed seed."""
    mapping = build_mapping(config, tensors)
    z = torch.randn(W_AVG_SAMPLES, config["z_dim"], generator=torch.Generator().manual_seed(0))
    w: Tensor = mapping(z)
    return w.mean(0)
