"""Report of a run: curves.png, and report.html, one page without further files."""

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
"""Key of measures.json: the reason why requested measures are missing."""
SHOWN_CLASSES = 100
"""Most class names in the page."""
STAGES = 5
"""Grids in the strip that shows how the samples developed."""


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
    """Write curves.png, measures.json and report.html from the run's log and its samples.png.

    Args:
        run: folder of the run, with log.jsonl and samples.png.
        config: configuration of the run.
        nimg: real images shown.
        seconds: time trained.
        measures: figures of the samples, empty if none were taken.
        views: contents of a grid's rows, in turn; empty for rows of samples alone.
        unmeasured: reason why measures are missing, else empty.

    Raises:
        ReportError: matplotlib isn't installed.
    """
    rows = read_log(run.log)
    loss = config.recipe.adversarial
    curves = draw_curves(rows, loss=loss)
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
        curves_dark=data_uri(draw_curves(rows, loss=loss, theme="dark")),
        stages="".join(_stage(path) for path in _stages(run)),
        settings=_table(
            _preset(config) | config.to_plain()["settings"] | _of_images(config.image_spec)
        ),
        versions=_table(versions() | _origins(config)),
        command=escaped(_command(run, config)),
    )
    write_atomic(run.report, [page.encode()])


def _origins(config: RunConfig) -> dict[str, str]:
    """Return the origins of the images, and of the weights that the run began with."""
    data = {"data": f"{config.dataset}, {config.data_fingerprint[:16]}…"}
    began = config.beginning
    return data if began is None else data | {"began with": f"{began.title}, {began.sha256[:16]}…"}


def _preset(config: RunConfig) -> dict[str, Any]:
    return {} if config.defaults is None else {"preset": config.defaults.preset}


def _of_images(images: ImageSpec) -> dict[str, Any]:
    names = images.class_names
    classes = {"classes": f"{len(names):,}: {few(names, SHOWN_CLASSES)}"} if names else {}
    return {"resolution": images.resolution, **classes}


def _command(run: RunDir, config: RunConfig) -> str:
    """Return a command that makes more images, from a person's own input where it can."""
    recipe, inputs = config.recipe, config.image_spec.inputs
    if not isinstance(recipe, Translation) or not recipe.directions:
        words = ' --caption "WORDS"' if recipe.task == "captions" else ""
        return f"fastgan sample {shell_word(run.root)}{words} --out more.png --seed 1"
    attributes = (
        f" --attributes {shell_word(inputs['attributes'].names[0])}"
        if recipe.task == "attributes"
        else ""
    )
    folder = "maps/" if recipe.task == "maps" else "pictures/"
    return f"fastgan translate {shell_word(run.root)} {folder}{attributes} --out translated/"


def measures_sentence(measures: Measures) -> str:
    """Return the measures in one sentence for a person, empty if there are none."""
    parts = []
    for label, value, _ in figures(measures):
        if label == CLASSES:
            verb = "appears" if measures["classes_hit"] == 1 else "appear"
            parts.append(f"{value} classes {verb} in {measures['samples']:,} samples")
        else:
            parts.append(f"{label} {value}")
    if parts and "classes_hit" not in measures:
        parts[-1] += f" ({measures['samples']:,} samples)"
    return ", ".join(parts) + "." if parts else ""


def _figures(nimg: int, seconds: float, measures: Measures) -> dict[str, str]:
    values = {
        "real images shown": f"{nimg:,}",
        "time": duration(seconds),
        "images/s": f"{nimg / seconds:,.0f}" if seconds else "–",
    }
    return values | {label: value for label, value, _ in figures(measures)}


def _state(nimg: int, images: int, unmeasured: str) -> str:
    """Return lines that a person should read before the figures."""
    lines = [f"Stopped early, after {nimg:,} of {images:,} images"] if nimg < images else []
    lines += [f"Not measured: {unmeasured}"] if unmeasured else []
    return "".join(f'<p class="badge">{escaped(line)}</p>' for line in lines)


def _tile(name: str, value: str) -> str:
    return f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>"


def _stages(run: RunDir) -> list[Path]:
    """Return at most STAGES grids spread evenly over the run, with the first and the last."""
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
    """Escape a name or other text for HTML."""
    return html.escape(printable(text))


def spelt(value: Any) -> str:
    """Spell a setting for a person: on and off, numbers with commas, lists without brackets."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return MISSING if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def data_uri(png: bytes) -> str:
    """Return a PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
