"""The test files that run on every backend: the sanitizers and Triton's interpreter run each again, in its own session.

They are those of the ops with kernels; an op that is put together from others has none of its own to look into.
"""

from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
ON_EVERY_BACKEND = [
    _ROOT / "tests" / "ops" / f"test_{path.parent.name}.py"
    for path in sorted(_ROOT.glob("csrc/*/kernel.cu"))
]
#: A kernel that Triton alone has, for a part of an op.
IMPLICIT_GEMM = _ROOT / "tests" / "ops" / "test_implicit_gemm.py"
