from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fastgan import ops
from tests.ops.contract import OpContract
from tests.specs.adaptive_norm import ADAPTIVE_NORM
from tests.specs.layouts import channels_last


class TestContract(OpContract):
    spec = ADAPTIVE_NORM


LAYOUTS = pytest.mark.parametrize(
    "layout", [torch.clone, channels_last], ids=["rows", "channels_last"]
)


def image(*shape: int, device: object = "cpu") -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)


@LAYOUTS
def test_it_is_torch_batch_norm_and_instance_norm(backend, device, layout):
    x = layout(image(4, 6, 5, 7, device=device))
    weight, bias = image(6, device=device), image(2, 6, device=device)[1]
    expected = F.relu(F.batch_norm(x, None, None, weight, bias, training=True))
    options = {"act": "relu", "gain": 1, "backend": backend}
    found, mean, var = ops.adaptive_norm_with_stats(x, weight - 1, bias, **options)
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.allclose(mean, x.mean((0, 2, 3)), atol=1e-6)
    assert torch.allclose(var, x.var((0, 2, 3), unbiased=False), atol=1e-6)
    assert not mean.requires_grad and not var.requires_grad
    assert torch.allclose(ops.adaptive_norm(x, backend=backend), F.instance_norm(x), atol=1e-5)
    again = ops.adaptive_norm(x, weight - 1, bias, mean=mean, var=var, **options)
    assert torch.allclose(again, found, atol=1e-5)


@LAYOUTS
@pytest.mark.parametrize("over", ["sample", "batch"])
def test_far_from_zero_nothing_is_lost(backend, device, layout, over):
    """A mean of a thousand deviations keeps its variance, unlike with sums of squares about zero.

    float32 resolves such a mean to 6e-5, which is the tolerance.
    """
    x = layout(1000 + image(4, 5, 24, 24, device=device))
    found, _, var = ops.adaptive_norm_with_stats(x, over=over, backend=backend)
    dims = (0, 2, 3) if over == "batch" else (2, 3)
    assert torch.allclose(var.double(), x.double().var(dims, unbiased=False), rtol=1e-5)
    expected = ops.adaptive_norm(x.double(), over=over, backend="reference")
    assert (found.double() - expected).abs().max() < 3e-4


def test_a_constant_image_is_its_shift(backend, device):
    x = torch.full((2, 3, 4, 5), 0.7, device=device).requires_grad_()
    shift = image(2, 3, device=device)
    y = ops.adaptive_norm(x, None, shift, backend=backend)
    assert torch.allclose(y, shift[..., None, None].expand_as(y), atol=1e-3)
    (dx,) = torch.autograd.grad(y.square().sum(), x)
    assert dx.isfinite().all()


def test_statistics_of_half_types_are_float32(backend, device):
    x = image(4, 3, 5, 6, device=device).half()
    y, mean, var = ops.adaptive_norm_with_stats(x, over="sample", backend=backend)
    assert (
        y.dtype == torch.float16
        and mean.dtype == var.dtype == torch.float32
        and mean.shape == (4, 3)
    )
    again = ops.adaptive_norm(x, mean=mean, var=var, backend=backend)
    assert torch.equal(y, again)


def test_a_summed_statistic_has_the_gradient_of_its_own(backend, device):
    """Mean and variance may be functions of x, like a caller's sums over processes."""
    x, scale, dy = (image(4, 3, 5, 6, device=device).double().sin() for _ in range(3))
    results = []
    for given in (False, True):
        leaf = x.clone().requires_grad_()
        stats = {}
        if given:
            stats = {"mean": leaf.mean((0, 2, 3)), "var": leaf.var((0, 2, 3), unbiased=False)}
        y = ops.adaptive_norm(
            leaf, scale[:, :, 0, 0], over="batch", act="swish", backend=backend, **stats
        )
        (dx,) = torch.autograd.grad(y, leaf, dy, create_graph=True)
        results += [dx, *torch.autograd.grad(dx.square().sum(), leaf)]
    assert torch.allclose(results[0], results[2]) and torch.allclose(results[1], results[3])


@pytest.mark.backends
@pytest.mark.parametrize(
    "layout,dtype",
    [(torch.contiguous_format, torch.float32), (torch.channels_last, torch.bfloat16)],
    ids=["rows-float32", "channels_last-bfloat16"],
)
def test_triton_kernels_compile_ahead_of_time(layout, dtype, tmp_path):
    from fastgan.ops.adaptive_norm import triton as kernels
    from tests.ops import triton_target

    x = torch.empty(8, 256, 32, 32, dtype=dtype, memory_format=layout)
    numbers = {
        name: torch.empty(8, 256)
        for name in ("mean", "p", "t", "slope", "shift", "f_u", "f_x", "f_1")
    }
    settings, maps = ("swish", 0.0, 1.4, 256.0), (x, x)
    with triton_target.launches(90) as launched:
        kernels.sweep("forward", x, settings, numbers, x=x, maps=maps, residual=x, out=x)
        kernels.sweep("first_sums", x, settings, numbers, x=x, dy=x, maps=maps, out=x, dx=x)
        for kind in ("moments", "second_sums", "double_backward"):
            kernels.sweep(kind, x, settings, numbers, x=x, dy=x, ddx=x, out=x, dx=x)
    for compiled in launched:
        triton_target.check(compiled, 90, tmp_path)
        assert triton_target.widths(compiled)[0] == 16


def test_an_open_batch_is_not_bound_to_differ_from_the_channels():
    """Shapes [C] and [N, C] of scale are told apart by their rank, so that N may be C."""

    class Norm(torch.nn.Module):
        def forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
            return ops.adaptive_norm(x, scale, act="relu")

    batch = torch.export.Dim("batch")
    inputs = torch.randn(2, 3, 4, 4), torch.randn(2, 3)
    program = torch.export.export(
        Norm(), inputs, dynamic_shapes=({0: batch}, {0: batch}), strict=False
    )
    x, scale = torch.randn(3, 3, 4, 4), torch.randn(3, 3)
    assert torch.equal(program.module()(x, scale), Norm()(x, scale))
