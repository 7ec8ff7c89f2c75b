"""The contract of every op, as a test class; an op's test file derives from it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.fx.experimental import _config as shape_config
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from fastgan import ops
from tests.specs import OpSpec, evaluate, first_mismatch, poisoned_memory
from tests.specs.evaluate import Results
from tests.specs.spec import ErrorCase, Penalty, RegisteredCall, Sample, Saved

CPU = torch.device("cpu")


def leaves(tensors, requires_grad: bool = True) -> list[Tensor | None]:
    return [
        None if t is None else t.detach().clone().requires_grad_(requires_grad) for t in tensors
    ]


def same_bits(a: Tensor | None, b: Tensor | None) -> bool:
    return (a is None and b is None) or (a is not None and b is not None and torch.equal(a, b))


def layout_of(t: Tensor | None) -> torch.memory_format | None:
    """Return the layout of an image, None if it has several or none of the two."""
    both = (torch.contiguous_format, torch.channels_last)
    has = [f for f in both if t is not None and t.ndim == 4 and t.is_contiguous(memory_format=f)]
    return has[0] if len(has) == 1 else None


def grad_of(outputs: list[Tensor], inputs: list[Tensor], **options) -> list[Tensor | None]:
    """Return the gradients of the sum of squares of those outputs that have any."""
    outputs = [t for t in outputs if t.requires_grad]
    if not outputs or not inputs:
        return []
    return list(torch.autograd.grad(sum(t.square().sum() for t in outputs), inputs, **options))


def same_for_any_thread_count(run: Callable[[], Iterable[Tensor | None]]) -> bool:
    """Return True if the results have the same bits with one, two and three threads."""
    results, threads = [], torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(list(run()))
    finally:
        torch.set_num_threads(threads)
    return all(same_bits(a, b) for later in results[1:] for a, b in zip(results[0], later))


class Calls(TorchDispatchMode):
    """Our ops that run inside it: their names, and their arguments by name."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.args: list[dict[str, Any]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace.startswith("fastgan"):
            self.names.append(func._schema.name.partition("::")[2])
            self.args.append({a.name: v for a, v in zip(func._schema.arguments, args)})
        return func(*args, **(kwargs or {}))

    def of(self, op: str) -> list[dict[str, Any]]:
        """Return the arguments of each call of an op."""
        return [args for name, args in zip(self.names, self.args) if name == op]


def needs(args: dict[str, Any]) -> set[str]:
    """Return the gradients that a derivative is asked for: ``need_dx`` is ``dx``."""
    return {name.removeprefix("need_") for name, v in args.items() if name[:5] == "need_" and v}


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

    def inputs(
        self, sample: Sample, device: torch.device, wanted: Sequence[int] | None = None
    ) -> list[Tensor | None]:
        """Return the tensors of a sample in float32; those at ``wanted`` require a gradient."""
        tensors = sample.tensors(torch.float32, device)
        return [
            None if t is None else t.requires_grad_(wanted is None or i in wanted)
            for i, t in enumerate(tensors)
        ]

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
        gradients = {i: found.get(f"d{i}") for i in self.spec.batched if backend != "reference"}
        for i, g in gradients.items():
            assert g is None or layout_of(tensors[i]) in (None, layout_of(g)), f"layout of d{i}"
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

    def test_each_first_gradient_alone_can_be_derived_again(
        self, backend, device, small_sample: Sample
    ):
        """The other directions are absent then, including that of the first tensor."""
        small = [s for s in self.spec.samples if s.small]
        if backend == "emulated" and small_sample not in small[:: -(-len(small) // 2)]:
            pytest.skip("emulated kernels have two samples")
        found = []
        for side in (backend, "reference"):
            inputs = leaves(small_sample.tensors(torch.float64, device))
            y = self.spec.op(*inputs, **small_sample.options, backend=side)
            dy = torch.cos(3 * y.detach()).requires_grad_()
            given = [t for t in inputs if t is not None]
            for g in torch.autograd.grad(y, given, dy, create_graph=True):
                options = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
                found.append(torch.autograd.grad(g.square().sum(), [dy, *given], **options))
        half = len(found) // 2
        for ours, expected in zip(found[:half], found[half:]):
            assert all(torch.allclose(a, b, rtol=1e-10, atol=1e-10) for a, b in zip(ours, expected))

    def test_only_what_needs_a_gradient_gets_one(self, backend, device):
        sample = next(s for s in self.spec.samples if s.small)
        count = len(sample.tensors(torch.float32, device))
        for wanted in range(count):
            inputs = self.inputs(sample, device, [wanted])
            self.spec.op(*inputs, **sample.options, backend=backend).sum().backward()
            found = [t is not None and t.grad is not None for t in inputs]
            assert found == [i == wanted for i in range(count)]

    def test_saves_as_little_as_the_maths_needs(self, backend, device, saved: Saved):
        inputs = self.inputs(saved.sample, device, saved.wanted)
        kept: list[Tensor] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
            y = self.spec.op(*inputs, **saved.sample.options, backend=backend)
        named = {t.data_ptr(): i for i, t in enumerate(inputs) if t is not None}
        named[y.data_ptr()] = "y"
        found = [named.get(t.data_ptr(), t.numel()) for t in kept]
        places = [name for t, name in zip(kept, found) if t.data_ptr() in named]
        sizes = [name for t, name in zip(kept, found) if t.data_ptr() not in named]
        assert sorted(map(str, places)) == sorted(map(str, saved.kept))
        assert sorted(sizes) == sorted(saved.more)

    def test_a_penalty_asks_for_nothing_that_it_drops(self, backend, device, penalty: Penalty):
        """Its first pass is asked for one gradient; its second has no direction but that one's."""
        inputs = self.inputs(penalty.sample, device, penalty.wanted)
        with Calls() as calls:
            y = self.spec.op(*inputs, **penalty.sample.options, backend=backend)
            (g,) = torch.autograd.grad(y.square().sum(), inputs[0], create_graph=True)
            g.square().sum().backward()
        of_the_first = "d" + next(iter(calls.args[0]))
        first = calls.of(f"{calls.names[0]}_backward")[0]
        (second,) = calls.of(f"{calls.names[0]}_double_backward")
        assert needs(first) <= {of_the_first}
        directions = [name for name in second if name.startswith("dd")]
        assert [n for n in directions if second[n] is not None] == [f"d{of_the_first}"]
        assert needs(second) == penalty.needs

    def test_a_part_of_a_derivative_has_the_bits_of_the_whole(
        self, backend, device, registered_call: RegisteredCall
    ):
        """Results that nobody asked for are empty."""
        op = getattr(ops._library.registered_ops_of(backend), registered_call.op).default
        args = [
            a.detach() if isinstance(a, Tensor) else a
            for a in registered_call.args(torch.float32, device)
        ]
        names = [a.name for a in op._schema.arguments]
        asked = [i for i, name in enumerate(names) if name[:5] == "need_" and args[i]]
        if len(asked) < 2:
            pytest.skip("it has one result, or always all of them")
        whole = op(*args)
        sizes = []
        for one in asked:
            part = op(*(i == one if i in asked else a for i, a in enumerate(args)))
            assert all(not t.numel() or torch.equal(t, w) for t, w in zip(part, whole))
            sizes.append(sum(t.numel() for t in part))
        assert 0 < min(sizes) < sum(t.numel() for t in whole)

    # ---- torch.compile, opcheck, autocast, transforms

    def test_opcheck(self, backend, device, registered_call: RegisteredCall):
        """Check the schema, the fake kernel and the registration of the derivative."""
        checks = ["test_schema", "test_faketensor"]
        if backend != "emulated" and not ops._library.triton_interpreter():
            checks.append("test_autograd_registration")
        self.opcheck(backend, device, registered_call, checks)

    @pytest.mark.long
    def test_opcheck_traces_the_derivative(self, backend, device, registered_call: RegisteredCall):
        self.opcheck(backend, device, registered_call, ["test_aot_dispatch_dynamic"])

    def opcheck(self, backend, device, call: RegisteredCall, checks: Sequence[str]) -> None:
        op = getattr(ops._library.registered_ops_of(backend), call.op).default
        torch.library.opcheck(op, call.args(torch.float32, device), test_utils=checks)

    def test_eager_calls_have_the_bits_of_the_registered_op(
        self, backend, device, registered_call: RegisteredCall
    ):
        """Results and gradients are equal; inputs are leaves, then results of an operation."""
        namespaces = (ops._library.registered_ops_of(backend), ops._library.ops_of(backend))

        def results(namespace, inner: bool) -> list[Tensor | None]:
            flat, tree = tree_flatten(registered_call.args(torch.float32, device))
            floats = [isinstance(t, Tensor) and t.is_floating_point() for t in flat]
            flat = [t * 1.0 if inner and is_float else t for t, is_float in zip(flat, floats)]
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

    @pytest.mark.long
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
        """float32 parameters follow the dtype of the op, and have float32 gradients."""
        sample = next(s for s in self.spec.samples if s.small)
        x, *parameters = leaves(sample.tensors(torch.float32, device))
        kind = self.spec.autocast
        # Outside of autocast, a convolution's parameters have the dtype of x.
        for dtype in (torch.float32,) if kind == "region" else (low, torch.float32):
            with torch.autocast(device.type, dtype=low):
                y = self.spec.op(x.to(dtype), *parameters, **sample.options, backend=backend)
            assert y.dtype == {"input": dtype, "region": low, "float32": torch.float32}[kind]
        exact = [None if t is None else t.detach().double().cpu() for t in (x, *parameters)]
        expected = evaluate(self.spec.op, exact, dict(sample.options), order=0)
        assert first_mismatch({"y": y.detach()}, expected, self.spec.tolerance[low]) is None
        inputs = [t for t in (x, *parameters) if t is not None]
        assert all(g.dtype == torch.float32 for g in torch.autograd.grad(y.float().sum(), inputs))

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

    def test_thread_count_does_not_change_a_bit(self, threaded_sample: Sample):
        op, options = partial(self.spec.op, backend="cpu"), dict(threaded_sample.options)
        tensors = threaded_sample.tensors(torch.float32, CPU)
        assert same_for_any_thread_count(lambda: evaluate(op, tensors, options, order=2).values())

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
