"""A session on a rented GPU machine: prepare it here, run one command there, write the report here.

docs/internals/gpu-session.md describes it.
"""
