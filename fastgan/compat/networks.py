"""Networks out of files of any kind, and into ours."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import safetensors.torch

from fastgan.foreign.errors import CompatError, Refusal
from fastgan.foreign.files import METADATA, Networks, read_file
from fastgan.foreign.weights import CLASSES, StyleGAN2, Weights, build
from fastgan.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator


def load_generator(path: str | Path, *, network: str | None = None) -> StyleGAN2Generator:
    """The generator in a file, called ``G(z, labels, truncation_psi=1, truncation_cutoff=None, noise_mode="random")``.

    Args:
        path: a network pickle of StyleGAN2-ADA's or StyleGAN3's PyTorch repository with a StyleGAN2 in it, a ``.pt`` file of
            rosinality's stylegan2-pytorch, a ``.safetensors`` file of ``fastgan convert``, or a checkpoint or folder of
            a run of ``fastgan train stylegan2``. No code in it is run.
        network: ``"G_ema"`` (the moving average) or ``"G"``; None for G_ema, or for the only network in the file.

    Returns:
        The network in float32 on the CPU, in evaluation mode, without gradients (``G.train().requires_grad_()`` to go on
        training).

    Raises:
        CompatError: the file is missing, damaged or refused, or has no such generator.
    """
    found = load_network(path, network)
    if not isinstance(found, StyleGAN2Generator):
        raise CompatError(
            f"{str(path)!r} holds a discriminator there, not a generator: use load_discriminator."
        )
    return found


def load_discriminator(path: str | Path) -> StyleGAN2Discriminator:
    """The discriminator in a file, called ``D(images, labels)``. As :func:`load_generator`."""
    networks = read_networks(path)
    found = load_network(path, None if len(networks) == 1 else "D", networks)
    if not isinstance(found, StyleGAN2Discriminator):
        raise CompatError(
            f"{str(path)!r} holds a generator only: convert the discriminator too, with --network D, or use load_generator."
        )
    return found


def load_network(
    path: str | Path, name: str | None = None, networks: Networks | None = None
) -> StyleGAN2:
    """The network called ``name`` in a file; None for G_ema, or for the only one. ``networks``: what was read of it."""
    networks = read_networks(path) if networks is None else networks
    name = name or (next(iter(networks)) if len(networks) == 1 else "G_ema")
    if name not in networks:
        there = (
            f"it has {', '.join(networks)}" if networks else "it has no network of StyleGAN2 at all"
        )
        raise CompatError(f"There is no {name} in {str(path)!r}: {there}.")
    try:
        return build(networks[name]())
    except Refusal as refusal:
        raise CompatError(f"The {name} in {str(path)!r} can't be used: {refusal}.") from refusal


def read_networks(path: str | Path) -> Networks:
    """What makes the weights of each network in a file, by name (G_ema, G, D); it raises Refusal.

    Raises:
        CompatError: the file is missing, damaged or refused, or of a kind that isn't known.
    """
    path = Path(path)
    from fastgan.training.checkpoint import is_checkpoint

    return _from_run(path) if path.is_dir() or is_checkpoint(path) else read_file(path)


def save_network(network: StyleGAN2, path: str | Path, *, name: str) -> None:
    """Writes a StyleGAN2 as ``.safetensors``, from which :func:`load_generator` and :func:`load_discriminator` read.

    Args:
        network: its ``config`` goes into the file's metadata.
        path: the file; its folder is made, and a file that exists is replaced when the new one is whole.
        name: what it is called in the file: G_ema, G or D.

    Raises:
        OSError: it can't be written.
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
    from fastgan.training.checkpoint import restore
    from fastgan.training.run_dir import find_checkpoint
    from fastgan.training.state import TrainState

    found = find_checkpoint(path)
    state = TrainState.create(found.saved.config.recipe, found.saved.config.images)
    restore(state, found.saved, found.path)
    networks = {**state.networks, **{f"{name}_ema": network for name, network in state.ema.items()}}
    return {
        name: functools.partial(_weights_of, network)
        for name, network in networks.items()
        if type(network).__name__ in CLASSES
    }


def _weights_of(network: Any) -> Weights:
    return Weights(type(network).__name__, network.config, network.state_dict())
