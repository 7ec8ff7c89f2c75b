"""Settings and inputs of every network that don't fit are refused in one sentence."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fastgan.networks import create_network, list_networks
from fastgan.networks.checks import check_indices, check_shape
from fastgan.networks.registry import network_class

SIZE = {"resolution": 16, "channels": 1}
TEXT = {"vocabulary": 5, "text_dim": 4}
STYLE = {"channel_base": 64, "channel_max": 4, "w_dim": 4}
SMALL: dict[str, dict[str, Any]] = {
    "biggan-generator": {**SIZE, "ngf": 1, "z_dim": 6, "c_dim": 3, "embedding_dim": 2},
    "cyclegan-generator": {"in_channels": 1, "out_channels": 1, "ngf": 1, "blocks": 1},
    "dcgan-discriminator": {**SIZE, "ndf": 1, "c_dim": 3},
    "dcgan-generator": {**SIZE, "ngf": 1, "z_dim": 6, "c_dim": 3},
    "lightgan-discriminator": {**SIZE, "ndf": 1},
    "lightgan-generator": {**SIZE, "ngf": 1, "z_dim": 6},
    "mlp-discriminator": {"image_shape": (1, 16, 16), "hidden": (2,), "c_dim": 3},
    "mlp-generator": {"image_shape": (1, 16, 16), "hidden": (2,), "z_dim": 6, "c_dim": 3},
    "multiscale-discriminator": {"channels": 1, "patch": 16, "ndf": 1, "scales": 1},
    "patch-discriminator": {"channels": 1, "patch": 16, "ndf": 1},
    "progan-discriminator": {**SIZE, "channel_base": 64, "channel_max": 4, "c_dim": 3},
    "progan-generator": {**SIZE, "channel_base": 64, "channel_max": 4, "z_dim": 6, "c_dim": 3},
    "r3gan-discriminator": {**SIZE, "channel_base": 64, "channel_max": 4, "c_dim": 3},
    "r3gan-generator": {**SIZE, "channel_base": 64, "channel_max": 4, "z_dim": 6, "c_dim": 3},
    "resnet-discriminator": {**SIZE, "ndf": 1, "c_dim": 3},
    "resnet-generator": {**SIZE, "ngf": 1, "z_dim": 6, "c_dim": 3},
    "rrdb-generator": {"channels": 1, "scale": 2, "blocks": 1, "ngf": 1, "growth": 1},
    "spade-generator": {**SIZE, "map_channels": 2, "z_dim": 6, "ngf": 1, "hidden": 1},
    "srgan-discriminator": {"resolution": 32, "channels": 1, "ndf": 1},
    "srresnet-generator": {"channels": 1, "scale": 2, "blocks": 1, "ngf": 1},
    "stargan-discriminator": {**SIZE, "ndf": 1, "c_dim": 2},
    "stargan-generator": {"channels": 1, "c_dim": 2, "ngf": 1, "blocks": 1},
    "stylegan-generator": {**SIZE, **STYLE, "z_dim": 6, "c_dim": 3},
    "stylegan-synthesis": {**SIZE, **STYLE},
    "stylegan2-discriminator": {**SIZE, "channel_base": 64, "channel_max": 4, "c_dim": 3},
    "stylegan2-generator": {**SIZE, **STYLE, "z_dim": 6, "c_dim": 3},
    "stylegan2-mapping": {"z_dim": 6, "c_dim": 3, "w_dim": 4, "num_ws": 2},
    "stylegan2-synthesis": {**SIZE, **STYLE},
    "stylegan3-generator": {**SIZE, **STYLE, "z_dim": 6, "c_dim": 3},
    "stylegan3-synthesis": {**SIZE, **STYLE},
    "text-discriminator": {**SIZE, **TEXT, "ndf": 1},
    "text-encoder": TEXT,
    "text-generator": {**SIZE, **TEXT, "z_dim": 6, "ngf": 1},
    "unet-generator": {"in_channels": 1, "out_channels": 1, "resolution": 4, "ngf": 1},
    "unit-generator": {"channels": 1, "ngf": 1, "blocks": 1},
}
"""Arguments of a small network for each name."""
CLASSES = [name for name in SMALL if SMALL[name].get("c_dim") == 3]
each = pytest.mark.parametrize("name", SMALL)


@cache
def network(name: str) -> nn.Module:
    return create_network(name, **SMALL[name])


def arguments(name: str) -> list[str]:
    return list(inspect.signature(network_class(name).forward).parameters)[1:]


def call(name: str, **inputs: Tensor | None) -> None:
    """Call a network with two samples, of which ``inputs`` replace some."""
    size = SMALL[name].get("resolution", 16)
    default = {
        "z": torch.zeros(2, 6),
        "images": torch.zeros(2, 1, size, size),
        "labels": torch.tensor([0, 2]) if name in CLASSES else None,
        "captions": torch.tensor([[1, 2], [3, 0]]),
        "attributes": torch.zeros(2, 2),
        "segmentation": torch.zeros(2, 2, 16, 16),
        "ws": torch.zeros(2, getattr(network(name), "num_ws", 0) or 1, 4),
        "x": torch.zeros(2, 1, 8, 8),
        "source": 0,
        "target": 1,
    }
    if name == "text-discriminator":
        default["labels"] = default["captions"]
    default |= inputs
    with torch.no_grad():
        network(name)(*(default[n] for n in arguments(name) if n in default))


def test_every_network_is_here():
    assert list_networks() == list(SMALL)


@each
def test_sizes_below_their_minimum_are_refused(name):
    """Every whole number among a network's arguments says its minimum."""
    for argument, value in SMALL[name].items():
        if isinstance(value, int):
            for wrong in (-1, 1.5, "1"):
                with pytest.raises(ValueError, match=f"{name}: {argument} must be "):
                    create_network(name, **{**SMALL[name], argument: wrong})


@each
def test_inputs_of_another_shape_are_refused(name):
    """A wrong length, rank or number type, and no tensor at all."""
    call(name)
    first = arguments(name)[0]
    wrong: dict[str, list[Any]] = {
        "z": [torch.zeros(2, 5), torch.zeros(2, 6, 1, 1), torch.zeros(2, 6).long(), [0.0] * 6],
        "ws": [torch.zeros(2, 9, 4), torch.zeros(2, 4)],
        "captions": [torch.zeros(2, 3), torch.ones(2).long(), torch.tensor([[1, 5], [1, 1]])],
        "segmentation": [torch.zeros(2, 3, 16, 16), torch.zeros(2, 16, 16)],
    }
    images = [torch.zeros(2, 3, 16, 16), torch.zeros(1, 16, 16), torch.zeros(2, 1, 16, 16).byte()]
    whole = hasattr(network(name), "image_shape") or hasattr(network(name), "resolution")
    if whole and first == "images" and name != "unet-generator":
        images.append(torch.zeros(2, 1, 64, 64))
    for value in wrong.get(first, images):
        with pytest.raises(ValueError, match=r"must (be|have)"):
            call(name, **{first: value})


@pytest.mark.parametrize("name", CLASSES)
def test_labels_out_of_range_or_missing_are_refused(name):
    for labels in (None, torch.tensor([0, 3]), torch.tensor([-1, 0]), torch.tensor([0, 1, 2])):
        with pytest.raises(ValueError, match="labels must be "):
            call(name, labels=labels)


@pytest.mark.parametrize(
    ("check", "says"),
    [
        (
            lambda: check_shape("z", torch.zeros(16, 64), 128),
            r"z must be a \[N, 128\] tensor, got \[16, 64\]",
        ),
        (
            lambda: check_shape("images", torch.zeros(2, 3, 8, 8).byte(), 3, "H", "W"),
            r"images must be a floating-point \[N, 3, H, W\] tensor, got torch.uint8",
        ),
        (lambda: check_shape("z", None, 4, count=2), r"z must be a \[2, 4\] tensor, got none"),
        (lambda: check_shape("z", [1.0], 4), r"z must be a \[N, 4\] tensor, got a list"),
        (
            lambda: check_indices(torch.tensor([3, -1]), 3, "labels must be from 0 to 2"),
            "labels must be from 0 to 2, got values from -1 to 3",
        ),
    ],
)
def test_errors_say_what_is_expected(check: Callable[[], None], says: str):
    with pytest.raises(ValueError, match=says):
        check()


def test_indices_of_another_device_or_under_a_transform_are_not_read():
    check_indices(torch.full((2,), 9, device="meta"), 3, "labels must be from 0 to 2")

    def checked(label: Tensor) -> Tensor:
        check_indices(label, 3, "labels must be from 0 to 2")
        return label

    assert torch.func.vmap(checked)(torch.tensor([9, 9])).tolist() == [9, 9]
