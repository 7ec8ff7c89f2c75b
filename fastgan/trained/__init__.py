"""Trained networks, ready to use: load them, sample, translate, evaluate and export.

    gan = fastgan.load("runs/faces")
    images = gan.sample(16, seed=7)

`load`, `train`, `Trained` and `CAPABILITIES` are names of `fastgan` itself as well.
"""

from fastgan.inference.capabilities import CAPABILITIES
from fastgan.inference.errors import InferenceError
from fastgan.trained.gan import Trained
from fastgan.trained.opening import load
from fastgan.trained.run import train

__all__ = ["CAPABILITIES", "InferenceError", "Trained", "load", "train"]
