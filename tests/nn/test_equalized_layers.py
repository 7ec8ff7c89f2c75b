from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fastgan import nn, ops


@pytest.mark.parametrize("act", ["linear", "lrelu", "tanh"])
@pytest.mark.parametrize("lr_multiplier", [1.0, 0.01])
def test_linear_is_its_formula(act, lr_multiplier):
    layer = nn.EqualLinear(6, 4, act=act, lr_multiplier=lr_multiplier, bias_init=0.5)
    x = torch.randn(3, 5, 6)
    v = x @ (layer.weight.T * lr_multiplier / 6**0.5) + layer.bias * lr_multiplier
    expected = {"linear": v, "lrelu": F.leaky_relu(v, 0.2) * 2**0.5, "tanh": v.tanh()}[act]
    assert torch.allclose(layer(x), expected, atol=1e-5)
    assert torch.allclose(layer.bias * lr_multiplier, torch.tensor(0.5))


def test_parameters_start_at_he_initialisation():
    """Parameters are N(0, 1) over the multiplier; weights in use have the variance 1/fan_in."""
    torch.manual_seed(0)
    linear, conv = (
        nn.EqualLinear(400, 300, lr_multiplier=0.1),
        nn.EqualConv2d(60, 50, 3, lr_multiplier=0.5),
    )
    assert linear.weight.std().item() == pytest.approx(10, rel=0.02)
    assert conv.weight.std().item() == pytest.approx(2, rel=0.02)
    assert linear(torch.randn(500, 400)).std().item() == pytest.approx(1, rel=0.05)
    assert conv(torch.randn(8, 60, 16, 16))[..., 1:-1, 1:-1].std().item() == pytest.approx(
        1, rel=0.05
    )
    assert not conv.bias.any() and not linear.bias.any()


@pytest.mark.parametrize(
    "layer", [nn.EqualLinear, lambda i, o, **kw: nn.EqualConv2d(i, o, 1, **kw)]
)
def test_the_multiplier_scales_the_step(layer):
    """Weights in use move by the multiplier times the scale.

    Adam moves every parameter by the same amount.
    """
    moves = []
    for lr_multiplier in (1.0, 0.1):
        m = layer(16, 8, lr_multiplier=lr_multiplier)
        x = torch.randn(4, 16) if isinstance(m, nn.EqualLinear) else torch.randn(4, 16, 3, 3)
        optimizer = torch.optim.Adam(m.parameters(), lr=0.01)
        before = m(torch.zeros_like(x))
        m(x).sum().backward()
        optimizer.step()
        moves.append((m(torch.zeros_like(x)) - before).abs().max().item())
    assert moves[0] == pytest.approx(0.01, rel=1e-3) and moves[1] == pytest.approx(0.001, rel=1e-3)


@pytest.mark.parametrize(
    "options", [{}, {"up": 2}, {"down": 2}, {"up": 2, "resample_filter": None}, {"down": 3}]
)
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_conv_is_its_op(options, kernel_size):
    layer = nn.EqualConv2d(3, 4, kernel_size, act="lrelu", gain=2.0, clamp=1.5, **options)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 6, 9)
    factors = {"up": 1, "down": 1, **options}
    f = ops.setup_filter(factors.pop("resample_filter", [1, 3, 3, 1]))
    weight = layer.weight / (3 * kernel_size**2) ** 0.5
    y = ops.conv2d_resample(x, weight, f, padding=kernel_size // 2, **factors)
    expected = ops.bias_act(y, layer.bias, act="lrelu", gain=2.0, clamp=1.5)
    assert torch.allclose(layer(x), expected, atol=1e-5)
    assert layer(x).shape == (
        2,
        4,
        6 * factors["up"] // factors["down"],
        9 * factors["up"] // factors["down"],
    )


def test_without_bias():
    assert list(dict(nn.EqualLinear(3, 2, bias=False).named_parameters())) == ["weight"]
    conv = nn.EqualConv2d(3, 2, 3, bias=False, down=2)
    assert list(conv.state_dict()) == ["weight"]
    assert not conv(torch.zeros(1, 3, 4, 4)).any()


@pytest.mark.parametrize("low", [torch.float16, torch.bfloat16], ids=str)
def test_half_input_keeps_float32_parameters(low):
    """The input decides the dtype; gradients are those of float32 parameters.

    Autocast gives the same result.
    """
    for layer, shape in [
        (nn.EqualLinear(3, 4, act="swish"), (2, 3)),
        (nn.EqualConv2d(3, 4, 3, up=2), (2, 3, 4, 4)),
    ]:
        x = torch.randn(shape)
        assert layer(x.to(low)).dtype == low
        layer(x.to(low)).sum().backward()
        assert all(p.grad.dtype == p.dtype == torch.float32 for p in layer.parameters())
        with torch.autocast("cpu", low):
            y = layer(x)
        assert y.dtype == low and torch.allclose(y.float(), layer(x), atol=0.1)


def test_the_filter_stays_float32():
    layer = nn.EqualConv2d(3, 4, 3, up=2).half()
    assert layer.filter.dtype == torch.float32 and layer.weight.dtype == torch.float16
    assert layer(torch.randn(1, 3, 4, 4).half()).dtype == torch.float16


def test_compiles():
    for layer, shape in [
        (nn.EqualLinear(3, 4, act="lrelu"), (2, 3)),
        (nn.EqualConv2d(3, 4, 3, down=2), (2, 3, 6, 6)),
    ]:
        x = torch.randn(shape)
        compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
        assert torch.allclose(compiled(x), layer(x), atol=1e-6)


def test_repr_has_sizes_and_options():
    assert (
        repr(nn.EqualLinear(3, 4))
        == "EqualLinear(3, 4, bias=True, act='linear', lr_multiplier=1.0)"
    )
    layer = nn.EqualConv2d(3, 4, 1, bias=False, act="lrelu", clamp=256, down=2)
    assert repr(layer) == "EqualConv2d(3, 4, 1, bias=False, act='lrelu', clamp=256, down=2)"


@pytest.mark.parametrize("kernel_size", [0, 2])
def test_even_kernels_are_refused(kernel_size):
    with pytest.raises(
        ValueError, match=f"kernel_size must be an odd number of at least 1, got {kernel_size}"
    ):
        nn.EqualConv2d(3, 4, kernel_size)


@pytest.mark.parametrize(
    "make,error,says",
    [
        (lambda: nn.EqualLinear(0, 4), ValueError, ("in_features", "at least 1", "0")),
        (lambda: nn.EqualLinear(4, 4, lr_multiplier=0), ValueError, ("lr_multiplier", "above 0")),
        (lambda: nn.EqualLinear(4, 4, act="gelu"), ValueError, ("act", "'gelu'")),
        (lambda: nn.EqualConv2d(3, -4, 3), ValueError, ("out_channels", "-4")),
        (lambda: nn.EqualConv2d(3, 4, (3, 1)), ValueError, ("kernel_size", "(3, 1)")),
        (lambda: nn.EqualConv2d(3, 4, 3, up=0), ValueError, ("up", "0")),
        (lambda: nn.EqualLinear(8, 4)(torch.ones(2, 8).long()), TypeError, ("x", "int64")),
        (lambda: nn.EqualLinear(8, 4)(torch.ones(2, 5)), ValueError, ("[..., 8]", "[2, 5]")),
    ],
)
def test_wrong_use(make, error, says):
    with pytest.raises(error) as caught:
        make()
    assert all(words in str(caught.value) for words in says) and "\n" not in str(caught.value)


def test_made_on_another_device():
    with torch.device("meta"):
        layer = nn.EqualConv2d(3, 4, 3, down=2)
    assert layer.weight.is_meta
