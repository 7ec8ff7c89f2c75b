"""Static evidence on the CUDA kernels: what they compile to, read from the assembler with no GPU.

python -m benchmarks.evidence [--write docs/internals/evidence.md] [--architectures 80 90 100]
"""

SUMMARY = __doc__.partition("\n")[0] if __doc__ else ""
