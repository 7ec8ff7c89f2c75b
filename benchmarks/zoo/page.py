"""docs/gans.md from the runs' outcomes: two tables, and samples, losses and command per recipe."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from benchmarks.document import markdown, write_part
from benchmarks.machine import available_cores, commit, cpu_model
from benchmarks.zoo.entries import Entry
from benchmarks.zoo.run import Outcome
from fastgan.metrics.figures import figure_text
from fastgan.recipes import get_recipe
from fastgan.runtime import versions
from fastgan.training.curves import draw_curves
from fastgan.training.log import read_log
from fastgan.training.run_dir import RunDir

FD = "fd_mobilenet_v2"
COST = ("recipe", "G", "D", "images", "images/s")
HEADER = (*COST, "classes of 10", "KL to uniform", "untrained", "FD-MobileNetV2", "untrained")
COMPARED = (("kl_to_uniform", "KL", ".3f"), (FD, "FD", ".1f"))
TARGETS = {"l1": "L1", "psnr": "PSNR, dB", "ssim": "SSIM", "perceptual": "perceptual"}
HEADER_OF_TRANSLATIONS = (*COST, *TARGETS.values(), "FD-MobileNetV2", "untrained")
CURVES_WIDTH = 640


def row(outcome: Outcome) -> list[str]:
    """Return a line of the first table."""
    before, after = outcome.untrained, outcome.trained
    return [
        *cost(outcome),
        f"{after['classes_hit']}",
        *(f"{measures['kl_to_uniform']:.3f}" for measures in (after, before)),
        *(f"{measures[FD]:.1f}" for measures in (after, before)),
    ]


def row_of_translation(outcome: Outcome) -> list[str]:
    """Return a line of the second table."""
    before, after = outcome.untrained, outcome.trained
    return [
        *cost(outcome),
        *(figure_text(after, name) if name in after else "–" for name in TARGETS),
        *(f"{measures[FD]:.1f}" for measures in (after, before)),
    ]


def not_better(outcomes: list[Outcome]) -> list[str]:
    """Return a list of recipes with a figure no better than untrained or their input."""
    lines = [
        f"- `{outcome.name}`: {'; '.join(figures)}"
        for outcome in outcomes
        if (figures := failures(outcome))
    ]
    title = "These recipes have figures no better than before training, or than their input:"
    return [title, "", *lines, ""] if lines else []


def failures(outcome: Outcome) -> list[str]:
    """Return an outcome's figures that are no better than untrained or than the baseline's."""
    before, after = outcome.untrained, outcome.trained
    found = [
        f"{label} {after[name]:{form}}, untrained {before[name]:{form}}"
        for name, label, form in COMPARED
        if name in after and after[name] >= before[name]
    ]
    for name, label in TARGETS.items():
        for baseline in (other for other in after if other.startswith(f"{name}_of_")):
            sign = -1 if name in ("psnr", "ssim") else 1
            if sign * after[name] >= sign * after[baseline]:
                given = baseline.removeprefix(f"{name}_of_")
                found.append(f"{label} {after[name]:.4g}, {given} {after[baseline]:.4g}")
    return found


def cost(outcome: Outcome) -> list[str]:
    """Return the first cells of both tables; several generators or discriminators add up."""
    sizes = [
        sum(size for name, size in outcome.parameters.items() if name.startswith(side))
        for side in ("G", "D")
    ]
    return [
        f"[`{outcome.name}`](#{outcome.name})",
        *(f"{size:,}" for size in sizes),
        f"{outcome.images:,}",
        f"{outcome.speed:,.0f}",
    ]


def section(entry: Entry, outcome: Outcome) -> list[str]:
    """Return the page's section of one recipe."""
    pictures = f"images/gans/{entry.name}"
    lines = [
        f"### `{entry.name}`", "", f"{get_recipe(entry.name).summary}. {entry.paper}.", "",
        f"![{entry.name}: samples]({pictures}.png)", "",
        *([f"Rows, in turn: {', '.join(outcome.views)}.", ""] if outcome.views else []),
        f"![{entry.name}: losses, and what D says]({pictures}-curves.png)", "",
        "```", entry.command, "```",
    ]  # fmt: skip
    return [*lines, *(["", entry.why] if entry.why else []), ""]


def part(
    title: str, header: tuple[str, ...], rows: list[list[str]], done: list[tuple[Entry, Outcome]]
) -> list[str]:
    """Return the page's part on recipes of one kind, nothing if there are none."""
    if not done:
        return []
    samples = " and ".join(sorted({f"{outcome.samples:,}" for _, outcome in done}))
    return [
        f"## {title}", "", f"Measures are of {samples} samples, drawn by index.", "",
        *markdown(header, rows), "",
        *not_better([outcome for _, outcome in done]),
        *(line for entry, outcome in done for line in section(entry, outcome)),
    ]  # fmt: skip


def to_come(entries: Sequence[Entry]) -> list[str]:
    """Return the page's part on recipes that weren't trained yet, nothing if there are none."""
    if not entries:
        return []
    lines = ["## Not trained yet", ""]
    for entry in entries:
        summary = f"{get_recipe(entry.name).summary}. {entry.paper}."
        lines += [f"### `{entry.name}`", "", summary, "", "```", entry.command, "```", ""]
        lines += [entry.why, ""] if entry.why else []
    return lines


def write_page(
    document: Path, root: Path, done: list[tuple[Entry, Outcome]], waiting: Sequence[Entry] = ()
) -> None:
    """Write table, sections and pictures; raise MissingMarkers if the document lacks them."""
    folder = document.parent / "images" / "gans"
    folder.mkdir(parents=True, exist_ok=True)
    machine = {
        "machine": f"{cpu_model()}, {available_cores()} cores",
        "commit": commit(),
    } | versions()
    lines = [f"- {name}: {value}" for name, value in machine.items()]
    lines += ["", "Images/s are of one core, by the processor's time.", ""]
    for entry, _ in done:
        home = root / entry.name
        (folder / f"{entry.name}.png").write_bytes((home / "grid.png").read_bytes())
        curves = draw_curves(read_log(RunDir(home / "run").log), loss=entry.recipe.adversarial)
        (folder / f"{entry.name}-curves.png").write_bytes(smaller(curves))
    of_noise = [(entry, outcome) for entry, outcome in done if not entry.recipe.translates]
    of_images = [(entry, outcome) for entry, outcome in done if entry.recipe.translates]
    lines += part("Noise to image", HEADER, [row(outcome) for _, outcome in of_noise], of_noise)
    rows = [row_of_translation(outcome) for _, outcome in of_images]
    lines += part("Image to image", HEADER_OF_TRANSLATIONS, rows, of_images)
    lines += to_come(waiting)
    write_part(document, "zoo", lines)


def smaller(png: bytes) -> bytes:
    """Return a picture with few colours at the width of the page."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    height = round(picture.height * CURVES_WIDTH / picture.width)
    picture = picture.resize((CURVES_WIDTH, height), Image.Resampling.LANCZOS).quantize(64)
    buffer = io.BytesIO()
    picture.save(buffer, format="png", optimize=True)
    return buffer.getvalue()
