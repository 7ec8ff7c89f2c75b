"""The report of a run: curves.png, and report.html, one page that needs nothing beside itself."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastgan.data.discovery import few
from fastgan.evaluation.measures import Measures
from fastgan.files import write_atomic
from fastgan.metrics.figures import CLASSES, figures
from fastgan.names import printable, shell_word
from fastgan.recipes import ImageSpec
from fastgan.recipes.translation import Translation
from fastgan.runtime import versions
from fastgan.training.config import RunConfig
from fastgan.training.curves import draw_curves
from fastgan.training.log import read_log
from fastgan.training.progress import duration
from fastgan.training.report_page import PAGE
from fastgan.training.run_dir import RunDir

MISSING = "–"
NOT_MEASURED = "not_measured"
"""In measures.json: why there are no measures though some were asked for."""
SHOWN_CLASSES = 100
STAGES = 5  # grids in the strip that shows how the samples came about


def write_report(
    run: RunDir,
    config: RunConfig,
    *,
    nimg: int,
    seconds: float,
    measures: Measures,
    views: Sequence[str] = (),
    unmeasured: str = "",
) -> None:
    """Writes curves.png, measures.json and report.html from the run's log and its samples.png.

    nimg: real images shown. seconds: time trained. views: what the rows of its grids show, in turn, where a row isn't of
    samples alone. unmeasured: why there are no measures. Raises ReportError if matplotlib is missing.
    """
    rows = read_log(run.log)
    curves = draw_curves(rows)
    write_atomic(run.curves, [curves])
    kept = {NOT_MEASURED: unmeasured} if unmeasured else measures
    write_atomic(run.measures, [json.dumps(kept, indent=2).encode() + b"\n"])
    page = PAGE.substitute(
        title=escaped(f"{config.recipe.name} on {config.dataset}"),
        summary=escaped(config.recipe.summary),
        state=_state(nimg, config.settings.total_images, unmeasured),
        tiles="".join(
            _tile(name, value) for name, value in _figures(nimg, seconds, measures).items()
        ),
        samples=data_uri(run.samples.read_bytes()),
        views=f"<p>Rows, in turn: {escaped(', '.join(views))}</p>" if views else "",
        what_stays="inputs" if views else "noise",
        curves_light=data_uri(curves),
        curves_dark=data_uri(draw_curves(rows, theme="dark")),
        stages="".join(_stage(path) for path in _stages(run)),
        settings=_table(config.to_plain()["settings"] | _of_images(config.image_spec)),
        versions=_table(versions() | _origins(config)),
        command=escaped(_command(run, config)),
    )
    write_atomic(run.report, [page.encode()])


def _origins(config: RunConfig) -> dict[str, str]:
    """Where the images, and the weights that it began with, came from."""
    data = {"data": f"{config.dataset}, {config.data_fingerprint[:16]}…"}
    began = config.beginning
    return data if began is None else data | {"began with": f"{began.title}, {began.sha256[:16]}…"}


def _of_images(images: ImageSpec) -> dict[str, Any]:
    names = images.class_names
    classes = {"classes": f"{len(names):,}: {few(names, SHOWN_CLASSES)}"} if names else {}
    return {"resolution": images.resolution, **classes}


def _command(run: RunDir, config: RunConfig) -> str:
    """What makes more of the run's images, of a person's own pictures or words where it can."""
    recipe, inputs = config.recipe, config.image_spec.inputs
    if not isinstance(recipe, Translation) or not recipe.directions:
        words = ' --caption "WORDS"' if recipe.task == "captions" else ""
        return f"fastgan sample {shell_word(run.root)}{words} --out more.png --seed 1"
    told = (
        f" --attributes {shell_word(inputs['attributes'].names[0])}"
        if recipe.task == "attributes"
        else ""
    )
    what = "maps/" if recipe.task == "maps" else "pictures/"
    return f"fastgan translate {shell_word(run.root)} {what}{told} --out translated/"


def measures_sentence(measures: Measures) -> str:
    """The measures in one sentence for a person, empty if there are none."""
    said = []
    for label, value, _ in figures(measures):
        if label == CLASSES:
            said.append(f"{value} classes appear in {measures['samples']:,} samples")
        else:
            said.append(f"{label} {value}")
    if said and "kl_to_uniform" not in list(measures)[-1:]:
        said[-1] += f" ({measures['samples']:,} samples)"
    return ", ".join(said) + "." if said else ""


def _figures(nimg: int, seconds: float, measures: Measures) -> dict[str, str]:
    shown = {
        "real images shown": f"{nimg:,}",
        "time": duration(seconds),
        "images/s": f"{nimg / seconds:,.0f}" if seconds else "–",
    }
    return shown | {label: value for label, value, _ in figures(measures)}


def _state(nimg: int, images: int, unmeasured: str) -> str:
    """What a person should know before the figures: a line each."""
    lines = [f"Stopped early, after {nimg:,} of {images:,} images"] if nimg < images else []
    lines += [f"Not measured: {unmeasured}"] if unmeasured else []
    return "".join(f'<p class="badge">{escaped(line)}</p>' for line in lines)


def _tile(name: str, value: str) -> str:
    return f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>"


def _stages(run: RunDir) -> list[Path]:
    """At most STAGES grids spread evenly over the run, the first and the last among them."""
    grids = sorted(run.grids.glob("*.png"))
    count = min(len(grids), STAGES)
    return [grids[round(i * (len(grids) - 1) / max(count - 1, 1))] for i in range(count)]


def _stage(path: Path) -> str:
    nimg = int(path.stem)
    caption = f"after {nimg:,} images" if nimg else "before training"
    image = f'<img src="{data_uri(path.read_bytes())}" alt="Samples {caption}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _table(values: dict[str, Any]) -> str:
    return "".join(
        f"<tr><th>{escaped(name)}</th><td>{escaped(spelt(value))}</td></tr>"
        for name, value in values.items()
    )


def escaped(text: str) -> str:
    """Return a name or other text for HTML, whatever is in it."""
    return html.escape(printable(text))


def spelt(value: Any) -> str:
    """Return a setting for a person: on and off, numbers with commas, lists without brackets."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return MISSING if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
