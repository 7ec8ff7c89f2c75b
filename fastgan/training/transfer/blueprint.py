"""Networks without memory: names and shapes of their tensors, and the meaning of each dimension.

A dimension may count colours of images, labels (classes, attributes, words), or something else.
No network has to declare it. The recipe's networks are built again, on torch's meta device, for
images with another number of each; the dimensions that change reveal their meaning.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import nn

from fastgan.errors import FastganError
from fastgan.recipes import ImageSpec, Recipe


class Axis(NamedTuple):
    """Meaning of a tensor's dimension.

    Its entries lie in the order colours, inputs, rest, labels.

    Attributes:
        colours: entries per colour channel of an image.
        inputs: entries per colour channel of an input image.
        rest: entries that count something else.
        labels: entries per label.
    """

    colours: int = 0
    inputs: int = 0
    rest: int = 0
    labels: int = 0


@dataclass(frozen=True)
class Blueprint:
    """Networks that a recipe builds for some images.

    Attributes:
        recipe: the recipe.
        images: description of the images.
        networks: networks by name, on the meta device.
        axes: meaning of each dimension, by names of network and tensor.
    """

    recipe: Recipe
    images: ImageSpec
    networks: dict[str, nn.Module]
    axes: dict[str, dict[str, tuple[Axis, ...]]]

    @classmethod
    def of(cls, recipe: Recipe, images: ImageSpec) -> Blueprint:
        """Build the networks of a recipe. Errors of that building pass through."""
        networks = build_on_meta(recipe, images)
        step = 1 if images.channels < 4 else -1
        more = [
            (step, replace(images, channels=images.channels + step)),
            (step, _with_inputs(images, channels=step)),
            (1, _with_inputs(_with_classes(images, images.num_classes + 1), names=("+",))),
        ]
        multiples = [_multiples(recipe, networks, *other) for other in more]
        axes = {
            name: {
                key: tuple(
                    _axis(
                        size, images, [m.get(name, {}).get(key, {}).get(dim, 0) for m in multiples]
                    )
                    for dim, size in enumerate(tensor.shape)
                )
                for key, tensor in network.state_dict().items()
            }
            for name, network in networks.items()
        }
        return cls(recipe, images, networks, axes)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that the networks take: names, or the numbers of classes without names."""
        named = any(spec.names for spec in self.images.inputs.values())
        uses_labels = getattr(self.recipe, "conditional", named)
        return label_names(self.images) if uses_labels else ()


def build_on_meta(recipe: Recipe, images: ImageSpec) -> dict[str, nn.Module]:
    """Build, without memory, the networks that a recipe trains and those that it carries along."""
    wanted = {name for player in recipe.players() for name in player.networks} | set(recipe.carried)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=()), torch.device("meta"):
        # A network may load weights of its own, which aren't trained, and warn of it.
        warnings.simplefilter("ignore")
        networks = recipe.build_networks(images)
    return {name: network for name, network in networks.items() if name in wanted}


def shapes(networks: dict[str, nn.Module]) -> dict[tuple[str, str], tuple[int, ...]]:
    """Return the shape of each tensor by the names of network and tensor."""
    return {
        (name, key): tuple(tensor.shape)
        for name, network in networks.items()
        for key, tensor in network.state_dict().items()
    }


def input_channels(images: ImageSpec) -> int:
    """Return the channels of an input image, 0 for a recipe without one."""
    return next((spec.channels for spec in images.inputs.values() if spec.kind == "image"), 0)


def label_names(images: ImageSpec) -> tuple[str, ...]:
    """Return the names of attributes, words or classes, else the classes' numbers."""
    for spec in images.inputs.values():
        if spec.names:
            return spec.names
    return images.class_names or tuple(map(str, range(images.num_classes)))


def _with_classes(images: ImageSpec, count: int) -> ImageSpec:
    return replace(images, num_classes=count, class_names=())


def _with_inputs(images: ImageSpec, *, channels: int = 0, names: tuple[str, ...] = ()) -> ImageSpec:
    inputs = {}
    for name, spec in images.inputs.items():
        if spec.kind == "image":
            inputs[name] = replace(spec, channels=spec.channels + channels)
        else:
            inputs[name] = replace(spec, names=(*spec.names, *names))
    return replace(images, inputs=inputs)


def _multiples(
    recipe: Recipe, networks: dict[str, nn.Module], step: int, images: ImageSpec
) -> dict[str, dict[str, dict[int, int]]]:
    """Return the growth of each tensor's dimensions per step, {} if the recipe can't take one."""
    try:
        others = build_on_meta(recipe, images)
    except (FastganError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
        # The recipe takes no other number of these.
        return {}
    growth: dict[str, dict[str, dict[int, int]]] = {}
    for name, network in networks.items():
        other = others[name].state_dict()
        growth[name] = {
            key: {
                dim: (b - a) * step
                for dim, (a, b) in enumerate(zip(tensor.shape, other[key].shape))
            }
            for key, tensor in network.state_dict().items()
            if key in other
        }
    return growth


def _axis(size: int, images: ImageSpec, multiples: list[int]) -> Axis:
    colours, inputs, labels = multiples
    taken = (
        colours * images.channels
        + inputs * input_channels(images)
        + labels * len(label_names(images))
    )
    return Axis(colours, inputs, size - taken, labels)
