from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fastgan import ops
from tests.emulation.control import Emulator, load_emulated
from tests.ops.contract import OpContract
from tests.specs import evaluate
from tests.specs.grid_sample import GRID_SAMPLE, random_grid, rotated_grid

PADDING = ("zeros", "border", "reflection")
NAN, INFINITY = float("nan"), float("inf")


class TestGridSample(OpContract):
    spec = GRID_SAMPLE

    def batched(self, tensors):
        return [0, 1]


def test_second_derivatives_are_torchs_where_it_has_them(backend, device):
    """Older versions of torch raise; R1 of augmented images needs second derivatives."""
    x = torch.randn(2, 3, 4, 4).double().to(device)
    grid = random_grid(2, (3, 3), (4, 4)).to(device)
    found = evaluate(ops.grid_sample, [x, grid], {"backend": backend}, order=2)
    assert found["ddy"].abs().max() > 0 and found["dd1"].abs().max() > 0
    try:
        expected = evaluate(F.grid_sample, [x, grid], {"align_corners": False}, order=2)
    except RuntimeError as error:
        assert "grid_sampler_2d_backward is not implemented" in str(error)
    else:
        assert all(torch.allclose(found[k], expected[k], rtol=1e-12, atol=1e-12) for k in expected)


@pytest.mark.parametrize("padding_mode", PADDING)
@pytest.mark.parametrize("align_corners", [False, True], ids=["edges", "corners"])
def test_values_and_first_derivatives_are_torchs(backend, device, align_corners, padding_mode):
    generator = torch.Generator().manual_seed(0)
    for mode in ("bilinear", "nearest"):
        options = {"mode": mode, "padding_mode": padding_mode, "align_corners": align_corners}
        x = torch.randn(2, 3, 5, 7, generator=generator).double().to(device)
        grid = torch.randn(2, 6, 4, 2, generator=generator).double().mul(1.5).to(device)
        found = evaluate(ops.grid_sample, [x, grid], {**options, "backend": backend}, order=1)
        expected = evaluate(F.grid_sample, [x, grid], options, order=1)
        assert all(
            torch.allclose(found[k], v, rtol=1e-12, atol=1e-12) for k, v in expected.items()
        ), options


@pytest.mark.parametrize("padding_mode", PADDING)
def test_coordinates_that_are_not_finite(backend, device, padding_mode):
    x = torch.arange(1.0, 7).view(1, 1, 2, 3).to(device)
    places = [NAN, -0.5, -0.5, NAN, INFINITY, -0.5, -INFINITY, -0.5, 0, INFINITY, 1e30, 0, NAN, NAN]
    grid = torch.tensor(places, device=device).view(1, 1, 7, 2)
    expected = {
        "zeros": [0.0] * 7,
        "border": [1.0, 1.25, 3.0, 1.0, 5.0, 4.5, 1.0],
        "reflection": [1.0, 1.25, 1.0, 1.0, 2.0, None, 1.0],  # 1e30 has no defined pixel
    }[padding_mode]
    found = evaluate(
        ops.grid_sample, [x, grid], {"padding_mode": padding_mode, "backend": backend}, order=2
    )
    for have, want in zip(found["y"].flatten().tolist(), expected):
        assert (1 <= have <= 6) if want is None else have == pytest.approx(want, abs=1e-6)
    assert all(bool(t.isfinite().all()) for t in found.values() if t is not None)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_pixels_beyond_the_image_are_not_multiplied(backend, device, mode):
    """An infinite first pixel doesn't affect points outside of it, nor its gradient."""
    x = torch.zeros(1, 1, 2, 2, device=device)
    x[0, 0, 0, 0] = INFINITY
    grid = torch.tensor([[-2.0, -2.0], [0.75, 0.75], [-0.5, -0.25]], device=device).view(1, 1, 3, 2)
    found = ops.grid_sample(x, grid, mode=mode, backend=backend)
    assert found.flatten().tolist() == [0.0, 0.0, INFINITY]


@pytest.mark.parametrize("bad", [NAN, INFINITY], ids=["nan", "infinity"])
def test_a_gradient_that_is_not_finite_is_not_hidden(backend, device, bad):
    """It affects no other image. The GPU's fixed-point kernels make all of its own image NaN."""
    x = torch.zeros(3, 2, 4, 4, device=device, requires_grad=True)
    grid = torch.zeros(3, 2, 2, 2, device=device)
    grid[:, 0, 0] = 5.0  # outside the image: its gradient reaches no pixel
    dy = torch.ones(3, 2, 2, 2, device=device)
    dy[1, 1, 1, 0] = dy[2, 0, 0, 0] = bad
    (dx,) = torch.autograd.grad(ops.grid_sample(x, grid, backend=backend), x, dy)
    assert not bool(dx[1, 1, 1:3, 1:3].isfinite().any())
    assert bool(dx[[0, 2]].isfinite().all()) and dx[0, 0, 1, 1] == 0.75


def test_small_gradients_beside_large_ones_keep_their_digits(backend, device):
    """The fixed-point unit depends on the largest value; a millionth of it keeps twenty bits."""
    dy = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    dy[:, :, :5] *= 1e-6
    grid = rotated_grid(1, (8, 8), 0.0, 1.0)

    def dx_of(dy: torch.Tensor, backend: str) -> torch.Tensor:
        x = torch.zeros_like(dy, requires_grad=True)
        y = ops.grid_sample(x, grid.to(dy), backend=backend)
        return torch.autograd.grad(y, x, dy)[0].double().cpu()

    found = dx_of(dy.to(device), backend)
    expected, size = dx_of(dy.double(), "reference"), dx_of(dy.double().abs(), "reference")
    assert bool(((found - expected).abs() <= 4e-6 * size).all())
    assert size[0, 0, 1].max() < 1e-5 < size[0, 0, 5].min()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_half_types_take_a_grid_in_float32(backend, device, dtype):
    """A grid in float32 is exact; one in bfloat16 is off by pixels here."""
    x = torch.arange(1000.0, device=device).view(1, 1, 1, 1000).expand(1, 1, 2, 1000)
    grid = torch.stack(
        [torch.linspace(-0.99, 0.99, 7, device=device), torch.zeros(7, device=device)], -1
    ).view(1, 1, 7, 2)
    exact = ops.grid_sample(x, grid, backend="reference")
    found = ops.grid_sample(x.to(dtype), grid.requires_grad_(), backend=backend)
    assert found.dtype == dtype
    assert torch.allclose(found.float(), exact, rtol=2 * torch.finfo(dtype).eps)
    assert torch.autograd.grad(found.sum(), grid)[0].dtype == torch.float32


@pytest.mark.emulated
@pytest.mark.skipif(ops._library.triton_interpreter(), reason="about the CUDA kernels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_order_of_threads_does_not_change_a_bit(dtype):
    """Hundreds of points add to each pixel, in whole numbers of a unit."""
    emulator = Emulator(load_emulated())
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 2, 3, 4, generator=generator).to(dtype)
    grid = random_grid(1, (40, 30), (3, 4)).to(dtype)
    results = []
    for order in range(4):
        with emulator.options(order=order):
            results.append(evaluate(ops.grid_sample, [x, grid], {"backend": "emulated"}, order=2))
    assert all(torch.equal(results[0][k], later[k]) for later in results[1:] for k in results[0])


@pytest.mark.backends
@pytest.mark.parametrize("dtype,capability", [(torch.bfloat16, 90), (torch.float64, 100)])
def test_every_kernel_compiles_ahead_of_time(dtype, capability, tmp_path):
    """There are no spills, and atomics of integers only."""
    from fastgan.ops.grid_sample import triton as kernels
    from tests.ops import triton_target

    x = torch.empty(2, 3, 64, 64, dtype=dtype)
    settings = ([64, 64], "bilinear", "reflection", False)
    grid = torch.empty(
        2, 64, 64, 2, dtype=torch.float64 if dtype == torch.float64 else torch.float32
    )
    with triton_target.launches(capability) as launched:
        kernels.grid_sample(x, grid, *settings[1:])
        kernels.grid_sample_backward(x, x, grid, *settings, True, True)
        kernels.grid_sample_double_backward(x, grid, x, x, grid, *settings, True, True, True)
        # Triton compiles sizes of 1 as constants.
        kernels.grid_sample(torch.empty(1, 1, 1, 1, dtype=dtype), grid[:1, :1, :1], *settings[1:])
    both = ["points_kernel", "bound_kernel", "add_kernel"]
    assert [kernel.name for kernel in launched] == ["points_kernel", *both, *both, "points_kernel"]
    for compiled in launched:
        triton_target.check(compiled, capability, tmp_path, atomics=True)
