"""Loading of StyleGAN2 and StyleGAN3 from files of any kind, and saving them as fastgan's."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, cast

import safetensors.torch

from fastgan.foreign.errors import CompatError
from fastgan.foreign.files import METADATA, Networks, load_network, read_file
from fastgan.foreign.weights import CLASSES, StyleGAN, Weights
from fastgan.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from fastgan.networks.stylegan3 import StyleGAN3Generator

Generator = StyleGAN2Generator | StyleGAN3Generator


def load_generator(path: str | Path, *, network: str | None = None) -> Generator:
    """Load the generator in a file; no code in the file is run.

    Call it as ``G(z, labels, truncation_psi=1, truncation_cutoff=None, noise_mode="random")``.

    Args:
        path: the file.

            - A network pickle of StyleGAN2-ADA's or StyleGAN3's PyTorch repository.
            - A ``.pt`` file of rosinality's stylegan2-pytorch.
            - A ``.safetensors`` file of ``fastgan convert``.
            - A checkpoint or the folder of a run of ``stylegan2`` or ``stylegan3``.
        network: ``"G_ema"`` (the moving average) or ``"G"``. None means the only network in the
            file, or else G_ema.

    Returns:
        The network in float32 on the CPU, in evaluation mode and without gradients. Call
        ``G.train().requires_grad_()`` to continue its training.

    Raises:
        CompatError: the file is missing, damaged or refused, or has no such generator.
    """
    loaded = load_network(path, network, read_networks(path))
    if not hasattr(loaded, "synthesis"):
        raise CompatError(
            f"{str(path)!r} holds a discriminator there, not a generator: use load_discriminator."
        )
    return cast(Generator, loaded)


def load_discriminator(path: str | Path) -> StyleGAN2Discriminator:
    """Load the discriminator in a file; call it as ``D(images, labels)``.

    Args:
        path: the file, as for :func:`load_generator`.

    Returns:
        The network in float32 on the CPU, in evaluation mode and without gradients.

    Raises:
        CompatError: the file is missing, damaged or refused, or has no discriminator.
    """
    networks = read_networks(path)
    loaded = load_network(path, None if len(networks) == 1 else "D", networks)
    if not isinstance(loaded, StyleGAN2Discriminator):
        raise CompatError(
            f"{str(path)!r} holds a generator only: convert the discriminator too with fastgan "
            f"convert --network D, or use load_generator."
        )
    return loaded


def read_networks(path: str | Path) -> Networks:
    """Read the networks in a file or in the folder of a run.

    Returns:
        Functions that return the weights of a network, by its name (G_ema, G, D). They raise
        Refusal.

    Raises:
        CompatError: the file is missing, damaged, refused or of an unknown kind.
    """
    path = Path(path)
    from fastgan.training.checkpoint import is_checkpoint

    return _from_run(path) if path.is_dir() or is_checkpoint(path) else read_file(path)


def save_network(network: StyleGAN, path: str | Path, *, name: str) -> None:
    """Write a StyleGAN2 or StyleGAN3 as ``.safetensors``.

    :func:`load_generator` and :func:`load_discriminator` read the file.

    Args:
        network: the network. Its ``config`` becomes the file's metadata.
        path: file to write. Its folder is created, and an existing file is replaced at the end.
        name: name of the network in the file: G_ema, G or D.

    Raises:
        OSError: the file can't be written.
    """
    from fastgan.files import write_atomic

    description = {"network": name, "class": type(network).__name__, "config": network.config}
    tensors = {
        key: t.detach().cpu().clone().contiguous() for key, t in network.state_dict().items()
    }
    content = safetensors.torch.save(tensors, {METADATA: json.dumps(description)})
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_atomic(Path(path), [content])


def _from_run(path: Path) -> Networks:
    from fastgan.training.loading import load_state

    state = load_state(path).state
    networks = {**state.networks, **{f"{name}_ema": network for name, network in state.ema.items()}}
    return {
        name: functools.partial(_weights_of, network)
        for name, network in networks.items()
        if type(network).__name__ in CLASSES
    }


def _weights_of(network: Any) -> Weights:
    return Weights(type(network).__name__, network.config, network.state_dict())
