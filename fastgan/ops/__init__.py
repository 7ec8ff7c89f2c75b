"""Fused ops, differentiable to any order, on CUDA, Triton, the CPU, and in plain PyTorch.

>>> from fastgan import ops
>>> y = ops.bias_act(x, b, act="lrelu")
"""

from fastgan.ops._library import BackendStatus, BackendUnavailable, backends, use_backend
from fastgan.ops.adaptive_norm import adaptive_norm, adaptive_norm_with_stats
from fastgan.ops.all_reduce import all_reduce_sum
from fastgan.ops.attention import attention
from fastgan.ops.bias_act import bias_act
from fastgan.ops.conv2d import conv2d, conv_transpose2d, set_winograd
from fastgan.ops.conv2d_resample import conv2d_resample
from fastgan.ops.filtered_lrelu import filtered_lrelu
from fastgan.ops.gradient_penalty import grad_norm_penalty, lerp_samples
from fastgan.ops.grid_sample import grid_sample
from fastgan.ops.minibatch_stddev import minibatch_stddev
from fastgan.ops.modulated_conv2d import modulated_conv2d, set_fused_modulation
from fastgan.ops.pixel_norm import pixel_norm
from fastgan.ops.scale_bias_act import scale_bias_act
from fastgan.ops.spectral_norm import spectral_norm
from fastgan.ops.upfirdn2d import (
    design_lowpass,
    downsample2d,
    filter2d,
    setup_filter,
    upfirdn2d,
    upsample2d,
)

__all__ = [
    "BackendStatus",
    "BackendUnavailable",
    "adaptive_norm",
    "adaptive_norm_with_stats",
    "all_reduce_sum",
    "attention",
    "backends",
    "bias_act",
    "conv2d",
    "conv2d_resample",
    "conv_transpose2d",
    "design_lowpass",
    "downsample2d",
    "filter2d",
    "filtered_lrelu",
    "grad_norm_penalty",
    "grid_sample",
    "lerp_samples",
    "minibatch_stddev",
    "modulated_conv2d",
    "pixel_norm",
    "scale_bias_act",
    "set_fused_modulation",
    "set_winograd",
    "setup_filter",
    "spectral_norm",
    "upfirdn2d",
    "upsample2d",
    "use_backend",
]
