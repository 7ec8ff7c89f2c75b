"""A session's driver with tiny programs in place of its stages, its file and its table."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import pytest

from tools.gpu_session import session as driver
from tools.gpu_session.context import FACT, FIGURE, print_fact, print_figure
from tools.gpu_session.results import Figure, ResultsError, SessionResults, StageResult
from tools.gpu_session.session import Session, Stage
from tools.gpu_session.table import LINES, table

ONE = Figure("copy", "rate", 4.2, "TB/s")
PROGRAMS = {
    "good": f"print({FIGURE + json.dumps(asdict(ONE))!r})\nprint('some log')",
    "bad": f"print({FIGURE + json.dumps(asdict(ONE))!r}); raise ValueError('no such GPU')",
    "slow": "import time; print('began', flush=True); time.sleep(60)",
    "garbled": f"print({FIGURE + '{}'!r})",
}


def session_of(folder, *stages, budget=30.0):
    def command(stage, part, seconds):
        return [sys.executable, "-S", "-c", PROGRAMS[stage.name]]

    shown = []
    results = SessionResults("cpu", False, 7, budget)
    return Session(results, folder, stages, command, shown.append), shown


@pytest.fixture
def quick_end(monkeypatch):
    monkeypatch.setattr(driver, "RESERVE", 0.0)


def test_a_failed_stage_and_a_late_one_are_recorded_and_the_rest_go_on(tmp_path, quick_end):
    stages = [
        Stage("bad", 9, 1),
        Stage("slow", 1.0, 0),
        Stage("garbled", 9, 1),
        Stage("good", 9, 1),
    ]
    session, shown = session_of(tmp_path, *stages)
    session.run()
    found = SessionResults.load(tmp_path / "results.json")
    assert [stage.status for stage in found.stages] == ["failed", "timed out", "done", "done"]
    # The figures from before a failure are kept.
    assert found.figures("bad") == found.figures("good") == [ONE]
    assert found.stages[0].message == "ValueError: no such GPU (status 1)"
    assert not found.figures("garbled")
    log = (tmp_path / "log.txt").read_text()
    assert "some log" in log and "a result that can't be read" in log
    # The output ends with the whole table.
    assert shown[-len(table(session.results)) :] == table(session.results)
    assert "good: done" in "\n".join(shown)


def test_a_figure_begins_a_line_where_another_one_is_open(capsys):
    print("tests/ops/test_a.py ", end="")
    print_figure(ONE)
    print_fact("torch", "2.11")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == FIGURE + json.dumps(asdict(ONE)) and lines[3].startswith(FACT)


def test_without_time_a_stage_is_skipped(tmp_path):
    session, _ = session_of(tmp_path, Stage("slow", 9, 1), budget=driver.RESERVE)
    session.run()
    (stage,) = SessionResults.load(tmp_path / "results.json").stages
    assert (stage.status, stage.message) == ("skipped", "no time was left")


def test_an_early_stage_leaves_time_for_the_later_ones():
    times = [stage.least for stage in driver.STAGES]
    assert sum(times) < driver.BUDGET - driver.RESERVE
    assert all(stage.least < stage.seconds for stage in driver.STAGES)


def test_a_figure_replaces_the_earlier_one_of_its_name():
    stage = StageResult("tests", "running")
    stage.add(Figure("all", "passed", 1.0, "tests"))
    stage.add(Figure("all", "failed", 0.0, "tests"))
    stage.add(Figure("all", "passed", 2.0, "tests"))
    assert [figure.value for figure in stage.figures] == [2.0, 0.0]


@pytest.mark.parametrize(
    "change,says",
    [
        ({"value": "fast"}, "value of Figure must be a number or None, got 'fast'"),
        ({"value": True}, "value of Figure must be a number or None, got True"),
        ({"unit": None}, "unit of Figure must be a text, got None"),
        ({"value": None}, "a figure without value needs a note"),
        ({"speed": 1}, "Figure has no 'speed'"),
    ],
)
def test_a_file_with_a_wrong_figure_is_refused(tmp_path, change, says):
    results = SessionResults("cuda", False, 1, 420.0, stages=[StageResult("a", "done")])
    plain = json.loads(json.dumps(asdict(results)))
    plain["stages"][0]["figures"] = [asdict(ONE) | change]
    (tmp_path / "results.json").write_text(json.dumps(plain))
    with pytest.raises(ResultsError, match=says):
        SessionResults.load(tmp_path / "results.json")


@pytest.mark.parametrize(
    "change,says",
    [
        ({"version": 0}, "version must be 1, got 0"),
        ({"environment": {"a": 1}}, "environment must hold texts"),
        ({"stages": [{"name": "a", "status": "fine"}]}, "status must be one of"),
        ({"stages": [3]}, "StageResult must be an object, got 3"),
        ({"seed": "7"}, "seed of SessionResults must be a whole number, got '7'"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, change, says):
    plain = asdict(SessionResults("cuda", False, 1, 420.0)) | change
    (tmp_path / "results.json").write_text(json.dumps(plain))
    with pytest.raises(ResultsError, match=says):
        SessionResults.load(tmp_path / "results.json")


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    (tmp_path / "results.json").write_text('{"device": ')
    with pytest.raises(ResultsError, match="can't be read"):
        SessionResults.load(tmp_path / "results.json")


def test_the_table_has_at_most_60_lines_and_the_last_stage():
    stages = []
    for name, count in (("kernels", 200), ("steps", 30), ("training", 3)):
        figures = [Figure(f"{name} {i}", "a", i / 3, "µs", floor=0.1) for i in range(count)]
        stages.append(StageResult(name, "done", 9.0, 3.0, "", figures))
    lines = table(SessionResults("cuda", False, 7, 420.0, 99.0, {"gpu": "a GPU"}, stages))
    assert len(lines) == LINES
    assert lines[1] == "cuda, seed 7, 99 of 420 s, a GPU"
    assert "training 2, a" in lines[-1] and "0.667 µs (6.67 floors)" in lines[-1]
    assert any("more lines in results.json" in line for line in lines)
