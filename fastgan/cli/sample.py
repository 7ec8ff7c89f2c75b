"""`fastgan sample CHECKPOINT`: draw images from a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro
from torch import Tensor

from fastgan.cli import UsageError, say
from fastgan.cli.environment import check_environment
from fastgan.cli.parse import parse
from fastgan.data import save_png, to_uint8
from fastgan.inference import (
    Drawing,
    direction_strips,
    interpolation,
    middle_columns,
    mixing_table,
    parse_seeds,
)
from fastgan.inference.samples import draw_grid, enlarged, save_grid
from fastgan.latent import save_video, sefa
from fastgan.latent.video import FORMATS
from fastgan.runtime import tune_cpu_allocator
from fastgan.seeds import derive_seed
from fastgan.trained import Trained, load

MAX_SAMPLES = 10_000
SIDE = 8


@dataclass(frozen=True)
class SampleOptions:
    """Draw images from a checkpoint, or from the newest checkpoint of a run's folder."""

    checkpoint: tyro.conf.Positional[str]
    """Checkpoint, folder of a run, export (.safetensors) or StyleGAN network (.pkl)."""
    out: str
    """PNG file, GIF or MP4 for --interpolate, or folder for a PNG per seed; it is replaced."""
    seed: int | None = None
    """Seed of the noise, 0 if left out: the same seed draws the same images."""
    rows: int | None = None
    """Rows of the grid, 8 if left out."""
    columns: int | None = None
    """Columns of the grid, 8 if left out; images per row of --direction, 7 if left out."""
    seeds: str | None = None
    """One image for each of these seeds, such as 0-15,42, the same in any grid."""
    truncation_psi: float | None = None
    """StyleGAN2 and 3: pull styles towards their mean; 1 leaves them, 0 gives the average image."""
    truncation_cutoff: int | None = None
    """StyleGAN2 and 3: truncate only this number of styles, from the first on."""
    class_: Annotated[str | None, tyro.conf.arg(name="class")] = None
    """With labels: class to draw, by name or number from 0; left out, each seed draws one."""
    caption: str | None = None
    """text2image: words to draw; left out, it draws the captions of its data."""
    noise: Literal["const", "random", "none"] | None = None
    """StyleGAN2: the network's constant noise (the default), noise of the seed, or none."""
    translate: tuple[float, float] | None = None
    """StyleGAN3: distance right and down that the input moves, as shares of the resolution."""
    rotate: float | None = None
    """StyleGAN3: degrees that the input turns, counterclockwise."""
    mix: str | None = None
    """StyleGAN2 and 3: table ROWSEEDS:COLUMNSEEDS:LAYERS; LAYERS (coarse, 0-3) are columns'."""
    interpolate: str | None = None
    """StyleGAN2 and 3: a video that loops through these seeds; as a PNG its middle column."""
    frames: int | None = None
    """Frames from one seed of --interpolate to the next, 50 if left out."""
    fps: int | None = None
    """Frames per second of --interpolate, 25 if left out."""
    space: Literal["w", "z"] | None = None
    """Space of --interpolate: the styles (the default) or the noise."""
    direction: int | None = None
    """StyleGAN2 and 3: a row for each seed along this direction of SeFa, from 0, the strongest."""
    strength: str | None = None
    """Range of --direction in units of w, -3..3 if left out."""
    layers: str | None = None
    """Layers that --direction moves: coarse, middle, fine or such as 0-3; all if left out."""


def run(arguments: list[str]) -> int:
    """Run `fastgan sample` with these arguments, and return the exit status."""
    options = parse(SampleOptions, arguments, prog="fastgan sample")
    mode = _mode(options)
    _check(options, mode)
    check_environment()
    tune_cpu_allocator()
    gan = load(options.checkpoint)
    _check_caption(options, gan)
    made = DRAW[mode](options, gan) if gan.can("interpolate") else _recipe_grid(options, gan)
    say(f"Made {options.out}: {made} of {gan.origin}.")
    return 0


def _mode(options: SampleOptions) -> str:
    """Return the mode of MODES. Raises UsageError for two, or for an option of another mode."""
    asked = [
        mode for mode in ("mix", "interpolate", "direction") if getattr(options, mode) is not None
    ]
    if len(asked) > 1:
        raise UsageError(f"--{asked[0]} and --{asked[1]} are two pictures: ask for one of them.")
    mode = asked[0] if asked else "grid"
    for option in sorted(set().union(*MODES.values()) - MODES[mode]):
        if getattr(options, option) is not None:
            others = " or ".join(
                f"--{other}" for other in MODES if option in MODES[other] and other != "grid"
            )
            reason = f"is for {others}" if mode == "grid" else f"has no meaning with --{mode}"
            raise UsageError(f"--{option} {reason}: leave it out.")
    if options.seeds is not None:
        for option in ("seed", "rows"):
            if getattr(options, option) is not None:
                raise UsageError(
                    f"--seeds chooses the images, so --{option} has no meaning: leave it out."
                )
    return mode


def _check(options: SampleOptions, mode: str) -> None:
    """Raise UsageError for numbers out of range, and for an --out of another kind."""
    for option, least, most in (
        ("rows", 1, None),
        ("columns", 1, None),
        ("frames", 1, None),
        ("fps", 1, 100),
        ("seed", 0, 2**32 - MAX_SAMPLES),
        ("truncation_cutoff", 0, None),
    ):
        value = getattr(options, option)
        if value is not None and (value < least or (most is not None and value > most)):
            range_ = f"at least {least}" if most is None else f"from {least} to {most}"
            raise UsageError(f"--{option.replace('_', '-')} must be {range_}, got {value}.")
    rows, columns = options.rows or SIDE, options.columns or SIDE
    if rows * columns > MAX_SAMPLES:
        raise UsageError(
            f"--rows times --columns must be at most {MAX_SAMPLES:,} for one picture, got "
            f"{rows} × {columns}."
        )
    if options.truncation_cutoff is not None and options.truncation_psi is None:
        raise UsageError("--truncation-cutoff needs --truncation-psi: give both.")
    suffix = Path(options.out).suffix.lower()
    if mode == "interpolate":
        if suffix not in (*FORMATS, ".png"):
            raise UsageError(
                f"--out must be a file that ends in .gif, .mp4 or .png, got {options.out!r}."
            )
    elif suffix != ".png" and not (mode == "grid" and _is_folder(options.out)):
        raise UsageError(f"--out must be a file that ends in .png, got {options.out!r}.")


def _is_folder(out: str) -> bool:
    return out.endswith(("/", os.sep)) or Path(out).is_dir()


def _recipe_grid(options: SampleOptions, gan: Trained) -> str:
    """Draw samples of a recipe without styles. Raises UsageError for options that need styles."""
    for option in STEERING:
        if getattr(options, option) is not None:
            raise UsageError(
                f"--{option.replace('_', '-')} is for {FAMILIES.get(option, 'StyleGAN2 and 3')}, "
                f"but this is a checkpoint of recipe {gan.recipe.name!r}: leave it out."
            )
    if gan.recipe.translates and options.caption is None:
        return _translated_grid(options, gan)
    return _draw_grid(options, gan)


def _check_caption(options: SampleOptions, gan: Trained) -> None:
    """Raise UsageError for a caption where no words can be drawn."""
    if options.caption is not None and not gan.can("caption"):
        raise UsageError(
            f"--caption is for networks that draw from words, but this is {gan.origin}: leave it "
            f"out."
        )


def _translated_grid(options: SampleOptions, gan: Trained) -> str:
    """Translate the data of the run. Raises UsageError for options of noise."""
    for option, name in (("seeds", "--seeds"), ("class_", "--class")):
        if getattr(options, option) is not None:
            raise UsageError(
                f"{name} is for networks that draw from noise, but this is {gan.origin}: leave it "
                f"out."
            )
    if _is_folder(options.out):
        raise UsageError(
            f"--out must be a file that ends in .png, got {options.out!r}: fastgan translate fills "
            f"folders."
        )
    names = save_grid(
        Path(options.out),
        gan.recipe,
        gan.networks,
        seed=derive_seed(options.seed or 0, "sample"),
        rows=options.rows or SIDE,
        columns=options.columns or SIDE,
        dataset=gan.open_data(),
    )
    return f"rows of {', '.join(names)}"


def _label(options: SampleOptions, gan: Trained) -> str | None:
    """Return the class to draw. Raises UsageError for networks without classes."""
    if options.class_ is not None and not gan.can("label"):
        raise UsageError(
            "--class has no meaning, since this network knows no classes: leave it out."
        )
    return options.class_


def _draw_grid(options: SampleOptions, gan: Trained) -> str:
    columns = options.columns or SIDE
    count = (options.rows or SIDE) * columns
    label, caption = _label(options, gan), options.caption
    if gan.can("interpolate"):
        by_seed: Callable[[list[int]], Tensor] = _drawing(options, gan).images
    elif options.seeds is None and not _is_folder(options.out):
        images = gan.sample(count, seed=options.seed or 0, label=label, caption=caption)
        _save_table(options.out, images, columns)
        return f"{count} samples"
    else:
        by_seed = partial(_by_seed, gan, label, caption)
    seeds = _seeds(options, count)
    if not _is_folder(options.out):
        _save_table(options.out, by_seed(seeds), columns)
        return f"{len(seeds)} samples"
    for seed in seeds:
        save_png(Path(options.out, f"seed{seed:04d}.png"), to_uint8(by_seed([seed]))[0])
    return f"{len(seeds)} samples"


def _by_seed(gan: Trained, label: str | None, caption: str | None, seeds: list[int]) -> Tensor:
    return gan.sample(seeds=seeds, label=label, caption=caption)


def _drawing(options: SampleOptions, gan: Trained) -> Drawing:
    """Return the drawing of a network with styles. Raises UsageError for options out of range."""
    G = gan.generator
    if G.channels not in (1, 3):
        raise UsageError(
            f"Only grey and colour images can be written, but this network makes {G.channels} "
            f"channels."
        )
    label = _label(options, gan)
    for option, family in FAMILIES.items():
        capability = "noise" if option == "noise" else "transform"
        if getattr(options, option) is not None and not gan.can(capability):
            raise UsageError(f"--{option} is for {family}, but this is {gan.origin}: leave it out.")
    if options.truncation_cutoff is not None and options.truncation_cutoff > G.num_ws:
        raise UsageError(
            f"--truncation-cutoff must be at most {G.num_ws}, the styles of this network, got "
            f"{options.truncation_cutoff}."
        )
    return gan.drawing(
        label=label,
        truncation=1.0 if options.truncation_psi is None else options.truncation_psi,
        truncation_cutoff=options.truncation_cutoff,
        noise=options.noise or "const",
        translate=options.translate,
        rotate=options.rotate,
    )


def _draw_mix(options: SampleOptions, gan: Trained) -> str:
    drawing = _drawing(options, gan)
    parts = (options.mix or "").split(":")
    if len(parts) != 3:
        raise UsageError(
            f"--mix must be ROWSEEDS:COLUMNSEEDS:LAYERS, such as 0-3:10-15:coarse, got "
            f"{options.mix!r}."
        )
    rows, columns = parse_seeds(parts[0]), parse_seeds(parts[1])
    if (1 + len(rows)) * (1 + len(columns)) > MAX_SAMPLES:
        raise UsageError(
            f"--mix must make at most {MAX_SAMPLES:,} images, got {len(rows)} rows and "
            f"{len(columns)} columns."
        )
    _save_table(options.out, mixing_table(drawing, rows, columns, parts[2]), 1 + len(columns))
    return f"{len(rows)} × {len(columns)} mixed samples"


def _draw_interpolation(options: SampleOptions, gan: Trained) -> str:
    drawing = _drawing(options, gan)
    seeds = parse_seeds(options.interpolate or "")
    if len(seeds) < 2:
        raise UsageError(
            f"--interpolate must be two seeds or more, such as 0-3, got {options.interpolate!r}."
        )
    frames = options.frames or 50
    images = interpolation(drawing, seeds, frames, space=options.space or "w")
    if Path(options.out).suffix.lower() == ".png":
        save_png(options.out, middle_columns(images))
        return f"the middle column of pixels of {len(seeds) * frames} frames"
    save_video(options.out, (enlarged(image)[0] for image in images), fps=options.fps or 25)
    return f"a video of {len(seeds) * frames} frames"


def _draw_direction(options: SampleOptions, gan: Trained) -> str:
    drawing = _drawing(options, gan)
    number, columns = options.direction or 0, options.columns or 7
    if not 0 <= number < drawing.G.w_dim:
        raise UsageError(f"--direction must be from 0 to {drawing.G.w_dim - 1}, got {number}.")
    low, high = _strengths(options.strength or "-3..3")
    strengths = [low + (high - low) * i / max(1, columns - 1) for i in range(columns)]
    seeds = _seeds(options, options.rows or 4)
    direction = sefa(drawing.G, options.layers, number + 1).directions[number]
    images = direction_strips(drawing, seeds, direction, strengths, layers=options.layers)
    _save_table(options.out, images, columns)
    return f"{len(seeds)} × {columns} samples along direction {number}"


def _seeds(options: SampleOptions, count: int) -> list[int]:
    first = options.seed or 0
    return (
        list(range(first, first + count)) if options.seeds is None else parse_seeds(options.seeds)
    )


def _strengths(text: str) -> tuple[float, float]:
    low, dots, high = text.partition("..")
    try:
        if dots:
            return float(low), float(high)
    except ValueError:
        pass
    raise UsageError(f"--strength must be two numbers, such as -3..3, got {text!r}.")


def _save_table(out: str, images: Tensor, columns: int) -> None:
    save_png(out, draw_grid(images, columns))


MODES = {
    "grid": {"seed", "rows", "columns", "seeds"},
    "mix": set[str](),
    "interpolate": {"frames", "fps", "space"},
    "direction": {"seed", "rows", "columns", "seeds", "strength", "layers"},
}
"""Kinds of pictures, and the options that only some of them take."""

DRAW: dict[str, Callable[[SampleOptions, Trained], str]] = {
    "grid": _draw_grid,
    "mix": _draw_mix,
    "interpolate": _draw_interpolation,
    "direction": _draw_direction,
}
"""Functions that draw each kind: they write --out and describe it."""

STEERING = (
    "truncation_psi", "truncation_cutoff", "noise", "translate", "rotate", "mix", "interpolate",
    "direction",
)  # fmt: skip
"""Options for networks with styles."""

FAMILIES = {"translate": "StyleGAN3", "rotate": "StyleGAN3", "noise": "StyleGAN2"}
"""Options of only one kind of network with styles."""
