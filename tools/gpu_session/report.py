"""Write the pages from a session: ``python -m tools.gpu_session.report results.json --write``.

The figures become ``benchmarks/records/gpu-session.json``, from which the GPU's part of
docs/performance.md and the full tables are written. docs/internals/predictions.md gets each
prediction beside its outcome. Without ``--write`` this prints the tables. Without a session
``--predictions`` writes the predictions alone.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import pages, records
from benchmarks.document import Rows, markdown, write_part
from benchmarks.records import Block, Record, load_records
from tools.gpu_session.predictions import outcomes
from tools.gpu_session.results import Figure, ResultsError, SessionResults
from tools.gpu_session.table import number

ROOT = Path(__file__).resolve().parents[2]
PREDICTIONS = Path("docs/internals/predictions.md")
PICTURE = "gpu-session"
STEPS = {
    "speed": "images/s",
    "a step": "a step, ms",
    "issuing a step": "host, ms",
    "GPU busy": "GPU busy, %",
    "launches per step": "launches",
    "kernels per step": "kernels",
    "waits for the GPU per step": "waits",
    "losses, against eager": "losses against eager",
}
BOTH = "forward + backward"
#: Rows of the short page: work, measure, dtype.
OPS = (
    ("modulated_conv2d 3×3 [8, 256, 32, 32] → 256", BOTH, "bf16"),
    ("modulated_conv2d 3×3 [8, 512, 64, 64] → 512", BOTH, "bf16"),
    ("modulated_conv2d 3×3 [32, 128, 256, 256] → 128", BOTH, "bf16"),
    ("conv2d 3×3 [8, 256, 32, 32] → 256", BOTH, "bf16"),
    ("bias_act lrelu-clamp", BOTH, "fp32"),
    ("upfirdn2d up2-4", BOTH, "fp32"),
    ("filtered_lrelu up2-down2", BOTH, "fp32"),
)


def cell(figure: Figure | None) -> str:
    """Return a figure's value, a dash for none."""
    return "–" if figure is None or figure.value is None else number(figure.value)


def floors(figure: Figure | None) -> str:
    """Return a figure's multiple of its floor."""
    if figure is None or figure.value is None or not figure.floor:
        return "–"
    return f"{figure.value / figure.floor:.2f}"


def ratio(slow: Figure | None, fast: Figure | None) -> str:
    """Return one figure over another."""
    if slow is None or fast is None or slow.value is None or not fast.value:
        return "–"
    return f"{slow.value / fast.value:.2f}×"


class Figures:
    """The figures of a stage, by work, measure, dtype and side."""

    def __init__(self, found: Sequence[Figure]) -> None:
        self.found = {figure.key[:4]: figure for figure in found}

    def __call__(self, work: str, measure: str, dtype: str, side: str) -> Figure | None:
        return self.found.get((work, measure, dtype, side))

    def names(self, *measures: str) -> list[tuple[str, str, str]]:
        """Return works, measures and dtypes in their order, of these measures if any is named."""
        found = [key[:3] for key in self.found if not measures or key[1] in measures]
        return list(dict.fromkeys(found))


def kernel_rows(figures: Figures) -> tuple[list[str], Rows]:
    """Return the table of ops by replays of a graph."""
    header = ["work", "measure", "dtype", "floor, µs", "cuda, µs", "× floor", "triton, µs"]
    header += ["eager, µs", "F.conv2d, µs", "kernels", "where the time goes"]
    rows = []
    for work, measure, dtype in figures.names("forward", BOTH, "times"):
        ours = figures(work, measure, dtype, "cuda")
        least = "–" if ours is None or ours.floor is None else number(ours.floor)
        sides = [cell(figures(work, measure, dtype, s)) for s in ("triton", "eager", "torch")]
        count = cell(figures(work, f"{measure}: kernels", dtype, "cuda"))
        any_of = ours or figures(work, measure, dtype, "")
        note = any_of.note if any_of else ""
        rows.append([work, measure, dtype, least, cell(ours), floors(ours), *sides, count, note])
    return header, rows


def step_rows(figures: Figures) -> tuple[list[str], Rows]:
    """Return the table of training steps."""
    rows = []
    sides = dict.fromkeys((work, dtype, side) for work, _, dtype, side in figures.found)
    for work, dtype, side in sides:
        found = {measure: figures(work, measure, dtype, side) for measure in STEPS}
        busy, waits = found["GPU busy"], found["waits for the GPU per step"]
        missing = found["speed"].note if found["speed"] and found["speed"].value is None else ""
        notes = [missing, busy.note if busy else "", f"waits: {waits.note}" if waits else ""]
        note = "; ".join(part for part in notes if part.removeprefix("waits: "))
        rows.append([work, dtype, side, *map(cell, found.values()), note])
    return ["work", "precision", "side", *STEPS.values(), "where the time goes"], rows


def plain_rows(found: Sequence[Figure]) -> tuple[list[str], Rows]:
    """Return a row for each figure."""
    header = ["work", "measure", "dtype", "side", "value", "unit", "note"]
    return header, [[f.work, f.measure, f.dtype, f.side, cell(f), f.unit, f.note] for f in found]


def short_rows(results: SessionResults) -> tuple[list[str], Rows]:
    """Return the rows of the short page, as far as they were measured."""
    header = ["work", "measure", "dtype", "fastgan", "eager PyTorch", "floors"]
    rows = []
    kernels, steps = Figures(results.figures("kernels")), Figures(results.figures("steps"))
    for work, measure, dtype in OPS:
        ours = kernels(work, measure, dtype, "cuda")
        other = kernels(work, measure, dtype, "eager") or kernels(work, measure, dtype, "torch")
        if ours is not None and ours.value is not None:
            row = [work, measure, dtype, f"{cell(ours)} µs", ratio(other, ours), floors(ours)]
            rows.append(row)
    for work, measure, dtype in steps.names("speed"):
        found = [(side, steps(work, measure, dtype, side)) for side in ("graphed", "eager")]
        best = next(((s, f) for s, f in found if f is not None and f.value is not None), None)
        if best is not None and len(rows) < 12:
            gain = ratio(best[1], steps(work, measure, dtype, "plain PyTorch"))
            rows.append([work, f"step, {best[0]}", dtype, f"{cell(best[1])} images/s", gain, "–"])
    return header, rows


def prediction_rows(results: SessionResults | None) -> tuple[list[str], Rows]:
    """Return each prediction beside its outcome."""
    header = ["figure", "predicted", "measured", "outcome", "from", "where the time goes"]
    return header, [
        [o.prediction.label, o.prediction.bounds, o.measured, o.verdict, o.prediction.why, o.note]
        for o in outcomes(results)
    ]


def record_of(results: SessionResults, *, picture: bool) -> Record:
    """Return a session as a record of the benchmarks."""
    seconds = f"{results.seconds:.0f} of {results.budget:.0f} s, seed {results.seed}"
    environment = {"device": results.environment.get("gpu", results.device), "session": seconds}
    environment |= {name: text for name, text in results.environment.items() if name != "gpu"}

    def block(op: str, caption: str, content: tuple[list[str], Rows], shown: str = "") -> Block:
        title = "samples after the session's training" if shown else ""
        return Block(op, "session", caption, *content, picture=shown, picture_title=title)

    stages = [
        [s.name, s.status, number(s.seconds), s.message.replace("\n", "; ")] for s in results.stages
    ]
    blocks = [
        Block("short", "short", "", *short_rows(results)),
        block("session", "Stages:", (["stage", "status", "seconds", "message"], stages)),
        block("ceilings", "Rates of the machine, and the host's time for `x * 1.0`:",
              plain_rows(results.figures("environment"))),
        block("checks", "Every op against float64, on another stream, captured and replayed; "
              "tests of the GPU:",
              plain_rows([*results.figures("smoke"), *results.figures("tests")])),
        block("host", "The host's time to issue an op on tiny tensors:",
              plain_rows(results.figures("host"))),
        block("kernels", "Ops by replays of a CUDA graph that holds ten calls, with a warm cache:",
              kernel_rows(Figures(results.figures("kernels")))),
        block("steps", "Training steps on random images, averages of 16:",
              step_rows(Figures(results.figures("steps")))),
        block("training", "Training for the rest of the time:",
              plain_rows(results.figures("training")), PICTURE if picture else ""),
    ]  # fmt: skip
    return Record(environment, [b for b in blocks if b.rows or b.kind == "short"])


def write_predictions(results: SessionResults | None, root: Path) -> None:
    """Write the table of predictions and outcomes into its page."""
    header, rows = prediction_rows(results)
    if results is None:
        lines = ["No session has run yet.", ""]
        header, rows = [*header[:2], header[4]], [[*row[:2], row[4]] for row in rows]
    else:
        counts = [o.verdict.partition(":")[0].strip("*") for o in outcomes(results)]
        device = results.environment.get("gpu", results.device)
        said = ", ".join(f"{counts.count(word)} {word}" for word in dict.fromkeys(counts))
        lines = [f"{device}, torch {results.environment.get('torch', 'unknown')}: {said}.", ""]
    write_part(root / PREDICTIONS, "session", [*lines, *markdown(header, rows)])


def main(arguments: list[str] | None = None, *, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.gpu_session.report", description=__doc__.splitlines()[0]
    )
    parser.add_argument("results", nargs="?", type=Path, help="results.json of a session")
    parser.add_argument("--write", action="store_true", help="keep the session, write the pages")
    parser.add_argument("--predictions", action="store_true", help="write the predictions alone")
    given = parser.parse_args(arguments)
    if given.results is None:
        if not given.predictions:
            parser.error("give the results.json of a session, or --predictions")
        write_predictions(None, root)
        return 0
    try:
        results = SessionResults.load(given.results)
    except ResultsError as error:
        parser.error(str(error))
    grid = given.results.parent / "grid.png"
    record = record_of(results, picture=grid.exists())
    if not given.write:
        print("\n".join(pages.section(record)))
        print("\n".join(markdown(*prediction_rows(results))))
        return 0
    if results.quick or results.device != "cuda":
        parser.error("results must be a session on a GPU, got a dry run: its figures mean nothing")
    if grid.exists():
        shutil.copyfile(grid, root / pages.PICTURES / f"{PICTURE}.png")
    record.save(root / records.FOLDER.relative_to(ROOT) / "gpu-session.json")
    for path, text in pages.written(
        load_records(root / records.FOLDER.relative_to(ROOT)), root
    ).items():
        path.write_text(text, "utf-8")
    write_predictions(results, root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
