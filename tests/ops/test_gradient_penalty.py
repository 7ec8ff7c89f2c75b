from __future__ import annotations

from functools import partial

import pytest
import torch

from fastgan import ops
from tests.ops.contract import OpContract
from tests.specs import evaluate, first_mismatch
from tests.specs.gradient_penalty import GRAD_NORM_PENALTY, LERP_SAMPLES
from tests.specs.spec import Sample


class TestInterpolate(OpContract):
    spec = LERP_SAMPLES


class TestGradNormPenalty(OpContract):
    spec = GRAD_NORM_PENALTY

    def test_values(self, backend, device, sample: Sample, dtype):
        """Check values; for half types the result and gradients of it are float32."""
        op = partial(ops.grad_norm_penalty, backend=backend)
        found = self.check_values(op, backend, device, sample, dtype)
        result = torch.float64 if dtype == torch.float64 else torch.float32
        dtypes = {"y": result, "ddy": result, "d0": dtype, "dd0": dtype}
        assert {k: t.dtype for k, t in found.items()} == dtypes


def test_lerp_samples_is_the_line_between_two_points(backend, device):
    real, fake = torch.randn(3, 4, device=device), torch.randn(3, 4, device=device)
    alpha = torch.tensor([0.0, 1.0, 0.25], device=device)
    found = ops.lerp_samples(real, fake, alpha, backend=backend)
    assert torch.equal(found[:2], torch.stack([fake[0], real[1]]))
    assert torch.allclose(found[2], 0.25 * real[2] + 0.75 * fake[2])


@pytest.mark.parametrize(
    "options", [{}, {"center": 0.0}, {"squared": True}], ids=["1", "0", "squared"]
)
def test_zero_norms_are_finite(backend, device, options):
    grad = torch.zeros(3, 5, device=device)
    grad[1] = torch.arange(5.0)
    found = evaluate(ops.grad_norm_penalty, [grad], {**options, "backend": backend}, order=2)
    assert all(bool(t.isfinite().all()) for t in found.values())
    assert found["y"][0] == (0.0 if options else 1.0)
    assert found["d0"][0].count_nonzero() == 0
    # The square bends at 0; a distance has no slope there.
    assert bool(found["dd0"][0].count_nonzero()) == bool(options)
    expected = evaluate(
        ops.grad_norm_penalty, [grad.double()], {**options, "backend": "reference"}, order=2
    )
    problem = first_mismatch(found, {k: t.cpu() for k, t in expected.items()}, 4e-6)
    assert problem is None, problem


def test_tiny_and_large_norms_do_not_overflow(backend, device):
    """1/‖g‖² of the first exceeds float32; the squared norm of the second exceeds float16."""
    if backend != "reference":  # autograd divides by the norm twice
        tiny = torch.tensor([[0.0, 3e-21, 4e-21]], device=device)
        found = evaluate(ops.grad_norm_penalty, [tiny], {"backend": backend}, order=2)
        expected = evaluate(
            ops.grad_norm_penalty, [tiny.double()], {"backend": "reference"}, order=2
        )
        assert first_mismatch(found, {k: t.cpu() for k, t in expected.items()}, 1e-2) is None
    large = torch.full((1, 400), 60000.0, device=device, dtype=torch.float16)
    penalty = ops.grad_norm_penalty(large, squared=True, backend=backend)
    rounded = 400 * 2**-24  # one rounding per value, in any order
    assert torch.allclose(
        penalty.double().cpu(), large.double().cpu().square().sum(1), rtol=rounded
    )


def test_nan_and_infinity_are_not_hidden(backend, device):
    grad = torch.tensor([[1.0, float("nan")], [float("inf"), 0.0], [3.0, 4.0]], device=device)
    for options in ({}, {"squared": True}):
        penalty = ops.grad_norm_penalty(grad, **options, backend=backend)
        assert (
            penalty[0].isnan() and penalty[1].isinf() and penalty[2] == (25.0 if options else 16.0)
        )


def test_squared_is_the_sum_of_squares(backend, device):
    grad = torch.randn(4, 3, 6, 5, device=device)
    found = ops.grad_norm_penalty(grad, center=3.0, squared=True, backend=backend)
    assert torch.allclose(found, grad.square().sum((1, 2, 3)))
    assert torch.equal(found, ops.grad_norm_penalty(grad, center=0.0, backend=backend))


def test_results_past_the_cache_are_those_of_each_sample_alone():
    """Results of 16 MB are streamed past the cache; a single sample, half of that, is not."""
    generator = torch.Generator().manual_seed(0)
    x, y, u, w, g = (torch.randn(2, 2_100_000, generator=generator) for _ in range(5))
    alpha, c = torch.tensor([0.25, -2.0]), torch.tensor([3.0, 0.5])
    native = torch.ops.fastgan

    def run(only: slice) -> list[torch.Tensor]:
        a, b, d, e, f, p, q = (t[only] for t in (x, y, u, w, g, alpha, c))
        return [
            native.lerp_samples(a, b, p),
            *native.lerp_samples_backward(f, a, b, p, True, True, True),
            *native.lerp_samples_double_backward(a, b, q, f, d, e, p, True, True, True, True),
            native.grad_norm_penalty_backward(p, f, q, 1.0),
            *native.grad_norm_penalty_double_backward(a, p, f, q, 1.0, True, True),
        ]

    for both, first, second in zip(run(slice(2)), run(slice(1)), run(slice(1, 2))):
        assert torch.equal(both, torch.cat([first, second]))


@pytest.mark.backends
@pytest.mark.parametrize("dtype,capability", [(torch.float32, 90), (torch.bfloat16, 100)])
def test_every_sweep_compiles_ahead_of_time(dtype, capability, tmp_path):
    """Each sweep has all inputs and outputs: no spills, 128-bit accesses, no atomics."""
    from fastgan.ops.gradient_penalty import triton as kernels
    from tests.ops import triton_target

    x, numbers = torch.empty(8, 3, 64, 64, dtype=dtype), torch.empty(8, dtype=dtype)
    norm = torch.empty(8, dtype=torch.float64 if dtype == torch.float64 else torch.float32)
    with triton_target.launches(capability) as launched:
        kernels.lerp_samples(x, x, numbers)
        kernels.lerp_samples_backward(x, x, x, numbers, True, True, True)
        kernels.lerp_samples_double_backward(
            x, x, numbers, x, x, x, numbers, True, True, True, True
        )
        kernels.grad_norm_penalty_backward(norm, x, norm, 1.0)
        kernels.grad_norm_penalty_double_backward(x, norm, x, norm, 1.0, True, True)
        # Triton compiles sizes of 1 as constants.
        kernels.grad_norm_penalty(torch.empty(1, 1, dtype=dtype), 1.0)
    assert len(launched) == 7
    for compiled in launched:
        triton_target.check(compiled, capability, tmp_path)
    assert all(triton_target.widths(compiled)[0] == 16 for compiled in launched[:6])
    # The other kernels store sums alone.
    assert all(triton_target.widths(launched[i])[1] == 16 for i in (0, 1, 2, 3, 5))
