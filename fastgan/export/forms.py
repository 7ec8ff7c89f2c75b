"""What of a network is exported: a module that takes and gives nothing but tensors, and an example of its inputs."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from fastgan.export.files import ExportError

NoiseMode = Literal["const", "none", "random"]
EXAMPLE_SEED = 0


class Form(NamedTuple):
    """module: in eval mode. example: tensors ``[N, …]`` to call it with."""

    module: nn.Module
    example: tuple[Tensor, ...]


class StyledGenerator(nn.Module):
    """z ``[N, z_dim]`` (and c ``[N, c_dim]``) → images, at one truncation and kind of noise."""

    def __init__(self, network: nn.Module, *, truncation_psi: float, noise_mode: NoiseMode) -> None:
        super().__init__()
        self.network = network
        self.options: dict[str, Any] = {"truncation_psi": truncation_psi, "noise_mode": noise_mode}

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        images: Tensor = self.network(z, c, **self.options)
        return images


class Synthesis(nn.Module):
    """w ``[N, num_ws, w_dim]`` → images, with one kind of noise."""

    def __init__(self, network: nn.Module, *, noise_mode: NoiseMode) -> None:
        super().__init__()
        self.network = network
        self.noise_mode = noise_mode

    def forward(self, w: Tensor) -> Tensor:
        images: Tensor = self.network(w, noise_mode=self.noise_mode)
        return images


@torch.no_grad()
def generator_form(
    network: Any,
    *,
    batch: int | None = None,
    inputs: Literal["z", "w"] = "z",
    truncation_psi: float | None = None,
    noise: NoiseMode | None = None,
) -> Form:
    """A generator with an example.

    Args:
        network: called with z ``[N, z_dim]``, and with labels where ``c_dim`` isn't 0. The other arguments are for
            style-based ones alone, which have ``mapping`` and ``synthesis``.
        batch: N of the example; None for 2.
        inputs: ``"w"`` leaves the mapping network out.
        truncation_psi: 1 if None.
        noise: the constant noise of the layers if None; ``"random"`` draws anew at every call.

    Raises ExportError for arguments that the network has no use for.
    """
    n = 2 if batch is None else batch
    z = _normal(n, network.z_dim)
    if not hasattr(network, "synthesis"):
        for option, given in (
            ("truncation", truncation_psi is not None),
            ("noise", noise is not None),
            ("input of w", inputs == "w"),
        ):
            if given:
                raise ExportError(f"{type(network).__name__} has no {option}: leave that out.")
        return Form(network, (z, *_labels(network, n)))
    example = (z, *_labels(network, n))
    noise = "const" if noise is None else noise
    if inputs == "w":
        if truncation_psi is not None:
            raise ExportError("Truncation is done before w: leave it out with an input of w.")
        ws = network.mapping(*example).contiguous()
        return Form(Synthesis(network.synthesis, noise_mode=noise).eval(), (ws,))
    psi = 1.0 if truncation_psi is None else truncation_psi
    return Form(StyledGenerator(network, truncation_psi=psi, noise_mode=noise).eval(), example)


def discriminator_form(network: Any, image_shape: tuple[int, int, int], *, batch: int | None = None) -> Form:
    """A discriminator with an example of images in [-1, 1], ``[N, *image_shape]``, and labels if it takes them.

    batch: N of the example; None for two groups of what the network compares within a batch (minibatch stddev).
    """
    config = getattr(network, "config", {})
    n = 2 * config.get("group_size", 1) if batch is None else batch
    images = _normal(n, *image_shape).clamp(-1, 1)
    return Form(network, (images, *_labels(network, n)))


def _normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(EXAMPLE_SEED))


def _labels(network: Any, n: int) -> tuple[Tensor, ...]:
    """Each class in turn: one-hot ``[n, c_dim]`` for a mapping network, else int64 ``[n]``; nothing without classes."""
    c_dim = getattr(network, "c_dim", 0)
    if not c_dim:
        return ()
    classes = torch.arange(n) % c_dim
    return (torch.eye(c_dim)[classes] if hasattr(network, "mapping") else classes,)
