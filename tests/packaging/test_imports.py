"""Imports flow one way, and importing the ops imports nothing that only the command line needs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "fastgan"

#: Each room may import from the rooms after it and from itself.
ORDER = [
    "cli", "sweeps", "diagnose", "trained", "export", "compat", "learn", "training", "foreign",
    "evaluation", "inference", "recipes", "augment", "latent", "metrics",
    "data", "losses", "networks", "runtime", "seeds", "files",
    "layers", "nn", "ops",
]  # fmt: skip
#: Any room may import these.
EVERYWHERE = {"errors", "_version", "_info"}
TESTS = re.compile(r"(^|\.)(test_\w+|conftest)(\.|$)")


def imported_by(source: str) -> set[str]:
    """Return the names of all modules that a source imports, and of the names from them."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            dot = "." if node.module else ""
            found |= {module, *(f"{module}{dot}{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def rooms_imported_by(path: Path) -> set[str]:
    parts = [name.split(".") for name in imported_by(path.read_text(encoding="utf-8"))]
    return {
        part[1] for part in parts if part[0] == "fastgan" and len(part) > 1 and part[1] in ORDER
    }


def imported_tests(source: str) -> list[str]:
    """Return the imports of test modules and conftests."""
    return sorted(name for name in imported_by(source) if TESTS.search(name))


def test_imports_flow_one_way():
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room not in ORDER:
            continue
        allowed = set(ORDER[ORDER.index(room) :])
        wrong += [
            f"{path.relative_to(PACKAGE)} imports {other}"
            for other in rooms_imported_by(path) - allowed
        ]
    assert not wrong, wrong


def test_no_module_of_tests_imports_another():
    """Shared code of two test modules must be in a helper module or a fixture.

    Then each test module runs alone, and no test runs twice.
    """
    sources = sorted(ROOT.glob("tests/**/*.py"))
    found = {
        str(path.relative_to(ROOT)): imported_tests(path.read_text(encoding="utf-8"))
        for path in sources
    }
    assert not {path: names for path, names in found.items() if names}


@pytest.mark.parametrize(
    "source",
    [
        "import test_learning",
        "from test_learning import learn",
        "from tests.training.test_report import Page",
        "from tests.training import test_report as report",
        "import tests.latent.conftest",
        "from tests.latent.conftest import generator",
        "from .test_report import Page",
        "from . import conftest",
        "def test():\n    from .. import test_report",
    ],
)
def test_imports_of_tests_are_seen(source):
    assert imported_tests(source)
    assert not imported_tests(
        "from tests.training import pairs\nfrom torch.testing import assert_close"
    )


def test_importing_the_ops_is_light():
    """Import each module in a fork of one process with torch: importing torch takes seconds."""
    modules = [
        "fastgan",
        "fastgan.ops",
        "fastgan.nn",
        "fastgan.layers",
        "fastgan.compat.stylegan_ops",
        "fastgan.runtime",
    ]
    heavy = [
        "tyro",
        "rich",
        "tensorboard",
        "matplotlib",
        "PIL",
        "torchvision",
        "triton",
        "sklearn",
        "mlxtend",
    ]
    code = f"""
import importlib, os, sys, torch
before = set(sys.modules)
for module in {modules}:
    if os.fork() == 0:
        importlib.import_module(module)
        print(module, [m for m in {heavy} if m in sys.modules and m not in before], flush=True)
        os._exit(0)
    os.wait()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{module} []" for module in modules], done.stderr


def test_loading_needs_nothing_of_the_command_line():
    """Run in a new process, since the tests' own has imported all of it."""
    code = """
import sys
import fastgan
fastgan.load
print([m for m in ("tyro", "rich", "matplotlib", "tensorboard", "PIL") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n", done.stderr


def test_no_autograd_function():
    """Under torch.compile its second derivatives are silently wrong; ops/_lean.py keeps it away."""
    using = [p.relative_to(PACKAGE) for p in PACKAGE.rglob("*.py")
             if "autograd.Function" in p.read_text()]  # fmt: skip
    assert using == [Path("ops", "_lean.py")]
