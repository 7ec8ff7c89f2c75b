"""The network to export, from whatever file it is in."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import nn

from fastgan.export.files import ExportError
from fastgan.export.safetensors import describe, load_safetensors
from fastgan.recipes.noise_signature import discriminator_signature, generator_signature
from fastgan.recipes.signature import Signature
from fastgan.training.checkpoint import restore
from fastgan.training.run_dir import find_checkpoint
from fastgan.training.state import TrainState


class Source(NamedTuple):
    """A network to export.

    network: in eval mode, on the CPU, without gradients.
    name: of its weights, G, G_ema (a moving average) or D.
    title: what it is, for a person.
    signature: what it takes and gives.
    about: what files say of it, plain data: its recipe, settings and images, if they are known.
    others: names of the other networks that can be exported from the same file.
    """

    network: nn.Module
    name: str
    title: str
    signature: Signature
    about: Mapping[str, Any] = MappingProxyType({})
    others: tuple[str, ...] = ()

    @property
    def described(self) -> dict[str, Any]:
        """What a file of its weights says of it."""
        return {**self.about, **self.signature.to_plain()}


def load_network(path: str | Path, name: str | None = None) -> Source:
    """Return a network of a file or folder; no code in it is run.

    Args:
        path: the folder of a run or a checkpoint (``.pt``) of any recipe; a ``.safetensors`` of
            fastgan; a ``.pkl`` that :func:`fastgan.compat.load_generator` reads.
        name: of the network, as the recipe's ``signatures`` call it: G, D, G_AB and so on. None
            for the generator that makes samples or translations, or what a ``.safetensors`` holds.
            The moving average is taken where there is one.

    Raises:
        ExportError: there is no such network in it.
        FastganError: the file is missing, damaged, or not of these kinds.
    """
    path = Path(path)
    if path.suffix.lower() == ".pkl":
        return _from_compat(path, name)
    if path.suffix.lower() == ".safetensors":
        return _from_safetensors(path, name)
    return _from_run(path, name)


def _from_run(path: Path, name: str | None) -> Source:
    path, saved, damaged = find_checkpoint(path)
    for error in damaged.values():
        warnings.warn(f"{error} Taking the one before it.", stacklevel=3)
    recipe, images = saved.config.recipe, saved.config.images
    state = TrainState.create(recipe, images)
    restore(state, saved, path)
    signatures = recipe.signatures(state.sampler, images)
    name = _chosen(name, signatures, f"Recipe {recipe.name!r}")
    signature = signatures[name]
    weights = signature.network
    network = state.sampler[weights].eval().requires_grad_(False)
    averaged = weights in state.ema
    title = f"{'averaged ' if averaged else ''}{name} of {recipe.name} after {state.nimg:,} images, from {path}"
    others = tuple(other for other in signatures if other != name)
    return Source(
        network, f"{weights}_ema" if averaged else weights, title, signature,
        _about(name, saved.config.to_plain()), others,
    )  # fmt: skip


def _from_safetensors(path: Path, name: str | None) -> Source:
    described = describe(path)
    if "recipe" not in described:
        return _from_compat(path, name)
    network, _, there = load_safetensors(path)
    held = str(described["network"])
    name = _chosen(name, there, f"{str(path)!r} holds the weights of {held}: it")
    title = f"{'averaged ' if held.endswith('_ema') else ''}{name} of {described['recipe']}, from {path}"
    return Source(
        network.requires_grad_(False), held, title, there[name], _about(name, described),
        tuple(other for other in there if other != name),
    )  # fmt: skip


def _from_compat(path: Path, name: str | None) -> Source:
    from fastgan import compat  # only where it's needed: it reads foreign files

    name = _chosen(name, ("G", "D"), repr(str(path)))
    network: Any = compat.load_generator(path) if name == "G" else compat.load_discriminator(path)
    sized: Any = getattr(network, "synthesis", network)
    shape = (network.channels, *sized.image_size)
    describe_it = generator_signature if name == "G" else discriminator_signature
    title = f"{name}, a {type(network).__name__}, from {path}"
    return Source(network.eval(), name, title, describe_it(network, shape))


def _about(name: str, plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return what files say of a network, from a run's configuration. Where its data lies isn't written."""
    settings = {key: value for key, value in plain["settings"].items() if key != "data"}
    return {
        "name": name,
        "recipe": plain["recipe"],
        "settings": settings,
        "images": plain["images"],
    }


def _chosen(name: str | None, names: Any, owner: str) -> str:
    """Return the name if it is one of ``names``, the first for None. Raises ExportError."""
    known = list(names)
    if not known:
        raise ExportError(f"{owner} has no network that can be exported.")
    if name is None or name in known:
        return name or known[0]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ExportError(f"{owner} has no network {name!r}, only {', '.join(known)}.{hint}")
