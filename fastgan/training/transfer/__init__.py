"""Runs that begin with trained weights.

``read_source`` reads weights from a run, a checkpoint or a file of another program. ``make_plan``
decides which of them each network of a recipe takes. ``TrainState.create`` loads that plan.
"""

from fastgan.training.initial_weights import Plan
from fastgan.training.transfer.plan import make_plan
from fastgan.training.transfer.settings import source_settings
from fastgan.training.transfer.source import Source, TransferError, file_of, read_source

__all__ = [
    "Plan",
    "Source",
    "TransferError",
    "file_of",
    "make_plan",
    "read_source",
    "source_settings",
]
