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
    from fastgan.training.checkpoint import CheckpointError
    from fastgan.training.config import RunOptions
    from fastgan.training.curves import ReportError
    from fastgan.training.deterministic import NotDeterministic
    from fastgan.training.distributed import RankLost, RanksDiffer
    from fastgan.training.loop import NonFiniteWeights, train
    from fastgan.training.resume import OtherRankFailed
    from fastgan.training.run import Run, RunResult
    from fastgan.training.run_dir import RunDirError
    from fastgan.training.run_settings import ConfigError, RunSettings
    from fastgan.training.step import TooManySkips
    from fastgan.training.transfer.source import TransferError

__all__ = [
    "Callback",
    "CheckpointError",
    "ConfigError",
    "NonFiniteWeights",
    "NotDeterministic",
    "OtherRankFailed",
    "RankLost",
    "RanksDiffer",
    "ReportError",
    "Run",
    "RunDirError",
    "RunOptions",
    "RunResult",
    "RunSettings",
    "TooManySkips",
    "TransferError",
    "train",
]

_HOMES = {
    "Callback": "callbacks",
    "CheckpointError": "checkpoint",
    "ConfigError": "run_settings",
    "NonFiniteWeights": "loop",
    "NotDeterministic": "deterministic",
    "OtherRankFailed": "resume",
    "RankLost": "distributed",
    "RanksDiffer": "distributed",
    "ReportError": "curves",
    "Run": "run",
    "RunDirError": "run_dir",
    "RunOptions": "config",
    "RunResult": "run",
    "RunSettings": "run_settings",
    "TooManySkips": "step",
    "TransferError": "transfer.source",
    "train": "loop",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
