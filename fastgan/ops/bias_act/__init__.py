"""bias_act: bias, activation, gain and clamp. The maths is in this folder's README."""

from __future__ import annotations

from torch import Tensor

from fastgan.ops._activations import activation_options
from fastgan.ops._checks import as_dtype, check_dim, check_input, check_parameter
from fastgan.ops._library import choose_backend, ops_of

# Importing schema registers the ops.
from fastgan.ops.bias_act import reference, schema  # noqa: F401

__all__ = ["bias_act"]


def bias_act(
    x: Tensor,
    b: Tensor | None = None,
    *,
    dim: int = 1,
    act: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    backend: str | None = None,
) -> Tensor:
    """Return ``clamp(gain · act(x + b), -clamp, +clamp)``, computed in one pass.

    It takes the place of four passes over memory, and is differentiable to any order in ``x`` and
    ``b``. The gradient is zero where the clamp is active, for every activation. Half types are
    computed in float32 and rounded once.

    The backward pass needs nothing saved for ``linear`` without clamp. It needs the output for
    ``linear`` with clamp, ``relu`` and ``lrelu``, and ``x`` and ``b`` for the curved activations.
    The layer is :class:`fastgan.layers.BiasAct`.

    Args:
        x: any shape of rank ≥ 1; float16, bfloat16, float32 or float64. Dense layouts (contiguous,
            channels_last, any permutation) run without a copy, and the result has their strides.
        b: ``[x.shape[dim]]``, of the dtype and device of ``x``, or None. Under autocast it is cast
            to the dtype of ``x``.
        dim: the dimension of ``x`` that ``b`` runs along; negative counts from the end.
        act: ``linear``, ``relu``, ``lrelu``, ``tanh``, ``sigmoid``, ``elu``, ``selu``,
            ``softplus`` or ``swish`` (``v · sigmoid(v)``, also ``silu``).
        alpha: slope of ``lrelu`` for negative input, default 0.2; others ignore it.
        gain: factor after the activation. The default is √2 for ``relu``, ``lrelu`` and ``swish``,
            which keeps the variance of a normal input (He et al. 2015, Karras et al. 2018), else 1.
        clamp: bound on the magnitude of the output, ≥ 0, or None for none.
        backend: ``reference``, ``cpu``, ``triton`` or ``cuda``. None takes the one of
            :func:`fastgan.ops.use_backend`, then of the environment variable ``FASTGAN_BACKEND``,
            then the automatic choice. Under functorch transforms (``torch.func``) and forward-mode
            AD every choice means ``reference``.

    Returns:
        Tensor of the shape and dtype of ``x``.

    Raises:
        TypeError: ``x`` or ``b`` isn't a tensor of a supported dtype, or their dtypes differ.
        ValueError: a shape, device, ``dim``, ``act``, ``alpha``, ``gain`` or ``clamp`` is out of
            range.
        BackendUnavailable: the backend that was named cannot run here.
    """
    check_input(x)
    dim = check_dim(x, dim)
    if b is not None:
        b = _checked_bias(x, b, dim)
    act, alpha, gain, clamp = activation_options(act, alpha, gain, clamp)
    chosen = choose_backend("bias_act", x.device, backend)
    if chosen == "reference":
        return reference.bias_act(x, b, dim, act, alpha, gain, clamp)
    return ops_of(chosen).bias_act(x, b, dim, act, alpha, gain, clamp)


def _checked_bias(x: Tensor, b: Tensor, dim: int) -> Tensor:
    check_parameter("b", b, x)
    if b.ndim != 1 or b.shape[0] != x.shape[dim]:
        raise ValueError(
            f"b must have shape [{x.shape[dim]}], the size of x along dim {dim}, got "
            f"{list(b.shape)}"
        )
    return as_dtype(b, x.dtype)
