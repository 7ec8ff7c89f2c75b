"""docs/gans.md from the kept outcomes: tables, and samples, losses and command per recipe."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from benchmarks.document import markdown, write_part
from benchmarks.zoo.bounds import BOUNDS, SEEDS, outside
from benchmarks.zoo.entries import ENTRIES, Entry
from benchmarks.zoo.run import Outcome, load_outcome, seed_folder
from fastgan.metrics.figures import describe, figure_text
from fastgan.recipes import get_recipe
from fastgan.training.curves import draw_curves
from fastgan.training.log import read_log
from fastgan.training.run_dir import RunDir

COST = ("recipe", "G", "D", "images", "images/s")
HEADER = (*COST, "classes of 10", "KL to uniform", "sure", "FD", "real", "untrained", "features")
TARGETS = {"l1": "L1", "psnr": "PSNR, dB", "ssim": "SSIM", "perceptual": "perceptual"}
HEADER_OF_TRANSLATIONS = (*COST, *TARGETS.values(), "FD-MobileNetV2", "untrained")
CURVES_WIDTH = 640
NONE = "–"


def distance(outcome: Outcome) -> str:
    """Return the name of the outcome's Fréchet distance."""
    return next(name for name in outcome.trained if name.startswith("fd_"))


def row(outcome: Outcome) -> list[str]:
    """Return a line of the first table."""
    before, after = outcome.untrained, outcome.trained
    fd = distance(outcome)
    label = (describe(fd) or (fd, ""))[0]
    return [
        *cost(outcome),
        f"{after['classes_hit']}",
        f"{after['kl_to_uniform']:.3f}",
        f"{after['sure']:.0%}" if "sure" in after else NONE,
        f"{after[fd]:.1f}",
        f"{outcome.floors[fd]:.1f}" if fd in outcome.floors else NONE,
        f"{before[fd]:.1f}",
        label.removeprefix("FD-"),
    ]


def row_of_translation(outcome: Outcome) -> list[str]:
    """Return a line of the second table."""
    before, after = outcome.untrained, outcome.trained
    fd = distance(outcome)
    return [
        *cost(outcome),
        *(figure_text(after, name) if name in after else NONE for name in TARGETS),
        *(f"{measures[fd]:.1f}" for measures in (after, before)),
    ]


def rows_of_bounds(by_recipe: Mapping[str, Sequence[Outcome]]) -> list[list[str]]:
    """Return lines of the table of bounds: a figure of a recipe, with all seeds."""
    rows = []
    for name, outcomes in by_recipe.items():
        seeds = {outcome.seed: outcome for outcome in outcomes}
        for figure, bound in BOUNDS.get(name, {}).items():
            label = (describe(figure) or (figure, ""))[0]
            shown = [
                f"{seeds[seed].trained[figure]:.3g}" if seed in seeds else NONE for seed in SEEDS
            ]
            rows.append([name, label, *shown, str(bound)])
    return rows


def not_better(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a list of recipes with a figure no better than untrained or their input."""
    lines = [
        f"- `{outcome.name}`: {'; '.join(figures)}"
        for outcome in outcomes
        if (figures := worse_figures(outcome))
    ]
    title = "These recipes have figures no better than before training, or than their input:"
    return [title, "", *lines, ""] if lines else []


def worse_figures(outcome: Outcome) -> list[str]:
    """Return an outcome's figures that are no better than untrained or than the baseline's."""
    before, after = outcome.untrained, outcome.trained
    compared = (("kl_to_uniform", "KL", ".3f"), (distance(outcome), "FD", ".1f"))
    found = [
        f"{label} {after[name]:{form}}, untrained {before[name]:{form}}"
        for name, label, form in compared
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


def section(entry: Entry, outcomes: Sequence[Outcome]) -> list[str]:
    """Return the page's section of one recipe; the first outcome is shown."""
    pictures, shown = f"images/gans/{entry.name}", outcomes[0]
    time = f"{shown.seconds / 60:,.0f} minutes of one" if shown.seconds else "One"
    machine = shown.machine
    failed = [text for outcome in outcomes for text in outside(outcome)]
    lines = [
        f"### `{entry.name}`", "", f"{get_recipe(entry.name).summary}. {entry.paper}.", "",
        f"![{entry.name}: samples]({pictures}.png)", "",
        *([f"Rows, in turn: {', '.join(shown.views)}.", ""] if shown.views else []),
        f"![{entry.name}: losses, and what D says]({pictures}-curves.png)", "",
        "```", shown.command, "```", "",
        f"{time} core of {machine['cpu']}, with torch {machine['torch']}, at commit "
        f"{machine['commit']}.", "",
        *(["Outside a bound:", "", *(f"- {text}" for text in failed), ""] if failed else []),
    ]  # fmt: skip
    return [*lines, *([entry.why, ""] if entry.why else [])]


def part(
    title: str,
    header: tuple[str, ...],
    rows: list[list[str]],
    done: Sequence[tuple[Entry, Sequence[Outcome]]],
) -> list[str]:
    """Return the page's part on recipes of one kind, nothing if there are none."""
    if not done:
        return []
    samples = " and ".join(sorted({f"{outcomes[0].samples:,}" for _, outcomes in done}))
    return [
        f"## {title}", "", f"Measures are of {samples} samples, drawn by index.", "",
        *markdown(header, rows), "",
        *not_better([outcomes[0] for _, outcomes in done]),
        *(line for entry, outcomes in done for line in section(entry, outcomes)),
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


def write_page(document: Path, outcomes: Sequence[Outcome]) -> None:
    """Write tables and sections; raise MissingMarkers if the document lacks them."""
    by_recipe: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_recipe[outcome.name].append(outcome)
    done = [(entry, by_recipe[entry.name]) for entry in ENTRIES if entry.name in by_recipe]
    lines = ["Images/s are of one core, by the processor's time.", ""]
    if bounds := rows_of_bounds(by_recipe):
        header = ("recipe", "figure", *(f"seed {seed}" for seed in SEEDS), "bound")
        lines += ["## Bounds", "", *markdown(header, bounds, text=2), ""]
    of_noise = [(entry, kept) for entry, kept in done if not entry.recipe.translates]
    of_images = [(entry, kept) for entry, kept in done if entry.recipe.translates]
    lines += part("Noise to image", HEADER, [row(kept[0]) for _, kept in of_noise], of_noise)
    rows = [row_of_translation(kept[0]) for _, kept in of_images]
    lines += part("Image to image", HEADER_OF_TRANSLATIONS, rows, of_images)
    lines += to_come([entry for entry in ENTRIES if entry.name not in by_recipe])
    write_part(document, "zoo", lines)


def write_pictures(folder: Path, root: Path, entries: Sequence[Entry]) -> None:
    """Write samples and curves of the runs with seed 0 that are done."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        if load_outcome(root, entry) is None:
            continue
        home = seed_folder(root, entry, 0)
        (folder / f"{entry.name}.png").write_bytes((home / "grid.png").read_bytes())
        curves = draw_curves(read_log(RunDir(home / "run").log), loss=entry.recipe.adversarial)
        (folder / f"{entry.name}-curves.png").write_bytes(smaller(curves))


def smaller(png: bytes) -> bytes:
    """Return a picture with few colours at the width of the page."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    height = round(picture.height * CURVES_WIDTH / picture.width)
    picture = picture.resize((CURVES_WIDTH, height), Image.Resampling.LANCZOS).quantize(64)
    buffer = io.BytesIO()
    picture.save(buffer, format="png", optimize=True)
    return buffer.getvalue()
