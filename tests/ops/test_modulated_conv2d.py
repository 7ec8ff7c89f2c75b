from __future__ import annotations

import pytest
import torch

from fastgan import ops
from tests.ops.contract import OpContract
from tests.specs import evaluate, first_mismatch
from tests.specs.build import values, weight_values
from tests.specs.conv2d import winograd_everywhere
from tests.specs.modulated_conv2d import FILTER, MODULATED_CONV2D, definition

COMPOSITE = True


class TestContract(OpContract):
    spec = MODULATED_CONV2D


@pytest.mark.parametrize(
    "sample", [s for s in MODULATED_CONV2D.samples if s.id != "empty-batch"], ids=lambda s: s.id
)
def test_equals_weights_of_its_own_for_every_sample(backend, device, sample):
    tensors = sample.tensors(torch.float64, device)
    op, options = MODULATED_CONV2D.op, dict(sample.options)
    found = evaluate(op, tensors, {**options, "backend": backend}, order=1)
    expected = evaluate(
        definition, [None if t is None else t.cpu() for t in tensors], options, order=1
    )
    assert (problem := first_mismatch(found, expected, 1e-11)) is None, problem


@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize(
    "layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels_last"]
)
def test_fused_and_trained_forward_agree(up, layout):
    """Without a gradient, the convolution computes the epilogue."""
    shapes = (2, 18, 9, 10), (2, 18), (2, 1, 9 * up, 10 * up), (20,)
    x, styles, noise, bias = (values(s, seed).float() for s, seed in zip(shapes, (1, 3, 4, 5)))
    w = weight_values((20, 18, 3, 3), 2).float()
    x = x.to(memory_format=layout)
    options = {"noise": noise, "bias": bias, "up": up, "resample_filter": FILTER}
    options |= {"act": "lrelu", "clamp": 1.5}
    with winograd_everywhere():
        trained = ops.modulated_conv2d(x, w.requires_grad_(), styles, **options)
        with torch.no_grad():
            fused = ops.modulated_conv2d(x, w, styles, **options)
        plain = ops.modulated_conv2d(x, w, styles, **options, backend="reference")
    assert trained.requires_grad and fused.stride() == trained.stride() == plain.stride()
    for y in (fused, trained):
        assert torch.allclose(y, plain, atol=2e-5)


@pytest.mark.parametrize(
    "dtype,tolerance", [(torch.float16, 4e-3), (torch.bfloat16, 3e-2)], ids=["float16", "bfloat16"]
)
@pytest.mark.parametrize("size", [1e4, 1e-4])
def test_large_and_small_styles_neither_overflow_nor_vanish(
    backend, device, dtype, tolerance, size
):
    x = values((3, 32, 6, 6), 1).to(device, dtype) * 100
    w = weight_values((16, 32, 3, 3), 2).to(device, dtype) * 30
    styles = (values((3, 32), 3) * size).to(device, dtype)
    styles[2] = 0
    leaves = [t.requires_grad_() for t in (x, w, styles)]
    y = ops.modulated_conv2d(*leaves, backend=backend)
    exact = [t.detach().double().cpu() for t in leaves]
    expected = definition(*exact, None, None)
    assert first_mismatch({"y": y.detach()}, {"y": expected}, tolerance) is None
    assert all(g.isfinite().all() for g in torch.autograd.grad(y.float().mean(), leaves[:2]))
    image = ops.modulated_conv2d(x, w / 3e3, styles, demodulate=False, backend=backend)
    expected = definition(
        exact[0], (w.detach() / 3e3).double().cpu(), exact[2], None, None, demodulate=False
    )
    assert first_mismatch({"y": image.detach()}, {"y": expected}, tolerance) is None


def test_parameters_may_stay_float32_beside_a_half_image():
    x, w, styles = (
        values((2, 8, 5, 5), 1).half(),
        weight_values((8, 8, 3, 3), 2).float(),
        values((2, 8), 3).float(),
    )
    w, styles = w.requires_grad_(), styles.requires_grad_()
    y = ops.modulated_conv2d(x, w, styles)
    assert y.dtype == torch.float16
    assert all(g.dtype == torch.float32 for g in torch.autograd.grad(y.float().sum(), (w, styles)))


def test_input_gain_leaves_demodulation_alone():
    x, w, styles = values((2, 8, 5, 5), 1), weight_values((8, 8, 3, 3), 2), values((2, 8), 3)
    plain = ops.modulated_conv2d(x, w, styles)
    gains = values((2, 8), 4)
    for gain in (0.25, gains[0], gains):
        found = ops.modulated_conv2d(x, w, styles, input_gain=gain)
        scaled = x * gain if isinstance(gain, float) else x * gain.expand(2, 8)[:, :, None, None]
        assert torch.allclose(found, ops.modulated_conv2d(scaled, w, styles))
        assert not torch.allclose(found, plain)
