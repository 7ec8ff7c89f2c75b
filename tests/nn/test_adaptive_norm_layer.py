from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fastgan import nn, ops


def image(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("embedding", [False, True])
def test_conditional_batch_norm_starts_as_batch_norm(embedding):
    """Images and running averages are torch's without parameters, for any condition."""
    layer = nn.ConditionalBatchNorm2d(4, 3, embedding=embedding)
    plain = torch.nn.BatchNorm2d(4, affine=False)
    cond = torch.tensor([0, 2, 1, 1, 0]) if embedding else image(5, 3)
    for seed in range(2):
        x = image(5, 4, 3, 6) * (seed + 1) + 2
        assert torch.allclose(layer(x, cond), plain(x), atol=1e-5)
    for name, value in plain.state_dict().items():
        assert torch.allclose(layer.state_dict()[name], value), name
    layer.eval()
    plain.eval()
    assert torch.allclose(layer(x, cond), plain(x), atol=1e-5)


def test_conditional_batch_norm_follows_its_condition():
    layer = nn.ConditionalBatchNorm2d(4, 3, embedding=True, act="relu")
    with torch.no_grad():
        layer.scale.weight.copy_(image(3, 4))
        layer.shift.weight.copy_(image(3, 4).flip(0))
    x, labels = image(5, 4, 3, 6), torch.tensor([0, 2, 1, 1, 0])
    unit = F.batch_norm(x, None, None, training=True)
    scale, shift = (t.weight[labels][..., None, None] for t in (layer.scale, layer.shift))
    y = layer(x, labels)
    assert torch.allclose(y, F.relu(unit * (1 + scale) + shift), atol=1e-5)
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


def test_adain_has_the_style_of_w():
    layer = nn.AdaIN(4, 8, act="lrelu")
    x, w = image(3, 4, 5, 5), image(3, 8)
    scale, shift = layer.style(w).chunk(2, dim=1)
    expected = F.instance_norm(x) * (1 + scale[..., None, None]) + shift[..., None, None]
    assert torch.allclose(layer(x, w), F.leaky_relu(expected, 0.2), atol=1e-5)
    assert torch.allclose(layer(x, 0 * w), F.leaky_relu(F.instance_norm(x), 0.2), atol=1e-5)


def test_spade_has_a_scale_and_a_shift_at_each_position():
    layer = nn.SPADE(4, 3, hidden=5)
    x, classes = (
        image(2, 4, 6, 6),
        F.one_hot(torch.tensor([[[0, 1], [2, 1]]] * 2), 3).permute(0, 3, 1, 2),
    )
    h = F.relu(
        layer.shared._conv_forward(
            F.interpolate(classes.float(), size=(6, 6)), layer.shared.weight, layer.shared.bias
        )
    )
    scale, shift = (m._conv_forward(h, m.weight, m.bias) for m in (layer.scale, layer.shift))
    expected = F.batch_norm(x, None, None, training=True) * (1 + scale) + shift
    y = layer(x, classes)
    assert torch.allclose(y, expected, atol=1e-5)
    y.square().sum().backward()
    assert all(p.grad is not None for p in layer.parameters())
    assert not torch.equal(layer.running_mean, torch.zeros(4)) and layer.num_batches_tracked == 1


@pytest.mark.parametrize("name", ["conditional", "spade"])
def test_a_layer_over_processes_is_the_same_layer(name, tmp_path):
    """Values, second derivatives and state are equal with statistics by all_reduce.

    The process group has one process.
    """
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        torch.manual_seed(0)
        layer = (
            nn.ConditionalBatchNorm2d(4, 3) if name == "conditional" else nn.SPADE(4, 3, hidden=4)
        )
        cond = image(5, 3) if name == "conditional" else image(5, 3, 3, 6)
        torch.nn.init.normal_(layer.scale.weight)
        results, kind = [], type(layer)
        state = {k: v.clone() for k, v in layer.state_dict().items()}
        for synchronised in (False, True):
            layer.load_state_dict(state)
            if synchronised:
                nn.convert_sync_batchnorm(layer)
                assert type(layer) is not kind and isinstance(layer, kind)
            x = image(5, 4, 3, 6).requires_grad_()
            y = layer(x, cond)
            (dx,) = torch.autograd.grad(y.sin().sum(), x, create_graph=True)
            results.append(
                [
                    y,
                    dx,
                    *torch.autograd.grad(dx.square().sum(), x),
                    layer.running_mean.clone(),
                    layer.running_var.clone(),
                ]
            )
        assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(*results))
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    "call,says",
    [
        (
            lambda: nn.ConditionalBatchNorm2d(4, 3)(image(2, 5, 3, 3), image(2, 3)),
            ("x", "[N, 4, H, W]", "[2, 5, 3, 3]"),
        ),
        (
            lambda: nn.ConditionalBatchNorm2d(4, 3)(image(2, 4, 3, 3), image(2, 2)),
            ("cond", "[2, 3]", "[2, 2]"),
        ),
        (
            lambda: nn.ConditionalBatchNorm2d(4, 3)(image(1, 4, 1, 1), image(1, 3)),
            ("at least 2 values", "eval"),
        ),
        (lambda: nn.ConditionalBatchNorm2d(4, 3, momentum=2), ("momentum", "2")),
        (lambda: nn.ConditionalBatchNorm2d(0, 3), ("num_features", "0")),
        (
            lambda: nn.AdaIN(4, 8)(image(2, 3, 5, 5), image(2, 8)),
            ("x", "[N, 4, *]", "[2, 3, 5, 5]"),
        ),
        (
            lambda: nn.SPADE(4, 3)(image(2, 4, 5, 5), image(2, 4, 5, 5)),
            ("segmentation", "[2, 3, '*', '*']"),
        ),
        (lambda: nn.AdaIN(4, 8, act="gelu"), ("act", "'gelu'")),
    ],
)
def test_errors(call, says):
    with pytest.raises(ValueError) as caught:
        call()
    assert all(words in str(caught.value) for words in says), caught.value


def test_half_precision_keeps_float32_averages():
    layer = nn.ConditionalBatchNorm2d(4, 3)
    y = layer(image(4, 4, 3, 3).half(), image(4, 3))
    assert y.dtype == torch.float16 and layer.running_mean.dtype == torch.float32
    layer.eval()
    with ops.use_backend("reference"):
        assert layer(image(4, 4, 3, 3).half(), image(4, 3)).dtype == torch.float16
