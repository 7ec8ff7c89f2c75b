"""Registration of spectral_norm and its derivatives: schemas, fake kernels, autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan.ops._define import define
from fastgan.ops._derived import derived
from fastgan.ops._numerics import accumulate_dtype
from fastgan.ops.spectral_norm import reference


def _like(weights: Sequence[Tensor]) -> list[Tensor]:
    return [weight.new_empty(weight.shape) for weight in weights]


def _row(weights: Sequence[Tensor], size: int) -> Tensor:
    return weights[0].new_empty(size, dtype=accumulate_dtype(weights[0].dtype))


# ----------------------------------------------------------------------------------- forward


def _forward_fake(
    weights: Sequence[Tensor], us: Any, vs: Any, dims: Sequence[int], *rest: Any
) -> reference.Normalised:
    length = sum(sum(reference.sizes_of(weight, dim)) for weight, dim in zip(weights, dims))
    return _like(weights), _row(weights, len(weights)), _row(weights, length)


def _forward_context(ctx: Any, inputs: tuple[Any, ...], output: reference.Normalised) -> None:
    weights, _, _, ctx.dims, _, _ = inputs
    _, sigmas, vectors = output
    ctx.mark_non_differentiable(vectors)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(sigmas, vectors, *weights)


def _forward_backward(
    ops: Any, ctx: Any, grads: Sequence[Tensor | None], dsigmas: Tensor | None, _: Any
) -> tuple[Any, ...]:
    sigmas, vectors, *weights = ctx.saved_tensors
    count, dims = len(weights), ctx.dims
    wanted = [
        i for i in range(count)
        if ctx.needs_input_grad[0][i] and (grads[i] is not None or dsigmas is not None)
    ]  # fmt: skip
    found: list[Tensor | None] = [None] * count
    if wanted:
        # Some layers are frozen, or nothing depends on them.
        if len(wanted) < count:
            us, vs = reference.split_vectors(vectors, weights, dims)
            vectors = torch.cat([part for i in wanted for part in (us[i], vs[i])])
            sigmas = torch.stack([sigmas[i] for i in wanted])
            dsigmas = None if dsigmas is None else torch.stack([dsigmas[i] for i in wanted])
        given = [torch.zeros_like(weights[i]) if (g := grads[i]) is None else g for i in wanted]
        results = ops.spectral_norm_backward(
            given, dsigmas, [weights[i] for i in wanted], sigmas, vectors, [dims[i] for i in wanted]
        )
        for i, result in zip(wanted, results):
            found[i] = result
    none = [None] * count
    return found, none, none


define(
    "spectral_norm(Tensor[] weights, Tensor[] us, Tensor[] vs, int[] dims, int "
    "n_power_iterations, float eps) -> (Tensor[], Tensor, Tensor)",
    reference,
    fake=_forward_fake,
    setup_context=_forward_context,
    backward=_forward_backward,
    triton="fastgan.ops.spectral_norm",
)


# -------------------------------------------------------------------------- first derivative


def _backward_context(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    grads, dsigmas, weights, sigmas, vectors, ctx.dims = inputs
    ctx.has_dsigmas = dsigmas is not None
    ctx.save_for_backward(sigmas, vectors, *grads, *weights)


def _backward_backward(ops: Any, ctx: Any, ddweights: Sequence[Tensor]) -> tuple[Any, ...]:
    sigmas, vectors, *both = ctx.saved_tensors
    count = len(both) // 2
    grads, weights = both[:count], both[count:]
    need_dweights = any(ctx.needs_input_grad[2])
    dgrads, ddsigmas, dweights, dsigmas = ops.spectral_norm_double_backward(
        ddweights, grads, weights, sigmas, vectors, ctx.dims, need_dweights
    )
    none = [None] * count
    return dgrads, ddsigmas if ctx.has_dsigmas else None, dweights or none, dsigmas


define(
    "spectral_norm_backward(Tensor[] grads, Tensor? dsigmas, Tensor[] weights, Tensor sigmas, "
    "Tensor vectors, int[] dims) -> Tensor[]",
    reference,
    fake=lambda grads, dsigmas, weights, *rest: _like(weights),
    setup_context=_backward_context,
    backward=_backward_backward,
    triton="fastgan.ops.spectral_norm",
)


# ------------------------------------------------------------------------- second derivative


def _double_fake(
    ddweights: Any, grads: Any, weights: Sequence[Tensor], *rest: Any
) -> tuple[list[Tensor], Tensor, list[Tensor], Tensor]:
    count = len(weights)
    return (
        _like(weights),
        _row(weights, count),
        _like(weights) if rest[-1] else [],
        _row(weights, count),
    )


def _double_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ddweights, grads, weights, sigmas, vectors, ctx.dims, ctx.has_dweights = inputs
    ctx.save_for_backward(sigmas, vectors, *ddweights, *grads, *weights)


def _double_backward(
    ops: Any, ctx: Any, to_grads: Sequence[Tensor], to_ddsigmas: Tensor,
    to_weights: Sequence[Tensor], to_sigmas: Tensor,
) -> tuple[Any, ...]:  # fmt: skip
    """Third order: autograd of the second derivative, in plain torch."""
    sigmas, vectors, *tensors = ctx.saved_tensors
    count = len(ctx.dims)

    def lists(tensors: Sequence[Any]) -> list[list[Any]]:
        return [list(tensors[i : i + count]) for i in (0, count, 2 * count)]

    def results_of(sigmas: Tensor, *tensors: Tensor) -> Sequence[Tensor]:
        ddweights, grads, weights = lists(tensors)
        dgrads, ddsigmas, dweights, dsigmas = reference.spectral_norm_double_backward(
            ddweights, grads, weights, sigmas, vectors, ctx.dims, ctx.has_dweights
        )
        return *dgrads, ddsigmas, *dweights, dsigmas

    grads = (*to_grads, to_ddsigmas, *to_weights, to_sigmas)
    to_s, *others = derived(results_of, (sigmas, *tensors), grads)
    return *lists(others), to_s


define(
    "spectral_norm_double_backward(Tensor[] ddweights, Tensor[] grads, Tensor[] weights, Tensor "
    "sigmas, Tensor vectors, int[] dims, bool need_dweights) -> (Tensor[], Tensor, Tensor[], "
    "Tensor)",
    reference,
    fake=_double_fake,
    setup_context=_double_context,
    backward=_double_backward,
    triton="fastgan.ops.spectral_norm",
)
