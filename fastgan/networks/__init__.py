"""Generators and discriminators, a file per family, built from `fastgan.nn`."""

from fastgan.networks.protocol import Discriminator, DiscriminatorOutput
from fastgan.networks.registry import create_network, list_networks

__all__ = ["Discriminator", "DiscriminatorOutput", "create_network", "list_networks"]
