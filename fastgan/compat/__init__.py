"""fastgan under the names and argument lists that existing code calls, and networks out of existing files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastgan.compat.networks import load_discriminator as load_discriminator
    from fastgan.compat.networks import load_generator as load_generator

__all__ = ["load_discriminator", "load_generator"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fastgan.compat import networks  # torch's networks come only with them

    return getattr(networks, name)
