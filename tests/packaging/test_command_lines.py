"""The parser accepts every `fastgan …` command line in the documentation."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from fastgan import cli
from fastgan.cli import COMMANDS
from fastgan.cli.parse import options_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = r"^```(\w*)\n(.*?)^```[ ]*$"
PLACEHOLDERS = {"RECIPE", "COMMAND", "OPTIONS", "…", "..."}


def blocks(text: str) -> list[str]:
    """Return the command lines of the page's shell blocks."""
    found = []
    for language, block in re.findall(FENCE, text, re.DOTALL | re.MULTILINE):
        if language not in ("", "sh", "bash", "console"):
            continue
        for line in block.replace("\\\n", " ").splitlines():
            match = re.match(
                r"(?:\$ )?(?:[A-Z_]+=\S+ )?(?:torchrun .*? -m |python -m )?fastgan ([^ ].*)", line
            )
            if match:
                found.append(match[1])
    return found


def inline(text: str) -> list[str]:
    """Return the command lines in sentences, which often lack required arguments."""
    text = re.sub(FENCE, "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`(?:torchrun [^`]*? -m )?fastgan ([^`]+)`", text)


class ParsedError(Exception):
    """The command line was parsed; nothing is run."""


@pytest.fixture
def understood(monkeypatch, tmp_path):
    """Return a parser of command lines that runs nothing; without `whole` it parses options."""
    monkeypatch.chdir(tmp_path)

    def run(line: str, *, whole: bool) -> None:
        words = [word for word in shlex.split(line, comments=True) if word not in PLACEHOLDERS]
        if not words or words[0] in ("--help", "--version", "--debug"):
            return
        if words[0] == "train" and ":" in "".join(words[1:2]):
            return  # a recipe of the docs' example, which tests/recipes/test_own_recipes.py runs
        assert words[0] in COMMANDS, f"there is no command {words[0]!r}"
        module = importlib.import_module(f"fastgan.cli.{words[0]}")
        parse = module.parse

        def only_parse(form, arguments, **options):
            if options.get("partial"):  # a first look at --resume
                return parse(form, arguments, **options)
            if whole:
                parse(form, arguments, **options)
            known = {*options_of(form), "--help", "--debug"}
            for word in arguments:
                option = word.partition("=")[0]
                if re.match(r"--[a-z]", option):
                    assert option in known or option.replace("--no-", "--") in known, option
            raise ParsedError

        if words[0] in ("train", "sweep") and (len(words) == 1 or words[1].startswith("-")):
            words.insert(1, "dcgan")  # the line has no recipe
        with monkeypatch.context() as patched, pytest.raises(ParsedError):
            patched.setattr(module, "parse", only_parse)
            cli.run(words)

    return run


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_command_lines_parse(understood, page):
    text = page.read_text("utf-8")
    for line in blocks(text):
        synopsis = " [" in line or "|" in line
        understood(re.sub(r"[\[\]]", " ", line) if synopsis else line, whole=not synopsis)
    for line in inline(text):
        understood(line, whole=False)


def test_there_are_some():
    assert len(blocks((ROOT / "README.md").read_text("utf-8"))) > 3
    assert sum(len(blocks(page.read_text("utf-8"))) for page in PAGES) > 60
    assert sum(len(inline(page.read_text("utf-8"))) for page in PAGES) > 20


@pytest.mark.parametrize(
    "line",
    [
        "report runs/x",
        "train dcgn",
        "train dcgan --bath 3",
        "sample x --out y.png --sed 1",
        "train gan --d-norm none",
    ],
)
def test_a_stale_line_is_found(understood, line):
    with pytest.raises(Exception, match=r"no command|Unknown recipe|--bath|--sed|--d-norm"):
        understood(line, whole=False)
