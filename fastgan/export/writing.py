"""One function that writes any format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from fastgan.export.aotinductor import to_aotinductor
from fastgan.export.files import ExportError, Written
from fastgan.export.forms import NoiseMode, form_of
from fastgan.export.onnx import to_onnx
from fastgan.export.safetensors import to_safetensors
from fastgan.export.source import Source
from fastgan.export.torch_export import to_torch_export

Format = Literal["safetensors", "torch-export", "aotinductor", "onnx"]
FORMATS: Mapping[Format, str] = {
    "safetensors": ".safetensors",
    "torch-export": ".pt2",
    "aotinductor": ".pt2",
    "onnx": ".onnx",
}
"""Formats, and the endings of their files."""


def write(
    source: Source,
    path: str | Path,
    *,
    to: Format | None = None,
    inputs: Literal["z", "w"] = "z",
    truncation_psi: float | None = None,
    noise: NoiseMode | None = None,
    batch: int | None = None,
    portable: bool = False,
) -> Written:
    """Write a network to a file, and check that the file computes the same.

    Args:
        path: file to write; one that exists is replaced.
        to: format; None goes by the file's ending, ``.pt2`` for torch.export.
        inputs, truncation_psi, noise: as in :func:`form_of`; of graphs alone.
        batch: images per call; None leaves their number open.
        portable: plain PyTorch in place of fastgan's ops; of ``.pt2`` files alone.

    Raises:
        ExportError: no format has this ending, an option has no meaning for the format, or the
            file computes something else.
        OSError: the file can't be written.
    """
    if to is None:
        ending = Path(path).suffix.lower()
        to = next((name for name, suffix in FORMATS.items() if suffix == ending), None)
        if to is None:
            raise ExportError(
                f"The file must end in {', '.join(dict.fromkeys(FORMATS.values()))}, "
                f"got {str(path)!r}."
            )
    elif to not in FORMATS:
        raise ExportError(f"to must be one of {', '.join(get_args(Format))}, got {to!r}.")
    options = {
        "inputs": inputs != "z",
        "truncation_psi": truncation_psi is not None,
        "noise": noise is not None,
        "batch": batch is not None,
    }
    refused = [name for name, is_set in options.items() if is_set and to == "safetensors"]
    if portable and to in ("safetensors", "onnx"):
        refused.append("portable")
    if refused:
        raise ExportError(f"{refused[0]} has no meaning for {to}: leave it out.")
    if to == "safetensors":
        return to_safetensors(source.network, path, name=source.name, about=source.described)
    form = form_of(
        source.network, source.signature, batch=batch, inputs=inputs,
        truncation_psi=truncation_psi, noise=noise, about=source.about,
    )  # fmt: skip
    dynamic = batch is None
    if to == "onnx":
        return to_onnx(form, path, dynamic_batch=dynamic)
    to_graph = to_torch_export if to == "torch-export" else to_aotinductor
    return to_graph(form, path, dynamic_batch=dynamic, portable=portable)
