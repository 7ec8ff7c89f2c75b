"""fastgan: fused ops for GANs on every device, layers to import anywhere, and a thin trainer.

    gan = fastgan.load("runs/faces")      # or fastgan.train("dcgan", data="pictures/")
    images = gan.sample(16, seed=7)

`load`, `train`, `sweep`, `Trained` and `CAPABILITIES` are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fastgan._version import __version__
from fastgan.errors import FastganError

if TYPE_CHECKING:
    from fastgan.sweeps import sweep
    from fastgan.trained import CAPABILITIES, Trained, load, train

__all__ = ["CAPABILITIES", "FastganError", "Trained", "__version__", "load", "sweep", "train"]

_HOMES = {
    "CAPABILITIES": "fastgan.trained",
    "Trained": "fastgan.trained",
    "load": "fastgan.trained",
    "sweep": "fastgan.sweeps",
    "train": "fastgan.trained",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
