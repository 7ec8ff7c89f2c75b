"""Writing of the weights that fastgan ships."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from fastgan.files import replacing


def write_weights(
    out: Path,
    weights: Mapping[str, Tensor],
    measure: Callable[[Path], dict[str, str]],
    *,
    shipped: Path,
) -> None:
    """Write weights as float16 with the figures of that file as its metadata; print its SHA-256.

    Args:
        out: the file.
        weights: the state dict.
        measure: function that measures the weights read back from a file, and returns metadata.
        shipped: the file of the package, beside the module that holds its SHA-256.
    """
    halves = {
        name: value.to(torch.float16) if value.is_floating_point() else value
        for name, value in weights.items()
    }
    with replacing(out) as temporary:
        # save_file would create a file that only its owner can read.
        temporary.write_bytes(save(halves))
        metadata = measure(temporary)
        temporary.write_bytes(save(halves, metadata=metadata))
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    print(f"{out}: {out.stat().st_size} bytes, sha256 {digest}")
    if out == shipped:
        print(f"copy that sha256 into SHA256 of the module that reads {out.name}")
