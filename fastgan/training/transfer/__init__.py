"""A run that begins with trained weights: where they come from, and which of them fit where.

`read_source` reads them from a run, a checkpoint or a file of another program. `make_plan` says what each network of a
recipe takes of them; `TrainState.create` loads that.
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
