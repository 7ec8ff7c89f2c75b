"""The learning pages run as they are written, with fewer images and steps."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest
import torch

from fastgan import cli

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "learn").glob("*.md"))
SHORTER = [
    (r"--total-images \d+", "--total-images 1280"),
    (r"--log-every \d+", "--log-every 32"),
    (r"total_images=[\d_]+", "total_images=1280"),
    (r"steps=[\d_]+", "steps=20"),
    (r"count = [\d_]+", "count = 20"),
    (r"docs/images/", ""),
]


def command(line: str) -> int:
    """Run `fastgan …` or `python -m …` in this process and return its exit status."""
    program, *arguments = shlex.split(line)
    if program == "python":
        assert arguments[0] == "-m"
        importlib.import_module(arguments[1]).main(*arguments[2:], steps=20)
        return 0
    assert program == "fastgan"
    if arguments[0] == "train":
        arguments += ["--measure-samples", "20", "--device", "cpu"]
        if "--log-every" not in arguments:
            arguments += ["--log-every", "32"]
    return cli.run(arguments)


def test_there_are_five():
    assert [page.name[0] for page in PAGES] == list("12345")


CLAIMS = re.findall(
    r"```sh\n([^`]*fastgan diagnose [^`]*)```\n\n\*([^*]+)\*:", PAGES[1].read_text("utf-8")
)
"""Commands on the page of broken runs, and the diagnosis that the page claims."""


def test_the_page_of_broken_runs_makes_three_claims():
    assert [claim for _, claim in CLAIMS] == ["D too strong", "G too strong", "Mode collapse"]


@pytest.mark.long
@pytest.mark.parametrize(("block", "claim"), CLAIMS, ids=[claim for _, claim in CLAIMS])
def test_a_broken_run_is_diagnosed_as_the_page_says(block, claim, tmp_path, monkeypatch, capsys):
    """The commands run as they stand, to the last image."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train, diagnose = block.splitlines()
        assert command(train) == 0
        capsys.readouterr()
        assert command(diagnose) == 3
        line = capsys.readouterr().out.splitlines()[0]
    finally:
        torch.set_num_threads(threads)
    assert claim.lower() in line.lower().partition(" images: ")[2].rstrip(".").split(", "), line


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        names: dict[str, object] = {}
        blocks = re.findall(r"```(sh|python)\n(.*?)```", page.read_text(), re.DOTALL)
        assert blocks
        for kind, block in blocks:
            for long, short in SHORTER:
                block = re.sub(long, short, block)
            if kind == "python":
                exec(compile(block, page.name, "exec"), names)
                continue
            for line in block.splitlines():
                status = command(line)
                output = capsys.readouterr().out
                # The diagnosis of so short a run is arbitrary; the status agrees with the output.
                ill = " diagnose " in line and ": healthy." not in output.splitlines()[0]
                assert status == (3 if ill else 0), line
    finally:
        torch.set_num_threads(threads)
