"""Layers over :mod:`fastgan.ops`, to import into any project. They hold parameters and no maths of their own."""

from fastgan.nn.bias_act import BiasAct
from fastgan.nn.resample import Blur, Downsample2d, Upsample2d

__all__ = ["BiasAct", "Blur", "Downsample2d", "Upsample2d"]
