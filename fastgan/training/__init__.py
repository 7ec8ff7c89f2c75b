"""The thin trainer: one state, one step, one loop, one checkpoint file.

    from fastgan.training import train
    train(DCGAN(), data="mnist5k", out="runs/mine")

Its names are imported when they are first used, as they need the training dependencies.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastgan.training.callbacks import Callback
    from fastgan.training.config import RunOptions
    from fastgan.training.loop import train
    from fastgan.training.run import Run, RunResult
    from fastgan.training.run_settings import RunSettings

__all__ = ["Callback", "Run", "RunOptions", "RunResult", "RunSettings", "train"]

_HOMES = {
    "Callback": "callbacks",
    "Run": "run",
    "RunOptions": "config",
    "RunResult": "run",
    "RunSettings": "run_settings",
    "train": "loop",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
