"""`fastgan translate CHECKPOINT INPUT…`: what a recipe that translates makes of pictures."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from fastgan.cli import UsageError, unknown
from fastgan.cli.environment import check_environment
from fastgan.cli.parse import parse
from fastgan.cli.sample import FILES, Opened, open_checkpoint
from fastgan.data import DataError, to_float, to_uint8
from fastgan.data._optional import require
from fastgan.data.decode import find_images, on_white, unreadable_reason
from fastgan.recipes import RECIPES
from fastgan.recipes.translation import Translation
from fastgan.runtime import tune_cpu_allocator
from fastgan.train.distributed import choose_device
from fastgan.train.files import write_atomic
from fastgan.train.pictures import translate_picture
from fastgan.train.state import derive_seed


@dataclass(frozen=True)
class TranslateOptions:
    """Translate pictures with a checkpoint of a recipe that makes images of images; the originals stay as they are."""

    checkpoint: tyro.conf.Positional[str]
    """A checkpoint, or the folder of a run, of which the newest one is taken."""
    inputs: tyro.conf.Positional[tuple[str, ...]]
    """Pictures, and folders of pictures."""
    out: str
    """Folder for the translations: PNG files of the same names, in the same sub-folders."""
    direction: str | None = None
    """Which way, where there are two: AtoB (also if left out) or BtoA."""
    tile: int = 1024
    """Pixels; a picture that is higher or wider is translated in overlapping tiles of this size, blended together."""
    force: bool = False
    """Replace files that exist in --out."""
    seed: int = 0
    """Seed of what is random in a translation, the same for every picture."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes a CUDA device if there is one."""


def run(arguments: list[str]) -> int:
    """Runs `fastgan translate` with these arguments; returns the exit status."""
    options = parse(TranslateOptions, arguments, prog="fastgan translate")
    for option, least in (("tile", 16), ("seed", 0)):
        if getattr(options, option) < least:
            raise UsageError(f"--{option} must be at least {least}, but {getattr(options, option)} came.")
    planned = plan(options)
    check_environment()
    tune_cpu_allocator()
    opened, translator = _open(options)
    made = 0
    console = Console(stderr=True)
    with Progress(
        TextColumn("translating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    ) as bar:  # fmt: skip
        for source, target in bar.track(planned.items()):
            try:
                picture = read_picture(source, translator.channels)
            except DataError:  # Pillow is missing
                raise
            except Exception as error:
                warnings.warn(f"{str(source)!r} is left out: {unreadable_reason(error)}.", stacklevel=1)
                continue
            write_picture(target, translator(picture.pixels), picture.alpha)
            made += 1
    if not made:
        raise UsageError("None of the pictures can be read: give intact ones.")
    print(f"Made {made:,} {'picture' if made == 1 else 'pictures'} in {options.out} with {opened.origin}.")
    return 0


def plan(options: TranslateOptions) -> dict[Path, Path]:
    """Which file becomes which; nothing is written yet.

    Raises UsageError for inputs that aren't there, two that would become one file, and files that would be replaced without
    --force; originals never are. DataError for a folder that can't be read.
    """
    out = Path(options.out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out must be a folder, but {options.out!r} is a file.")
    planned: dict[Path, Path] = {}
    for given in map(Path, options.inputs):
        if not given.exists():
            raise UsageError(f"There is no picture or folder {str(given)!r}: check the path.")
        names = find_images(given) if given.is_dir() else [given.name]
        folder = given if given.is_dir() else given.parent
        if not names:
            raise UsageError(f"The folder {str(given)!r} holds no pictures.")
        planned |= {folder / name: (out / name).with_suffix(".png") for name in names}
    by_target: dict[Path, Path] = {}
    originals = {source.resolve() for source in planned}
    for source, target in planned.items():
        if target in by_target:
            raise UsageError(
                f"{str(by_target[target])!r} and {str(source)!r} would both become {str(target)!r}: translate them into "
                "folders of their own."
            )
        by_target[target] = source
        if target.resolve() in originals:
            raise UsageError(f"{str(target)!r} is one of the originals: choose another --out.")
        if target.exists() and not options.force:
            raise UsageError(
                f"{str(target)!r} exists: choose another --out, or replace what is there with --force."
            )
    return planned


@dataclass(frozen=True)
class Translator:
    """A checkpoint's networks, ready for pictures of so many channels."""

    recipe: Translation
    networks: dict[str, torch.nn.Module]
    name: str
    channels: int
    seed: int
    tile: int
    device: torch.device

    @torch.no_grad()
    def __call__(self, picture: Tensor) -> Tensor:
        """uint8 `[channels, H, W]` → uint8 `[1 or 3, scale·H, scale·W]`."""
        found = translate_picture(
            self.recipe,
            self.networks,
            to_float(picture.to(self.device)),
            name=self.name,
            seed=derive_seed(self.seed, "translate"),
            tile=self.tile,
        )
        return to_uint8(found).cpu()


def _open(options: TranslateOptions) -> tuple[Opened, Translator]:
    """Raises CheckpointError, and UsageError for a checkpoint or a direction that pictures can't be translated with."""
    path, device = Path(options.checkpoint), choose_device(options.device)
    translating = ", ".join(name for name, recipe in RECIPES.items() if recipe.translates)
    if path.suffix.lower() in FILES:
        raise UsageError(
            f"fastgan translate takes a checkpoint of {translating}, but {options.checkpoint!r} is a StyleGAN2's file."
        )
    opened = open_checkpoint(path)
    recipe = opened.recipe
    if not isinstance(recipe, Translation):
        raise UsageError(
            f"fastgan translate takes a checkpoint of {translating}, but this is {opened.origin}: it draws from noise, with "
            "fastgan sample."
        )
    assert opened.images is not None
    ways = recipe.directions
    way = next(iter(ways)) if options.direction is None else options.direction
    if way not in ways or (options.direction is not None and "" in ways):
        if "" in ways:
            raise UsageError(f"{recipe.name} translates one way only: leave --direction out.")
        raise UsageError(unknown("direction", way, list(ways)))
    name = ways[way]
    spec = opened.images.inputs.get(name)
    networks = {key: network.to(device) for key, network in opened.networks.items()}
    channels = opened.images.channels if spec is None else spec.channels
    return opened, Translator(recipe, networks, name, channels, options.seed, options.tile, device)


@dataclass(frozen=True)
class Picture:
    """pixels: uint8 `[1 or 3, H, W]`, on white where it's transparent. alpha: uint8 `[H, W]`, None if it's opaque."""

    pixels: Tensor
    alpha: Tensor | None


def read_picture(path: Path, channels: int) -> Picture:
    """A picture turned by its EXIF orientation, its first frame. Raises whatever Pillow raises for what it can't decode."""
    pil = require("PIL.Image", "pillow", purpose="Reading image files")
    ops = require("PIL.ImageOps", "pillow", purpose="Reading image files")
    with pil.open(path) as opened:
        picture = ops.exif_transpose(opened)
        see_through = picture.has_transparency_data
        alpha = _tensor(picture.convert("RGBA").getchannel("A")) if see_through else None
        pixels = _tensor(on_white(picture, pil).convert("L" if channels == 1 else "RGB"))
    return Picture(pixels[None] if channels == 1 else pixels.permute(2, 0, 1), alpha)


def write_picture(path: Path, pixels: Tensor, alpha: Tensor | None) -> None:
    """Writes uint8 `[1 or 3, H, W]` as PNG, with the alpha of what it was made of, enlarged as that was."""
    pil = require("PIL.Image", "pillow", purpose="Writing a PNG file")
    array = pixels.permute(1, 2, 0).contiguous().numpy()
    picture = pil.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    if alpha is not None:
        channel = pil.fromarray(alpha.numpy())
        if channel.size != picture.size:
            channel = channel.resize(picture.size, pil.Resampling.BICUBIC)
        picture.putalpha(channel)
    content = io.BytesIO()
    picture.save(content, format="PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, [content.getvalue()])


def _tensor(picture: Any) -> Tensor:
    return torch.from_numpy(np.array(picture, dtype=np.uint8))
