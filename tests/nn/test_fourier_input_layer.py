"""The layer's values are compared with recorded ones in tests/networks."""

from __future__ import annotations

import pytest
import torch

from fastgan import nn


def layer(**options) -> nn.FourierInput:
    torch.manual_seed(0)
    return nn.FourierInput(4, 8, **{"size": 12, "sampling_rate": 16, "bandwidth": 2.0, **options})


def test_frequencies_fill_the_disc_and_phases_the_circle():
    torch.manual_seed(0)
    many = nn.FourierInput(2, 4000, 1, sampling_rate=16, bandwidth=3.0)
    radii = many.freqs.norm(dim=1)
    assert radii.max() <= 3
    # Uniform on the disc: a quarter lies within half of the radius.
    assert (radii < 1.5).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert -0.5 <= many.phases.min() < -0.49 and 0.49 < many.phases.max() < 0.5


def test_features_start_at_rest_and_follow_the_style():
    f = layer()
    w = torch.randn(2, 4)
    assert torch.equal(f(w)[0], f(w)[1])
    torch.nn.init.normal_(f.affine.weight)
    assert not torch.allclose(f(w)[0], f(w)[1], atol=0.1)


def test_rows_and_columns():
    f = layer(size=(5, 9))
    y = f(torch.zeros(3, 4))
    assert y.shape == (3, 8, 5, 9) and y.is_contiguous(memory_format=torch.channels_last)
    f.freqs[:, 0] = 0
    y = f(torch.zeros(1, 4))
    # Without frequencies along x, rows are constant.
    assert torch.allclose(y, y[..., :1].expand_as(y), atol=1e-5)


def test_autocast_leaves_float32():
    f, w = layer(), torch.randn(2, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(f(w), layer()(w))


def test_buffers_are_in_the_state_dict():
    other = layer()
    torch.nn.init.normal_(other.phases)
    f = layer()
    f.load_state_dict(other.state_dict())
    assert torch.equal(f.phases, other.phases) and set(f.state_dict()) == {
        "weight", "affine.weight", "affine.bias", "freqs", "phases", "transform",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"bandwidth": 8}, "bandwidth must be between 0 and half of sampling_rate, 8.0, got 8"),
        ({"size": (4, 0)}, "width must be"),
    ],
)
def test_settings_are_checked(options, says):
    with pytest.raises(ValueError, match=says):
        layer(**options)


def test_inputs_are_checked():
    with pytest.raises(ValueError, match=r"w must have shape \[N, 4\], got \[2, 3\]"):
        layer()(torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"transform must have shape \[3, 3\] or \[2, 3, 3\]"):
        layer()(torch.zeros(2, 4), torch.zeros(3, 3, 3))
