"""docs/remedies.md from the records: a table and a picture per case."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from benchmarks.document import markdown, write_part
from benchmarks.remedies.cases import CASES, SEEDS, Attempt, Case
from benchmarks.remedies.run import Record, find_record, load_records, states

LABELS = {
    "certainty": "certainty",
    "certainty_peak": "its peak",
    "swing": "swing",
    "gradient_g_kept": "G's gradient kept",
    "classes_hit": "classes",
    "covered": "covered",
    "apart": "apart",
    "spread": "spread",
    "near_modes": "near a mode",
    "features": "distance of features",
    "sharpness": "sharpness",
}
"""Headings of figures."""
CURVE_LABELS = {"loss/D": "D's loss", "gradient/G": "norm of G's gradient"}
LINES = (0, 2, 4, 8, 9, 7, 6, 5)
"""Numbers of the colours of lines, none of them like the broken run's."""
BROKEN, WIDTH, CURVE_HEIGHT = "#d9480f", 900, 190


def write_page(document: Path, *, out: Path, records: Path) -> None:
    """Write tables and pictures; raise MissingMarkers if the document lacks their places.

    Pictures of cases without runs in `out` stay as they are.
    """
    done = load_records(records)
    pictures = document.parent / "images" / "remedies"
    write_part(document, "remedies", summary(done))
    for case in CASES:
        write_part(document, case.name, section(case, done))
        if picture := draw_case(case, done, out):
            pictures.mkdir(parents=True, exist_ok=True)
            (pictures / f"{case.name}.png").write_bytes(picture)


def summary(done: list[Record]) -> list[str]:
    """Return the table of all cases, and the time that they take."""
    rows = []
    for case in CASES:
        by_seeds: dict[str, list[str]] = {"all": [], "some": [], "none": []}
        for attempt in case.remedies:
            mended = states(case, attempt, done).count("mended")
            which = "all" if mended == len(SEEDS) else "some" if mended else "none"
            by_seeds[which].append(attempt.label)
        cells = ["; ".join(labels) or "–" for labels in by_seeds.values()]
        rows.append([f"[{case.title}](#{anchor(case.title)})", *cells])
    header = ("case", "failure gone with every seed", "with some", "with none")
    minutes = sum(record.seconds for record in done) / 60
    machines = ", ".join(sorted({record.machine for record in done}))
    return [
        *markdown(header, rows, text=len(header)),
        "",
        f"{len(done)} runs took {minutes:.0f} minutes of one core ({machines}).",
    ]


def anchor(title: str) -> str:
    """Return the anchor of a heading."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -")
    return kept.replace(" ", "-")


def section(case: Case, done: list[Record]) -> list[str]:
    """Return the command, the table and the picture of a case."""
    header = ("run", "failure gone", "diagnosis", *(LABELS[figure] for figure in case.figures))
    return [
        "```",
        f"fastgan train {case.recipe} --preset paper {case.base} {case.breaking}",
        "```",
        "",
        *markdown(header, [row(case, attempt, done) for attempt in case.attempts], text=3),
        "",
        f"![{case.title}: samples of seed 0](images/remedies/{case.name}.png)",
    ]


def row(case: Case, attempt: Attempt, done: list[Record]) -> list[str]:
    """Return a row of a case's table: options that are added, diagnoses, ranges of the figures."""
    found = [find_record(done, case, attempt, seed) for seed in SEEDS]
    records = [record for record in found if record is not None]
    mended = states(case, attempt, done).count("mended")
    return [
        f"{attempt.label}: `{attempt.options}`" if attempt.options else attempt.label,
        f"{mended} of {len(SEEDS)}" if attempt.options else "–",
        diagnoses(records),
        *(figure_range(records, figure) for figure in case.figures),
    ]


def diagnoses(records: list[Record]) -> str:
    """Return the failures that diagnoses name, with their counts where not all seeds have them."""
    counts: dict[str, int] = {}
    for record in records:
        for symptom in record.symptoms or {"healthy": []}:
            counts[symptom] = counts.get(symptom, 0) + 1
    return ", ".join(
        name if count == len(records) else f"{name} ({count})" for name, count in counts.items()
    )


def figure_range(records: list[Record], name: str) -> str:
    """Return the least and greatest value of a figure; a dash if no record has it."""
    values = [record.figures[name] for record in records if name in record.figures]
    if not values:
        return "–"
    form = ".0f" if name == "classes_hit" else ".2f"
    low, high = (f"{value:{form}}".replace("-0.00", "0.00") for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def draw_case(case: Case, done: list[Record], out: Path) -> bytes | None:
    """Draw the samples of seed 0 side by side and a curve below them; None without all runs."""
    panels = []
    for attempt in case.attempts:
        path = out / case.name / f"{attempt.name}-0" / "picture.png"
        record = find_record(done, case, attempt, 0)
        if record is None or not path.exists():
            return None
        panels.append((attempt, record, Image.open(path)))
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    shape = panels[0][2]
    tall = WIDTH / columns * shape.height / shape.width
    size = (WIDTH / 100, (rows * (tall + 25) + CURVE_HEIGHT) / 100)
    figure = Figure(figsize=size, dpi=100)
    grid = figure.add_gridspec(rows + 1, columns, height_ratios=[tall + 25] * rows + [CURVE_HEIGHT])
    for place, (attempt, _, picture) in enumerate(panels):
        axis = figure.add_subplot(grid[divmod(place, columns)])
        axis.imshow(picture, interpolation="nearest")
        axis.set_title(attempt.label, fontsize=9, color=BROKEN if place == 0 else "black")
        axis.set_axis_off()
    axis = figure.add_subplot(grid[rows, :])
    for place, (attempt, record, _) in enumerate(panels):
        values = record.curves[case.curve]
        share = [i / (len(values) - 1) for i in range(len(values))]
        colour = BROKEN if place == 0 else f"C{LINES[place - 1]}"
        axis.plot(share, values, label=attempt.label, color=colour, linewidth=2 - min(place, 1))
    axis.set_title(f"{CURVE_LABELS[case.curve]} over the run", fontsize=9)
    axis.tick_params(labelsize=7)
    if case.curve == "gradient/G":
        axis.set_yscale("log")
    axis.legend(fontsize=7, ncols=2)
    figure.tight_layout()
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    # An octree keeps the colours of thin lines, which the median cut loses among grey pictures.
    picture = Image.open(buffer).convert("RGB")
    picture = picture.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    smaller = io.BytesIO()
    picture.save(smaller, format="png", optimize=True)
    return smaller.getvalue()
