"""Source of trained weights: a run, a checkpoint, or a file of networks."""

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

AVERAGE = "_ema"
"""Suffix of a moving average, behind the network's name."""


class TransferError(FastganError):
    """A run can't begin with these weights; the message says what is expected instead."""


@dataclass(frozen=True)
class Source:
    """Trained weights, on the CPU.

    Attributes:
        path: path that the caller gave.
        file: name of the file that was read.
        sha256: SHA-256 of that file.
        title: description for a person.
        live: state dicts of networks by name.
        averages: state dicts of moving averages by the network's name.
        classes: class name of each network.
        images: images that they were trained on.
        settings: settings of the recipe, as far as known.
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
        """True if the networks take classes."""
        return bool(self.settings.get("conditional"))

    def networks(self) -> dict[str, StateDict]:
        """Return the live networks, and averages of networks that have nothing else."""
        return {**self.averages, **self.live}


def file_of(path: str | Path) -> Path:
    """Return the file of a source: in a run's folder, its newest intact checkpoint.

    Raises:
        CheckpointError: a folder has none.
    """
    path = Path(path)
    return find_checkpoint(path).path if path.is_dir() else path


def read_source(path: str | Path) -> Source:
    """Read trained weights. No code in a file is run.

    Args:
        path: one of

            - the folder of a run, whose newest intact checkpoint is read;
            - a checkpoint;
            - a file of ``fastgan export --to safetensors`` or ``fastgan convert``;
            - a StyleGAN2 or StyleGAN3 of another program that ``fastgan convert`` reads.

    Raises:
        CheckpointError, CompatError: the file is missing, damaged or refused.
        TransferError: the file is of another kind.
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
    checkpoint = find_checkpoint(path)
    config, state = checkpoint.saved.config, checkpoint.saved.state
    return Source(
        path=str(path),
        file=checkpoint.path.name,
        sha256=sha256_of(checkpoint.path),
        title=f"{config.recipe.name} after {state['nimg']:,} images, from {checkpoint.path}",
        live=state["networks"],
        averages=state["ema"],
        classes=_classes(config.recipe, config.image_spec),
        images=config.image_spec,
        settings=_settings(config.recipe, config.image_spec),
    )


def _from_export(path: Path, about: dict[str, Any], tensors: StateDict) -> Source:
    try:
        images = ImageSpec.from_plain(about["images"])
        kind = get_recipe(about["recipe"], about.get("recipe_class"))
        recipe = kind.from_settings(about["settings"])
        name = str(about["network"])
        classes = {name.removesuffix(AVERAGE): str(about["class"])}
    except (AttributeError, LookupError, TypeError) as error:
        raise TransferError(
            f"{str(path)!r} describes its network in a way that this version of fastgan doesn't "
            f"know: export it anew."
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
    """Read networks of StyleGAN2 or StyleGAN3, each built with its own configuration."""
    networks: dict[str, Weights] = {}
    tensors: dict[str, StateDict] = {}
    for name, make in read_file(path).items():
        try:
            networks[name] = make()
            tensors[name] = build(networks[name]).state_dict()
        except Refusal as refusal:
            raise CompatError(f"The {name} in {str(path)!r} can't be used: {refusal}.") from refusal
    if not networks:
        raise TransferError(
            f"{str(path)!r} must be a StyleGAN2 or StyleGAN3, or a run or an export of fastgan, "
            f"but holds no network that fastgan knows."
        )
    settings: dict[str, Any] = {}
    # Settings of G, which comes first, take precedence.
    for weights in reversed(networks.values()):
        settings |= weights.config
        if weights.class_name == "StyleGAN3Generator" and weights.config["kernel_size"] == 1:
            # The recipe's channels are those of D, and its G has twice as many.
            settings |= {name: settings[name] // 2 for name in ("channel_base", "channel_max")}
    settings["conditional"] = bool(settings.get("c_dim"))
    images = ImageSpec(
        settings.get("channels", 3), settings["resolution"], settings.get("c_dim", 0)
    )
    size = f"{images.channels}×{images.resolution}×{images.resolution}"
    return Source(
        path=str(path),
        file=path.name,
        sha256=sha256_of(path),
        title=f"{', '.join(networks)} of a StyleGAN of {size} images, from {path}",
        **_by_kind(tensors),
        classes={
            name.removesuffix(AVERAGE): weights.class_name for name, weights in networks.items()
        },
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
