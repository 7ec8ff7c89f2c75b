"""Weights with a description of their network, in safetensors.

The metadata entry ``fastgan`` is JSON:

- ``network``: name of the weights (G, G_ema, D);
- ``class``, and ``config`` if the class keeps its arguments:
  :func:`fastgan.compat.load_generator` rebuilds a StyleGAN2 from them;
- ``recipe``, ``settings`` and ``images`` of a run: :func:`load_safetensors` rebuilds any recipe's
  network from them;
- inputs and outputs of the network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from fastgan.export.files import ExportError, Written, new_file
from fastgan.export.metadata import METADATA, encoded
from fastgan.recipes import ImageSpec, Recipe, get_recipe
from fastgan.recipes.signature import Signature


class Loaded(NamedTuple):
    """A network of a file.

    Attributes:
        recipe: the recipe that it was trained with.
        network: in eval mode, on the CPU.
        images: images that it makes or judges.
        signatures: networks that can be exported with its weights, by name.
    """

    recipe: Recipe
    network: nn.Module
    images: ImageSpec
    signatures: Mapping[str, Signature]


def to_safetensors(
    module: nn.Module,
    path: str | Path,
    *,
    name: str = "G",
    about: Mapping[str, Any] = MappingProxyType({}),
) -> Written:
    """Write the state dict of a module.

    Args:
        path: ends in ``.safetensors``; a file that exists is replaced.
        name: name of the weights in the file: G, G_ema (a moving average) or D.
        about: further description, such as :attr:`fastgan.export.Source.described`.

    Raises:
        ExportError: the file doesn't hold the same values.
        OSError: it can't be written.
    """
    described: dict[str, Any] = {"network": name, "class": type(module).__name__, **about}
    if hasattr(module, "config"):
        described["config"] = module.config
    # safetensors takes neither other strides nor tensors that share memory.
    tensors = {key: t.detach().cpu().contiguous().clone() for key, t in module.state_dict().items()}
    with new_file(path, ".safetensors") as temporary:
        temporary.write_bytes(save(tensors, {METADATA: encoded(described)}))
        written = load_file(temporary)
        if written.keys() != tensors.keys() or not all(
            _same(written[key], tensors[key]) for key in tensors
        ):
            raise ExportError(
                "The safetensors file doesn't hold the network's weights: it was not kept."
            )
    return Written(Path(path), 0.0, "safetensors, and fastgan for the network that they go into")


def describe(path: str | Path) -> Mapping[str, Any]:
    """Return the description in a safetensors file of fastgan.

    Raises:
        ExportError: the file is no safetensors file of fastgan.
        OSError: there is no file.
    """
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})[METADATA])
    except (SafetensorError, KeyError, ValueError) as error:
        raise ExportError(
            f"{str(path)!r} isn't a safetensors file of fastgan: it doesn't describe the network "
            f"of its weights."
        ) from error
    if not isinstance(about, dict):
        raise ExportError(
            f"{str(path)!r} describes its network in a way that fastgan doesn't know."
        )
    return about


def load_safetensors(path: str | Path) -> Loaded:
    """Load the network of any recipe from an export of a run; no code in the file is run.

    Raises:
        ExportError: the file isn't such an export, or its weights don't fit its network.
        RecipeError: this version has no such recipe, or not these settings of it.
        OSError: the file can't be read.
    """
    about = describe(path)
    if "recipe" not in about:
        raise ExportError(
            f"{str(path)!r} names no recipe: open a StyleGAN2 with fastgan.compat.load_generator "
            f"or load_discriminator."
        )
    try:
        images = ImageSpec.from_plain(about["images"])
        kind = get_recipe(about["recipe"], about.get("recipe_class"))
        recipe = kind.from_settings(about["settings"])
        with torch.random.fork_rng(devices=()):
            networks = recipe.build_networks(images)
        name = about["network"].removesuffix("_ema")
        networks[name].load_state_dict(load_file(path))
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ExportError(
            f"{str(path)!r} doesn't hold the network that it describes ({reason}): export it again."
        ) from error
    signatures = recipe.signatures(networks, images).items()
    own = {key: signature for key, signature in signatures if signature.network == name}
    return Loaded(recipe, networks[name].eval(), images, own)


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()
