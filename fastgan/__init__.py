"""fastgan: fused ops for GANs on every device, layers to import anywhere, and a thin trainer."""

from fastgan._version import __version__

__all__ = ["__version__"]
