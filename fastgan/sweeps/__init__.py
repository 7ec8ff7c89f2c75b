"""Sweeps: a grid or a random search over a recipe's settings, each trial an ordinary run.

    found = fastgan.sweep("dcgan", vary={"lr": [1e-4, 4e-4], "batch": [16, 64]}, seeds=3)
    gan = fastgan.load(found.best.trials[0].folder)

`sweep` is a name of `fastgan` itself as well.
"""

from fastgan.sweeps.entry import sweep
from fastgan.sweeps.errors import SweepError
from fastgan.sweeps.results import Point, Sweep, Trial
from fastgan.sweeps.space import Range

__all__ = ["Point", "Range", "Sweep", "SweepError", "Trial", "sweep"]
