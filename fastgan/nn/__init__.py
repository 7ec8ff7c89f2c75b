"""Layers over :mod:`fastgan.ops`, to import into any project. They hold parameters and no maths of their own."""

from fastgan.nn.bias_act import BiasAct

__all__ = ["BiasAct"]
