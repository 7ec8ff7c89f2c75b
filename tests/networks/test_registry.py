"""Networks by name."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import fastgan.networks
from fastgan.networks import create_network, list_networks
from fastgan.networks.registry import network_class

PARTS = {"GrowingGenerator"}
"""Base classes that are no network of their own."""
PRETRAINED = {"FrozenFeatures", "ProjectedDiscriminator"}
"""Classes around a pretrained network, which no name and plain settings can give."""


def modules():
    """Import all modules of `fastgan.networks`."""
    found = pkgutil.walk_packages(fastgan.networks.__path__, "fastgan.networks.")
    return [importlib.import_module(module.name) for module in found]


def test_every_whole_network_has_a_name():
    """Networks are the classes in a module's `__all__`, and all that are named like one."""
    named = {network_class(name) for name in list_networks()}
    exported = set()
    for module in modules():
        for name, value in vars(module).items():
            if not (isinstance(value, type) and issubclass(value, nn.Module)):
                continue
            whole = name.endswith(("Generator", "Discriminator")) and name not in PARTS
            if name not in PRETRAINED and (whole or name in getattr(module, "__all__", ())):
                exported.add(value)
    assert named == exported
    assert len(named) == len(list_networks())


def test_no_two_classes_have_one_name():
    classes = {
        value
        for module in modules()
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
    }
    names = sorted(value.__name__ for value in classes)
    assert len(names) == len(set(names)), names


def test_names_are_sorted_and_filtered():
    assert list_networks() == sorted(list_networks())
    assert list_networks("stylegan2-*or") == ["stylegan2-discriminator", "stylegan2-generator"]
    assert list_networks("nothing") == []


def test_a_network_is_that_of_its_class():
    torch.manual_seed(0)
    created = create_network("dcgan-generator", resolution=16, ngf=2, z_dim=3)
    torch.manual_seed(0)
    made = network_class("dcgan-generator")(16, ngf=2, z_dim=3)
    assert type(created) is type(made)
    for a, b in zip(created.parameters(), made.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("name", "arguments", "error", "says"),
    [
        (
            "stylegan-2-generator",
            {},
            ValueError,
            "must be the name of a network, got 'stylegan-2-generator'; did you mean "
            "stylegan2-generator or stylegan-generator",
        ),
        ("?", {}, ValueError, r"list_networks\(\) has all names"),
        (
            "stylegan2-generator",
            {"resolutoin": 64},
            TypeError,
            "stylegan2-generator takes no argument resolutoin; did you mean resolution",
        ),
        (
            "unet-generator",
            {"w": 64},
            TypeError,
            "unet-generator takes no argument w; it takes in_channels, ",
        ),
        ("spade-generator", {}, TypeError, "spade-generator needs the argument map_channels"),
        (
            "stylegan2-generator",
            {"resolution": 28},
            ValueError,
            "stylegan2-generator: resolution must be one of .* got 28",
        ),
    ],
)
def test_errors(name, arguments, error, says):
    with pytest.raises(error, match=says):
        create_network(name, **arguments)


def test_a_family_is_imported_when_it_is_needed():
    code = (
        "import sys, fastgan.networks as n; "
        "n.create_network('mlp-generator', image_shape=(1, 2, 2)); "
        "assert 'fastgan.networks.mlp' in sys.modules; "
        "assert 'fastgan.networks.stylegan2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_documentation_has_all_names():
    page = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
    assert not [name for name in list_networks() if f"`{name}`" not in page]


def test_images_of_another_dtype_are_named():
    D = create_network("dcgan-discriminator", resolution=16, ndf=2)
    with pytest.raises(
        TypeError, match=r"x and weight must have the same dtype, got torch.float64"
    ):
        D(torch.zeros(2, 3, 16, 16, dtype=torch.float64))
