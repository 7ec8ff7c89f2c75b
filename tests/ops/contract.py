"""The contract of every op, as a test class; an op's test file derives from it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.fx.experimental import _config as shape_config
from torch.utils._pytree import tree_flatten, tree_unflatten

from fastgan import ops
from tests.specs import OpSpec, evaluate, first_mismatch, poisoned_memory
from tests.specs.evaluate import Results
from tests.specs.spec import ErrorCase, RegisteredCall, Sample

CPU = torch.device("cpu")


def leaves(tensors, requires_grad: bool = True) -> list[Tensor | None]:
    return [
        None if t is None else t.detach().clone().requires_grad_(requires_grad) for t in tensors
    ]


def same_bits(a: Tensor | None, b: Tensor | None) -> bool:
    return (a is None and b is None) or (a is not None and b is not None and torch.equal(a, b))


def grad_of(outputs: list[Tensor], inputs: list[Tensor], **options) -> list[Tensor | None]:
    """Return the gradients of the sum of squares of those outputs that have any."""
    outputs = [t for t in outputs if t.requires_grad]
    if not outputs or not inputs:
        return []
    return list(torch.autograd.grad(sum(t.square().sum() for t in outputs), inputs, **options))


#: The latest sample's inputs in float64 with the reference's results: mostly equal for all dtypes.
_expected: dict[str, tuple[list[Tensor | None], Results]] = {}


def expected_of(spec: OpSpec, sample: Sample, exact: list[Tensor | None]) -> Results:
    """Return the float64 reference's results, computed once for dtypes with the same values."""
    key = f"{spec.name} {sample.id}"
    inputs, results = _expected.get(key, ([], {}))
    same = len(inputs) == len(exact) and all(
        same_bits(a, b) and (a is None or b is None or a.stride() == b.stride())
        for a, b in zip(inputs, exact)
    )
    if not same:
        results = evaluate(
            partial(spec.op, backend="reference"), exact, dict(sample.options), order=2
        )
        _expected.clear()
        _expected[key] = (exact, results)
    return results


class OpContract:
    spec: OpSpec

    def batched(self, tensors: Sequence[Tensor | None]) -> list[int]:
        """Return the indices of tensors that run along the batch; noise may also be shared."""
        batch = len(tensors[0])
        places = [i for i in self.spec.batched if i < len(tensors)]
        return [i for i in places if (t := tensors[i]) is not None and len(t) == batch]

    # ---- values

    def test_values(self, backend, device, sample: Sample, dtype):
        """Compare result, first and second derivatives with the float64 reference.

        Memory is full of NaN before. In float32, and for large images, a second run must have the
        same bits. Strides are the reference's, and inputs don't change.
        """
        found = self.check_values(
            partial(self.spec.op, backend=backend), backend, device, sample, dtype
        )
        assert all(t is None or t.dtype == dtype for t in found.values())

    def check_values(self, op, backend, device, sample: Sample, dtype) -> Results:
        tensors = sample.tensors(dtype, device)
        before = [None if t is None else t.clone() for t in tensors]
        with poisoned_memory():
            found = evaluate(op, tensors, dict(sample.options), order=2)
        exact = [None if t is None else t.double().cpu() for t in tensors]
        expected = expected_of(self.spec, sample, exact)
        problem = first_mismatch(found, expected, self.spec.tolerance[dtype])
        assert problem is None, problem
        assert all(same_bits(a, b) for a, b in zip(before, tensors)), "an input was written to"
        # Dense strides are kept exactly.
        if torch.empty_like(tensors[0]).stride() == tensors[0].stride():
            assert found["y"].stride() == expected["y"].stride()
        if sample.large or (dtype == torch.float32 and backend != "reference"):
            again = evaluate(op, tensors, dict(sample.options), order=2)
            assert all(same_bits(found[k], again[k]) for k in found), "other bits the second time"
        return found

    # ---- derivatives

    def test_gradcheck(self, backend, device, small_sample: Sample):
        inputs = leaves(small_sample.tensors(torch.float64, device))
        given = [t for t in inputs if t is not None]

        def op(*tensors: Tensor) -> Tensor:
            rest = iter(tensors)
            full = [None if t is None else next(rest) for t in inputs]
            return self.spec.op(*full, **small_sample.options, backend=backend)

        assert torch.autograd.gradcheck(op, given, fast_mode=True)
        assert torch.autograd.gradgradcheck(op, given, fast_mode=True)

        def gradients(
            *tensors: Tensor,
        ) -> tuple[Tensor, ...]:  # third order: gradgradcheck of the first derivative
            y = op(*tensors)
            return torch.autograd.grad((y * y).sum(), tensors, create_graph=True)

        assert torch.autograd.gradgradcheck(gradients, given, fast_mode=True)

    def test_only_what_needs_a_gradient_gets_one(self, backend, device):
        sample = next(s for s in self.spec.samples if s.small)
        count = len(sample.tensors(torch.float32, device))
        for wanted in range(count):
            tensors = sample.tensors(torch.float32, device)
            inputs = [
                None if t is None else t.requires_grad_(i == wanted) for i, t in enumerate(tensors)
            ]
            self.spec.op(*inputs, **sample.options, backend=backend).sum().backward()
            assert [t.grad is not None for t in inputs] == [i == wanted for i in range(count)]

    # ---- torch.compile, opcheck, autocast, transforms

    def test_opcheck(self, backend, device, registered_call: RegisteredCall):
        if backend == "reference":
            pytest.skip("plain PyTorch: nothing is registered")
        op = getattr(ops._library.registered_ops_of(backend), registered_call.op).default
        of_the_kernel = {"test_utils": ("test_schema", "test_faketensor")}
        kernels_alone = backend == "emulated" or ops._library.triton_interpreter()
        checks = of_the_kernel if kernels_alone else {}
        torch.library.opcheck(op, registered_call.args(torch.float32, device), **checks)

    def test_eager_calls_have_the_bits_of_the_registered_op(
        self, backend, device, registered_call: RegisteredCall
    ):
        """Results and gradients are equal; inputs are leaves, then results of an operation."""
        if backend == "reference":
            pytest.skip("plain PyTorch: nothing is registered")
        namespaces = (ops._library.registered_ops_of(backend), ops._library.ops_of(backend))

        def results(namespace, inner: bool) -> list[Tensor | None]:
            flat, tree = tree_flatten(registered_call.args(torch.float32, device))
            flat = [t * 1.0 if inner and isinstance(t, Tensor) else t for t in flat]
            given = [t for t in flat if isinstance(t, Tensor) and t.requires_grad]
            found = tree_flatten(
                getattr(namespace, registered_call.op)(*tree_unflatten(flat, tree))
            )
            smooth = [t for t in found[0] if t.requires_grad]
            options = {"create_graph": True, "allow_unused": True}
            first = grad_of(smooth, given, **options)
            second = grad_of([g for g in first if g is not None], given, allow_unused=True)
            return [*found[0], *first, *second]

        for inner in (False, True):
            expected, found = (results(namespace, inner) for namespace in namespaces)
            assert len(expected) == len(found) and all(map(same_bits, expected, found))

    @pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
    def test_compile(self, backend, device, dynamic):
        """Compile with fullgraph, first derivative included; a dynamic batch has one graph."""
        small = [s for s in self.spec.samples if s.small]
        count = 2 if dynamic else 3
        for sample in small[:: -(-len(small) // count)]:
            torch._dynamo.reset()
            counter = CompileCounterWithBackend("aot_eager")
            op = partial(self.spec.op, **sample.options, backend=backend)
            compiled = torch.compile(op, fullgraph=True, backend=counter)

            given = sample.tensors(torch.float32, device)
            batched = self.batched(given)

            def call(*tensors: Tensor | None, compiled=compiled, batched=batched) -> Tensor:
                for i in batched if dynamic else ():
                    torch._dynamo.mark_dynamic(tensors[i], 0)
                return compiled(*tensors)

            graphs = 0
            for repeat in (2, 5) if dynamic else (1,):
                tensors = [
                    t.repeat(repeat, *(1 for _ in t.shape[1:])) if i in batched else t
                    for i, t in enumerate(given)
                ]
                # Otherwise a batch as large as another size ties the two.
                with shape_config.patch(use_duck_shape=False):
                    found = evaluate(call, tensors, {}, order=1)
                expected = evaluate(op, tensors, {}, order=1)
                assert all(torch.allclose(found[k], expected[k], atol=1e-6) for k in expected)
                graphs = graphs or counter.frame_count
            assert counter.frame_count == graphs > 0

    def test_compiled_gradient_of_a_gradient(self, backend, device):
        """One graph of the penalty step has eager's parameter gradients, for any curvature."""
        samples = {s.options.get("act"): s for s in reversed(self.spec.samples) if s.small}
        sample = samples.get("swish") or samples[None]  # curved, if the op has an activation
        op = partial(self.spec.op, **sample.options, backend=backend)

        def step(x: Tensor, *parameters: Tensor) -> Tensor:
            y = op(x, *parameters)
            (g,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
            loss = g.square().sum() + y.sum()
            loss.backward()
            return loss.detach()

        results = []
        torch._dynamo.reset()
        with torch._dynamo.config.patch(trace_autograd_ops=True):
            for f in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
                tensors = leaves(sample.tensors(torch.float32, device))
                results.append([f(*tensors), *(t.grad for t in tensors)])
        assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in zip(*results))

    def test_no_graph_break_when_choosing_a_backend(self, backend, device):
        sample = next(s for s in self.spec.samples if s.small)
        tensors = sample.tensors(torch.float32, device)

        def f(*tensors: Tensor) -> Tensor:
            return self.spec.op(*tensors, **sample.options)

        torch._dynamo.reset()
        compiled = torch.compile(f, fullgraph=True, backend="eager")
        with ops.use_backend(backend):
            first = compiled(*tensors)
        assert torch.allclose(first, compiled(*tensors), atol=1e-6)

    @pytest.mark.parametrize("low", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
    def test_autocast(self, backend, device, low):
        """The op keeps the dtype of x; float32 parameters follow it and have float32 gradients."""
        sample = next(s for s in self.spec.samples if s.small)
        x, *parameters = leaves(sample.tensors(torch.float32, device))
        with torch.autocast(device.type, dtype=low):
            for dtype in (low, torch.float32):
                y = self.spec.op(x.to(dtype), *parameters, **sample.options, backend=backend)
                assert y.dtype == dtype
        grads = torch.autograd.grad(y.sum(), [x, *parameters])
        assert all(g.dtype == torch.float32 for g in grads)

    @pytest.mark.parametrize("transform", ["vmap", "grad", "jvp", "forward_ad", "jacrev"])
    def test_transforms_are_right(self, backend, device, transform):
        """The public function works under functorch and forward AD, where custom ops fail."""
        sample = next(s for s in self.spec.samples if s.small)
        x, *rest = sample.tensors(torch.float64, device)
        tangent = torch.cos(x)

        def f(x: Tensor) -> Tensor:
            return self.spec.op(x, *rest, **sample.options, backend=backend)

        def reference(x: Tensor) -> Tensor:
            return self.spec.op(x, *rest, **sample.options, backend="reference")

        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(reference(leaf).sum(), leaf)
        if transform == "vmap":
            batch = torch.stack([x, x + 1])
            assert torch.allclose(torch.vmap(f)(batch)[1], reference(x + 1))
        elif transform == "grad":
            assert torch.allclose(torch.func.grad(lambda t: f(t).sum())(x), gradient)
        elif transform == "jacrev":

            def one(t: Tensor | None, i: int) -> Tensor | None:
                """Return one pixel of one sample."""
                if i not in self.spec.batched or t is None:
                    return t
                return t[:1, :, :1, :1] if t.ndim == 4 else t[:1]

            small, *rest = (one(t, i) for i, t in enumerate([x, *rest]))
            assert torch.func.jacrev(f)(small).shape == reference(small).shape + small.shape
        else:
            if transform == "jvp":
                _, out = torch.func.jvp(f, (x,), (tangent,))
            else:
                with torch.autograd.forward_ad.dual_level():
                    dual = torch.autograd.forward_ad.make_dual(x, tangent)
                    out = torch.autograd.forward_ad.unpack_dual(f(dual)).tangent
            (vjp,) = torch.autograd.grad(reference(leaf), leaf, torch.ones_like(out))
            assert torch.allclose(out.sum(), (vjp * tangent).sum()) and out.abs().max() > 0

    # ---- threads

    def test_from_several_threads(self, backend, device):
        if ops._library.triton_interpreter():
            pytest.skip("Triton's interpreter runs one kernel at a time")
        samples = [s for s in self.spec.samples if not s.large][
            : 24 : 3 if backend == "emulated" else 1
        ]
        op = partial(self.spec.op, backend=backend)

        def run(sample: Sample) -> list[Tensor | None]:
            return list(
                evaluate(
                    op, sample.tensors(torch.float32, device), dict(sample.options), order=2
                ).values()
            )

        expected = [run(s) for s in samples]
        failures: list[str] = []

        def work(offset: int) -> None:
            for i in range(len(samples)):
                i = (i + offset) % len(samples)
                if not all(same_bits(a, b) for a, b in zip(run(samples[i]), expected[i])):
                    failures.append(samples[i].id)

        threads = [threading.Thread(target=work, args=(5 * k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures

    # ---- errors

    def test_error(self, error_case: ErrorCase):
        with pytest.raises(error_case.error) as caught:
            error_case.call()
        message = str(caught.value)
        assert all(words in message for words in error_case.says), message
        assert "\n" not in message
