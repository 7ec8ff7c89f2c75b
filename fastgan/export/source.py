"""The network to export, from whatever file it is in."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import nn

from fastgan.export.files import ExportError
from fastgan.export.safetensors import describe, load_safetensors
from fastgan.train.checkpoint import restore
from fastgan.train.config import RunConfig
from fastgan.train.run_dir import find_checkpoint
from fastgan.train.state import TrainState

Role = Literal["G", "D"]


class Source(NamedTuple):
    """network: in eval mode, on the CPU, without gradients. name: G, G_ema or D. title: what it is, for a person.
    image_shape: (C, H, W) of the images that it makes or judges. run: which it comes from, if that is known.
    """

    network: nn.Module
    name: str
    title: str
    image_shape: tuple[int, int, int]
    run: RunConfig | None = None


def load_network(path: str | Path, role: Role = "G") -> Source:
    """G or D from a file or folder; no code in it is run.

    Args:
        path: the folder of a run or a checkpoint (``.pt``) of any recipe, of which the averaged network is taken where there
            is one; a ``.safetensors`` of fastgan; a ``.pkl`` that :func:`fastgan.compat.load_generator` reads.

    Raises:
        ExportError: there is no such network in it.
        FastganError: the file is missing, damaged, or not of these kinds.
    """
    path = Path(path)
    if path.suffix.lower() == ".pkl":
        return _from_compat(path, role)
    if path.suffix.lower() == ".safetensors":
        return _from_safetensors(path, role)
    return _from_run(path, role)


def _from_run(path: Path, role: Role) -> Source:
    path, saved, damaged = find_checkpoint(path)
    for error in damaged.values():
        warnings.warn(f"{error} Taking the one before it.", stacklevel=3)
    recipe, images = saved.config.recipe, saved.config.images
    state = TrainState.create(recipe, images)
    restore(state, saved, path)
    if role not in state.sampler:
        raise ExportError(f"Recipe {recipe.name!r} has no network {role!r}, only {', '.join(state.sampler)}.")
    network = state.sampler[role].eval().requires_grad_(False)
    averaged = role in state.ema
    title = (
        f"{'averaged ' if averaged else ''}{role} of {recipe.name} after {state.nimg:,} images, from {path}"
    )
    return Source(network, f"{role}_ema" if averaged else role, title, images.shape, saved.config)


def _from_safetensors(path: Path, role: Role) -> Source:
    about = describe(path)
    if "recipe" not in about:
        return _from_compat(path, role)
    name = str(about.get("network"))
    if name.removesuffix("_ema") != role:
        raise ExportError(
            f"{str(path)!r} holds {name}, but {role} was asked for: name the other with --network."
        )
    network, images = load_safetensors(path)
    return Source(
        network.requires_grad_(False), name, f"{name} of {about['recipe']}, from {path}", images.shape
    )


def _from_compat(path: Path, role: Role) -> Source:
    from fastgan import compat  # only where it's needed: it reads foreign files

    network = compat.load_generator(path) if role == "G" else compat.load_discriminator(path)
    sized: Any = getattr(network, "synthesis", network)
    title = f"{role}, a {type(network).__name__}, from {path}"
    return Source(network.eval(), role, title, (network.channels, *sized.image_size))
