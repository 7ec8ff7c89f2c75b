"""Static evidence on the CUDA kernels: the assembler's resources and instructions, without a GPU.

python -m benchmarks.evidence [--write docs/internals/evidence.md] [--architectures 80 90 100]
"""

SUMMARY = __doc__.partition("\n")[0] if __doc__ else ""
