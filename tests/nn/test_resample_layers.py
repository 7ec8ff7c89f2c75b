from __future__ import annotations

import pytest
import torch

from fastgan import nn, ops

LAYERS = [
    (nn.Blur, {}, ops.filter2d, (3, 5, 8, 6)),
    (nn.Upsample2d, {"up": (3, 2)}, ops.upsample2d, (3, 5, 16, 18)),
    (nn.Downsample2d, {"down": (2, 4)}, ops.downsample2d, (3, 5, 2, 3)),
]


@pytest.mark.parametrize("layer_type,options,op,shape", LAYERS)
def test_the_layer_is_the_op(layer_type, options, op, shape):
    x = torch.randn(3, 5, 8, 6)
    for taps in ([1, 3, 3, 1], [[1, 2], [3, 4]]):
        y = layer_type(taps, **options)(x)
        assert torch.equal(y, op(x, ops.setup_filter(taps), **options))
        assert y.shape == shape


@pytest.mark.parametrize("layer_type,options,op,shape", LAYERS)
def test_the_filter_is_a_setting(layer_type, options, op, shape):
    """The filter is neither learned nor saved, and stays float32, which the op needs."""
    layer = layer_type([1, 2, 1.1], **options)
    assert not list(layer.parameters()) and not layer.state_dict()
    before = layer.filter.clone()
    for convert in (torch.nn.Module.half, torch.nn.Module.double, torch.nn.Module.bfloat16):
        convert(layer)
        assert torch.equal(layer.filter, before) and layer.filter.dtype == torch.float32
    assert layer(torch.randn(1, 2, 8, 8).bfloat16()).dtype == torch.bfloat16
    for _ in range(2):
        assert layer.to("meta").filter.device.type == "meta"
    assert torch.equal(layer.to_empty(device="cpu").filter, before)


def test_repr_has_the_settings():
    assert repr(nn.Blur()) == "Blur(taps=[4])"
    assert repr(nn.Upsample2d([1, 1], up=3)) == "Upsample2d(taps=[2], up=3)"
    assert repr(nn.Downsample2d([[1, 1]], down=(2, 1))) == "Downsample2d(taps=[1, 2], down=(2, 1))"


def test_compiles():
    network = torch.nn.Sequential(nn.Upsample2d(), nn.Blur([1, 2, 1]), nn.Downsample2d([1, 1]))
    x = torch.randn(2, 3, 6, 6)
    assert torch.equal(torch.compile(network, fullgraph=True, backend="aot_eager")(x), network(x))


def test_missing_taps_are_refused():
    with pytest.raises(TypeError, match="taps must be numbers or a tensor, got None"):
        nn.Blur(None)
