"""Generators and discriminators, a file per family, built from `fastgan.nn`."""

from fastgan.networks.registry import create_network, list_networks

__all__ = ["create_network", "list_networks"]
