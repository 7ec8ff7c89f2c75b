"""Weights with a description of their network, in safetensors.

The metadata entry ``fastgan`` is JSON: ``network``, what it is called (G, G_ema or D); ``class`` and, where the class keeps
its arguments, ``config``, which :func:`fastgan.compat.load_generator` rebuilds a StyleGAN2 from; of a run also ``recipe``,
``settings`` and ``images``, which :func:`load_safetensors` rebuilds any recipe's network from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from fastgan.export.files import ExportError, Written, new_file
from fastgan.recipes import ImageSpec, get_recipe
from fastgan.train.config import RunConfig

METADATA = "fastgan"


class Loaded(NamedTuple):
    """network: in eval mode, on the CPU. images: that it makes or judges."""

    network: nn.Module
    images: ImageSpec


def to_safetensors(
    module: nn.Module, path: str | Path, *, name: str = "G", run: RunConfig | None = None
) -> Written:
    """Writes the state dict of ``module`` to ``path``, which ends in ``.safetensors``; a file that exists is replaced.

    Args:
        name: what the network is called in the file: G, G_ema (a moving average) or D.
        run: the run that it comes from. Where its data lies isn't written.

    Raises:
        ExportError: the file doesn't hold the same values.
        OSError: it can't be written.
    """
    about: dict[str, Any] = {"network": name, "class": type(module).__name__}
    if hasattr(module, "config"):
        about["config"] = module.config
    if run is not None:
        plain = run.to_plain()
        settings = {key: value for key, value in plain["settings"].items() if key != "data"}
        about |= {"recipe": plain["recipe"], "settings": settings, "images": plain["images"]}
    # safetensors takes neither other strides nor tensors that share memory
    tensors = {key: t.detach().cpu().contiguous().clone() for key, t in module.state_dict().items()}
    with new_file(path, ".safetensors") as temporary:
        temporary.write_bytes(save(tensors, {METADATA: json.dumps(about)}))
        written = load_file(temporary)
        if written.keys() != tensors.keys() or not all(_same(written[key], tensors[key]) for key in tensors):
            raise ExportError("The safetensors file doesn't hold the network's weights: it was not kept.")
    return Written(Path(path), 0.0, "safetensors, and fastgan for the network that they go into")


def describe(path: str | Path) -> Mapping[str, Any]:
    """What the metadata of a safetensors file of fastgan says. Raises ExportError for any other file, OSError for none."""
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})[METADATA])
    except (SafetensorError, KeyError, ValueError) as error:
        raise ExportError(
            f"{str(path)!r} isn't a safetensors file of fastgan: it doesn't say what network its weights are of."
        ) from error
    if not isinstance(about, dict):
        raise ExportError(f"{str(path)!r} describes its network in a way that fastgan doesn't know.")
    return about


def load_safetensors(path: str | Path) -> Loaded:
    """The network of any recipe in a file that was exported from a run; no code in it is run.

    Raises:
        ExportError: the file isn't one of those, or its weights don't fit the network that it names.
        RecipeError: this version has no such recipe, or not these settings of it.
        OSError: it can't be read.
    """
    about = describe(path)
    if "recipe" not in about:
        raise ExportError(
            f"{str(path)!r} names no recipe: a StyleGAN2 is opened by fastgan.compat.load_generator or "
            f"load_discriminator."
        )
    try:
        images = ImageSpec.from_plain(about["images"])
        recipe = get_recipe(about["recipe"]).from_settings(about["settings"])
        with torch.random.fork_rng(devices=()):
            network = recipe.build_networks(images)[about["network"].removesuffix("_ema")]
        network.load_state_dict(load_file(path))
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ExportError(
            f"{str(path)!r} doesn't hold the network that it describes ({reason}): export it anew."
        ) from error
    return Loaded(network.eval(), images)


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()
