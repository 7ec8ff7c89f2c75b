"""`fastgan export CHECKPOINT --to FORMAT`: write a network to a file for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from fastgan.cli import UsageError, say
from fastgan.cli.environment import check_environment
from fastgan.cli.parse import parse
from fastgan.export import FORMATS, Format
from fastgan.recipes.signature import Port, Signature
from fastgan.trained import load


@dataclass(frozen=True)
class ExportOptions:
    """Write a network to a file for other programs, and check that it computes the same."""

    checkpoint: tyro.conf.Positional[str]
    """Checkpoint, folder of a run, export (.safetensors), or network pickle (.pkl)."""
    to: Format
    """Format: weights, a graph of torch.export, a compiled package, or ONNX."""
    out: str
    """File to write: .safetensors, .pt2 (torch-export and aotinductor) or .onnx."""
    network: str | None = None
    """Network, such as G, D, G_AB or D_A (docs/export.md lists them); None is the generator."""
    input: Literal["z", "w"] = "z"
    """Input of a style-based G: z, or w, which leaves the mapping network out."""
    truncation_psi: float | None = None
    """Truncation of a style-based G; None is 1, no truncation."""
    noise: Literal["const", "none", "random"] | None = None
    """Noise of a style-based G: the layers' constant noise (None), none, or new at every call.
    Of a G with dropout: none (None), or random."""
    batch: str = "dynamic"
    """Images per call: dynamic for any number, or one number."""
    portable: bool = False
    """Plain PyTorch instead of fastgan's ops (.pt2): slower, and loading needs no fastgan."""
    force: bool = False
    """Replace an existing file."""


def run(arguments: list[str]) -> int:
    """Run `fastgan export` with these arguments, and return the exit status."""
    options = parse(ExportOptions, arguments, prog="fastgan export")
    batch = _check(options)
    check_environment()
    gan = load(options.checkpoint)
    source = gan.source(options.network)
    written = gan.export(
        options.out, network=options.network, to=options.to, inputs=options.input,
        truncation=options.truncation_psi, noise=options.noise, batch=batch,
        portable=options.portable, force=options.force,
    )  # fmt: skip
    if options.to == "safetensors":
        about = "The weights in the file are the network's, bit for bit."
    else:
        about = (
            f"{_ports(written.signature, batch)} It differs from the network by at most "
            f"{written.difference:.1e}."
        )
    say(f"Made {written.path} ({options.to}): {source.title}.")
    say(f"{about} Opening it needs {written.needs}.")
    if source.others:
        say(f"Also in there: {', '.join(source.others)} (--network).")
    return 0


def _ports(signature: Signature | None, batch: int | None) -> str:
    """Return a sentence about a file's inputs and outputs."""
    assert signature is not None
    n = "N" if batch is None else batch

    def listed(ports: tuple[Port, ...]) -> str:
        return ", ".join(f"{port.name} [{', '.join(map(str, (n, *port.shape)))}]" for port in ports)

    sentence = f"It takes {listed(signature.inputs)} and gives {listed(signature.outputs)}."
    return (
        sentence if signature.sizes is None else f"{sentence} Height and width: {signature.sizes}."
    )


def _check(options: ExportOptions) -> int | None:
    """Return the batch, None for any. Raises UsageError for options that don't go together."""
    suffix = FORMATS[options.to]
    if not options.out.lower().endswith(suffix):
        raise UsageError(f"--out must end in {suffix} for {options.to}, got {options.out!r}.")
    if Path(options.out).exists() and not options.force:
        raise UsageError(
            f"The file {options.out!r} exists: replace it with --force, or choose another --out."
        )
    if options.to == "safetensors" and options.checkpoint.lower().endswith(suffix):
        raise UsageError(f"{options.checkpoint!r} is safetensors already: copy it.")
    batch = None
    if options.batch != "dynamic":
        if not options.batch.isdecimal() or int(options.batch) < 1:
            raise UsageError(
                f"--batch must be dynamic or a whole number of at least 1, got {options.batch!r}."
            )
        batch = int(options.batch)
    of_graphs = {
        "--input": options.input != "z",
        "--truncation-psi": options.truncation_psi is not None,
        "--noise": options.noise is not None,
        "--batch": batch is not None,
    }
    graphs_only = [
        option for option, given in of_graphs.items() if given and options.to == "safetensors"
    ]
    if options.portable and options.to in ("safetensors", "onnx"):
        graphs_only.append("--portable")
    if graphs_only:
        raise UsageError(f"{graphs_only[0]} has no meaning for {options.to}: leave it out.")
    return batch
