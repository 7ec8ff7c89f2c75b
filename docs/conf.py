"""Settings of the site: ``make docs`` writes it to build/site, which opens without a network."""

from __future__ import annotations

import re
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from fastgan import __version__

project = "fastgan"
author = "the authors of fastgan"
copyright = "the authors of fastgan, BSD-3-Clause"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
root_doc = "index"

html_theme = "furo"
html_title = f"fastgan {release}"
html_copy_source = False
html_show_sphinx = False

# Headings are link targets, with the names that GitHub gives them.
myst_heading_anchors = 4

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
maximum_signature_line_length = 88
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
default_role = "code"
smartquotes = False  # --out stays --out

# A dataclass with more fields than this is shown without a signature: the fields are listed.
LONGEST_SIGNATURE = 14

# Pages that the site has at another place than the repository.
MOVED = [
    (re.compile(r"\]\((?:\.\./)+(?:fastgan/ops/)?(\w+)/README\.md"), r"](/maths/\1.md"),
    (re.compile(r"\]\((?:\.\./)+tests/learning/TABLE\.md"), r"](/internals/learning.md"),
    (re.compile(r"\]\((?:\.\./)+tests/learning/PRECISION\.md"), r"](/internals/precision.md"),
    (re.compile(r"\]\((?:\.\./)+CONTRIBUTING\.md"), r"](/contributing.md"),
]


ROOT = Path(__file__).resolve().parents[1]


def write_maths(app: Any) -> None:
    """Write a page for every op's README, since the site's pages lie in one folder."""
    folder = ROOT / "docs" / "maths"
    ops = [path.parent.name for path in ROOT.glob("fastgan/ops/*/README.md")]
    pages = {f"{op}.md": f"```{{include}} ../../fastgan/ops/{op}/README.md\n```\n" for op in ops}
    for page in folder.glob("*.md"):
        if page.name not in (*pages, "index.md"):
            page.unlink()
    for name, text in pages.items():
        if not (folder / name).exists() or (folder / name).read_text() != text:
            (folder / name).write_text(text)


def move_links(app: Any, name: str, source: list[str]) -> None:
    """Point links that leave docs/ to the pages that include their targets."""
    for pattern, target in MOVED:
        source[0] = pattern.sub(target, source[0])


def shorten_signature(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: Any
) -> tuple[str, Any] | None:
    """Show a dataclass of many fields without the arguments of its constructor."""
    if is_dataclass(obj) and signature and signature.count(": ") > LONGEST_SIGNATURE:
        return "(**fields)", returns
    return None


def keep_colons(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep what stands before a colon in a field's docstring: napoleon takes it for a type."""
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]


def move_included_links(app: Any, path: Any, parent: str, content: list[str]) -> None:
    """Do the same in a file that a page includes."""
    move_links(app, parent, content)


def skip_empty(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out methods without a docstring, and what namedtuple says of its fields."""
    doc = getattr(obj, "__doc__", None) or ""
    if doc.startswith("Alias for field number"):
        return True
    if (callable(obj) or isinstance(obj, (property, classmethod, staticmethod))) and not doc:
        return True
    return None


def setup(app: Any) -> None:
    app.connect("builder-inited", write_maths)
    app.connect("source-read", move_links)
    app.connect("include-read", move_included_links)
    app.connect("autodoc-skip-member", skip_empty)
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("autodoc-process-docstring", keep_colons, priority=400)
