"""The report is self-contained, complete, and safe to open."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from pathlib import Path
from shlex import quote

import pytest
from rich.console import Console

from fastgan.data import open_dataset
from fastgan.losses.adversarial import ADVERSARIAL_LOSSES
from fastgan.recipes import RECIPES, ImageSpec
from fastgan.training.config import RunConfig
from fastgan.training.curves import draw_curves
from fastgan.training.progress import TrainingProgress, duration
from fastgan.training.report import _command, measures_sentence, write_report
from fastgan.training.run_dir import RunDir
from fastgan.training.run_settings import RunSettings
from tests.training.page import Page

PIL = pytest.importorskip("PIL.Image")
ROWS = [
    {
        "step": i,
        "nimg": 64 * i,
        "loss/D": 1.0 / i,
        "loss/G": 0.1 * i,
        "D(real)": 0.6,
        "D(fake)": 0.4,
    }
    for i in range(1, 60)
]
DIGITS = {"samples": 2000, "classes_hit": 9, "num_classes": 10, "kl_to_uniform": 0.1234}


@pytest.fixture
def finished(run, tiny):
    return run(tiny)[0]


def test_the_page_needs_nothing_beside_itself(finished):
    text = finished.run.report.read_text()
    page = Page(text)
    assert len(page.references) >= 5
    for reference in page.references:
        kind, _, data = reference.partition(",")
        assert kind == "data:image/png;base64"
        PIL.open(io.BytesIO(base64.b64decode(data))).verify()
    assert not re.search(r"https?://|url\(|@import|<script|<link", text)


def test_the_page_says_what_the_run_was(finished):
    write_report(finished.run, finished.config, nimg=320, seconds=75.0, measures=DIGITS)
    page = Page(finished.run.report.read_text())
    for said in (
        "gan on noise",
        "1m 15s",
        "9 of 10",
        "0.123",
        "g_hidden",
        "torch",
        f"fastgan sample {quote(str(finished.run.root))}",
    ):
        assert said in page.text
    assert "Stopped early" not in page.text


@pytest.mark.parametrize(
    ("name", "task", "said"),
    [
        ("cyclegan", "domains", "fastgan translate {} pictures/ --out"),
        ("colorize", None, "fastgan translate {} pictures/ --out"),
        ("gaugan", "maps", "fastgan translate {} maps/ --out"),
        ("stargan", "attributes", "fastgan translate {} pictures/ --attributes colour=red --out"),
        ("text2image", "captions", 'fastgan sample {} --caption "WORDS" --out'),
    ],
)
def test_the_page_says_how_to_draw_more(name, task, said):
    images = ImageSpec.of(open_dataset("shapes", task=task))
    config = RunConfig(RECIPES[name](), RunSettings.of(RECIPES[name]), images, "shapes", "")
    assert _command(RunDir(Path("runs/mine")), config).startswith(said.format("runs/mine"))


def test_the_page_escapes_what_it_shows(finished):
    config = dataclasses.replace(finished.config, dataset="<script>alert(1)</script>")
    write_report(finished.run, config, nimg=320, seconds=1.0, measures={})
    assert "<script>" not in finished.run.report.read_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_curves_are_a_picture_in_both_themes(theme):
    picture = PIL.open(io.BytesIO(draw_curves(ROWS, theme=theme)))
    assert picture.format == "PNG" and picture.width >= 1000
    corner = sum(picture.convert("RGB").getpixel((2, 2))) / 3
    assert corner > 200 if theme == "light" else corner < 60


@pytest.mark.parametrize("rows", [[], ROWS[:1], ROWS[:2]])
def test_curves_of_hardly_any_rows(rows):
    PIL.open(io.BytesIO(draw_curves(rows))).verify()


def test_sentences():
    assert (
        measures_sentence(DIGITS) == "9 of 10 classes appear in 2,000 samples, KL to uniform 0.123."
    )
    assert measures_sentence({}) == ""
    one = DIGITS | {"classes_hit": 1}
    assert measures_sentence(one).startswith("1 of 10 classes appears in 2,000 samples, ")
    fd = {"samples": 2000, "fd_mobilenet_v2": 12.345}
    assert measures_sentence(fd) == "FD-MobileNetV2 12.35 (2,000 samples)."
    assert measures_sentence(DIGITS | fd).endswith("KL to uniform 0.123, FD-MobileNetV2 12.35.")
    assert [duration(s) for s in (0.4, 59, 61, 3599, 3661)] == [
        "0s",
        "59s",
        "1m 01s",
        "59m 59s",
        "1h 01m",
    ]


def test_progress_names_what_holds_a_run_up():
    console = Console(file=io.StringIO(), width=200)
    progress = TrainingProgress(console, total=10, done=0)
    progress.row({"waiting": 0.0034, "skipped": 1200, "loss/D": 0.5, "loss/G": 1.256})
    progress.row({})
    progress.advance(10)
    assert (
        console.file.getvalue().rstrip().endswith("data 0.3%  loss D 0.50  G 1.26  skipped 1,200")
    )


def test_a_loss_without_probabilities_shows_what_d_says():
    def right_half(rows):
        picture = PIL.open(io.BytesIO(draw_curves(rows))).convert("RGB")
        return picture.crop((picture.width // 2, 0, picture.width, picture.height)).tobytes()

    rows = [{key: value for key, value in row.items() if not key.startswith("D(")} for row in ROWS]
    near, far = (
        [row | {"logit(real)": 3.0, "logit(fake)": low} for row in rows] for low in (-2.0, -9.0)
    )
    assert len({right_half(rows), right_half(near), right_half(far)}) == 3


def test_curves_show_the_verdict_of_an_undecided_d():
    """Least squares with labels 0 and 1 has 0.5; a Wasserstein critic has none."""
    rows = [{"nimg": n, "logit(real)": 0.9, "logit(fake)": 0.1} for n in (1, 2)]
    pictures = {
        draw_curves(rows, loss=ADVERSARIAL_LOSSES[name])
        for name in ("least-squares", "hinge", "wasserstein")
    }
    assert len(pictures) == 3
