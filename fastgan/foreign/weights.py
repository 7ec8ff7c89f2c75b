"""What every reader makes of a file: the class of a network, its configuration and its tensors by our names."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fastgan.foreign.errors import Refusal, shown
from fastgan.networks.stylegan2 import MappingNetwork, StyleGAN2Discriminator, StyleGAN2Generator

StyleGAN2 = StyleGAN2Generator | StyleGAN2Discriminator

CLASSES: dict[str, type[StyleGAN2]] = {
    network.__name__: network for network in (StyleGAN2Generator, StyleGAN2Discriminator)
}


class Weights(NamedTuple):
    """class_name: of ``CLASSES``. config: the arguments of its constructor. tensors: its state dict."""

    class_name: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]


def build(weights: Weights) -> StyleGAN2:
    """The network, in float32 on the CPU, in evaluation mode and without gradients, as networks are saved.

    Raises:
        Refusal: the configuration is out of range, or the tensors aren't those of such a network.
    """
    for name, most in (("mapping_layers", len(weights.tensors) + 8), ("num_fp16_res", 16)):
        if weights.config.get(name, 0) not in range(
            most + 1
        ):  # what a constructor would count up to
            raise Refusal(f"its {name} isn't a whole number from 0 to {most}")
    network_class = CLASSES[weights.class_name]
    try:
        # first without memory: what the configuration claims is compared with what the file has
        with torch.device("meta"):
            expected = network_class(**weights.config).state_dict()
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        raise Refusal(f"its configuration isn't one of a {weights.class_name} ({error})") from error
    check_tensors(weights.class_name, weights.tensors, expected)
    network = network_class(**weights.config)
    network.load_state_dict(weights.tensors)
    return network.eval().requires_grad_(False)


def build_mapping(config: dict[str, Any], tensors: dict[str, Tensor]) -> nn.Module:
    """The mapping network of a generator without labels and ``w_avg``; gives w ``[N, w_dim]``. Raises Refusal."""
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


def check_tensors(what: str, found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Raises Refusal where ``found`` hasn't the names and shapes of ``expected``, or claims more memory than it has."""
    if missing := sorted(expected.keys() - found.keys()):
        raise Refusal(f"it has no tensor {missing[0]!r}, which a {what} needs")
    if unknown := sorted(found.keys() - expected.keys()):
        raise Refusal(f"it has a tensor {shown(unknown[0])}, which a {what} has no use for")
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape:
            raise Refusal(
                f"its tensor {name!r} has shape {list(found[name].shape)}, where its configuration needs "
                f"{list(tensor.shape)}"
            )
    # One tensor shown as many, or stretched, would make a large network of a small file.
    storages = {
        t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in found.values()
    }
    if sum(t.numel() * t.element_size() for t in found.values()) > sum(storages.values()):
        raise Refusal("its tensors claim more bytes than it has")


def widths_as_base(
    widths: dict[int, int], given: tuple[object, object] = (None, None)
) -> tuple[int, int]:
    """``(channel_base, channel_max)`` with which ``min(channel_base // r, channel_max)`` is ``widths[r]`` for every r.

    Args:
        given: the two as the file has them, taken where they fit.

    Raises:
        Refusal: there is no such pair.
    """
    most = max(widths.values())
    least_base = max(width * r for r, width in widths.items())
    for base, limit in (given, (least_base, most)):
        if (
            type(base) is int
            and type(limit) is int
            and all(min(base // r, limit) == width for r, width in widths.items())
        ):
            return base, limit
    found = ", ".join(f"{width} at {r}" for r, width in sorted(widths.items()))
    raise Refusal(
        f"its channels ({found}) don't follow min(base // resolution, maximum), which fastgan's networks do"
    )


def check_filter(taps: Tensor, name: str) -> None:
    """Raises Refusal for a resampling filter, of any gain, that isn't [1, 3, 3, 1] along both axes."""
    binomial = torch.tensor([1.0, 3, 3, 1]) / 8
    expected = binomial if taps.ndim == 1 else torch.outer(binomial, binomial)
    if taps.shape != expected.shape or not torch.allclose(
        taps.float() / taps.float().sum(), expected, atol=1e-5
    ):
        raise Refusal(
            f"its filter {shown(name)} isn't [1, 3, 3, 1], which fastgan's networks resample with"
        )


def turned(weight: Tensor) -> Tensor:
    """The weight of an upsampling layer for a network of ours.

    There, and in rosinality's, it goes into a transposed convolution as it is: in terms of
    :func:`fastgan.ops.conv2d_resample`, ``flip_weight=False``. Our layers correlate.
    """
    return weight.flip(2, 3)
