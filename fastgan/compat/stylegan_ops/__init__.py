""":mod:`fastgan.ops` by the names and argument lists of StyleGAN2-ADA's and StyleGAN3's ops.

>>> import torch_utils.ops
>>> from fastgan.compat import stylegan_ops
>>> stylegan_ops.install(torch_utils.ops)

Or import the modules of this package in place of the official ones.
"""

from fastgan.compat.stylegan_ops import (
    bias_act,
    conv2d_gradfix,
    conv2d_resample,
    filtered_lrelu,
    fma,
    grid_sample_gradfix,
    upfirdn2d,
)
from fastgan.compat.stylegan_ops._install import install, uninstall

__all__ = [
    "bias_act",
    "conv2d_gradfix",
    "conv2d_resample",
    "filtered_lrelu",
    "fma",
    "grid_sample_gradfix",
    "install",
    "uninstall",
    "upfirdn2d",
]
