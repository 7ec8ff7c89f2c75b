"""Reader of network files of any kind: weights by the name of the network in the file."""

from __future__ import annotations

import argparse
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fastgan.foreign.errors import CompatError, Refusal, describe
from fastgan.foreign.official import read_official
from fastgan.foreign.rosinality import read_rosinality
from fastgan.foreign.weights import CLASSES, StyleGAN, Weights, build

METADATA = "fastgan"
"""Key of the metadata in fastgan's files: JSON of ``network`` (its name), ``class``, ``config``."""

_ZIP, _PICKLE = b"PK\3\4", b"\x80"
_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

Networks = dict[str, Callable[[], Weights]]
"""Functions that return the weights of a network, by its name (G_ema, G, D); they raise Refusal."""


def read_file(path: Path) -> Networks:
    """Read the networks in a file.

    Raises:
        CompatError: the file is missing, damaged, refused or of an unknown kind.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(32)
    except OSError as error:
        raise CompatError(f"{str(path)!r} can't be read: {error.strerror or error}.") from error
    if start[8:9] == b"{":
        return _from_safetensors(path)
    if start.startswith((_ZIP, _LEGACY_TORCH)):
        return _from_torch(path)
    if start.startswith(_PICKLE):
        return read_official(path.read_bytes(), str(path))
    raise CompatError(
        f"{str(path)!r} must be a network pickle (.pkl), a file of torch.save (.pt), one of "
        f"fastgan convert (.safetensors) or a checkpoint of fastgan, "
        f"got {'another kind of' if start else 'an empty'} file: check the path."
    )


def load_network(
    path: str | Path, name: str | None = None, networks: Networks | None = None
) -> StyleGAN:
    """Build a network of a file.

    Args:
        path: the file.
        name: its name there; None is G_ema, or the only network in the file.
        networks: networks of the file, if it was read before.

    Raises:
        CompatError: there is no such network, or it can't be used.
    """
    networks = read_file(Path(path)) if networks is None else networks
    name = name or (next(iter(networks)) if len(networks) == 1 else "G_ema")
    if name not in networks:
        there = (
            f"it has {', '.join(networks)}"
            if networks
            else "it has no network of StyleGAN2 or StyleGAN3 at all"
        )
        raise CompatError(f"There is no {name} in {str(path)!r}: {there}.")
    try:
        return build(networks[name]())
    except Refusal as refusal:
        raise CompatError(f"The {name} in {str(path)!r} can't be used: {refusal}.") from refusal


def is_safetensors(path: Path) -> bool:
    """Return True if a file begins like a safetensors file."""
    try:
        with open(path, "rb") as file:
            return file.read(9)[8:] == b"{"
    except OSError:
        return False


def read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the description and the tensors of the network in a safetensors file of fastgan.

    Args:
        path: the file.

    Returns:
        The metadata (see ``METADATA``), and tensors by name.

    Raises:
        CompatError: the file is damaged or has no description of its network.
    """
    try:
        with safe_open(path, "pt") as file:
            # SIM118 takes it for a dict.
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            description = json.loads((file.metadata() or {}).get(METADATA, "null"))
    except (SafetensorError, RecursionError, ValueError) as error:
        raise CompatError(
            f"{str(path)!r} is no .safetensors file, or is damaged or cut short: make it again."
        ) from error
    if description is None:
        raise CompatError(
            f"{str(path)!r} has no description of its network: use a file of fastgan convert."
        )
    return description, tensors


def _from_safetensors(path: Path) -> Networks:
    description, tensors = read_safetensors(path)
    try:
        name, class_name, config = (description[key] for key in ("network", "class", "config"))
        known = class_name in CLASSES and isinstance(name, str) and isinstance(config, dict)
    except (LookupError, TypeError):
        known = False
    if not known:
        raise CompatError(f"{str(path)!r} holds no network that this version of fastgan knows.")
    return {name: lambda: Weights(class_name, config, tensors)}


def _from_torch(path: Path) -> Networks:
    try:
        # Files hold the options of their training in a Namespace of plain values, which is ignored.
        with torch.serialization.safe_globals([argparse.Namespace]):
            saved = torch.load(path, map_location="cpu", weights_only=True)
    # Damaged bytes make torch raise errors of any type.
    except Exception as error:
        asked = (
            re.search(r"GLOBAL ([\w.]+)", str(error))
            if isinstance(error, pickle.UnpicklingError)
            else None
        )
        raise CompatError(
            f"{str(path)!r} was refused, and nothing in it was run: it asks for "
            f"{describe(asked[1])}, more than tensors and plain data."
            if asked
            else f"{str(path)!r} is damaged or cut short: it can't be read to its end."
        ) from error
    return read_rosinality(saved)
