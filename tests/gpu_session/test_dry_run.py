"""The command itself, with the stage that starts pytest; the others run dry in test_stages.py."""

from __future__ import annotations

import pytest

from tools.gpu_session import session
from tools.gpu_session.results import SessionResults


@pytest.mark.backends
def test_the_command_runs_dry(tmp_path, capsys):
    options = ["--device", "cpu", "--quick", "--seed", "1", "--budget", "300"]
    chosen = ["--stage", "environment", "tests", "--out", str(tmp_path)]
    assert session.main([*options, *chosen]) == 0
    found = SessionResults.load(tmp_path / "results.json")
    assert [stage.status for stage in found.stages] == ["done", "done"]
    passed, failed = found.figures("tests")
    assert (passed.measure, passed.value, failed.value) == ("passed", 2.0, 0.0)
    assert "seed 1" in capsys.readouterr().out
