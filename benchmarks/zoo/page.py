"""docs/gans.md from what the runs came to: a table, and for each recipe its samples, its losses and its command."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from benchmarks.document import markdown, write_part
from benchmarks.machine import available_cores, commit, cpu_model
from benchmarks.zoo.entries import Entry
from benchmarks.zoo.run import Outcome
from fastgan.recipes import get_recipe
from fastgan.runtime import versions
from fastgan.train.curves import draw_curves
from fastgan.train.log import read_log
from fastgan.train.run_dir import RunDir

FD = "fd_mobilenet_v2"
HEADER = (
    "recipe", "G", "D", "images", "images/s", "classes of 10", "KL to uniform", "untrained", "FD-MobileNetV2",
    "untrained",
)  # fmt: skip
CURVES_WIDTH = 640


def row(outcome: Outcome) -> list[str]:
    """A line of the table."""
    before, after = outcome.untrained, outcome.trained
    return [
        f"[`{outcome.name}`](#{outcome.name})",
        *(f"{outcome.parameters.get(name, 0):,}" for name in ("G", "D")),
        f"{outcome.images:,}",
        f"{outcome.speed:,.0f}",
        f"{after['classes_hit']}",
        *(f"{measures['kl_to_uniform']:.3f}" for measures in (after, before)),
        *(f"{measures[FD]:.1f}" for measures in (after, before)),
    ]


def section(entry: Entry) -> list[str]:
    """What the page shows of one recipe."""
    pictures = f"images/gans/{entry.name}"
    lines = [
        f"### `{entry.name}`", "", f"{get_recipe(entry.name).summary}. {entry.paper}.", "",
        f"![{entry.name}: samples]({pictures}.png)", "",
        f"![{entry.name}: losses, and what D says]({pictures}-curves.png)", "",
        "```", entry.command, "```",
    ]  # fmt: skip
    return [*lines, *(["", entry.why] if entry.why else []), ""]


def write_page(document: Path, root: Path, done: list[tuple[Entry, Outcome]]) -> None:
    """Writes table, sections and pictures. Raises MissingMarkers if the document isn't made for them."""
    folder = document.parent / "images" / "gans"
    folder.mkdir(parents=True, exist_ok=True)
    machine = {"machine": f"{cpu_model()}, {available_cores()} cores", "commit": commit()} | versions()
    lines = [f"- {name}: {value}" for name, value in machine.items()]
    samples = " and ".join(sorted({f"{outcome.samples:,}" for _, outcome in done}))
    lines += [
        "",
        f"Measures are of {samples} samples, drawn by index; images/s are of one core, by the processor's time.",
        "",
    ]
    lines += [*markdown(HEADER, [row(outcome) for _, outcome in done]), ""]
    for entry, _ in done:
        home = root / entry.name
        (folder / f"{entry.name}.png").write_bytes((home / "grid.png").read_bytes())
        curves = draw_curves(read_log(RunDir(home / "run").log))
        (folder / f"{entry.name}-curves.png").write_bytes(smaller(curves))
        lines += section(entry)
    write_part(document, "zoo", lines)


def smaller(png: bytes) -> bytes:
    """A picture of few colours at the width of the page."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    height = round(picture.height * CURVES_WIDTH / picture.width)
    picture = picture.resize((CURVES_WIDTH, height), Image.Resampling.LANCZOS).quantize(64)
    buffer = io.BytesIO()
    picture.save(buffer, format="png", optimize=True)
    return buffer.getvalue()
