"""Layers over :mod:`fastgan.ops`, to import into any project. They hold parameters and no maths of their own."""

from fastgan.nn.bias_act import BiasAct
from fastgan.nn.conv2d import Conv2d
from fastgan.nn.equalized import EqualConv2d, EqualLinear
from fastgan.nn.modulated_conv2d import ModulatedConv2d
from fastgan.nn.noise import NoiseInjection
from fastgan.nn.resample import Blur, Downsample2d, Upsample2d
from fastgan.nn.spectral_norm import remove_spectral_norm, spectral_norm
from fastgan.nn.sync_batch_norm import sync_batch_norm

__all__ = [
    "BiasAct",
    "Blur",
    "Conv2d",
    "Downsample2d",
    "EqualConv2d",
    "EqualLinear",
    "ModulatedConv2d",
    "NoiseInjection",
    "Upsample2d",
    "remove_spectral_norm",
    "spectral_norm",
    "sync_batch_norm",
]
