"""The ops: fused, differentiable to any order, on CUDA, Triton, the CPU, and in plain PyTorch.

>>> from fastgan import ops
>>> y = ops.bias_act(x, b, act="lrelu")
"""

from fastgan.ops._library import BackendStatus, BackendUnavailable, backends, use_backend
from fastgan.ops.bias_act import bias_act
from fastgan.ops.upfirdn2d import downsample2d, filter2d, setup_filter, upfirdn2d, upsample2d

__all__ = [
    "BackendStatus",
    "BackendUnavailable",
    "backends",
    "bias_act",
    "downsample2d",
    "filter2d",
    "setup_filter",
    "upfirdn2d",
    "upsample2d",
    "use_backend",
]
