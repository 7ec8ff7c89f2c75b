"""Result of all readers: class, configuration and renamed tensors of a network; their checks."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fastgan.foreign.errors import Refusal, describe
from fastgan.networks.stylegan2 import MappingNetwork, StyleGAN2Discriminator, StyleGAN2Generator
from fastgan.networks.stylegan3 import StyleGAN3Generator

StyleGAN = StyleGAN2Generator | StyleGAN2Discriminator | StyleGAN3Generator

CLASSES: dict[str, type[StyleGAN]] = {
    network.__name__: network
    for network in (StyleGAN2Generator, StyleGAN2Discriminator, StyleGAN3Generator)
}
"""Classes of networks by name."""


class Weights(NamedTuple):
    """Content of a network's file."""

    class_name: str
    """Name of the class in ``CLASSES``."""
    config: dict[str, Any]
    """Arguments of the class's constructor."""
    tensors: dict[str, Tensor]
    """State dict of the network."""


def build(weights: Weights) -> StyleGAN:
    """Build the network, in float32 on the CPU, in evaluation mode and without gradients.

    Raises:
        Refusal: the configuration is out of range, or the tensors don't fit the network.
    """
    # Bound the numbers that a constructor loops over.
    count = len(weights.tensors) + 8
    for name, most in (("mapping_layers", count), ("num_layers", count), ("half_resolutions", 16)):
        if weights.config.get(name, 0) not in range(most + 1):
            raise Refusal(f"its {name} isn't a whole number from 0 to {most}")
    network_class = CLASSES[weights.class_name]
    try:
        # First without memory, to compare the configuration's shapes with the file's tensors.
        with torch.device("meta"):
            expected = network_class(**weights.config).state_dict()
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        raise Refusal(f"its configuration isn't one of a {weights.class_name} ({error})") from error
    check_tensors(weights.class_name, weights.tensors, expected)
    network = network_class(**weights.config)
    network.load_state_dict(weights.tensors)
    return network.eval().requires_grad_(False)


def build_mapping(config: dict[str, Any], tensors: dict[str, Tensor]) -> nn.Module:
    """Build the mapping network of a generator without labels and ``w_avg``.

    Args:
        config: configuration of the generator.
        tensors: its tensors.

    Returns:
        A module from z ``[N, z_dim]`` to w ``[N, w_dim]``.

    Raises:
        Refusal: the tensors don't fit the network.
    """
    prefix, layers = "mapping.", config["mapping_layers"]
    own = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}

    def make() -> MappingNetwork:
        return MappingNetwork(
            config["z_dim"], 0, config["w_dim"], num_ws=None, num_layers=layers, w_avg_beta=None
        )

    with torch.device("meta"):
        expected = make().state_dict()
    check_tensors("mapping network", own, expected)
    mapping = make()
    mapping.load_state_dict(own)
    return mapping.requires_grad_(False)


def check_tensors(what: str, tensors: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Check names, shapes and memory of tensors.

    Args:
        what: name of the network in the message.
        tensors: tensors of the file.
        expected: tensors of such a network.

    Raises:
        Refusal: names or shapes differ, or ``tensors`` claim more memory than their storages have.
    """
    if missing := sorted(expected.keys() - tensors.keys()):
        raise Refusal(f"it has no tensor {missing[0]!r}, which a {what} needs")
    if unknown := sorted(tensors.keys() - expected.keys()):
        raise Refusal(f"it has a tensor {describe(unknown[0])}, which a {what} has no use for")
    for name, tensor in expected.items():
        if tensors[name].shape != tensor.shape:
            raise Refusal(
                f"its tensor {name!r} must have shape {list(tensor.shape)} by its configuration, "
                f"got {list(tensors[name].shape)}"
            )
    # Shared or expanded tensors would make a large network of a small file.
    storages = {
        t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors.values()
    }
    if sum(t.numel() * t.element_size() for t in tensors.values()) > sum(storages.values()):
        raise Refusal("its tensors claim more bytes than it has")


def widths_as_base(
    widths: dict[int, int], stated: tuple[object, object] = (None, None)
) -> tuple[int, int]:
    """Find settings with ``min(channel_base // r, channel_max) == widths[r]`` for every r.

    Args:
        widths: channels by resolution.
        stated: settings of the file, preferred if they fit.

    Returns:
        ``channel_base`` and ``channel_max``.

    Raises:
        Refusal: there is no such pair.
    """
    most = max(widths.values())
    least_base = max(width * r for r, width in widths.items())
    for base, limit in (stated, (least_base, most)):
        if (
            type(base) is int
            and type(limit) is int
            and all(min(base // r, limit) == width for r, width in widths.items())
        ):
            return base, limit
    channels = ", ".join(f"{width} at {r}" for r, width in sorted(widths.items()))
    raise Refusal(
        f"its channels ({channels}) don't follow min(base // resolution, maximum), as those of "
        f"fastgan's networks do"
    )


def check_filter(taps: Tensor, name: str) -> None:
    """Check that a resampling filter is [1, 3, 3, 1] along both axes, with any gain.

    Args:
        taps: the filter, ``[4]`` or ``[4, 4]``.
        name: its name in the message.

    Raises:
        Refusal: it is another filter.
    """
    binomial = torch.tensor([1.0, 3, 3, 1]) / 8
    expected = binomial if taps.ndim == 1 else torch.outer(binomial, binomial)
    if taps.shape != expected.shape or not torch.allclose(
        taps.float() / taps.float().sum(), expected, atol=1e-5
    ):
        raise Refusal(
            f"its filter {describe(name)} isn't [1, 3, 3, 1], which fastgan's networks resample "
            f"with"
        )


def flip_kernel(weight: Tensor) -> Tensor:
    """Convert the weight of an upsampling layer to fastgan's convention.

    The official networks and rosinality's pass it to a transposed convolution unflipped. For
    :func:`fastgan.ops.conv2d_resample` that is ``flip_weight=False``. fastgan's layers correlate.

    Args:
        weight: ``[O, I, H, W]``.

    Returns:
        The weight flipped along both axes.
    """
    return weight.flip(2, 3)
