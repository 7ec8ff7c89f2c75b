from __future__ import annotations

import copy
import io

import pytest
import torch
import torch.nn.functional as F

from fastgan import nn, ops

OPTIONS = [
    ((3, 6, 3), {}),
    ((3, 6, (3, 2)), {"stride": (2, 1), "padding": (1, 2), "bias": False}),
    ((4, 6, 3), {"padding": 1, "dilation": 2, "groups": 2}),
    ((3, 5, 3), {"padding": "same"}),
    ((3, 5, (2, 4)), {"padding": "same", "dilation": (3, 1)}),
    ((3, 5, 3), {"padding": "valid", "stride": 2}),
    ((3, 5, 3), {"padding": 2, "padding_mode": "reflect"}),
    ((3, 5, (4, 3)), {"padding": "same", "padding_mode": "circular"}),
    ((3, 5, 5), {"padding": (2, 1), "padding_mode": "replicate", "stride": 2}),
    ((3, 4, 1), {"dtype": torch.float64}),
]


@pytest.mark.parametrize("args,options", OPTIONS, ids=str)
def test_the_layer_stands_in_for_torchs(args, options):
    """Seeded parameters, results, gradients, state dict and repr are torch's.

    Inputs are batches and single images.
    """
    torch.manual_seed(0)
    theirs = torch.nn.Conv2d(*args, **options)
    torch.manual_seed(0)
    ours = nn.Conv2d(*args, **options)
    assert isinstance(ours, torch.nn.Conv2d) and repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters()))
    for shape in [(2, args[0], 9, 8), (args[0], 7, 10)]:
        x = torch.randn(shape, dtype=options.get("dtype"))
        results = []
        for layer in (ours, theirs):
            leaf = x.clone().requires_grad_()
            y = layer(leaf)
            results.append([y, *torch.autograd.grad(y.square().sum(), [leaf, *layer.parameters()])])
        assert results[0][0].shape == results[1][0].shape
        assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(*results))


def test_state_dicts_go_both_ways():
    ours, theirs = nn.Conv2d(3, 4, 3, act="lrelu"), torch.nn.Conv2d(3, 4, 3)
    theirs.load_state_dict(ours.state_dict())
    assert torch.equal(ours.weight, theirs.weight)
    ours.load_state_dict(torch.nn.Conv2d(3, 4, 3).state_dict())


@pytest.mark.parametrize("act", ["relu", "lrelu", "swish", "silu"])
def test_an_activation_has_gain_one_as_torch_has_it(act):
    x = torch.randn(2, 3, 8, 8)
    layer = nn.Conv2d(3, 4, 3, act=act)
    y = F.conv2d(x, layer.weight, layer.bias)
    expected = {"relu": F.relu(y), "lrelu": F.leaky_relu(y, 0.2)}.get(act, F.silu(y))
    assert torch.allclose(layer(x), expected, atol=1e-5)


def test_activation_gain_and_clamp():
    x = torch.randn(2, 3, 8, 8)
    layer = nn.Conv2d(3, 4, 3, padding=1, act="lrelu", alpha=0.1, gain=3.0, clamp=1.0)
    y = torch.nn.functional.conv2d(x, layer.weight, layer.bias, padding=1)
    expected = (torch.nn.functional.leaky_relu(y, 0.1) * 3).clamp(-1, 1)
    assert torch.allclose(layer(x), expected, atol=1e-5)
    assert "act='lrelu', alpha=0.1, gain=3.0, clamp=1.0" in repr(layer)


def test_copies_pickles_and_converts():
    layer = nn.Conv2d(3, 4, 3, act="swish", device="cpu")
    x = torch.randn(1, 3, 5, 5)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for other in (copy.deepcopy(layer), torch.load(file, weights_only=False)):
        assert torch.equal(other(x), layer(x))
    assert layer.bfloat16()(x.bfloat16()).dtype == torch.bfloat16
    assert nn.Conv2d(3, 4, 3, device="meta").weight.is_meta


def test_runs_on_the_chosen_backend():
    layer = nn.Conv2d(3, 4, 3)
    with ops.use_backend("cpu"), pytest.raises(ops.BackendUnavailable, match="meta"):
        layer.to("meta")(torch.empty(1, 3, 5, 5, device="meta"))


@pytest.mark.parametrize(
    "options", [{"padding": 1, "act": "relu"}, {"padding": "same", "padding_mode": "reflect"}]
)
def test_compiles(options):
    layer, x = nn.Conv2d(3, 4, 4, **options), torch.randn(2, 3, 8, 8)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(x), layer(x), atol=1e-6)
