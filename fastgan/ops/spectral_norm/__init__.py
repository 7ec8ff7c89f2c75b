"""spectral_norm: normalise the weights of a whole network. The maths is in this folder's README."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from fastgan.ops._checks import check_at_least, check_input, kind
from fastgan.ops._library import choose_backend, ops_of

# Importing schema registers the ops.
from fastgan.ops.spectral_norm import reference, schema  # noqa: F401

__all__ = ["spectral_norm"]

Lists = tuple[list[Tensor], list[Tensor], list[Tensor], list[int]]


def spectral_norm(
    weights: Sequence[Tensor],
    us: Sequence[Tensor],
    vs: Sequence[Tensor],
    *,
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dims: Sequence[int] | None = None,
    backend: str | None = None,
) -> tuple[list[Tensor], Tensor, list[Tensor], list[Tensor]]:
    """Divide every weight of a network by its spectral norm (Miyato et al. 2018), in one call.

    Each weight is a matrix ``W [out, rest]``. Power iterations estimate its largest singular value
    ``σ = uᵀWv``, and the result is ``W / σ``. An iteration is ``u ← Wv / max(‖Wv‖, eps)``, then
    ``v ← Wᵀu / max(‖Wᵀu‖, eps)``. A weight of zeros gives NaN, as in torch. The op is
    differentiable to any order in ``weights``, with u and v as constants. It changes nothing in
    place.

    ::

        weights, us, vs = [torch.randn(64, 3, 3, 3)], [torch.randn(64)], [torch.randn(27)]
        weights, sigmas, us, vs = ops.spectral_norm(weights, us, vs)

    For a network, :func:`fastgan.layers.apply_spectral_norm` makes all linear layers and
    convolutions share one call per forward pass. It behaves like torch's
    ``parametrizations.spectral_norm`` of each layer, state dict included. It leaves out layers that
    scale their weights themselves. :func:`fastgan.layers.remove_spectral_norm` bakes the weights
    in.

    Args:
        weights: tensors of rank 2 and more, of one device and dtype: float16, bfloat16, float32 or
            float64. Half types are computed in float32.
        us: ``[out]`` for each weight, of its dtype and device; read if ``n_power_iterations`` is 0.
        vs: ``[rest]`` for each weight, of its dtype and device, in the order of
            ``weight.movedim(dim, 0).flatten(1)``.
        n_power_iterations: number of iterations; 0 leaves u and v unchanged.
        eps: least norm to divide by, at least 0.
        dims: for each weight, the dimension of its outputs: 1 for transposed convolutions. The
            default is 0 for all.
        backend: ``reference``, ``cpu``, ``triton`` or ``cuda``. None takes the one of
            :func:`fastgan.ops.use_backend`, then of the environment variable ``FASTGAN_BACKEND``,
            then the automatic choice. Under functorch transforms (``torch.func``) and forward-mode
            AD every choice means ``reference``.

    Returns:
        ``(normalised weights, sigmas, us, vs)``. The weights have the shapes and dtype of
        ``weights``. They are channels_last if these are and their dimension of outputs is 0, else
        contiguous. ``sigmas`` is ``[layers]``, differentiable, in float64 for float64, else
        float32.

    Raises:
        TypeError: a list or an element has a wrong type, or another dtype than the first weight.
        ValueError: a length, shape, device, ``n_power_iterations``, ``eps`` or ``dims`` is out of
            range.
        BackendUnavailable: the backend that was named cannot run here.
    """
    _check_settings(n_power_iterations, eps)
    given = _check_lists(weights, us, vs, dims)
    memory = [_memory_order(weight, dim) for weight, dim in zip(given[0], given[3])]
    matrices, us, vs, dims = _to_memory_order(given, memory)
    chosen = choose_backend("spectral_norm", matrices[0].device, backend)
    call = reference.spectral_norm if chosen == "reference" else ops_of(chosen).spectral_norm
    normalised, sigmas, vectors = call(matrices, us, vs, dims, n_power_iterations, eps)
    us, vs = reference.split_vectors(vectors.detach(), matrices, dims)
    for i, order in enumerate(memory):
        if order is not None:
            back = [order.index(d) for d in range(len(order))]
            shape = normalised[i].shape
            vs[i] = vs[i].reshape(1, *shape[1:]).permute(back).reshape(-1)
            normalised[i] = normalised[i].permute(back)
    dtype = matrices[0].dtype
    return list(normalised), sigmas, [u.to(dtype) for u in us], [v.to(dtype) for v in vs]


def _memory_order(weight: Tensor, dim: int) -> list[int] | None:
    """Return the dimensions of a channels_last weight in the order of memory, outputs first.

    It is None if no permutation is needed.
    """
    if weight.ndim < 4 or dim != 0 or weight.is_contiguous():
        return None
    order = [0, *range(2, weight.ndim), 1]
    return order if weight.permute(order).is_contiguous() else None


def _to_memory_order(given: Lists, memory: Sequence[list[int] | None]) -> Lists:
    """Permute channels_last weights and their v; the singular values stay the same."""
    weights, us, vs, dims = given
    for i, order in enumerate(memory):
        if order is not None:
            vs[i] = vs[i].reshape(1, *weights[i].shape[1:]).permute(order).reshape(-1)
            weights[i] = weights[i].permute(order)
    return weights, us, vs, dims


def _check_settings(n_power_iterations: int, eps: float) -> None:
    check_at_least(0, n_power_iterations=n_power_iterations)
    if not 0 <= eps < math.inf:
        raise ValueError(f"eps must be a number of at least 0, got {eps!r}")


def _check_lists(
    weights: Sequence[Tensor],
    us: Sequence[Tensor],
    vs: Sequence[Tensor],
    dims: Sequence[int] | None,
) -> Lists:
    for name, values in (("weights", weights), ("us", us), ("vs", vs)):
        if not isinstance(values, (list, tuple)):
            raise TypeError(f"{name} must be a list of tensors, got {kind(values)}")
    if not weights:
        raise ValueError("weights must hold at least one tensor, got an empty list")
    dims = [0] * len(weights) if dims is None else list(dims)
    if not len(weights) == len(us) == len(vs) == len(dims):
        raise ValueError(
            f"us, vs and dims must be as long as weights, {len(weights)}, "
            f"got {len(us)}, {len(vs)} and {len(dims)}"
        )
    first = weights[0]
    for i, weight in enumerate(weights):
        check_input(weight, f"weights[{i}]")
        if weight.ndim < 2:
            raise ValueError(
                f"weights[{i}] must have at least 2 dimensions, got shape {list(weight.shape)}"
            )
        if not isinstance(dims[i], int) or not 0 <= dims[i] < weight.ndim:
            raise ValueError(
                f"dims[{i}] must be a dimension of weights[{i}], 0 to {weight.ndim - 1}, "
                f"got {dims[i]!r}"
            )
        sizes = reference.sizes_of(weight, dims[i])
        for name, t, size in (
            ("weights", weight, None),
            ("us", us[i], sizes[0]),
            ("vs", vs[i], sizes[1]),
        ):
            _check_tensor(f"{name}[{i}]", t, first, size)
    return list(weights), list(us), list(vs), dims


def _check_tensor(name: str, t: Tensor, first: Tensor, size: int | None) -> None:
    if not isinstance(t, Tensor):
        raise TypeError(f"{name} must be a tensor, got {kind(t)}")
    if t.dtype != first.dtype:
        raise TypeError(
            f"{name} must have the dtype of weights[0], {first.dtype}, got {t.dtype}; "
            "normalise layers of different dtypes in separate calls"
        )
    if t.device != first.device:
        raise ValueError(
            f"{name} must be on the device of weights[0], {first.device}, got {t.device}"
        )
    if size is not None and t.shape != (size,):
        raise ValueError(f"{name} must have shape [{size}] for its weight, got {list(t.shape)}")
