"""Layers over :mod:`fastgan.ops`, for any project.

They hold parameters and settings; the maths is in the ops.
"""

from fastgan.nn.adaptive_norm import SPADE, AdaIN, ConditionalBatchNorm2d
from fastgan.nn.attention import SelfAttention2d
from fastgan.nn.bias_act import BiasAct
from fastgan.nn.conv2d import Conv2d
from fastgan.nn.conv_transpose2d import ConvTranspose2d
from fastgan.nn.equalized import EqualConv2d, EqualLinear
from fastgan.nn.excitation import SkipLayerExcitation
from fastgan.nn.filtered_lrelu import FilteredLReLU
from fastgan.nn.fourier_input import FourierInput
from fastgan.nn.minibatch_discrimination import MinibatchDiscrimination
from fastgan.nn.minibatch_stddev import MinibatchStddev
from fastgan.nn.modulated_conv2d import ModulatedConv2d
from fastgan.nn.noise import NoiseInjection
from fastgan.nn.norms import BatchNormAct2d, InstanceNormAct2d
from fastgan.nn.pixel_norm import PixelNorm
from fastgan.nn.resample import Blur, Downsample2d, Upsample2d
from fastgan.nn.spectral_norm import apply_spectral_norm, remove_spectral_norm
from fastgan.nn.sync_batch_norm import convert_sync_batchnorm

__all__ = [
    "SPADE",
    "AdaIN",
    "BatchNormAct2d",
    "BiasAct",
    "Blur",
    "ConditionalBatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "Downsample2d",
    "EqualConv2d",
    "EqualLinear",
    "FilteredLReLU",
    "FourierInput",
    "InstanceNormAct2d",
    "MinibatchDiscrimination",
    "MinibatchStddev",
    "ModulatedConv2d",
    "NoiseInjection",
    "PixelNorm",
    "SelfAttention2d",
    "SkipLayerExcitation",
    "Upsample2d",
    "apply_spectral_norm",
    "convert_sync_batchnorm",
    "remove_spectral_norm",
]
