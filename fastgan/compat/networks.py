"""Networks out of files of any kind, and into ours."""

from __future__ import annotations

import argparse
import functools
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from fastgan.compat.errors import CompatError, Refusal, shown
from fastgan.compat.official import read_official
from fastgan.compat.rosinality import read_rosinality
from fastgan.compat.weights import CLASSES, StyleGAN2, Weights, build
from fastgan.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator

METADATA = "fastgan"
"""Under this key a file of ours has JSON of ``network`` (its name), ``class`` and ``config``."""

_ZIP, _PICKLE = b"PK\3\4", b"\x80"
_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

Networks = dict[str, Callable[[], Weights]]


def load_generator(path: str | Path, *, network: str | None = None) -> StyleGAN2Generator:
    """The generator in a file, called ``G(z, c, truncation_psi=1, truncation_cutoff=None, noise_mode="random")``.

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
    """The discriminator in a file, called ``D(images, c)``. As :func:`load_generator`."""
    networks = read_networks(path)
    found = load_network(path, None if len(networks) == 1 else "D", networks)
    if not isinstance(found, StyleGAN2Discriminator):
        raise CompatError(
            f"{str(path)!r} holds a generator only: convert the discriminator too, with --network D, or use load_generator."
        )
    return found


def load_network(path: str | Path, name: str | None = None, networks: Networks | None = None) -> StyleGAN2:
    """The network called ``name`` in a file; None for G_ema, or for the only one. ``networks``: what was read of it."""
    networks = read_networks(path) if networks is None else networks
    name = name or (next(iter(networks)) if len(networks) == 1 else "G_ema")
    if name not in networks:
        there = f"it has {', '.join(networks)}" if networks else "it has no network of StyleGAN2 at all"
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
    if path.is_dir():
        return _from_run(path)
    try:
        with open(path, "rb") as file:
            start = file.read(32)
    except OSError as error:
        raise CompatError(f"{str(path)!r} can't be read: {error.strerror or error}.") from error
    if start[8:9] == b"{":
        return _from_safetensors(path)
    if start.startswith(_ZIP):
        return _from_zip(path)
    if start.startswith(_LEGACY_TORCH):
        return _from_torch(path)
    if start.startswith(_PICKLE):
        return read_official(path.read_bytes(), str(path))
    raise CompatError(
        f"{str(path)!r} is {'no file of networks' if start else 'empty'}: expected are a network pickle (.pkl), a "
        f"file of torch.save (.pt), one of fastgan convert (.safetensors) or a checkpoint of fastgan."
    )


def save_network(network: StyleGAN2, path: str | Path, *, name: str) -> None:
    """Writes a StyleGAN2 as ``.safetensors``, from which :func:`load_generator` and :func:`load_discriminator` read.

    Args:
        network: its ``config`` goes into the file's metadata.
        path: the file; its folder is made, and a file that exists is replaced when the new one is whole.
        name: what it is called in the file: G_ema, G or D.

    Raises:
        OSError: it can't be written.
    """
    from fastgan.train.files import write_atomic

    description = {"network": name, "class": type(network).__name__, "config": network.config}
    tensors = {key: t.detach().cpu().clone().contiguous() for key, t in network.state_dict().items()}
    content = safetensors.torch.save(tensors, {METADATA: json.dumps(description)})
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_atomic(Path(path), [content])


def _from_safetensors(path: Path) -> Networks:
    try:
        with safetensors.safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
            description = json.loads((file.metadata() or {}).get(METADATA, "null"))
    except (SafetensorError, RecursionError, ValueError) as error:
        raise CompatError(
            f"{str(path)!r} is no .safetensors file, or is damaged or cut short: make it again."
        ) from error
    if description is None:
        raise CompatError(
            f"{str(path)!r} doesn't say what network it holds: expected is a file that fastgan convert made."
        )
    try:
        name, class_name, config = (description[key] for key in ("network", "class", "config"))
        known = class_name in CLASSES and isinstance(name, str) and isinstance(config, dict)
    except (LookupError, TypeError):
        known = False
    if not known:
        raise CompatError(f"{str(path)!r} holds no network that this version of fastgan knows.")
    return {name: lambda: Weights(class_name, config, tensors)}


def _from_zip(path: Path) -> Networks:
    try:
        with zipfile.ZipFile(path) as archive:
            ours = archive.comment.startswith(b"fastgan checkpoint")
    except zipfile.BadZipFile as error:
        raise CompatError(f"{str(path)!r} is damaged or cut short: it can't be read to its end.") from error
    return _from_run(path) if ours else _from_torch(path)


def _from_torch(path: Path) -> Networks:
    try:
        # The options of the training that made it are plain values in a Namespace; nobody looks at them.
        with torch.serialization.safe_globals([argparse.Namespace]):
            saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the bytes lead it to
        named = (
            re.search(r"GLOBAL ([\w.]+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
        )
        raise CompatError(
            f"{str(path)!r} was refused, and nothing in it was run: it asks for {shown(named[1])}, more than tensors and "
            f"plain data."
            if named
            else f"{str(path)!r} is damaged or cut short: it can't be read to its end."
        ) from error
    return read_rosinality(saved)


def _from_run(path: Path) -> Networks:
    from fastgan.train.checkpoint import restore
    from fastgan.train.run_dir import find_checkpoint
    from fastgan.train.state import TrainState

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
