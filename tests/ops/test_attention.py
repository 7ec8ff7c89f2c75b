"""Self-attention: its values, and derivatives of any order; torch's kernels have the first."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from fastgan.ops import attention, use_backend
from fastgan.ops.attention import reference
from fastgan.ops.attention.reference import composed_gradients, fused_gradients


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def inputs(queries=4, keys=3, d=3, e=2, dtype=torch.float64):
    """Return q, k and v of two samples, which require gradients."""
    shapes = ((2, queries, d), (2, keys, d), (2, keys, e))
    return [draw(*shape, seed=i, dtype=dtype).requires_grad_() for i, shape in enumerate(shapes)]


def test_every_query_takes_the_mean_of_the_values_by_likeness():
    q, k, v = (t.detach() for t in inputs())
    found = attention(q, k, v, scale=0.7)
    for n in range(2):
        for i in range(4):
            shares = torch.softmax(torch.stack([0.7 * q[n, i].dot(k[n, j]) for j in range(3)]), 0)
            assert torch.allclose(found[n, i], sum(shares[j] * v[n, j] for j in range(3)))


def test_first_and_second_derivatives_in_all_three():
    def run(q, k, v):
        return attention(q, k, v, scale=0.7)

    assert gradcheck(run, inputs()) and gradgradcheck(run, inputs(), fast_mode=True)
    # Torch's attention on a CPU has no second derivative here.
    assert gradgradcheck(run, inputs(d=2, e=2), fast_mode=True)


def test_the_fused_derivative_is_the_composed_one():
    q, k, v = (t.detach() for t in inputs())
    grad = draw(2, 4, 2, seed=3)
    for fused, composed in zip(
        fused_gradients(grad, q, k, v, 0.7), composed_gradients(grad, q, k, v, 0.7)
    ):
        assert torch.allclose(fused, composed) and not fused.requires_grad


@pytest.mark.parametrize("create_graph", [False, True])
def test_only_what_is_differentiated_again_is_composed(create_graph, monkeypatch):
    """On a GPU the backward pass uses torch's kernels unless the caller keeps its graph."""
    seen = []
    monkeypatch.setattr(
        reference,
        "composed_gradients",
        lambda *a: seen.append("composed") or composed_gradients(*a),
    )
    monkeypatch.setattr(
        reference, "fused_gradients", lambda *a: seen.append("fused") or fused_gradients(*a)
    )
    monkeypatch.setattr(reference, "has_fused_kernels", lambda t: True)
    q, k, v = inputs()
    gradients = torch.autograd.grad(
        attention(q, k, v, scale=1.0).sum(), (q, k, v), create_graph=create_graph
    )
    assert seen == ["composed" if create_graph else "fused"]
    assert all(g.requires_grad == create_graph for g in gradients)


def test_half_types_are_computed_in_float32():
    q, k, v = (t.detach() for t in inputs(d=8, e=8, queries=64, keys=64, dtype=torch.float32))
    grad = draw(2, 64, 8, dtype=torch.float32)
    halves = [t.bfloat16() for t in (grad, q, k, v)]
    exact = composed_gradients(*(t.float() for t in halves), 1.0)
    for found, expected in zip(composed_gradients(*halves, 1.0), exact):
        assert found.dtype == torch.bfloat16
        assert torch.equal(found, expected.bfloat16())


def test_it_is_an_op_and_not_one_for_functorch_and_the_reference():
    q, k, v = inputs()
    quick = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(torch.ops.fastgan.attention.default, (q, k, v, 0.7), test_utils=quick)
    expected = attention(q, k, v, scale=0.7)
    with use_backend("reference"):
        found = attention(q, k, v, scale=0.7)
    assert "attention" in expected.grad_fn.name() and "attention" not in found.grad_fn.name()
    assert torch.allclose(found, expected)
    by_functorch = torch.func.grad(lambda q: attention(q, k, v, scale=0.7).square().sum())(q)
    assert torch.allclose(by_functorch, torch.autograd.grad(expected.square().sum(), q)[0])


@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 5, 3), (2, 4, 2), (2, 4, 2)),
        ((2, 5, 3), (2, 4, 3), (2, 3, 2)),
        ((2, 5, 3), (4, 3), (4, 2)),
        ((2, 5, 3), (3, 4, 3), (3, 4, 2)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes):
    with pytest.raises(
        ValueError, match=r"must be \[\.\.\., queries, d\], \[\.\.\., keys, d\] and .*got"
    ):
        attention(*(draw(*shape) for shape in shapes), scale=1.0)


def test_torch_still_lacks_the_second_derivative():
    """If this fails, the op adds nothing on a CPU any more."""
    q = draw(1, 4, 2, dtype=torch.float32)[None].requires_grad_()
    (gradient,) = torch.autograd.grad(
        F.scaled_dot_product_attention(q, q, q).square().sum(), q, create_graph=True
    )
    with pytest.raises(RuntimeError, match="not implemented"):
        gradient.sum().backward()
