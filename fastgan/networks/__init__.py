"""Generators and discriminators, a file per family, built from `fastgan.nn`."""
