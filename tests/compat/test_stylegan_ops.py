from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fastgan import ops
from fastgan.compat.stylegan_ops import (
    bias_act,
    conv2d_gradfix,
    conv2d_resample,
    filtered_lrelu,
    fma,
    grid_sample_gradfix,
    upfirdn2d,
)

# -- the ops by position -----------------------------------------------------------------------


@pytest.mark.parametrize("impl", ["ref", "cuda"])
def test_functions_are_the_ops(impl):
    """Arguments are passed by position in the official order."""
    x, b, f = torch.randn(2, 3, 6, 8), torch.randn(3), upfirdn2d.setup_filter([1, 3, 3, 1])
    result = bias_act.bias_act(x, b, 1, "lrelu", 0.1, 2.0, 1.5, impl)
    assert torch.allclose(result, ops.bias_act(x, b, act="lrelu", alpha=0.1, gain=2.0, clamp=1.5))
    assert torch.equal(bias_act.bias_act(x), x)
    result = upfirdn2d.upfirdn2d(x, f, [2, 1], 3, [1, 2, 3, 4], True, 2.0, impl)
    expected = ops.upfirdn2d(
        x, f, up=(2, 1), down=3, padding=(1, 2, 3, 4), flip_filter=True, gain=2.0
    )
    assert torch.allclose(result, expected, atol=1e-6)
    result = upfirdn2d.filter2d(x, f, 1, True, 2.0, impl)
    assert torch.allclose(
        result, ops.filter2d(x, f, padding=1, flip_filter=True, gain=2.0), atol=1e-6
    )
    for ours, theirs, factor in [
        (ops.upsample2d, upfirdn2d.upsample2d, "up"),
        (ops.downsample2d, upfirdn2d.downsample2d, "down"),
    ]:
        result = theirs(x, f, 3, 1, True, 2.0, impl)
        assert torch.allclose(
            result, ours(x, f, **{factor: 3}, padding=1, flip_filter=True, gain=2.0), atol=1e-6
        )
        assert torch.allclose(theirs(x, f), ours(x, f), atol=1e-6)
    w = torch.randn(6, 1, 3, 3)
    result = conv2d_resample.conv2d_resample(x, w, f, 2, 1, [1, 2, 0, 1], 3, False, True)
    expected = ops.conv2d_resample(
        x, w, f, up=2, padding=(1, 2, 0, 1), groups=3, flip_weight=False, flip_filter=True
    )
    assert torch.equal(result, expected)


def test_impl_ref_is_the_reference(monkeypatch):
    """The reference runs without the native library, and impl='cuda' is the automatic choice."""
    x = torch.randn(2, 3, 4, 4, device="meta")
    for impl in ("ref", "cuda"):
        assert bias_act.bias_act(x, act="tanh", impl=impl).is_meta
    with pytest.raises(ValueError, match="impl must be 'ref' or 'cuda', got 'cpu'"):
        bias_act.bias_act(torch.zeros(1, 1), impl="cpu")
    with pytest.raises(ValueError, match="impl must be"):
        upfirdn2d.upsample2d(torch.zeros(1, 1, 2, 2), None, impl="")


def test_activation_funcs():
    entries = bias_act.activation_funcs
    assert set(entries) == {
        "linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish",
    }  # fmt: skip
    assert (entries["lrelu"].def_alpha, entries["lrelu"].def_gain) == (0.2, 2**0.5)
    x = torch.linspace(-3, 3, 13, dtype=torch.float64, requires_grad=True)
    torchs = {"linear": lambda x: x * 1, "swish": F.silu, "lrelu": lambda x: F.leaky_relu(x, 0.2)}
    for name, entry in entries.items():
        exact = torchs.get(name) or getattr(F, name)
        assert torch.allclose(entry.func(x), exact(x))
        (g,) = torch.autograd.grad(exact(x).sum(), x, create_graph=True)
        second = torch.autograd.grad(g.sum(), x, allow_unused=True)[0] if g.requires_grad else None
        assert entry.has_2nd_grad == (second is not None and bool(second.abs().max() > 1e-6))
    assert entries["lrelu"].func(x, alpha=0.5)[0] == -1.5


def test_setup_filter():
    """A filter stays one-dimensional from 8 taps on; with fewer or none it has two dimensions."""
    f = upfirdn2d.setup_filter([1, 3, 3, 1])
    assert (
        f.shape == (4, 4)
        and f.dtype == torch.float32
        and torch.allclose(f[0], torch.tensor([1, 3, 3, 1]) / 64)
    )
    assert upfirdn2d.setup_filter(list(range(7))).shape == (7, 7)
    assert torch.allclose(upfirdn2d.setup_filter([1.0] * 8), torch.full((8,), 0.125))
    assert torch.equal(upfirdn2d.setup_filter(None), torch.ones(1, 1))
    assert torch.equal(upfirdn2d.setup_filter(5), torch.ones(1, 1))
    assert upfirdn2d.setup_filter([1, 1], separable=True).shape == (2,)
    assert upfirdn2d.setup_filter([1] * 9, separable=False).shape == (9, 9)
    assert upfirdn2d.setup_filter([[1, 2], [3, 4]], normalize=False, flip_filter=True).tolist() == [
        [4, 3],
        [2, 1],
    ]
    assert upfirdn2d.setup_filter(torch.ones(2), gain=4).sum().item() == pytest.approx(4)
    # Each axis has the square root of the gain.
    assert upfirdn2d.setup_filter([1] * 8, gain=4).sum().item() == pytest.approx(2)
    assert upfirdn2d.setup_filter([1, 1], device="meta").is_meta
    with pytest.raises(TypeError, match="taps"):
        upfirdn2d.setup_filter("box")


def test_fma():
    shapes = [(2, 3, 4, 4), (2, 3, 1, 1), (4, 4)]
    tensors = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes]
    a, b, c = tensors
    assert torch.allclose(fma.fma(a, b, c), a * b + c)
    assert fma.fma(c, b, a).shape == a.shape
    assert torch.autograd.gradcheck(fma.fma, tensors)
    assert torch.autograd.gradgradcheck(fma.fma, tensors)


# -- conv2d_gradfix ----------------------------------------------------------------------------


@pytest.fixture
def switched_off(monkeypatch):
    monkeypatch.setattr(conv2d_gradfix, "enabled", False)


def both_convolutions_agree():
    torch.manual_seed(0)
    x = torch.randn(2, 4, 7, 6, dtype=torch.float64)
    w, b = torch.randn(6, 2, 3, 3, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    result = conv2d_gradfix.conv2d(x, w, b, (2, 1), (1, 2), 2, 2)
    assert torch.allclose(result, F.conv2d(x, w, b, (2, 1), (1, 2), 2, 2))
    w, b = torch.randn(4, 3, 3, 3, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    for output_padding, dilation in [(0, 1), (1, 1), (1, 2), (0, (2, 1))]:
        args = (b, 2, 1, output_padding, 2, dilation)
        assert torch.allclose(
            conv2d_gradfix.conv_transpose2d(x, w, *args), F.conv_transpose2d(x, w, *args)
        )
    assert torch.allclose(conv2d_gradfix.conv_transpose2d(x, w), F.conv_transpose2d(x, w))


def test_convolutions_are_torchs():
    both_convolutions_agree()


def test_enabled_is_a_switch(switched_off, monkeypatch):
    both_convolutions_agree()
    # A call of fastgan's op would fail.
    monkeypatch.setattr(ops, "conv2d", None)
    both_convolutions_agree()


@pytest.mark.parametrize("convolution", [conv2d_gradfix.conv2d, conv2d_gradfix.conv_transpose2d])
def test_no_weight_gradients(convolution):
    """Inside the block only weights get no gradients, and an exception restores the flag."""
    x, w, b = (torch.randn(s, requires_grad=True) for s in [(2, 3, 5, 5), (3, 3, 3, 3), (3,)])
    expected = torch.autograd.grad(convolution(x, w, b).square().sum(), [x, w, b])
    for disable in (True, False):
        x.grad = w.grad = b.grad = None
        with pytest.raises(KeyError), conv2d_gradfix.no_weight_gradients(disable):
            assert conv2d_gradfix.weight_gradients_disabled == disable
            convolution(x, w, b).square().sum().backward()
            raise KeyError
        assert not conv2d_gradfix.weight_gradients_disabled
        assert torch.equal(x.grad, expected[0]) and torch.equal(b.grad, expected[2])
        assert not w.grad.any() if disable else torch.equal(w.grad, expected[1])


def test_no_weight_gradients_nests():
    with conv2d_gradfix.no_weight_gradients():
        with conv2d_gradfix.no_weight_gradients(False):
            assert conv2d_gradfix.weight_gradients_disabled
        assert conv2d_gradfix.weight_gradients_disabled


@pytest.mark.parametrize("inside", [True, False], ids=["convolved-inside", "convolved-outside"])
def test_a_penalty_on_the_gradient_in_the_images_trains_the_weights(inside):
    """Training runs the first backward pass inside the block and the second one after it."""
    torch.manual_seed(0)
    x, w = torch.randn(2, 3, 6, 6, requires_grad=True), torch.randn(4, 3, 3, 3, requires_grad=True)

    def critic(convolution):
        return convolution(convolution(x, w), w[:, :1].expand(4, 4, 3, 3)).square().sum()

    def penalty(y, **options):
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        return g.square().sum()

    y = None if inside else critic(conv2d_gradfix.conv2d)
    with conv2d_gradfix.no_weight_gradients():
        result = penalty(critic(conv2d_gradfix.conv2d) if y is None else y)
    (result,) = torch.autograd.grad(result, w)
    (expected,) = torch.autograd.grad(penalty(critic(F.conv2d)), w)
    assert expected.abs().max() > 0 and torch.allclose(result, expected, rtol=1e-3)


@pytest.mark.backends
def test_convolutions_compile():
    x, w = torch.randn(2, 3, 6, 6), torch.randn(4, 3, 3, 3, requires_grad=True)
    compiled = torch.compile(conv2d_gradfix.conv2d, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(x, w), F.conv2d(x, w), atol=1e-5)
    assert torch.allclose(
        torch.func.grad(lambda w: conv2d_gradfix.conv2d(x, w).square().sum())(w.detach()),
        torch.autograd.grad(F.conv2d(x, w).square().sum(), w)[0], rtol=1e-3, atol=1e-3,
    )  # fmt: skip


# -- grid_sample_gradfix -----------------------------------------------------------------------


def image_and_grid(dtype=torch.float64, spread=1.5, size=(5, 7)):
    torch.manual_seed(0)
    image = torch.randn(2, 3, *size, dtype=dtype)
    return image, ((torch.rand(2, 4, 6, 2, dtype=dtype) * 2 - 1) * spread).to(dtype)


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (2, 9)], ids=str)
@pytest.mark.parametrize("spread", [0.9, 1.5, 100.0])
def test_grid_sample_is_torchs(size, spread):
    """Values and first derivatives equal torch's, also at and beyond the border."""
    results = []
    image, grid = image_and_grid(spread=spread, size=size)
    grid[0, 0, :4] = torch.tensor(
        [[-1.0, -1], [1, 1], [0, 0], [1 + 1 / size[1], 0]], dtype=torch.float64
    )
    for op in (
        grid_sample_gradfix.grid_sample,
        lambda *args: F.grid_sample(*args, align_corners=False),
    ):
        leaves = [t.clone().requires_grad_() for t in (image, grid)]
        y = op(*leaves)
        results.append([y, *torch.autograd.grad(y.square().sum(), leaves)])
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(*results))


def test_grid_sample_is_differentiable_twice():
    tensors = [t.requires_grad_() for t in image_and_grid()]
    assert torch.autograd.gradcheck(grid_sample_gradfix.grid_sample, tensors, fast_mode=True)
    assert torch.autograd.gradgradcheck(grid_sample_gradfix.grid_sample, tensors, fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_grid_sample_in_other_dtypes(dtype):
    image, grid = image_and_grid(dtype, size=(40, 50))
    result = grid_sample_gradfix.grid_sample(image, grid)
    exact = F.grid_sample(image.double(), grid.double(), align_corners=False)
    assert result.dtype == dtype
    # Positions in float32 lose some precision over 50 columns; half types round values once.
    assert torch.allclose(result.double(), exact, rtol=torch.finfo(dtype).eps, atol=1e-4)


def test_grid_sample_far_away_and_not_a_number():
    image = torch.ones(1, 1, 4, 4)
    grid = (
        torch.tensor([1e30, -1e30, float("inf"), float("-inf"), float("nan"), 1e9])
        .repeat(2, 1)
        .T[None, None]
    )
    assert grid_sample_gradfix.grid_sample(image, grid).flatten().tolist() == [0.0] * 6


@pytest.mark.backends
def test_grid_sample_compiles_and_switches_off(monkeypatch):
    image, grid = image_and_grid()
    expected = F.grid_sample(image, grid, align_corners=False)
    compiled = torch.compile(grid_sample_gradfix.grid_sample, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(image, grid), expected)
    monkeypatch.setattr(grid_sample_gradfix, "enabled", False)
    assert torch.equal(grid_sample_gradfix.grid_sample(image, grid), expected)


@pytest.mark.parametrize(
    "image,grid,error,says",
    [
        (
            (2, 3, 4),
            (2, 3, 4, 2),
            ValueError,
            r"input must have shape \[N, C, H, W\].*got \[2, 3, 4\]",
        ),
        ((2, 3, 4, 4), (2, 3, 4, 3), ValueError, r"grid \[N, H_out, W_out, 2\].*\[2, 3, 4, 3\]"),
        ((2, 3, 4, 4), (1, 3, 4, 2), ValueError, r"got \[2, 3, 4, 4\] and \[1, 3, 4, 2\]"),
        ((2, 3, 0, 4), (2, 3, 4, 2), ValueError, r"at least one pixel, got shape \[2, 3, 0, 4\]"),
    ],
)
def test_grid_sample_errors(image, grid, error, says):
    with pytest.raises(error, match=says):
        grid_sample_gradfix.grid_sample(torch.zeros(image), torch.zeros(grid))
    with pytest.raises(
        TypeError, match=r"grid must have the dtype of input, torch.float32, got torch.float64"
    ):
        grid_sample_gradfix.grid_sample(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 1, 2).double())


@pytest.mark.parametrize("impl", ["ref", "cuda"])
def test_filtered_lrelu_has_the_official_order_of_arguments(impl):
    x, b, fu, fd = torch.randn(2, 3, 6, 8), torch.randn(3), torch.randn(6), torch.randn(4, 4)
    found = filtered_lrelu.filtered_lrelu(
        x, fu, fd, b, 3, 2, [3, 2, 4, 1], 1.5, 0.1, 2.0, True, impl
    )
    expected = ops.filtered_lrelu(
        x, fu, fd, b, up=3, down=2, padding=(3, 2, 4, 1), gain=1.5, slope=0.1, clamp=2.0,
        flip_filter=True,
    )  # fmt: skip
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(filtered_lrelu.filtered_lrelu(x), ops.filtered_lrelu(x))
    with pytest.raises(ValueError, match="impl must be 'ref' or 'cuda'"):
        filtered_lrelu.filtered_lrelu(x, impl="")
