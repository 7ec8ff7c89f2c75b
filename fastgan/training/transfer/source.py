"""Trained weights to begin with: from a run, a checkpoint, or a file of networks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fastgan.errors import FastganError
from fastgan.foreign.errors import CompatError, Refusal
from fastgan.foreign.files import is_safetensors, read_file, read_safetensors
from fastgan.foreign.weights import Weights, build
from fastgan.recipes import ImageSpec, Recipe, get_recipe
from fastgan.training.checkpoint import is_checkpoint
from fastgan.training.initial_weights import StateDict
from fastgan.training.run_dir import find_checkpoint
from fastgan.training.transfer.blueprint import build_on_meta

AVERAGE = "_ema"  # behind the name of a network, its moving average


class TransferError(FastganError):
    """A run can't begin with these weights; the message says what they are and what is expected."""


@dataclass(frozen=True)
class Source:
    """Trained weights, on the CPU.

    path: as it was given. file: what was read of it. sha256: of that file. title: what it is, for a person.
    live, averages: state dicts of networks, and of moving averages, by the network's name.
    classes: the class of each network. images: that they were trained on. settings: of the recipe, as far as known.
    """

    path: str
    file: str
    sha256: str
    title: str
    live: Mapping[str, StateDict]
    averages: Mapping[str, StateDict]
    classes: Mapping[str, str]
    images: ImageSpec
    settings: Mapping[str, Any]

    @property
    def conditional(self) -> bool:
        """Whether the networks know classes."""
        return bool(self.settings.get("conditional"))

    def networks(self) -> dict[str, StateDict]:
        """The live networks, and averages of those that are there as averages alone."""
        return {**self.averages, **self.live}


def file_of(path: str | Path) -> Path:
    """Return the file that is read of a source: of a run's folder, its newest intact checkpoint.

    Raises CheckpointError for a folder without one.
    """
    path = Path(path)
    return find_checkpoint(path).path if path.is_dir() else path


def read_source(path: str | Path) -> Source:
    """Read trained weights; nothing in a file is run.

    path: the folder of a run, of which the newest intact checkpoint is taken; a checkpoint; a file of `fastgan export
    --to safetensors` or `fastgan convert`; a StyleGAN2 of another program that `fastgan convert` reads.
    Raises CheckpointError, CompatError or TransferError: it is missing, damaged, refused or of another kind.
    """
    path = Path(path)
    if path.is_dir() or is_checkpoint(path):
        return _from_checkpoint(path)
    if is_safetensors(path):
        about, tensors = read_safetensors(path)
        if isinstance(about, dict) and "recipe" in about:
            return _from_export(path, about, tensors)
    return _from_networks(path)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes. Raises OSError."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _from_checkpoint(path: Path) -> Source:
    found = find_checkpoint(path)
    config, state = found.saved.config, found.saved.state
    return Source(
        path=str(path),
        file=found.path.name,
        sha256=sha256_of(found.path),
        title=f"{config.recipe.name} after {state['nimg']:,} images, from {found.path}",
        live=state["networks"],
        averages=state["ema"],
        classes=_classes(config.recipe, config.image_spec),
        images=config.image_spec,
        settings=_settings(config.recipe, config.image_spec),
    )


def _from_export(path: Path, about: dict[str, Any], tensors: StateDict) -> Source:
    try:
        images = ImageSpec.from_plain(about["images"])
        recipe = get_recipe(about["recipe"]).from_settings(about["settings"])
        name = str(about["network"])
        classes = {name.removesuffix(AVERAGE): str(about["class"])}
    except (AttributeError, LookupError, TypeError) as error:
        raise TransferError(
            f"{str(path)!r} describes its network in a way that this version of fastgan doesn't know: export it anew."
        ) from error
    return Source(
        path=str(path),
        file=path.name,
        sha256=sha256_of(path),
        title=f"{name} of {recipe.name}, from {path}",
        **_by_kind({name: tensors}),
        classes=classes,
        images=images,
        settings=_settings(recipe, images),
    )


def _from_networks(path: Path) -> Source:
    """StyleGAN2 networks, each with the configuration that it was made with."""
    found: dict[str, Weights] = {}
    tensors: dict[str, StateDict] = {}
    for name, make in read_file(path).items():
        try:
            found[name] = make()
            tensors[name] = build(found[name]).state_dict()
        except Refusal as refusal:
            raise CompatError(f"The {name} in {str(path)!r} can't be used: {refusal}.") from refusal
    if not found:
        raise TransferError(
            f"{str(path)!r} holds no network that fastgan knows: expected is a StyleGAN2, or a run or export of fastgan."
        )
    settings: dict[str, Any] = {}
    for weights in reversed(found.values()):  # those of G, which come first, take precedence
        settings |= weights.config
    settings["conditional"] = bool(settings.get("c_dim"))
    images = ImageSpec(
        settings.get("channels", 3), settings["resolution"], settings.get("c_dim", 0)
    )
    size = f"{images.channels}×{images.resolution}×{images.resolution}"
    return Source(
        path=str(path),
        file=path.name,
        sha256=sha256_of(path),
        title=f"{', '.join(found)} of a StyleGAN2 of {size} images, from {path}",
        **_by_kind(tensors),
        classes={name.removesuffix(AVERAGE): weights.class_name for name, weights in found.items()},
        images=images,
        settings=settings,
    )


def _by_kind(tensors: Mapping[str, StateDict]) -> dict[str, dict[str, StateDict]]:
    return {
        "live": {name: t for name, t in tensors.items() if not name.endswith(AVERAGE)},
        "averages": {
            name.removesuffix(AVERAGE): t for name, t in tensors.items() if name.endswith(AVERAGE)
        },
    }


def _classes(recipe: Recipe, images: ImageSpec) -> dict[str, str]:
    return {name: type(network).__name__ for name, network in build_on_meta(recipe, images).items()}


def _settings(recipe: Recipe, images: ImageSpec) -> dict[str, Any]:
    own = {f.name: getattr(recipe, f.name) for f in fields(recipe)}
    return own | recipe.resolved(images)
