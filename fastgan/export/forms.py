"""Forms: networks as modules of tensors alone, with an example and a description."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from fastgan.export.files import ExportError
from fastgan.networks.translation.unet import Dropout
from fastgan.recipes.noise_signature import discriminator_signature, generator_signature
from fastgan.recipes.signature import Port, Signature

NoiseMode = Literal["const", "none", "random"]


class Form(NamedTuple):
    """A network in the form that is exported.

    Attributes:
        module: in eval mode; takes and returns tensors alone, one or a tuple of several.
        example: tensors ``[N, …]`` to call it with.
        signature: names and meanings of its inputs and outputs; None for those of ``forward``.
        about: further description for files, plain data.
    """

    module: nn.Module
    example: tuple[Tensor, ...]
    signature: Signature | None = None
    about: Mapping[str, Any] = MappingProxyType({})

    @property
    def batch(self) -> int:
        return self.example[0].shape[0]


class StyledGenerator(nn.Module):
    """Generator from z ``[N, z_dim]`` (and labels ``[N, c_dim]``), with a fixed truncation."""

    def __init__(self, network: nn.Module, *, truncation_psi: float, noise_mode: NoiseMode) -> None:
        super().__init__()
        self.network = network
        self.options: dict[str, Any] = {"truncation_psi": truncation_psi, "noise_mode": noise_mode}

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.network(z, labels, **self.options)
        return images


class Synthesis(nn.Module):
    """Generator from w ``[N, num_ws, w_dim]``, with one kind of noise."""

    def __init__(self, network: nn.Module, *, noise_mode: NoiseMode) -> None:
        super().__init__()
        self.network = network
        self.noise_mode = noise_mode

    def forward(self, w: Tensor) -> Tensor:
        images: Tensor = self.network(w, noise_mode=self.noise_mode)
        return images


def drops(module: nn.Module) -> bool:
    """Return True for a layer of dropout that stays active in evaluation."""
    return isinstance(module, Dropout) and module.p > 0 and module.always


@torch.no_grad()
def form_of(
    network: nn.Module,
    signature: Signature,
    *,
    batch: int | None = None,
    inputs: Literal["z", "w"] = "z",
    truncation_psi: float | None = None,
    noise: NoiseMode | None = None,
    about: Mapping[str, Any] = MappingProxyType({}),
) -> Form:
    """Return the form of a network that a signature describes.

    Args:
        network: the network with its weights, in eval mode.
        batch: N of the example; None for 2, or for two groups of samples that are compared.
        inputs: ``"w"`` leaves the mapping network of a style-based generator out.
        truncation_psi: truncation of a style-based generator; None is 1.
        noise: noise of a style-based generator, or of one with dropout. None is the constant noise
            of the layers, and no dropout. ``"random"`` is new at every call.
        about: description for files beside inputs and outputs.

    Raises:
        ExportError: the network has no use for an option.
    """
    n = 2 * signature.group if batch is None else batch
    styled = hasattr(network, "synthesis")
    noisy = any(drops(module) for module in network.modules())
    for option, given, possible in (
        ("truncation", truncation_psi is not None, styled),
        ("noise", noise is not None, styled or (noisy and noise != "const")),
        ("input of w", inputs == "w", styled),
    ):
        if given and not possible:
            constant = "constant " if noisy and option == "noise" else ""
            raise ExportError(
                f"{type(network).__name__} has no {constant}{option}: leave that out."
            )
    if styled:
        return _styled(network, signature, n, inputs, truncation_psi, noise or "const", about)
    if noisy and noise != "random":
        network = copy.deepcopy(network)
        for module in network.modules():
            if isinstance(module, Dropout):
                module.always = False
    return Form(signature.wrap(network), signature.example(n), signature, about)


def _styled(
    network: Any,
    signature: Signature,
    n: int,
    inputs: Literal["z", "w"],
    truncation_psi: float | None,
    noise: NoiseMode,
    about: Mapping[str, Any],
) -> Form:
    example = signature.example(n)
    if inputs == "w":
        if truncation_psi is not None:
            raise ExportError("truncation_psi acts before w: leave it out with inputs of w.")
        ws = network.mapping(*example).contiguous()
        port = Port(
            "w", tuple(ws.shape[1:]), "style of each layer, from the mapping network", "real"
        )
        module: nn.Module = Synthesis(network.synthesis, noise_mode=noise)
        return Form(
            module.eval(), (ws,), replace(signature, inputs=(port,)), {**about, "noise": noise}
        )
    psi = 1.0 if truncation_psi is None else truncation_psi
    module = StyledGenerator(network, truncation_psi=psi, noise_mode=noise)
    return Form(module.eval(), example, signature, {**about, "truncation_psi": psi, "noise": noise})


def generator_form(
    network: Any,
    *,
    batch: int | None = None,
    inputs: Literal["z", "w"] = "z",
    truncation_psi: float | None = None,
    noise: NoiseMode | None = None,
) -> Form:
    """Return the form of a generator that draws from noise.

    Args:
        network: called with z ``[N, z_dim]``, and with labels if ``c_dim`` isn't 0.
        batch, inputs, truncation_psi, noise: as in :func:`form_of`.

    Raises:
        ExportError: the network has no use for an option.
    """
    signature = generator_signature(network, ())
    with torch.no_grad():
        made = network(*signature.example(2))
    signature = generator_signature(network, made.shape[1:])
    options: dict[str, Any] = {"inputs": inputs, "truncation_psi": truncation_psi, "noise": noise}
    return form_of(network, signature, batch=batch, **options)


def discriminator_form(
    network: Any, image_shape: Sequence[int], *, batch: int | None = None
) -> Form:
    """Return the form of a discriminator, with labels if it takes them.

    Args:
        network: called with images ``[N, *image_shape]``.
        image_shape: (C, H, W).
        batch: N of the example; None for two groups of the samples that the network compares.
    """
    return form_of(network, discriminator_signature(network, image_shape), batch=batch)
