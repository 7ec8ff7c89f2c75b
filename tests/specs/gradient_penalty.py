"""The :class:`OpSpec` of lerp_samples and that of grad_norm_penalty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan import ops
from tests.specs.build import (
    ROUNDED_ONCE,
    launch_refused,
    leaves,
    normal,
    on,
    refusals,
    sample,
    tensors_of,
    values,
    zeros,
)
from tests.specs.layouts import Layout, channels_last, every_other, expanded, transposed, unaligned
from tests.specs.spec import BenchmarkCase, OpSpec, Penalty, RegisteredCall, Sample, Saved

#: Shapes and layouts that both ops are tested with: ``(id, shape, layout)``.
_CASES: list[tuple[str, Sequence[int], Layout | None]] = [
    ("small", (3, 2, 5), None),
    ("vectors", (3, 4, 8, 8), None),
    ("channels_last", (2, 5, 4, 6), channels_last),
    ("segments", (2, 3, 70, 101), None),
    ("segments-of-vectors", (2, 4, 72, 64), None),
    ("many-samples", (70, 2), None),
    ("one-element", (5,), None),
    ("one-sample", (1, 3, 1, 7), None),
    ("transposed", (4, 3, 5), transposed),
    ("every-other", (2, 3, 4), every_other),
    ("expanded", (3, 4, 2), expanded),
    ("unaligned", (2, 3, 8, 8), unaligned),
    ("empty-batch", (0, 3, 4), None),
    ("empty-samples", (2, 0, 4), None),
]


def _lerp_sample(id: str, shape: Sequence[int], layout: Layout | None) -> Sample:
    def draw() -> list[Tensor]:
        return [values(shape, 1), values(shape, 2), values(shape[:1], 3)]

    return sample(id, draw, layout, laid_out=(0, 1), small=id == "small")


def _penalty_sample(
    id: str, shape: Sequence[int], layout: Layout | None = None, **options: Any
) -> Sample:
    # For half types, the result is float32 and its gradients are halves.
    small = id.startswith("small")
    return sample(id, lambda: [values(shape, 1)], layout, small=small, **options)


_PENALTY_SAMPLES = [
    *(_penalty_sample(*case) for case in _CASES),
    _penalty_sample("small-squared", (3, 2, 5), squared=True, center=7.0),
    _penalty_sample("small-center", (3, 4), center=2.5),
    _penalty_sample("segments-squared", (2, 3, 70, 101), squared=True),
    _penalty_sample("center-0", (4, 9), center=0.0),
]


_LERP_SAMPLES = [_lerp_sample(*case) for case in _CASES]
_LERP_SMALL = _LERP_SAMPLES[0]

#: All threads sweep few samples twice, and many samples one by one. The shapes have both.
_THREADED = [
    ("one", (1, 40000)),
    ("three", (3, 30001)),
    ("twenty", (20, 9000)),
    ("two", (2, 140000)),
]


def _lerp_call(id: str, op: str, given: str, needs: Sequence[bool] = ()) -> RegisteredCall:
    """Return a registered call.

    Args:
        given: the incoming gradients that exist: ``r``, ``f``, ``a``.
    """

    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        images = on(dtype, device, *(values((3, 2, 4), i) for i in range(5)))
        real, fake, dy, ddreal, ddfake = images
        alpha, ddalpha = on(dtype, device, *(values((3,), i) for i in (5, 6)))
        if op == "lerp_samples":
            return leaves(real, fake, alpha)
        both = (real, fake) if "a" in given else (None, None)
        if op == "lerp_samples_backward":
            return *leaves(dy, *both, alpha), *needs
        dd = [t if k in given else None for k, t in zip("rfa", (ddreal, ddfake, ddalpha))]
        return *leaves(*dd, dy, *both, alpha), *needs

    return RegisteredCall(id, op, args)


def _penalty_call(id: str, op: str, *needs: bool) -> RegisteredCall:
    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        grad, ddgrad = leaves(*on(dtype, device, *(values((3, 2, 4), i) for i in range(2))))
        if op == "grad_norm_penalty":
            return grad, 1.0
        assert grad is not None
        norm = grad.detach().flatten(1).norm(dim=1)
        dpenalty = torch.cos(norm).requires_grad_()
        if op == "grad_norm_penalty_backward":
            return dpenalty, grad, norm, 1.0
        return ddgrad, dpenalty, grad, norm, 1.0, *needs

    return RegisteredCall(id, op, args)


_LERP_REGISTERED = [
    _lerp_call("forward", "lerp_samples", ""),
    _lerp_call("backward", "lerp_samples_backward", "a", (True, True, True)),
    _lerp_call("backward-fake-alone", "lerp_samples_backward", "", (False, True, False)),
    _lerp_call("double-backward", "lerp_samples_double_backward", "rfa", (True,) * 4),
    _lerp_call(
        "double-backward-real", "lerp_samples_double_backward", "r", (True, False, False, True)
    ),
]

_PENALTY_REGISTERED = [
    _penalty_call("forward", "grad_norm_penalty"),
    _penalty_call("backward", "grad_norm_penalty_backward"),
    _penalty_call("double-backward", "grad_norm_penalty_double_backward", True, True),
    _penalty_call("double-backward-dpenalty", "grad_norm_penalty_double_backward", True, False),
]


_x = zeros(2, 3)
_META = _x(device="meta")

_refused = refusals(ops.lerp_samples, real=_x(), fake=_x(), alpha=_x(2))
_LERP_ERRORS = [
    _refused("real-list", TypeError, "real", "list", real=[1.0]),
    _refused("real-int", TypeError, "real", "int64", "float32", real=_x(dtype=torch.int64)),
    _refused("real-scalar", ValueError, "real", "[N, ...]", "scalar", real=torch.tensor(1.0)),
    _refused("fake-type", TypeError, "fake", "float", fake=1.0),
    _refused("fake-shape", ValueError, "fake", "[2, 3]", "[2, 1]", fake=_x(2, 1)),
    _refused("fake-dtype", TypeError, "fake", "float32", "float16", "fake.to", fake=_x().half()),
    _refused("fake-device", ValueError, "fake", "cpu", "meta", fake=_META),
    _refused("alpha-number", TypeError, "alpha", "a float", alpha=0.5),
    _refused("alpha-shape", ValueError, "alpha", "[2]", "[2, 1]", alpha=_x(2, 1)),
    _refused("alpha-dtype", TypeError, "alpha", "float32", "float64", alpha=_x(2).double()),
    _refused(
        *("backend", ops.BackendUnavailable, "cpu", "meta"),
        **{"real": _META, "fake": _META, "alpha": _META[:, 0], "backend": "cpu"},
    ),
]

_refused = refusals(ops.grad_norm_penalty, grad=_x())
_PENALTY_ERRORS = [
    _refused("grad-none", TypeError, "grad", "NoneType", grad=None),
    _refused("grad-int", TypeError, "grad", "int64", "float32", grad=_x(dtype=torch.int64)),
    _refused("grad-scalar", ValueError, "grad", "[N, ...]", "scalar", grad=torch.tensor(1.0)),
    _refused("center-negative", ValueError, "center", "at least 0", "-1", center=-1.0),
    _refused("center-nan", ValueError, "center", "finite", "nan", center=float("nan")),
    _refused("center-tensor", TypeError, "center", "number", "item()", center=torch.ones(())),
    _refused("backend", ops.BackendUnavailable, "cpu", "meta", grad=_META, backend="cpu"),
    launch_refused("gradient_penalty", "grad_norm_penalty", (1, 2**31), 1.0),
]


#: The gradient of a critic in its images: WGAN-GP's and R1's usual sizes.
_SIZES: list[tuple[str, Sequence[int], Layout | None]] = [
    ("128", (64, 3, 128, 128), None),
    ("32", (64, 3, 32, 32), None),
    ("128-channels_last", (64, 3, 128, 128), channels_last),
]

# Forward reads real and fake and writes y. Backward, in all three, reads dy, real and fake and
# writes dreal and dfake. The second derivative, with a direction for each, reads ddreal, ddfake,
# dy, real and fake and writes ddy, dreal and dfake.
_LERP_MOVED = {"forward": 3.0, "forward_backward": 8.0, "double_backward": 8.0}

# Forward reads grad. Backward reads it and writes dgrad. The second derivative reads grad and
# ddgrad and writes dgrad.
_PENALTY_MOVED = {"forward": 1.0, "forward_backward": 3.0, "double_backward": 3.0}

LERP_SAMPLES = OpSpec(
    name="lerp_samples",
    op=ops.lerp_samples,
    samples=_LERP_SAMPLES,
    registered=_LERP_REGISTERED,
    errors=_LERP_ERRORS,
    benchmarks=[
        BenchmarkCase(
            f"lerp_samples-{id}",
            tensors_of(lambda shape=shape: normal(shape, shape, shape[:1]), layout, (0, 1)),
            {},
            _LERP_MOVED,
        )
        for id, shape, layout in _SIZES
    ],
    tolerance=ROUNDED_ONCE,
    batched=(0, 1, 2),
    threaded=[_lerp_sample(id, shape, None) for id, shape in _THREADED],
    # Images are saved for the gradient of alpha alone.
    saved=[
        Saved(_LERP_SMALL, wanted=[0], kept=[2]),
        Saved(_LERP_SMALL, wanted=[0, 1], kept=[2]),
        Saved(_LERP_SMALL, wanted=[2], kept=[0, 1, 2]),
        Saved(_LERP_SMALL, kept=[0, 1, 2]),
    ],
    # Without a gradient of alpha, the usual case, there is no sum and no difference of images.
    penalties=[Penalty(_LERP_SMALL, frozenset({"ddy"}), wanted=[0, 1])],
)

GRAD_NORM_PENALTY = OpSpec(
    name="grad_norm_penalty",
    op=ops.grad_norm_penalty,
    samples=_PENALTY_SAMPLES,
    registered=_PENALTY_REGISTERED,
    errors=_PENALTY_ERRORS,
    benchmarks=[
        BenchmarkCase(
            f"penalty-{id}",
            tensors_of(lambda shape=shape: normal(shape), layout),
            {},
            _PENALTY_MOVED,
        )
        for id, shape, layout in _SIZES
    ],
    tolerance=ROUNDED_ONCE,
    threaded=[_penalty_sample(id, shape) for id, shape in _THREADED],
    saved=[Saved(_PENALTY_SAMPLES[0], kept=[0], more=[3])],
    penalties=[Penalty(_PENALTY_SAMPLES[0], frozenset({"ddpenalty", "dgrad"}))],
    autocast="float32",
)
