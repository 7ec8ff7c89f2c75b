"""The :class:`OpSpec` of lerp_samples and that of grad_norm_penalty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan import ops
from tests.specs.layouts import channels_last, every_other, expanded, transposed, unaligned
from tests.specs.spec import BenchmarkCase, ErrorCase, OpSpec, RegisteredCall, Sample

Layout = Callable[[Tensor], Tensor]

#: For half types, the result of grad_norm_penalty is float32 and its gradients are halves.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 4e-6, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}


def _random(shape: Sequence[int], seed: int) -> Tensor:
    """Draw values that bfloat16 holds exactly."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(list(shape), generator=generator, dtype=torch.float64).bfloat16().double()


def _laid_out(t: Tensor, dtype: torch.dtype, device: torch.device, layout: Layout | None) -> Tensor:
    t = t.to(device, dtype)
    return t if layout is None else layout(t)


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


def _lerp_samples() -> list[Sample]:
    def sample(id: str, shape: Sequence[int], layout: Layout | None) -> Sample:
        def tensors(dtype: torch.dtype, device: torch.device) -> Sequence[Tensor | None]:
            real, fake = (_laid_out(_random(shape, seed), dtype, device, layout) for seed in (1, 2))
            return real, fake, _random(shape[:1], 3).to(device, dtype)

        return Sample(id, tensors, small=id == "small")

    return [sample(*case) for case in _CASES]


def _penalty_samples() -> list[Sample]:
    def sample(id: str, shape: Sequence[int], layout: Layout | None, **options: Any) -> Sample:
        small = id.startswith("small")

        def tensors(dtype: torch.dtype, device: torch.device) -> Sequence[Tensor | None]:
            return [_laid_out(_random(shape, 1), dtype, device, layout)]

        return Sample(id, tensors, options, small=small)

    found = [sample(*case) for case in _CASES]
    return [
        *found,
        sample("small-squared", (3, 2, 5), None, squared=True, center=7.0),
        sample("small-center", (3, 4), None, center=2.5),
        sample("segments-squared", (2, 3, 70, 101), None, squared=True),
        sample("center-0", (4, 9), None, center=0.0),
    ]


# -------------------------------------------------------------------------- registered calls


def _lerp_call(id: str, op: str, given: str, needs: Sequence[bool] = ()) -> RegisteredCall:
    """Return a registered call.

    Args:
        given: the incoming gradients that exist: ``r``, ``f``, ``a``.
    """

    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        real, fake, dy, ddreal, ddfake = (_random((3, 2, 4), i).to(device, dtype) for i in range(5))
        alpha, ddalpha = (_random((3,), i).to(device, dtype) for i in (5, 6))

        def wanted(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
            return tuple(None if t is None else t.requires_grad_() for t in tensors)

        if op == "lerp_samples":
            return wanted(real, fake, alpha)
        both = (real, fake) if "a" in given else (None, None)
        if op == "lerp_samples_backward":
            return *wanted(dy, *both, alpha), *needs
        dd = [t if k in given else None for k, t in zip("rfa", (ddreal, ddfake, ddalpha))]
        return *wanted(*dd, dy, *both, alpha), *needs

    return RegisteredCall(id, op, args)


def _penalty_call(id: str, op: str, center: float, *needs: bool) -> RegisteredCall:
    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        grad, ddgrad = (_random((3, 2, 4), i).to(device, dtype).requires_grad_() for i in range(2))
        if op == "grad_norm_penalty":
            return grad, center
        norm = grad.detach().flatten(1).norm(dim=1)
        dpenalty = torch.cos(norm).requires_grad_()
        if op == "grad_norm_penalty_backward":
            return dpenalty, grad, norm, center
        return ddgrad, dpenalty, grad, norm, center, *needs

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
    _penalty_call("forward", "grad_norm_penalty", 1.0),
    _penalty_call("backward", "grad_norm_penalty_backward", 1.0),
    _penalty_call("double-backward", "grad_norm_penalty_double_backward", 1.0, True, True),
    _penalty_call(
        "double-backward-dpenalty", "grad_norm_penalty_double_backward", 1.0, True, False
    ),
]


# ------------------------------------------------------------------------------------ errors


def _x(*shape: int, **options: Any) -> Tensor:
    return torch.zeros(shape or (2, 3), **options)


def _lerp_error(
    id: str,
    error: type[Exception],
    says: tuple[str, ...],
    real: Any,
    fake: Any,
    alpha: Any,
    **options: Any,
) -> ErrorCase:
    return ErrorCase(id, lambda: ops.lerp_samples(real, fake, alpha, **options), error, says)


def _penalty_error(
    id: str, error: type[Exception], says: tuple[str, ...], grad: Any, **options: Any
) -> ErrorCase:
    return ErrorCase(id, lambda: ops.grad_norm_penalty(grad, **options), error, says)


_LERP_ERRORS = [
    _lerp_error("real-list", TypeError, ("real", "list"), [1.0], _x(), _x(2)),
    _lerp_error(
        "real-int", TypeError, ("real", "int64", "float32"), _x(dtype=torch.int64), _x(), _x(2)
    ),
    _lerp_error(
        "real-scalar", ValueError, ("real", "[N, ...]", "scalar"), torch.tensor(1.0), _x(), _x(2)
    ),
    _lerp_error("fake-type", TypeError, ("fake", "float"), _x(), 1.0, _x(2)),
    _lerp_error("fake-shape", ValueError, ("fake", "[2, 3]", "[2, 1]"), _x(), _x(2, 1), _x(2)),
    _lerp_error(
        "fake-dtype", TypeError, ("fake", "float32", "float16", "fake.to"), _x(), _x().half(), _x(2)
    ),
    _lerp_error("fake-device", ValueError, ("fake", "cpu", "meta"), _x(), _x(device="meta"), _x(2)),
    _lerp_error("alpha-number", TypeError, ("alpha", "a float"), _x(), _x(), 0.5),
    _lerp_error("alpha-shape", ValueError, ("alpha", "[2]", "[2, 1]"), _x(), _x(), _x(2, 1)),
    _lerp_error(
        "alpha-dtype", TypeError, ("alpha", "float32", "float64"), _x(), _x(), _x(2).double()
    ),
    _lerp_error(
        "backend",
        ops.BackendUnavailable,
        ("cpu", "meta"),
        *(_x(device="meta"), _x(device="meta"), _x(2, device="meta")),
        backend="cpu",
    ),
]

_PENALTY_ERRORS = [
    _penalty_error("grad-none", TypeError, ("grad", "NoneType"), None),
    _penalty_error("grad-int", TypeError, ("grad", "int64", "float32"), _x(dtype=torch.int64)),
    _penalty_error("grad-scalar", ValueError, ("grad", "[N, ...]", "scalar"), torch.tensor(1.0)),
    _penalty_error(
        "center-negative", ValueError, ("center", "at least 0", "-1"), _x(), center=-1.0
    ),
    _penalty_error(
        "center-nan", ValueError, ("center", "finite", "nan"), _x(), center=float("nan")
    ),
    _penalty_error(
        "center-tensor", TypeError, ("center", "number", "item()"), _x(), center=torch.ones(())
    ),
    _penalty_error(
        "backend", ops.BackendUnavailable, ("cpu", "meta"), _x(device="meta"), backend="cpu"
    ),
]


# -------------------------------------------------------------------------------- benchmarks


def _benchmark(
    id: str,
    shape: Sequence[int],
    inputs: int,
    moved: dict[str, float],
    layout: Layout | None = None,
    **options: Any,
) -> BenchmarkCase:
    def tensors(dtype: torch.dtype, device: torch.device) -> Sequence[Tensor | None]:
        found: list[Tensor] = [
            _laid_out(_random(shape, seed), dtype, device, layout) for seed in range(inputs)
        ]
        return found if inputs == 1 else [*found, _random(shape[:1], 3).abs().to(device, dtype)]

    return BenchmarkCase(id, tensors, options, moved)


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
    samples=_lerp_samples(),
    registered=_LERP_REGISTERED,
    errors=_LERP_ERRORS,
    benchmarks=[
        _benchmark(f"lerp_samples-{id}", shape, 2, _LERP_MOVED, layout)
        for id, shape, layout in _SIZES
    ],
    tolerance=TOLERANCE,
    batched=(0, 1, 2),
)

GRAD_NORM_PENALTY = OpSpec(
    name="grad_norm_penalty",
    op=ops.grad_norm_penalty,
    samples=_penalty_samples(),
    registered=_PENALTY_REGISTERED,
    errors=_PENALTY_ERRORS,
    benchmarks=[
        _benchmark(f"penalty-{id}", shape, 1, _PENALTY_MOVED, layout)
        for id, shape, layout in _SIZES
    ],
    tolerance=TOLERANCE,
)
