"""The site builds without a warning and needs nothing from a network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXTERNAL = re.compile(
    r"<(?:script|img|iframe)\b[^>]*\bsrc=\"(?:https?:)?//[^\"]*\""
    r"|<link\b(?![^>]*rel=\"canonical\")[^>]*\bhref=\"(?:https?:)?//[^\"]*\""
    r"|@import[^;]*//[^;]*;|url\([\"']?(?:https?:)?//[^)]*\)"
)


@pytest.mark.long
def test_the_site_builds_and_is_complete(tmp_path):
    site = tmp_path / "site"
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--fresh-env", "--quiet"]
    built = subprocess.run(
        [*command, ROOT / "docs", site], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    fetched = {
        str(path.relative_to(site)): found
        for path in site.rglob("*")
        if path.suffix in (".html", ".css") and (found := EXTERNAL.findall(path.read_text("utf-8")))
    }
    assert not fetched
    assert "bias_act" in (site / "searchindex.js").read_text("utf-8")
    assert "modulated_conv2d" in (site / "reference" / "ops.html").read_text("utf-8")


def test_an_external_script_is_seen():
    assert EXTERNAL.search('<script async src="https://cdn.example.org/a.js"></script>')
    assert EXTERNAL.search('<link rel="stylesheet" href="//cdn.example.org/a.css" />')
    assert EXTERNAL.search("src: url(https://fonts.example.org/a.woff2)")
    assert not EXTERNAL.search('<a href="https://example.org">a page</a><script src="a.js">')
