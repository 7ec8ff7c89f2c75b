"""Trained networks, ready to use: load them, sample, translate, evaluate and export.

    gan = fastgan.load("runs/faces")
    images = gan.sample(16, seed=7)

`load`, `train`, `Trained` and `CAPABILITIES` are names of `fastgan` itself as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastgan.inference.capabilities import CAPABILITIES
from fastgan.inference.errors import InferenceError
from fastgan.trained.gan import Trained
from fastgan.trained.opening import load

if TYPE_CHECKING:
    from fastgan.trained.run import train

__all__ = ["CAPABILITIES", "InferenceError", "Trained", "load", "train"]


def __getattr__(name: str) -> Any:
    # The trainer imports rich, which loading doesn't need.
    if name == "train":
        from fastgan.trained.run import train

        return train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
