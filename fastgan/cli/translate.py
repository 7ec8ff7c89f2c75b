"""`fastgan translate CHECKPOINT INPUT…`: translate pictures with an image-to-image recipe."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fastgan.cli import UsageError, say
from fastgan.cli.environment import check_environment
from fastgan.cli.parse import parse
from fastgan.data import to_uint8
from fastgan.data._optional import require
from fastgan.data.decode import unreadable_reason
from fastgan.data.discovery import few, find_pictures, is_special
from fastgan.errors import FastganError
from fastgan.inference.pictures import write_picture
from fastgan.inference.translation import Translator
from fastgan.recipes import RECIPES
from fastgan.recipes.translation import Translation
from fastgan.runtime import tune_cpu_allocator
from fastgan.trained import load
from fastgan.training.distributed import choose_device

SHOWN = 3
"""Reasons for leaving pictures out that are printed."""


@dataclass(frozen=True)
class TranslateOptions:
    """Translate pictures with an image-to-image recipe; the originals stay as they are."""

    checkpoint: tyro.conf.Positional[str]
    """Checkpoint, folder of a run (its newest one), or export (.safetensors)."""
    inputs: tyro.conf.Positional[tuple[str, ...]]
    """Pictures and folders of pictures; maps of classes for a recipe that takes maps."""
    out: str
    """Folder for the translations: PNG files of the same names, in the same sub-folders."""
    direction: str | None = None
    """Direction of a recipe with two: AtoB (the default) or BtoA."""
    attributes: tuple[str, ...] = ()
    """Attributes to give to the pictures, such as striped or "not striped"."""
    range: str | None = None
    """Values LOW:HIGH of black and white in files above 8 bits, or auto; None is the run's."""
    tile: int = 1024
    """Side in pixels of the blended tiles for pictures that are higher or wider."""
    force: bool = False
    """Replace existing files in --out."""
    seed: int = 0
    """Seed of random parts of a translation, the same for every picture."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device; auto takes a CUDA device if there is one."""


def run(arguments: list[str]) -> int:
    """Run `fastgan translate` with these arguments, and return the exit status."""
    options = parse(TranslateOptions, arguments, prog="fastgan translate")
    for option, least in (("tile", 16), ("seed", 0)):
        if getattr(options, option) < least:
            raise UsageError(
                f"--{option} must be at least {least}, got {getattr(options, option)}."
            )
    planned = plan(options)
    check_environment()
    tune_cpu_allocator()
    require("PIL.Image", "pillow", purpose="Reading image files")
    origin, translator = _open(options, tuple(planned))
    made, reasons = 0, []
    console = Console(stderr=True)
    with Progress(
        TextColumn("translating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    ) as bar:  # fmt: skip
        for source, target in bar.track(planned.items()):
            try:
                picture = translator.read(source)
            except Exception as error:  # decoders raise nearly anything on broken files
                reasons.append(
                    error.marked
                    if isinstance(error, FastganError)
                    else f"{str(source)!r} can't be read: {unreadable_reason(error)}."
                )
                continue
            pixels = to_uint8(translator(picture)).cpu()
            write_picture(target, pixels, None if translator.recipe.fills else picture.alpha)
            made += 1
    if not made:
        raise UsageError(
            reasons[0]
            if len(reasons) == 1
            else f"None of the {len(reasons)} pictures fits: {_few(reasons)}"
        )
    if reasons:
        warnings.warn(
            f"Left out {len(reasons):,} of {len(planned):,} pictures: {_few(reasons)}", stacklevel=1
        )
    say(f"Made {made:,} {'picture' if made == 1 else 'pictures'} in {options.out} with {origin}.")
    return 0


def _few(reasons: list[str]) -> str:
    more = f" And {len(reasons) - SHOWN:,} more." if len(reasons) > SHOWN else ""
    return " ".join(reasons[:SHOWN]) + more


def plan(options: TranslateOptions) -> dict[Path, Path]:
    """Return the file to write for each picture; nothing is written yet.

    Raises:
        UsageError: an input isn't there, two would become one file, or a file would be replaced
            without --force. Originals are never replaced.
        DataError: a folder can't be read.
    """
    out = Path(options.out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out must be a folder, but {options.out!r} is a file.")
    planned: dict[Path, Path] = {}
    for given in map(Path, options.inputs):
        if not given.exists():
            raise UsageError(f"There is no picture or folder {str(given)!r}: check the path.")
        if not given.is_dir() and is_special(given):
            raise UsageError(
                f"{str(given)!r} must be a picture or a folder, got a pipe or a device."
            )
        folder = given if given.is_dir() else given.parent
        names = _pictures(given, out) if given.is_dir() else (given.name,)
        planned |= {folder / name: (out / name).with_suffix(".png") for name in names}
    by_target: dict[Path, Path] = {}
    originals = {source.resolve() for source in planned}
    for source, target in planned.items():
        if target in by_target:
            raise UsageError(
                f"{str(by_target[target])!r} and {str(source)!r} would both become "
                f"{str(target)!r}: translate them into folders of their own."
            )
        by_target[target] = source
        if target.resolve() in originals:
            raise UsageError(f"{str(target)!r} is one of the originals: choose another --out.")
        if target.exists() and not options.force:
            raise UsageError(
                f"{str(target)!r} exists: choose another --out, or replace it with --force."
            )
    return planned


def _pictures(folder: Path, out: Path) -> tuple[str, ...]:
    """Return names of the pictures in a folder except those in ``out``; warn of other files."""
    found = find_pictures(folder, leave_out=[out])
    if not found.pictures:
        others = f", only {few(found.others)}" if found.others else ""
        raise UsageError(f"The folder {str(folder)!r} holds no pictures{others}.")
    if found.others:
        warnings.warn(
            f"{len(found.others):,} of the files in {str(folder)!r} left out, which Pillow doesn't "
            f"open: {few(found.others)}.",
            stacklevel=1,
        )
    for note in found.notes:
        warnings.warn(note, stacklevel=1)
    return found.pictures


def _open(options: TranslateOptions, paths: tuple[Path, ...]) -> tuple[str, Translator]:
    """Return the origin of the networks, and a translator for these files.

    Raises:
        UsageError: the checkpoint translates no pictures.
    """
    translating = ", ".join(
        name
        for name, recipe in RECIPES.items()
        if issubclass(recipe, Translation) and recipe.directions
    )
    if Path(options.checkpoint).suffix.lower() == ".pkl":
        raise UsageError(
            f"CHECKPOINT must be of {translating}, got {options.checkpoint!r}, a StyleGAN2's file."
        )
    gan = load(options.checkpoint, device=choose_device(options.device))
    if not gan.can("translate"):
        source = "words" if gan.can("caption") else "noise"
        raise UsageError(
            f"CHECKPOINT must be of {translating}, got {gan.origin}: it draws from {source}, with "
            f"fastgan sample."
        )
    levels, notes = gan.levels_of(paths, direction=options.direction, range=options.range)
    for note in notes:
        say(note)
    translator = gan.translator(
        direction=options.direction,
        attributes=options.attributes,
        seed=options.seed,
        tile=options.tile,
        levels=levels,
    )
    return gan.origin, translator
