from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from fastgan import ops
from fastgan.ops._define import _tensor_places
from fastgan.ops._library import ops_of
from fastgan.ops.spectral_norm import reference
from tests.ops.contract import Calls, OpContract
from tests.specs import evaluate, first_mismatch, poisoned_memory
from tests.specs.layouts import channels_last
from tests.specs.spectral_norm import SPECTRAL_NORM, normalised, vectors_for


class TestContract(OpContract):
    spec = SPECTRAL_NORM

    @pytest.mark.parametrize("low", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
    def test_autocast(self, backend, device, low):
        """The weights are one list of one dtype, which the op keeps."""
        weights = [t.requires_grad_() for t in self.spec.samples[0].tensors(torch.float32, device)]
        with torch.autocast(device.type, dtype=low):
            y = self.spec.op(*weights, backend=backend)
        assert y.dtype == torch.float32
        assert all(g.dtype == torch.float32 for g in torch.autograd.grad(y.sum(), weights))


SHAPES, DIMS = [(9, 5, 3, 3), (7, 6, 4, 4), (4, 30)], [0, 1, 0]


def network(
    device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32, shapes=SHAPES, dims=DIMS
):
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(s, generator=generator).to(device, dtype) for s in shapes]
    return weights, *vectors_for(weights, dims)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_vectors(backend, device, dtype, n):
    """Iterated u and v have length 1 and match the reference; inputs don't change."""
    weights, us, vs = network(device, dtype)
    before = [t.clone() for t in (*us, *vs)]
    with poisoned_memory():
        _, sigmas, new_us, new_vs = ops.spectral_norm(
            weights, us, vs, n_power_iterations=n, dims=DIMS, backend=backend
        )
    assert all(torch.equal(a, b) for a, b in zip(before, (*us, *vs)))
    tolerance = SPECTRAL_NORM.tolerance[dtype]
    for i, (weight, dim) in enumerate(zip(weights, DIMS)):
        matrix = reference.as_matrix(weight.double(), dim)
        u, v = reference.power_iteration(matrix, us[i].double(), vs[i].double(), n, 1e-12)
        assert new_us[i].dtype == new_vs[i].dtype == dtype
        assert torch.allclose(new_us[i].double(), u, rtol=0, atol=tolerance)
        assert torch.allclose(new_vs[i].double(), v, rtol=0, atol=tolerance)
        assert torch.allclose(sigmas[i].double(), u @ matrix @ v, rtol=tolerance)
    assert sigmas.dtype == reference.accumulate_dtype(dtype)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "dtype" in metafunc.fixturenames and metafunc.cls is None:
        metafunc.parametrize("dtype", list(SPECTRAL_NORM.tolerance), ids=lambda d: str(d)[6:])


def test_iterations_find_the_largest_singular_value(backend, device):
    weights, us, vs = network(device, torch.float64)
    weights = [w / 10 + 1 for w in weights]  # one singular value is much larger
    found, sigmas, _, _ = ops.spectral_norm(
        weights, us, vs, n_power_iterations=9, dims=DIMS, backend=backend
    )
    for weight, dim, sigma, result in zip(weights, DIMS, sigmas, found):
        assert torch.allclose(
            sigma, torch.linalg.matrix_norm(reference.as_matrix(weight, dim), 2), rtol=1e-6
        )
        assert torch.allclose(result, weight / sigma)


def test_values_do_not_depend_on_what_else_is_in_the_call(backend, device):
    weights, us, vs = network(device)
    options = {"n_power_iterations": 2, "backend": backend}
    together, sigmas, *_ = ops.spectral_norm(weights, us, vs, dims=DIMS, **options)
    for i in range(len(weights)):
        (alone,), sigma, *_ = ops.spectral_norm(
            [weights[i]], [us[i]], [vs[i]], dims=[DIMS[i]], **options
        )
        assert torch.equal(alone, together[i]) and torch.equal(sigma[0], sigmas[i])


def test_more_layers_than_a_launch_takes(backend, device):
    if backend == "triton":
        pytest.skip("one of Triton's takes any number of layers")
    shapes, dims = [(2, 3)] * 43, [0] * 43
    weights, _, _ = network(device, shapes=shapes, dims=dims)
    found, expected = (
        evaluate(partial(normalised, backend=b), weights, {}, order=2)
        for b in (backend, "reference")
    )
    assert first_mismatch(found, expected, 1e-5) is None


def test_channels_last_is_kept_and_changes_nothing(backend, device):
    shapes = [(6, 5, 3, 3), (4, 3, 3, 3)]
    weights, us, vs = network(device, shapes=shapes, dims=[0, 0])
    results = []
    for layout in (torch.clone, channels_last):
        given = [layout(w).requires_grad_() for w in weights]
        found, _, _, new_vs = ops.spectral_norm(given, us, vs, backend=backend)
        grads = torch.autograd.grad([t.square().sum() for t in found], given)
        assert all(a.stride() == b.stride() for a, b in zip(found, given))
        results.append([*found, *grads, *new_vs])
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*results))


def test_zero_weights_give_nan_as_in_torch_and_eps_is_the_least_norm(backend, device):
    zero, u, v = (torch.zeros(size, device=device) for size in ((3, 4), 3, 4))
    u, v = u + 1, v + 1
    (found,), sigmas, (new_u,), (new_v,) = ops.spectral_norm([zero], [u], [v], backend=backend)
    assert found.isnan().all() and not any(t.any() for t in (sigmas, new_u, new_v))
    _, sigmas, (new_u,), _ = ops.spectral_norm([zero + 1], [u], [v], eps=1e3, backend=backend)
    assert torch.allclose(new_u, torch.full_like(new_u, 4 / 1e3))
    assert torch.allclose(sigmas, torch.tensor((4 * 3 * 4 / 1e3) ** 2 / 4 / 1e3, device=device))


def test_a_weight_of_one_element_becomes_its_sign(backend, device):
    weight = torch.full((1, 1), -3.0, device=device, requires_grad=True)
    one = torch.ones(1, device=device)
    (found,), sigmas, *_ = ops.spectral_norm([weight], [one], [one], backend=backend)
    (gradient,) = torch.autograd.grad(found.sum(), weight)
    assert abs(found.item()) == 1 and abs(sigmas.item()) == 3 and gradient.abs().item() < 1e-6


def test_infinite_weights_give_nan(backend, device):
    weight = torch.full((3, 4), torch.inf, device=device)
    (found,), *_ = ops.spectral_norm(
        [weight], [weight.new_ones(3)], [weight.new_ones(4)], backend=backend
    )
    assert found.isnan().all()


def test_frozen_and_unused_layers_are_left_out(backend, device):
    """A derivative includes only the layers that need it."""
    if backend == "reference":
        pytest.skip("plain PyTorch: nothing is registered")
    weights, us, vs = network(device, torch.float64)
    expected = {}
    for side in ("reference", backend):
        given = [w.clone().requires_grad_(i != 1) for i, w in enumerate(weights)]
        found, sigmas, *_ = ops.spectral_norm(given, us, vs, dims=DIMS, backend=side)
        with Calls() as calls:
            # Layer 1 is frozen, and layer 0 needs no gradient either.
            (found[2].square().sum() * found[0].sum()).backward(retain_graph=True)
            found[2].sum().backward(retain_graph=True)
            torch.autograd.grad(found[0].sum() + found[2].sum(), given[0], retain_graph=True)
            sigmas[0].backward()  # dense: the other layers get zeros
        expected[side] = [t.grad for t in given]
    assert expected[backend][1] is None
    for a, b in zip(*expected.values()):
        assert (a is None and b is None) or torch.allclose(a, b)
    asked = [args["weights"] for args in calls.of("spectral_norm_backward")]
    first, second, third, _ = ([tuple(t.shape) for t in weights] for weights in asked)
    assert (first, second, third) == ([SHAPES[0], SHAPES[2]], [SHAPES[2]], [SHAPES[0]])


def test_tensors_in_lists_are_found_in_order():
    x = torch.zeros(1)
    assert _tensor_places((x, None, [x, x], 2, [1, 2], [], x)) == [
        (0, None),
        (2, 0),
        (2, 1),
        (6, None),
    ]


def test_registered_ops_refuse_what_does_not_fit(backend, device):
    """The registered op checks its tensors, since an exported graph may pass any."""
    if backend in ("reference", "triton"):
        pytest.skip("the glue of native kernels checks what they are given")
    weights, us, vs = network(device)
    op = ops_of(backend).spectral_norm
    for lists, name in (
        ((weights, us[:2], vs), "us"),
        ((weights, us, vs[::-1]), "vs"),
        ((weights, [u.double() for u in us], vs), "us"),
    ):
        with pytest.raises(RuntimeError, match=f"{name} of spectral_norm"):
            op(*lists, DIMS, 1, 1e-12)
    with pytest.raises(RuntimeError, match="dims of spectral_norm"):
        op(weights, us, vs, [0], 1, 1e-12)


def test_a_penalty_through_the_weights_compiles(backend, device):
    """One graph has forward, first and second derivatives equal to eager's, also of vectors."""
    weights, us, vs = network(device, shapes=[(4, 6), (3, 4)], dims=[0, 0])

    def step(a: Tensor, b: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        (a1, b1), sigmas, new_us, new_vs = ops.spectral_norm([a, b], us, vs, backend=backend)
        y = (x @ a1.T).tanh() @ b1.T
        (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        (ga,) = torch.autograd.grad(y.square().sum() + sigmas.sum(), a, create_graph=True)
        (g.square().sum() + ga.square().sum() + y.sum()).backward()
        return *new_us, *new_vs, sigmas.detach()

    results = []
    torch._dynamo.reset()
    with torch._dynamo.config.patch(trace_autograd_ops=True):
        for f in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
            leaves = [
                t.clone().requires_grad_() for t in (*weights, torch.ones(5, 6, device=device))
            ]
            results.append([*f(*leaves), *(t.grad for t in leaves)])
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in zip(*results))


@pytest.mark.backends
@pytest.mark.parametrize("capability", [80, 90, 100])
def test_triton_kernels_compile_ahead_of_time(capability, tmp_path):
    """Every kernel, in each width of element, has no spills and no atomics."""
    from fastgan.ops.spectral_norm import triton as kernels
    from tests.ops import triton_target

    found = set()
    for dtype in (torch.float32, torch.bfloat16):
        weights, us, vs = network(dtype=dtype)
        sums = (
            torch.ones(3),
            torch.ones(sum(map(sum, (reference.sizes_of(w, d) for w, d in zip(weights, DIMS))))),
        )
        with triton_target.launches(capability) as launched:
            for n in (0, 1):
                kernels.spectral_norm(weights, us, vs, DIMS, n, 1e-12)
            kernels.spectral_norm_backward(weights, sums[0], weights, *sums, DIMS)
            kernels.spectral_norm_double_backward(weights, weights, weights, *sums, DIMS, True)
        for compiled in launched:
            found.add(compiled.name)
            triton_target.check(compiled, capability, tmp_path)
    assert len(found) == 8
