"""Networks out of a file of any kind, as weights by the name that each has there."""

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

from fastgan.foreign.errors import CompatError, shown
from fastgan.foreign.official import read_official
from fastgan.foreign.rosinality import read_rosinality
from fastgan.foreign.weights import CLASSES, Weights

METADATA = "fastgan"
"""Under this key a file of ours has JSON of ``network`` (its name), ``class`` and ``config``."""

_ZIP, _PICKLE = b"PK\3\4", b"\x80"
_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

Networks = dict[str, Callable[[], Weights]]


def read_file(path: Path) -> Networks:
    """Read what makes the weights of each network in a file, by name (G_ema, G, D); it raises Refusal.

    Raises:
        CompatError: the file is missing, damaged or refused, or of a kind that isn't known.
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
        f"{str(path)!r} is {'no file of networks' if start else 'empty'}: expected are a network pickle (.pkl), a "
        f"file of torch.save (.pt), one of fastgan convert (.safetensors) or a checkpoint of fastgan."
    )


def is_safetensors(path: Path) -> bool:
    """Tell by its first bytes whether a file has the form of safetensors."""
    try:
        with open(path, "rb") as file:
            return file.read(9)[8:] == b"{"
    except OSError:
        return False


def read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what a safetensors file of ours says of its network, and the network's tensors.

    Raises:
        CompatError: the file is damaged, or doesn't say what network it holds.
    """
    try:
        with safe_open(path, "pt") as file:
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
        # The options of the training that made it are plain values in a Namespace; nobody looks at them.
        with torch.serialization.safe_globals([argparse.Namespace]):
            saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the bytes lead it to
        named = (
            re.search(r"GLOBAL ([\w.]+)", str(error))
            if isinstance(error, pickle.UnpicklingError)
            else None
        )
        raise CompatError(
            f"{str(path)!r} was refused, and nothing in it was run: it asks for {shown(named[1])}, more than tensors and "
            f"plain data."
            if named
            else f"{str(path)!r} is damaged or cut short: it can't be read to its end."
        ) from error
    return read_rosinality(saved)
