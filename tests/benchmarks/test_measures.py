"""The benchmarks' calls, the checks of their results, and the memory that they see."""

from functools import partial

import pytest
import torch

from benchmarks.harness import WrongResult, check_results, expected_results
from benchmarks.measures import (
    MEASURES,
    direction,
    double_backward_as_a_function,
    incoming_gradient,
)
from benchmarks.memory import peak_extra_bytes
from tests.specs import BenchmarkCase, first_mismatch
from tests.specs.bias_act import BIAS_ACT

CPU = torch.device("cpu")


def small_case(**options) -> BenchmarkCase:
    def tensors(dtype, device):
        x = torch.linspace(-2, 2, 120, dtype=dtype, device=device).view(2, 3, 4, 5)
        return x, torch.tensor([0.25, -0.125, 0.5], dtype=dtype, device=device)

    moved = {"forward": 2.0, "forward_backward": 5.0, "double_backward": 3.0}
    return BenchmarkCase("small", tensors, options, moved)


def test_measures_against_derivatives_by_hand():
    def cube(x):
        return x**3

    x = torch.linspace(-1, 2, 7, dtype=torch.float64)
    dy, ddx = incoming_gradient(cube, [x], {}), direction(x.shape, 2, x)
    found = {name: measure(cube, [x], {})() for name, measure in MEASURES.items()}
    assert torch.equal(found["forward"]["y"], x**3)
    assert torch.allclose(found["forward_backward"]["d0"], 3 * x**2 * dy)
    assert torch.allclose(found["double_backward"]["ddy"], 3 * x**2 * ddx)
    assert torch.allclose(found["double_backward"]["dd0"], 6 * x * dy * ddx)


@pytest.mark.parametrize("act", ["linear", "lrelu", "swish"])
def test_every_measure_of_the_native_op_passes_the_check(act):
    case = small_case(act=act, clamp=1.5)
    tensors = case.tensors(torch.float32, CPU)
    for name, measure in MEASURES.items():
        found = measure(partial(BIAS_ACT.op, backend="cpu"), tensors, case.options)()
        check_results(found, expected_results(BIAS_ACT, case, name, tensors), 4e-6, what=name)


@pytest.mark.parametrize("act", ["lrelu", "swish"])
def test_the_second_derivative_as_one_function_is_the_same(act):
    case = small_case(act=act)
    tensors = case.tensors(torch.float64, CPU)
    op = partial(BIAS_ACT.op, backend="reference")
    function = double_backward_as_a_function(op, tensors, case.options, lambda f: f)
    passed = MEASURES["double_backward"](op, tensors, case.options)
    assert first_mismatch(function(), passed(), 1e-12) is None


def test_directions_keep_the_layout():
    x = torch.zeros(2, 8, 3, 5).to(memory_format=torch.channels_last)
    assert direction(x.shape, 1, x).stride() == x.stride()
    assert torch.equal(direction(x.shape, 1, x), direction(x.shape, 1, x.contiguous()))


@pytest.mark.parametrize("measure", list(MEASURES))
def test_a_wrong_side_is_refused(measure):
    case = small_case(act="lrelu")
    tensors = case.tensors(torch.float32, CPU)
    expected = expected_results(BIAS_ACT, case, measure, tensors)
    wrong = MEASURES[measure](
        lambda x, b, **o: BIAS_ACT.op(x, b, **o) * 1.001, tensors, case.options
    )()
    with pytest.raises(WrongResult, match=r"bias_act small: cpu is wrong, so it is not timed"):
        check_results(wrong, expected, 4e-6, what="bias_act small: cpu")


def test_peak_memory_counts_what_is_alive_at_one_time():
    def all_at_once():
        return [torch.zeros(1_000_000) for _ in range(3)]

    def one_after_the_other():
        for _ in range(3):
            torch.zeros(1_000_000)

    assert peak_extra_bytes(all_at_once, CPU) == 12_000_000
    assert peak_extra_bytes(one_after_the_other, CPU) == 4_000_000


def test_peak_memory_of_native_code_is_seen():
    """Forward and backward hold the output, the gradient of x, and little else."""
    x, b = torch.randn(4, 64, 32, 32), torch.randn(64)
    call = MEASURES["forward_backward"](
        partial(BIAS_ACT.op, backend="cpu"), [x, b], {"act": "lrelu"}
    )
    call()
    assert 2 * x.nbytes <= peak_extra_bytes(call, CPU) < 2.1 * x.nbytes
