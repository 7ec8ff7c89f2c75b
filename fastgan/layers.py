"""Layers for GANs, to import into any project: `from fastgan import layers`.

The names are those of :mod:`fastgan.nn`, without its collision with `torch.nn`.
"""

from fastgan.nn import *  # noqa: F403
from fastgan.nn import __all__ as __all__
