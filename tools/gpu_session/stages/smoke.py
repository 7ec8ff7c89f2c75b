"""Every op on the GPU backends: against float64, on another stream, captured and replayed.

Each check takes the result, and the first and second derivatives of two samples. A figure is the
number of checks that hold; a failure names the first check that doesn't.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from fastgan import ops
from tests.specs import OpSpec, Sample, evaluate, first_mismatch
from tests.specs.evaluate import Results
from tools.gpu_session.clock import captured, detached, multiply_as, synchronize
from tools.gpu_session.context import Context
from tools.gpu_session.specs import all_specs, on_device, smoke_samples

DTYPES = (torch.float32, torch.bfloat16)
Tensors = list[Tensor | None]


def run(context: Context) -> None:
    """Check the ops of ``context.part``: a backend, and which share of them, ``triton 1/3``."""
    backend, _, share = (context.part or "cpu").partition(" ")
    place, _, count = (share or "1/1").partition("/")
    if context.device != "cuda":
        backend = "cpu"
    status = ops.backends()[backend]
    if not status.usable:
        raise SystemExit(f"{backend}: {status.reason}")
    multiply_as(tf32=False)
    # A replay must have the bits of an eager call.
    torch.backends.cudnn.deterministic = True
    specs = all_specs()[int(place) - 1 :: int(count)]
    for spec in specs[:: 5 if context.quick else 1]:
        with context.attempt(spec.name, "checks that hold", "of all", side=backend):
            check(context, spec, backend)


def check(context: Context, spec: OpSpec, backend: str) -> None:
    """Report how many checks of an op hold."""
    held = tried = 0
    first = ""
    dtypes = [dtype for dtype in DTYPES if dtype in spec.tolerance]
    for sample in smoke_samples(spec)[: 1 if context.quick else 2]:
        for dtype in dtypes[: 1 if context.quick else 2]:
            case = Case.of(context.device, spec, backend, sample, dtype)
            for name, test in CHECKS.items():
                problem = problem_of(test, case)
                tried, held = tried + 1, held + (not problem)
                if problem and not first:
                    first = f"{name}, {sample.id}, {str(dtype)[6:]}: {problem}"[:200]
    # A failure is in the table as a value that isn't the number of checks.
    context.figure(
        spec.name, "checks that hold", float(held), f"of {tried}", side=backend, note=first
    )


@dataclass(frozen=True)
class Case:
    """A sample on a backend, and the reference's results in float64 for the values of its dtype."""

    device: str
    spec: OpSpec
    backend: str
    sample: Sample
    dtype: torch.dtype
    expected: Results

    @classmethod
    def of(
        cls, device: str, spec: OpSpec, backend: str, sample: Sample, dtype: torch.dtype
    ) -> Case:
        """Compute the expected results."""
        case = cls(device, spec, backend, sample, dtype, {})
        exact = [None if t is None else t.double() for t in case.tensors()]
        found = replace(case, backend="reference").results_of(exact)
        expected = {name: None if t is None else t.cpu() for name, t in found.items()}
        return replace(case, expected=expected)

    def tensors(self) -> Tensors:
        """Return the sample's tensors."""
        return list(self.sample.tensors(self.dtype, torch.device(self.device)))

    @property
    def op(self) -> Callable[..., Tensor]:
        """The op with the sample's options."""
        options = on_device(self.sample.options, self.device)
        return partial(self.spec.op, **options, backend=self.backend)

    def results_of(self, tensors: Tensors) -> Results:
        """Return the op's result and derivatives."""
        return evaluate(self.op, tensors, {}, order=2)

    def mismatch(self, found: Results) -> str:
        """Describe the first of the results that is wrong."""
        expected = {name: self.expected[name] for name in found}
        return first_mismatch(found, expected, self.spec.tolerance[self.dtype]) or ""


def problem_of(test: Callable[[Case], str], case: Case) -> str:
    """Return the problem that a check finds, also if it raises."""
    try:
        return test(case)
    except Exception as error:
        synchronize(case.device)
        return f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}"


def against_float64(case: Case) -> str:
    return case.mismatch(case.results_of(case.tensors()))


def on_another_stream(case: Case) -> str:
    """Run on a stream whose inputs arrive late; a launch on another stream would read NaN."""
    values = case.tensors()
    late: Tensors = [None if t is None else torch.empty_like(t).fill_(torch.nan) for t in values]
    synchronize(case.device)
    stream = torch.cuda.Stream() if case.device == "cuda" else None
    with torch.cuda.stream(stream):
        if case.device == "cuda":
            torch.cuda._sleep(5_000_000)
        fill(late, values)
        found = case.results_of(late)
    synchronize(case.device)
    return case.mismatch(found)


def captured_and_replayed(case: Case) -> str:
    """Capture on other values, then replay on the sample's."""
    values = case.tensors()
    static: Tensors = detached(values)
    directions = [torch.cos(t.detach()) for t in static if t is not None]
    op = case.op

    def call() -> Results:
        leaves = [None if t is None else t.detach().requires_grad_() for t in static]
        y = op(*leaves)
        given = [t for t in leaves if t is not None]
        dy = torch.ones_like(y).requires_grad_()
        first = torch.autograd.grad(y, given, dy, create_graph=True)
        second = torch.autograd.grad(first, [dy, *given], directions, allow_unused=True)
        return {"y": y, **{f"{i}": g for i, g in enumerate((*first, *second))}}

    eager: Results = detached(call())
    with torch.no_grad():
        for place in static:
            if place is not None:
                place.mul_(0.5)
    replay, found = captured(call, case.device)
    fill(static, values)
    replay()
    synchronize(case.device)
    if problem := case.mismatch({"y": found["y"]}):
        return problem
    for name, value in eager.items():
        have = found[name]
        same = have is value if have is None or value is None else torch.equal(have, value)
        if not same:
            return f"tensor {name} of a replay isn't that of an eager call"
    return ""


def fill(places: Tensors, values: Tensors) -> None:
    """Copy values into tensors that a call reads."""
    with torch.no_grad():
        for place, value in zip(places, values, strict=True):
            if place is not None and value is not None:
                place.copy_(value)


CHECKS: dict[str, Callable[[Case], str]] = {
    "float64": against_float64,
    "stream": on_another_stream,
    "graph": captured_and_replayed,
}
