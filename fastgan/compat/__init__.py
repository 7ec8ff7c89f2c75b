"""fastgan for existing code and files: ops by StyleGAN's names, and networks of other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastgan.compat.networks import load_discriminator as load_discriminator
    from fastgan.compat.networks import load_generator as load_generator

__all__ = ["load_discriminator", "load_generator"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Imported late, since it imports the networks.
    from fastgan.compat import networks

    return getattr(networks, name)
