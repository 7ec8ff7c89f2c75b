from __future__ import annotations

import pytest
import torch

from fastgan import nn, ops


def taps() -> torch.Tensor:
    return ops.design_lowpass(12, cutoff=2, width=6, fs=16)


def test_the_layer_is_the_op():
    options = {"up": 2, "down": 2, "padding": (11, 10, 9, 8), "gain": 1.5, "slope": 0.1, "clamp": 2}
    radial = ops.design_lowpass(6, cutoff=2, width=6, fs=16, radial=True)
    layer = nn.FilteredLReLU(3, up_filter=taps(), down_filter=radial, **options)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 8, 7)
    assert torch.equal(layer(x), ops.filtered_lrelu(x, taps(), radial, layer.bias, **options))


def test_defaults_are_those_of_the_op():
    x = torch.randn(2, 3, 4, 4)
    assert torch.equal(nn.FilteredLReLU(3)(x), ops.filtered_lrelu(x))
    assert torch.equal(nn.FilteredLReLU(None)(x), ops.filtered_lrelu(x))
    assert not nn.FilteredLReLU(None).state_dict()


def test_filters_are_settings_and_the_bias_follows_the_image():
    layer = nn.FilteredLReLU(3, up_filter=taps(), up=2, padding=11)
    assert set(layer.state_dict()) == {"bias"}
    assert layer.half().up_filter.dtype == torch.float32
    layer = layer.float()
    torch.nn.init.normal_(layer.bias)
    assert layer(torch.randn(1, 3, 4, 4).bfloat16()).dtype == torch.bfloat16


def test_repr_has_the_settings():
    layer = nn.FilteredLReLU(8, up_filter=taps(), up=2, clamp=256)
    assert repr(layer) == (
        "FilteredLReLU(8, up=2, down=1, up_filter=[12], down_filter=None, padding=0, clamp=256)"
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [({"up": 0}, "up must be"), ({"num_channels": 0}, "num_channels must be .* got 0")],
)
def test_settings_are_checked(options, says):
    with pytest.raises(ValueError, match=says):
        nn.FilteredLReLU(**{"num_channels": 3, **options})
