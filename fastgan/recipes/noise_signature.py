"""Signatures of generators that draw from noise, and of their discriminators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from fastgan.networks.batch_comparison import BatchComparison
from fastgan.networks.stylegan2.discriminator import DiscriminatorEpilogue
from fastgan.nn import MinibatchStddev
from fastgan.recipes.signature import Port, Signature

_COMPARING = (MinibatchStddev, BatchComparison, DiscriminatorEpilogue)


def generator_signature(
    network: Any, shape: Sequence[int], names: Sequence[str] = (), *, noise: str = "noise"
) -> Signature:
    """Return the signature of a generator: z, and labels if it has them, to images.

    Args:
        network: generator with `z_dim`, and `c_dim` if it is conditional.
        shape: shape of an image, (C, H, W).
        names: names of the classes.
        noise: meaning of z.
    """
    z = Port("z", (network.z_dim,), noise, "normal")
    images = Port(
        "images", tuple(shape), "generated images; clip values outside of the range", "image"
    )
    return Signature("G", (z, *_labels(network, names)), (images,))


def discriminator_signature(
    network: Any, shape: Sequence[int], names: Sequence[str] = ()
) -> Signature:
    """Return the signature of a discriminator: images, and labels if it has them, to logits.

    The arguments are those of `generator_signature`.
    """
    images = Port("images", tuple(shape), "real or generated images", "image")
    logits = Port("logits", (), "logits, higher for images that look real", "real")
    return Signature("D", (images, *_labels(network, names)), (logits,), group=_group(network))


def _labels(network: Any, names: Sequence[str]) -> tuple[Port, ...]:
    """Return the port of labels; nothing for a network without classes.

    A network with a mapping of labels takes one-hot rows, others take class numbers.
    """
    count = getattr(network, "c_dim", 0)
    if not count:
        return ()
    if hasattr(network, "mapping"):
        return (Port("labels", (count,), "class as a one-hot row", "one-hot", tuple(names)),)
    return (Port("labels", (), "class number", "index", tuple(names), count=count),)


def _group(network: nn.Module) -> int:
    """Return the number of samples that a discriminator compares within a batch, 1 for none."""
    groups = [
        int(module.group_size) for module in network.modules() if isinstance(module, _COMPARING)
    ]
    return max(1, *groups) if groups else 1
