"""The test files that run on every backend: the sanitizers and Triton's interpreter run each again, in its own session."""

from pathlib import Path

ON_EVERY_BACKEND = [
    path
    for path in sorted(Path(__file__).parent.glob("test_*.py"))
    if path.name not in ("test_library.py", "test_triton.py")
]
