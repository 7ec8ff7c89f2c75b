"""Imports flow one way, and importing the ops brings in nothing that only the command line needs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "fastgan"

#: Each room may import from the rooms after it (and from itself); these anyone may import.
ORDER = [
    "cli", "export", "compat", "diagnose", "learn", "train", "foreign", "recipes", "augment", "latent", "metrics",
    "data", "networks", "losses", "testing", "runtime", "nn", "ops",
]  # fmt: skip
EVERYWHERE = {"errors", "_version", "_info"}


def rooms_imported_by(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "fastgan" and len(parts) > 1 and parts[1] in ORDER:
                found.add(parts[1])
    return found


def test_imports_flow_one_way():
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room not in ORDER:
            continue
        allowed = set(ORDER[ORDER.index(room) :])
        wrong += [
            f"{path.relative_to(PACKAGE)} imports {other}" for other in rooms_imported_by(path) - allowed
        ]
    assert not wrong, wrong


def test_importing_the_ops_is_light():
    """Each module in a fork of one process that has torch: importing torch takes seconds."""
    modules = ["fastgan", "fastgan.ops", "fastgan.nn", "fastgan.compat.stylegan_ops", "fastgan.runtime"]
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


def test_no_autograd_function():
    """torch.autograd.Function gives silently wrong second derivatives under torch.compile."""
    using = [str(p) for p in PACKAGE.rglob("*.py") if "autograd.Function" in p.read_text()]
    assert not using
