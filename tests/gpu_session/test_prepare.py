"""Checks before a session; nothing is built, downloaded or run."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest

from tools.gpu_session import library, prepare
from tools.gpu_session.results import SessionResults, StageResult


@pytest.fixture
def built(monkeypatch):
    """A library whose problem is the last text of a list; a build removes it."""
    problems = ["there is no library"]
    monkeypatch.setattr(library, "problem_of", lambda path: problems[-1])
    monkeypatch.setattr(library, "build", lambda: problems.append(""))
    return problems


def test_a_library_of_other_sources_is_built(built, capsys):
    prepare.check_library(build=True)
    assert built == ["there is no library", ""]
    assert "there is no library: building it" in capsys.readouterr().out


def test_a_library_of_other_sources_is_refused_without_a_build(built):
    with pytest.raises(prepare.NotReady, match="there is no library: run this again without"):
        prepare.check_library(build=False)


def test_the_luggage_is_what_git_knows_with_the_libraries():
    files = prepare.luggage([])
    names = {path.relative_to(prepare.ROOT).as_posix() for path in files}
    assert {"tools/gpu_session/session.py", "tests/specs/spec.py", "fastgan/__init__.py"} <= names
    assert not any(name.startswith("build/") for name in names)
    assert prepare.megabytes(files) < prepare.LIMIT


def test_too_much_luggage_is_refused(monkeypatch):
    monkeypatch.setattr(prepare, "LIMIT", 0.01)
    with pytest.raises(prepare.NotReady, match=r"must be at most 0.01 MiB, got .*TORCH_CUDA_ARCH"):
        prepare.luggage([])


def test_packages_that_cannot_be_downloaded_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1))
    with pytest.raises(prepare.NotReady, match=r"couldn't download .* --no-packages"):
        prepare.download(tmp_path, "3.12")


def test_packages_are_for_the_machines_python_and_torch_stays_behind(monkeypatch, tmp_path):
    asked = []

    def run(command):
        asked.extend(command)
        for name in ("tyro-1-py3-none-any.whl", "torch-2-cp312.whl", "numpy-2-cp312.whl"):
            (tmp_path / name).write_bytes(b"")
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    assert [path.name for path in prepare.download(tmp_path, "3.13")] == ["tyro-1-py3-none-any.whl"]
    assert asked[asked.index("--python-version") + 1] == "3.13"


@pytest.mark.parametrize("status", ["done", "failed"])
def test_a_failed_dry_run_stops_the_preparation(monkeypatch, status):
    def run(command, **_):
        folder = prepare.Path(command[command.index("--out") + 1])
        stages = [StageResult("smoke", status, message="no")]
        SessionResults("cpu", True, 1, 60.0, stages=stages).save(folder / "results.json")

    monkeypatch.setattr(subprocess, "run", run)
    if status == "done":
        prepare.run_dry()
        return
    with pytest.raises(prepare.NotReady, match="the dry run failed at smoke"):
        prepare.run_dry()


def test_the_advice_has_one_command(built, capsys, monkeypatch):
    chosen = ["--no-packages", "--no-dry-run"]
    assert prepare.main(["--no-build", *chosen]) == 1
    assert "not ready: there is no library" in capsys.readouterr().err
    monkeypatch.setattr(prepare, "luggage", lambda wheels: [])
    assert prepare.main(chosen) == 0
    said = capsys.readouterr().out
    assert "python3 -m tools.gpu_session.session --out build/gpu_session/out" in said
