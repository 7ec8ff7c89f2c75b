"""Test files that run on every backend. Sanitizers and Triton's interpreter run them again.

They are those of ops with kernels. An op composed of other ops has no kernels to check.
"""

from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
ON_EVERY_BACKEND = [
    _ROOT / "tests" / "ops" / f"test_{path.parent.name}.py"
    for path in sorted(_ROOT.glob("csrc/*/kernel.cuh"))
]
#: A kernel for a part of an op, only in Triton.
IMPLICIT_GEMM = _ROOT / "tests" / "ops" / "test_implicit_gemm.py"
