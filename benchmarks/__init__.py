"""Benchmarks of the ops, and the static evidence on their CUDA kernels.

``pytest benchmarks/`` measures, ``python -m benchmarks.report`` writes the figures into the documentation
and ``python -m benchmarks.evidence`` tabulates what the CUDA kernels compile to. The method is in
docs/performance.md.
"""
