"""Comparison of sides: checks, sides that are only timed, and the floor."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from benchmarks.harness import (
    OpBenchmark,
    OpBenchmarks,
    Run,
    WrongResult,
    compare,
    largest_error,
    measure_memory,
    shortened,
)
from benchmarks.measures import MEASURES
from benchmarks.results import RunResults
from benchmarks.sides import Side, sides_of, torch_conv2d
from benchmarks.timing import product_flops
from tests.specs import BenchmarkCase, OpSpec

CPU = torch.device("cpu")


def convolve(x, weight, *, backend):
    return F.conv2d(x, weight, padding=1)


def tensors(dtype, device):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(size, generator=generator).to(device, dtype)
        for size in ((2, 3, 8, 8), (5, 3, 3, 3))
    ]


PRODUCTS = BenchmarkCase(
    "3x3", tensors, {}, products={name: 3 * product_flops("cpu") for name in MEASURES}
)
MOVED = replace(PRODUCTS, moved=dict.fromkeys(MEASURES, 5.0), products=None)
SPEC = OpSpec("convolve", convolve, [], [], [], [PRODUCTS], {torch.float32: 1e-5})


def side(name, op, *, checked=True):
    return Side(
        name, lambda measure, tensors, options: MEASURES[measure](op, tensors, options), checked
    )


RIGHT = side("right", lambda x, weight: F.conv2d(x, weight, padding=1))
WRONG = side("other", lambda x, weight: 2 * F.conv2d(x, weight, padding=1))
YARDSTICK = replace(WRONG, checked=False)


def a_run():
    """Return a run in which every call takes two seconds by the clock."""

    def clock(call):
        call()
        return 2.0

    return Run(CPU, torch.float32, clock, RunResults({}, []), budget=0.0, least_rounds=3)


def repeat(one_round, times):
    for _ in range(times):
        one_round()


def test_the_floor_of_operations_comes_from_a_product():
    found = compare(SPEC, PRODUCTS, "forward", [RIGHT], a_run(), repeat)
    assert set(found.timings) == {"product", "right"}
    assert found.floor == pytest.approx(6.0)
    assert found.flops == 3 * product_flops("cpu")
    assert found.timings["right"].rounds == 3


def test_a_case_is_timed_in_the_measures_that_it_has_a_floor_for():
    assert PRODUCTS.measures == MOVED.measures == list(MEASURES)
    assert replace(PRODUCTS, products={"forward": 1.0}).measures == ["forward"]


def test_the_floor_of_bytes_comes_from_a_copy():
    found = compare(SPEC, MOVED, "forward", [RIGHT], a_run(), repeat)
    assert set(found.timings) == {"copy", "right"}
    assert found.floor == pytest.approx(5.0)
    assert found.flops is None


@pytest.mark.parametrize("measure", list(MEASURES))
def test_a_yardstick_is_timed_and_not_checked(measure):
    found = compare(SPEC, PRODUCTS, measure, [RIGHT, YARDSTICK], a_run(), repeat)
    assert set(found.timings) == {"product", "right", "other"}
    assert set(found.errors) == {"right"}


def test_another_side_that_computes_the_op_is_checked():
    with pytest.raises(
        WrongResult, match="convolve 3x3 forward: other is wrong, so it is not timed"
    ):
        compare(SPEC, PRODUCTS, "forward", [RIGHT, WRONG], a_run(), repeat)


def test_the_largest_error_is_relative_to_the_largest_value():
    expected = {
        "y": torch.tensor([4.0, -8.0, 0.0]).double(),
        "d0": torch.tensor([2.0]).double(),
        "d1": None,
    }
    found = {"y": torch.tensor([4.0, -8.0, 0.5]), "d0": torch.tensor([2.25]), "d1": None}
    assert largest_error(found, expected) == 0.125
    assert largest_error({**found, "d0": torch.tensor([2.0])}, expected) == 0.0625


@pytest.mark.parametrize("measure", list(MEASURES))
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_torch_conv2d_is_the_convolution_in_its_layout(measure, layout):
    found = compare(
        SPEC, PRODUCTS, measure, [torch_conv2d("F.conv2d", layout, checked=True)], a_run(), repeat
    )
    assert found.errors["F.conv2d"] < 1e-5
    call = torch_conv2d("F.conv2d", layout, checked=True).prepare(
        "forward", tensors(torch.float32, CPU), {"stride": 9}
    )
    assert call()["y"].is_contiguous(memory_format=layout)


def test_the_reference_is_named_as_asked():
    assert [s.name for s in sides_of(SPEC, CPU, eager="F.conv2d")] == ["cpu", "F.conv2d", "compile"]


def product(x, y, *, backend=None):
    """An op of known memory: the result, which is as large as either factor."""
    return x * y


def factors(dtype, device):
    return torch.ones(2, 3, 8, 8, dtype=dtype, device=device), torch.ones(
        2, 3, 8, 8, dtype=dtype, device=device
    )


FACTORS = replace(PRODUCTS, id="factors", tensors=factors)
PRODUCT_SPEC = OpSpec("product", product, [], [], [], [FACTORS], {torch.float32: 1e-5})
BYTES = 4 * 2 * 3 * 8 * 8  # per tensor


def with_scratch(nbytes):
    """Return a side with so many bytes of scratch memory next to its result."""

    def op(x, y):
        held = torch.empty(nbytes, dtype=torch.uint8)
        result = x * y
        del held
        return result

    return side(f"{nbytes} bytes", op)


def test_memory_is_of_the_sides_that_compute_the_op():
    found = measure_memory(PRODUCT_SPEC, FACTORS, [side("right", product), YARDSTICK], a_run())
    assert set(found.peaks) == set(found.scratch) == {"right"}
    assert found.results == 3 * BYTES and found.yardstick == 5 * BYTES  # y, dx, dy; also x and y
    assert found.peaks["right"] >= found.results


def test_the_activation_is_the_larger_one_of_input_and_output():
    wide = replace(FACTORS, tensors=lambda *args: (factors(*args)[0][:, :1], factors(*args)[1]))
    narrow = replace(FACTORS, tensors=lambda *args: (factors(*args)[0], factors(*args)[1][:1]))
    for case in (wide, narrow):
        assert (
            measure_memory(PRODUCT_SPEC, case, [side("right", product)], a_run()).activation
            == BYTES
        )


def test_scratch_is_what_the_forward_pass_allocates_beside_its_output():
    sides = [with_scratch(nbytes) for nbytes in (0, 1000, 10 * BYTES)]
    found = measure_memory(PRODUCT_SPEC, FACTORS, sides, a_run())
    assert found.scratch == {"0 bytes": 0, "1000 bytes": 1000, f"{10 * BYTES} bytes": 10 * BYTES}
    bound_by_memory = replace(
        PRODUCT_SPEC, benchmarks=[replace(FACTORS, moved=MOVED.moved, products=None)]
    )
    assert measure_memory(bound_by_memory, FACTORS, sides, a_run()).scratch == {}


def test_many_sizes_get_less_time_each():
    run = replace(a_run(), budget=4.0, least_rounds=15)
    assert (shortened(run, 4).budget, shortened(run, 4).least_rounds) == (1.0, 7)
    assert shortened(replace(run, least_rounds=3), 4).least_rounds == 3


def test_sides_get_a_column_where_they_appear():
    class Op(OpBenchmark):
        def sides(self, run):
            return [RIGHT, YARDSTICK]

    def pedantic(one_round, rounds, iterations):
        repeat(one_round, rounds)

    fixture, run = SimpleNamespace(extra_info={}, pedantic=pedantic), a_run()
    op, bench = Op(SPEC), OpBenchmarks()
    bench.test_memory(op, PRODUCTS, run)
    assert run.results.sides == ["right"]  # a yardstick doesn't have the op's memory
    bench.test_time(fixture, op, PRODUCTS, "forward", run)
    assert run.results.sides == ["right", "other"]
    bench.test_scaling(fixture, op, PRODUCTS, run)
    assert set(run.results.scaling[0].timings) == {"product", "right"}
    assert run.results.sides == ["right", "other"]
