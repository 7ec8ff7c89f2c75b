from __future__ import annotations

import pytest
import torch

from fastgan import ops
from tests.ops.contract import OpContract
from tests.specs import evaluate, first_mismatch
from tests.specs.layouts import channels_last
from tests.specs.scale_bias_act import SCALE_BIAS_ACT


class TestContract(OpContract):
    spec = SCALE_BIAS_ACT


LAYOUTS = pytest.mark.parametrize(
    "layout", [torch.clone, channels_last], ids=["rows", "channels_last"]
)


def tensors(shape, noise_batch, device="cpu", dtype=torch.float32):
    n, c, h, w = shape
    sizes = [shape, (n, c), (noise_batch, 1, h, w), (c,)]
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, generator=generator).to(device, dtype) for size in sizes]


@LAYOUTS
@pytest.mark.parametrize("act", ["linear", "lrelu", "softplus"])
def test_without_scale_and_noise_it_is_bias_act(backend, device, layout, act):
    x, _, _, b = tensors((3, 5, 6, 7), 1, device)
    x = layout(x)
    options = {"act": act, "clamp": 1.5, "backend": backend}
    found = evaluate(
        lambda x, b, **o: ops.scale_bias_act(x, None, None, b, **o), (x, b), options, order=2
    )
    expected = evaluate(ops.bias_act, (x, b), options, order=2)
    assert torch.equal(found["y"], expected["y"])
    problem = first_mismatch(found, expected, 4e-6)
    assert problem is None, problem


@LAYOUTS
def test_one_noise_for_all_images_is_the_same_noise_for_each(backend, device, layout):
    x, scale, noise, b = tensors((4, 5, 6, 7), 1, device)
    given = (layout(x), scale, noise, b)
    copies = (layout(x), scale, noise.expand(4, 1, 6, 7), b)
    options = {"act": "swish", "backend": backend}
    one, each = (evaluate(ops.scale_bias_act, t, options, order=1) for t in (given, copies))
    assert torch.equal(one["y"], each["y"])
    assert one["d2"].shape == noise.shape
    assert torch.allclose(one["d2"], each["d2"].sum(0, keepdim=True), atol=1e-5)
