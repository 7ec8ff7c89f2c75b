"""minibatch_stddev: channels of sample diversity. The maths is in this folder's README."""

from __future__ import annotations

from torch import Tensor

from fastgan.ops._checks import check_at_least, check_image
from fastgan.ops._family import define_family
from fastgan.ops._layout import image_like
from fastgan.ops._library import choose_backend, ops_of
from fastgan.ops.minibatch_stddev import reference

__all__ = ["minibatch_stddev"]

define_family(
    "minibatch_stddev(Tensor x, int group_size, int num_channels) -> Tensor y",
    reference,
    "fastgan.ops.minibatch_stddev",
    like={
        "x": lambda given: image_like(given.x),
        "y": lambda given: image_like(given.x, more_channels=given.num_channels),
    },
)


def minibatch_stddev(
    x: Tensor, *, group_size: int = 4, num_channels: int = 1, backend: str | None = None
) -> Tensor:
    """Append channels that measure how much the samples of a group differ.

    Each is the standard deviation over the group, averaged over the features and places of a part
    (Karras et al. 2018, arXiv:1710.10196, section 3). It is ``√(variance + 1e-8)`` with the biased
    variance. Of ``M = N / group_size`` groups, the m-th holds the samples ``m, m + M, m + 2M, …``.
    The op is differentiable to any order. Half types are computed in float32 and rounded once. The
    backward pass needs ``x`` alone. The layer is :class:`fastgan.layers.MinibatchStddev`.

    ::

        x = torch.randn(32, 512, 4, 4)
        y = ops.minibatch_stddev(x)  # [32, 513, 4, 4]

    Args:
        x: ``[N, C, H, W]``; float16, bfloat16, float32 or float64. Contiguous and channels_last
            images run without a copy, and the result has their layout. Other strides are copied
            once, and the result is contiguous.
        group_size: samples per group; a smaller batch is one group.
        num_channels: number of parts that the channels of ``x`` are divided into, and of channels
            to append.
        backend: ``reference``, ``cpu``, ``triton`` or ``cuda``. None takes the one of
            :func:`fastgan.ops.use_backend`, then of the environment variable ``FASTGAN_BACKEND``,
            then the automatic choice. Under functorch transforms (``torch.func``) and forward-mode
            AD every choice means ``reference``.

    Returns:
        Tensor ``[N, C + num_channels, H, W]`` of the dtype of ``x``, under autocast too.

    Raises:
        TypeError: ``x`` isn't a tensor of a supported dtype.
        ValueError: ``x`` isn't ``[N, C, H, W]``; ``group_size`` or ``num_channels`` is no whole
            number of at least 1, or doesn't divide the batch or the channels.
        BackendUnavailable: the backend that was named cannot run here.
    """
    check_image(x)
    check_at_least(1, group_size=group_size, num_channels=num_channels)
    n, c = x.shape[:2]
    if n > group_size and n % group_size:
        raise ValueError(
            f"the batch must have up to {group_size} samples or a multiple of {group_size}, "
            f"got {n}; use another batch size or group_size"
        )
    if c < 1 or c % num_channels:
        raise ValueError(
            f"num_channels must divide the channels of x, {c}, into parts of one at least, "
            f"got {num_channels}"
        )
    chosen = choose_backend("minibatch_stddev", x.device, backend)
    if chosen == "reference":
        return reference.minibatch_stddev(x, group_size, num_channels)
    return ops_of(chosen).minibatch_stddev(x, group_size, num_channels)
