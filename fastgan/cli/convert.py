"""`fastgan convert FILE OUT.safetensors`: convert a StyleGAN of another implementation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from fastgan.cli import UsageError, say
from fastgan.cli.parse import parse
from fastgan.compat.networks import read_networks, save_network
from fastgan.foreign.files import load_network


@dataclass(frozen=True)
class ConvertOptions:
    """Read a StyleGAN2 or 3 of another program without running its code; write .safetensors."""

    file: tyro.conf.Positional[str]
    """A network pickle (.pkl) of StyleGAN2-ADA's or StyleGAN3's PyTorch code, a .pt file of
    rosinality's, or a checkpoint or run of such a recipe."""
    out: tyro.conf.Positional[str]
    """The .safetensors file to write."""
    network: Literal["G_ema", "G", "D"] = "G_ema"
    """Network to convert: the generator's moving average, the generator, or the discriminator."""
    force: bool = False
    """Replace OUT if it exists."""


def run(arguments: list[str]) -> int:
    """Run `fastgan convert` with these arguments, and return the exit status."""
    options = parse(ConvertOptions, arguments, prog="fastgan convert")
    if not options.out.lower().endswith(".safetensors"):
        raise UsageError(f"OUT must be a file that ends in .safetensors, got {options.out!r}.")
    if Path(options.out).exists() and not options.force:
        raise UsageError(
            f"{options.out!r} exists: choose another name, or replace it with --force."
        )
    networks = read_networks(options.file)
    network = load_network(options.file, options.network, networks)
    save_network(network, options.out, name=options.network)
    sized: Any = getattr(network, "synthesis", network)
    height, width = sized.image_size
    others = ", ".join(name for name in networks if name != options.network)
    say(
        f"Made {options.out}: {options.network} of {options.file}, a {type(network).__name__} of "
        f"{width}×{height} images with {sum(p.numel() for p in network.parameters()):,} parameters."
        + (f" Also in there: {others} (--network)." if others else "")
    )
    return 0
