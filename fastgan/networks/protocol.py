"""The contract of discriminators: how they are called and what they return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class DiscriminatorOutput:
    """Output of a discriminator that returns more than one tensor of logits.

    It is registered as a pytree, so torch.compile, torch.export and AOTInductor take it.

    Attributes:
        logits: for each scale, the finest first, logits ``[N]`` or a map ``[N, 1, h, w]``. Higher
            values stand for images that look real.
        features: for each scale, the output ``[N, C, h, w]`` of every layer before the logits, in
            their order. Empty for a network that returns no features.
        class_logits: logits of classes or attributes ``[N, c_dim]``; None without.
    """

    logits: tuple[Tensor, ...]
    features: tuple[tuple[Tensor, ...], ...] = ()
    class_logits: Tensor | None = None


torch.export.register_dataclass(
    DiscriminatorOutput, serialized_type_name="fastgan.networks.DiscriminatorOutput"
)


class Discriminator(Protocol):
    """Callable ``D(images, labels=None)``, the contract of every discriminator of fastgan.

    ``images`` are ``[N, C, H, W]`` in [-1, 1].

    ``labels`` are the condition that images are judged with; their form is the network's: class
    indices int64 ``[N]``, rows ``[N, c_dim]``, images or maps ``[N, K, H, W]``, captions int64
    ``[N, T]``. A network without a condition takes None alone, one with a condition needs labels;
    both raise ValueError for anything else.

    The output is a tensor of logits where logits are all there is: ``[N]``, or a map
    ``[N, 1, h, w]`` with a logit for each patch. Otherwise it is a :class:`DiscriminatorOutput`.
    Logits are unbounded: a probability is ``sigmoid(logits)``.
    """

    def __call__(
        self, images: Tensor, labels: Tensor | None = None, /
    ) -> Tensor | DiscriminatorOutput: ...


def logits_of(output: Tensor | DiscriminatorOutput) -> tuple[Tensor, ...]:
    """Return the logits of a discriminator's output, one tensor for each scale.

    Raises:
        TypeError: ``output`` is of another type.
    """
    if isinstance(output, Tensor):
        return (output,)
    if isinstance(output, DiscriminatorOutput):
        return output.logits
    raise TypeError(
        "a discriminator must return a tensor of logits or a DiscriminatorOutput, "
        f"got a {type(output).__name__}"
    )
