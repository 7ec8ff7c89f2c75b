"""Predictions beside outcomes, and the pages of a session; no figure here was measured."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from benchmarks import pages
from benchmarks.host.calls import op_pairs
from benchmarks.records import load_records
from tools.gpu_session import report
from tools.gpu_session.context import Context
from tools.gpu_session.predictions import PREDICTIONS, Prediction, outcome, outcomes
from tools.gpu_session.results import Figure, SessionResults, StageResult
from tools.gpu_session.stages import kernels, steps


def predicted(least, most, unit="µs", **more):
    return Prediction("kernels", "op", "forward", "fp32", "cuda", least, most, unit, "why", **more)


def session(*figures, stage="kernels", **more):
    found = [StageResult(stage, "done", 9.0, 1.0, "", list(figures))]
    return SessionResults("cuda", False, 7, 420.0, 99.0, {"gpu": "H999", "torch": "2.11"}, found)


@pytest.mark.parametrize(
    "least,most,value,says",
    [
        (1.0, 2.0, 1.5, "right"),
        (1.0, 2.0, 3.0, "**wrong**: 1.50× the most"),
        (1.0, 2.0, 0.5, "**wrong**: 0.50× the least"),
        (None, 2.0, 0.5, "right"),
        (2.0, None, 9.0, "right"),
        (0.0, 0.0, 0.0, "right"),
        (0.0, 0.0, 2.0, "**wrong**"),
    ],
)
def test_a_wrong_prediction_is_marked(least, most, value, says):
    figure = Figure("op", "forward", value, "µs", "cuda", "fp32", note="gemm")
    found = outcome(predicted(least, most), session(figure))
    assert (found.verdict, found.value, found.note) == (says, value, "gemm")


def test_a_prediction_may_be_in_floors_or_a_ratio():
    ours = Figure("op", "forward", 3.0, "µs", "cuda", "fp32", 2.0)
    other = Figure("op", "forward", 12.0, "µs", "eager", "fp32")
    assert outcome(predicted(1.0, 2.0, "floors"), session(ours)).measured == "1.5 floors"
    ratio = predicted(1.0, 2.0, "×", over=("eager", "fp32"))
    assert outcome(ratio, session(ours, other)).measured == "0.25×"
    for results in (session(ours), session(other), None):
        assert outcome(ratio, results).verdict == "not measured"
    without = Figure("op", "forward", None, "µs", "cuda", "fp32", note="out of memory")
    assert outcome(predicted(1.0, 2.0), session(without)).note == "out of memory"


@pytest.mark.parametrize(
    "least,most,says",
    [(1.0, 2.0, "1 to 2 µs"), (None, 2.0, "at most 2 µs"), (2.0, None, "at least 2 µs")],
)
def test_bounds_as_text(least, most, says):
    assert predicted(least, most).bounds == says


def test_every_prediction_names_a_figure_that_a_stage_measures():
    context = Context("cuda", False, 0, time.monotonic(), Path(), print, print)
    works = {make.args[:2] for make in kernels.works(context)}
    of_steps = {
        (work.name, side, str(work.recipe.precision))
        for work in steps.works(quick=False)
        for side in work.sides
    }
    hosts = {pair.name.partition(", against ")[0] for pair in op_pairs()}
    for one in PREDICTIONS:
        sides = [(one.side, one.dtype), *([one.over] if one.over else [])]
        if one.stage == "kernels":
            assert (one.work, one.dtype) in works, one.label
            assert one.measure.removesuffix(": kernels") in ("forward", "forward + backward")
        elif one.stage == "steps":
            assert one.measure in report.STEPS, one.label
            assert all((one.work, side, dtype) in of_steps for side, dtype in sides), one.label
        elif one.stage == "host":
            assert one.work in hosts
        else:
            assert one.stage == "environment"
    short = {(work, dtype) for work, _, dtype in report.OPS}
    assert short <= works


def whole_session():
    """Return a session whose figures are the bounds of the predictions."""
    results = SessionResults("cuda", False, 7, 420.0, 400.0, {"gpu": "H999", "torch": "2.11"})
    for name in ("environment", "smoke", "tests", "host", "kernels", "steps", "training"):
        results.stages.append(StageResult(name, "done", 9.0, 1.0))
    for one in PREDICTIONS:
        stage = results.stage(one.stage)
        about = (one.side, one.dtype, 1.0, "60% gemm")
        stage.add(Figure(one.work, one.measure, one.most or 0.0, "µs", *about))
        if one.over:
            side, dtype = one.over
            stage.add(Figure(one.work, one.measure, 1.0, "µs", side, dtype))
    for work, measure, dtype in report.OPS:
        for side in ("cuda", "eager"):
            figure = Figure(work, measure, 20.0, "µs", side, dtype, 10.0, "60% gemm")
            results.stage("kernels").add(figure)
    results.stage("training").add(Figure("stylegan2-ada", "images shown", 64.0, "images"))
    results.stage("steps").add(
        Figure("dcgan", "speed", None, "images/s", "graphed", "tf32", note="not available")
    )
    return results


def test_the_short_page_gets_the_session_in_place_of_the_old_table():
    record = report.record_of(whole_session(), picture=True)
    page = pages.short_page({**load_records(), pages.SESSION: record})
    assert "H999; torch 2.11." in page and "H100" not in page
    assert len(page.splitlines()) <= 80
    row = "| modulated_conv2d 3×3 [8, 256, 32, 32] → 256 | forward + backward | bf16 | 20 µs |"
    assert f"{row} 1.00× | 2.00 |" in page
    full = "\n".join(pages.section(record))
    assert "not available" in full and "../images/gpu-session.png" in full
    assert "short" not in full


@pytest.fixture
def checkout(tmp_path):
    for name in ("README.md", "docs/internals/predictions.md", "docs/performance.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(report.ROOT / name, tmp_path / name)
    (tmp_path / pages.PICTURES).mkdir()
    shutil.copytree(report.ROOT / "benchmarks" / "records", tmp_path / "benchmarks" / "records")
    return tmp_path


def test_a_report_writes_the_pages_and_the_outcomes(checkout, capsys):
    path = checkout / "results.json"
    whole_session().save(path)
    (checkout / "grid.png").write_bytes(b"png")
    assert report.main([str(path)], root=checkout) == 0
    assert "## Figures on a GPU" not in (checkout / "docs/performance.md").read_text()
    assert "| figure | predicted | measured |" in capsys.readouterr().out
    assert report.main([str(path), "--write"], root=checkout) == 0
    assert "## Figures on a GPU" in (checkout / "docs/performance.md").read_text("utf-8")
    assert "where the time goes" in (checkout / pages.FULL).read_text("utf-8")
    text = (checkout / report.PREDICTIONS).read_text("utf-8")
    right = [o.verdict for o in outcomes(whole_session())].count("right")
    assert f"H999, torch 2.11: {right} right" in text
    assert (checkout / pages.PICTURES / "gpu-session.png").read_bytes() == b"png"


def test_without_a_session_the_predictions_say_so(checkout):
    assert report.main(["--predictions"], root=checkout) == 0
    text = (checkout / report.PREDICTIONS).read_text("utf-8")
    assert text == (report.ROOT / report.PREDICTIONS).read_text("utf-8")
    assert "No session has run yet." in text


@pytest.mark.parametrize(
    "arguments,says",
    [
        ([], "give the results.json of a session, or --predictions"),
        (["missing.json"], "missing.json can't be read"),
        (["dry.json", "--write"], "results must be a session on a GPU, got a dry run"),
    ],
)
def test_a_report_says_what_it_needs(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    SessionResults("cpu", True, 7, 60.0).save(Path("dry.json"))
    with pytest.raises(SystemExit):
        report.main(arguments, root=tmp_path)
    assert says in capsys.readouterr().err
