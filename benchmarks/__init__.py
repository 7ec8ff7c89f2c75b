"""Benchmarks of the ops, and the static evidence on their CUDA kernels.

``pytest benchmarks/`` measures. ``python -m benchmarks.report`` keeps figures as records and writes
them into the documentation. ``python -m benchmarks.evidence`` tabulates what the CUDA kernels
compile to. The method is in docs/internals/benchmarks.md.
"""
