"""`load`: trained networks out of a run, a checkpoint, an export, or another program's file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from fastgan.export import describe, load_safetensors
from fastgan.foreign.files import Networks as Files
from fastgan.foreign.files import load_network, read_file
from fastgan.inference.errors import InferenceError
from fastgan.networks.stylegan3 import StyleGAN3Generator
from fastgan.recipes import ImageSpec, Networks, Recipe, StyleGAN2, StyleGAN3R, StyleGAN3T
from fastgan.recipes.noise_signature import discriminator_signature, generator_signature
from fastgan.recipes.signature import Signature
from fastgan.trained.gan import Trained
from fastgan.training.checkpoint import BEST, is_checkpoint
from fastgan.training.config import RunConfig, split_settings
from fastgan.training.distributed import choose_device
from fastgan.training.loading import load_state

if TYPE_CHECKING:
    from fastgan.training import RunResult

GRAPHS = (".onnx", ".pt2")
"""Exports that hold a graph and no networks."""
_ZIP = b"PK\3\4"


def load(
    path: str | Path,
    *,
    device: torch.device | str | None = None,
    best: bool = False,
    average: bool = True,
) -> Trained:
    """Load trained networks; no code in a file is run.

    Args:
        path: one of

            - the folder of a run, whose newest intact checkpoint is taken;
            - a checkpoint (``.pt``) of a run;
            - a ``.safetensors`` of :meth:`Trained.export` or ``fastgan convert``, which holds one
              network;
            - a StyleGAN2 or StyleGAN3 of another program: a network pickle (``.pkl``) of
              StyleGAN2-ADA's or StyleGAN3's PyTorch code, or a ``.pt`` file of rosinality's, read
              as data.
        device: device of the networks: a torch device or "auto", a CUDA device if there is one.
            None is the CPU.
        best: take the checkpoint with the run's best measure, instead of the newest one.
        average: take moving averages of weights where there are any; False takes the weights that
            were trained.

    Raises:
        CheckpointError: there is no checkpoint, or it is damaged.
        CompatError: another program's file is missing, damaged or refused.
        ExportError: a ``.safetensors`` file isn't one of fastgan, or is damaged.
        InferenceError: the file is of a kind that can't be loaded, the run has no best checkpoint,
            or ``device`` is none.
        TypeError: ``path`` isn't a path.
        ConfigError, RecipeError: this version doesn't know the recipe or its settings.

    Example:
        >>> gan = fastgan.load("runs/faces", device="cuda")
        >>> images = gan.sample(16, seed=7, truncation=0.7)  # [16, 3, H, W] in [-1, 1]
    """
    if not isinstance(path, (str, Path)):
        raise TypeError(
            f"path must be the path of a run or a file, got {type(path).__name__}: see the kinds "
            f"of files that fastgan.load takes."
        )
    path = Path(path)
    place = _device(device)
    suffix = path.suffix.lower()
    if best:
        if not path.is_dir():
            raise InferenceError(
                f"best chooses among the checkpoints of a run, but {str(path)!r} is no folder: "
                f"leave best out."
            )
        path = path / "checkpoints" / BEST
        if not path.exists():
            raise InferenceError(
                f"There is no best checkpoint {str(path)!r}: a run keeps one where "
                f"`measure_every` is above 0; leave best out to take the newest."
            )
    if path.is_dir() or is_checkpoint(path) or (suffix in ("", ".pt") and not _is_whole(path)):
        return _from_run(path, place, average)
    if suffix in GRAPHS:
        raise InferenceError(
            f"{str(path)!r} is a graph for other programs: load the run or the .safetensors that "
            f"it was exported from, or run it as docs/export.md shows."
        )
    if suffix == ".safetensors":
        described = describe(path)
        if "recipe" in described:
            return _from_export(path, described, place)
    return _from_foreign(path, place, average)


def from_result(result: RunResult) -> Trained:
    """Return the networks that a run ended with, and its figures."""
    origin = f"{result.config.recipe.name} after {result.nimg:,} images, in {result.run.root}"
    return _of_run(result.config, result.networks, result.averaged, origin, result)


def _from_run(path: Path, device: torch.device, average: bool) -> Trained:
    _, config, state = loaded = load_state(path, device=device)
    if not average:
        return _of_run(config, state.networks, (), loaded.origin)
    return _of_run(config, state.sampler, tuple(state.ema), loaded.origin)


def _of_run(
    config: RunConfig,
    networks: Networks,
    averaged: Sequence[str],
    origin: str,
    result: RunResult | None = None,
) -> Trained:
    return Trained(
        config.recipe,
        networks,
        image_spec=config.image_spec,
        origin=origin,
        signatures=config.recipe.signatures(networks, config.image_spec),
        averaged=averaged,
        config=config,
        result=result,
        about=_about(config.to_plain()),
    )


def _from_export(path: Path, described: Mapping[str, Any], device: torch.device) -> Trained:
    found = load_safetensors(path)
    held = str(described["network"])
    name = held.removesuffix("_ema")
    return Trained(
        found.recipe,
        {name: found.network.to(device)},
        image_spec=found.images,
        origin=f"{found.recipe.name}, from {path}",
        signatures=found.signatures,
        averaged=(name,) if held != name else (),
        about=_about(described),
        owner=f"{str(path)!r} holds the weights of {held}: it",
    )


def _from_foreign(path: Path, device: torch.device, average: bool) -> Trained:
    """Load a StyleGAN of another program, or one that `fastgan convert` wrote."""
    there = read_file(path)
    preferred = ("G_ema", "G") if average else ("G", "G_ema")
    first = next((name for name in (*preferred, "D") if name in there), None)
    network: Any = load_network(path, first, there).to(device)
    name = "D" if first == "D" else "G"
    more = {"D": partial(_judge, path, there, device)} if name == "G" and "D" in there else {}
    height, width = getattr(network, "synthesis", network).image_size
    spec = ImageSpec(network.channels, height, network.c_dim) if height == width else None
    recipe, family = _recipe_of(network)
    return Trained(
        recipe,
        {name: network},
        image_spec=spec,
        origin=f"{family}, from {path}",
        signatures={name: _signature(name, network)},
        more=more,
        title=lambda name, network: f"{name}, a {type(network).__name__}, from {path}",
        owner=repr(str(path)),
    )


def _recipe_of(network: Any) -> tuple[Recipe, str]:
    """Return a recipe that such a network suits, and the name of its family."""
    settings = {"z_dim": network.z_dim} if hasattr(network, "z_dim") else {}
    settings["conditional"] = network.c_dim > 0
    if isinstance(network, StyleGAN3Generator):
        kind = StyleGAN3R if network.config["kernel_size"] == 1 else StyleGAN3T
        return kind(**settings), "StyleGAN3"
    return StyleGAN2(**settings), "StyleGAN2"


def _judge(path: Path, there: Files, device: torch.device) -> tuple[nn.Module, Signature]:
    network = load_network(path, "D", there).to(device)
    return network, _signature("D", network)


def _signature(name: str, network: Any) -> Signature:
    shape = (network.channels, *getattr(network, "synthesis", network).image_size)
    describe_it = generator_signature if name == "G" else discriminator_signature
    return describe_it(network, shape)


def _is_whole(path: Path) -> bool:
    """Tell whether a file of torch.save is there and wasn't cut short."""
    try:
        with open(path, "rb") as file:
            start = file.read(len(_ZIP))
    except OSError:
        return False
    return start != _ZIP or zipfile.is_zipfile(path)


def _device(device: torch.device | str | None) -> torch.device:
    """Return a device. Raises InferenceError for a name that torch doesn't know."""
    if device is None:
        return torch.device("cpu")
    if device in ("auto", "cpu", "cuda"):
        return choose_device(str(device))
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise InferenceError(f"device must be a torch device or 'auto', got {device!r}.") from error


def _about(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of a network for files: recipe, its settings, and images."""
    _, settings = split_settings(plain["settings"])
    own = {name: plain[name] for name in ("recipe", "recipe_class", "images") if name in plain}
    return own | {"settings": settings}
