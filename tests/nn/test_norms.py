"""Batch norm and instance norm with an activation against torch's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fastgan import nn


def image(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("act", ["linear", "relu"])
@pytest.mark.parametrize("affine", [False, True])
def test_instance_norm_is_torchs_with_an_activation(affine, act):
    """Parameter names, images and gradients are torch's."""
    layer, plain = (
        nn.InstanceNormAct2d(4, affine=affine, act=act),
        torch.nn.InstanceNorm2d(4, affine=affine),
    )
    if affine:
        plain.load_state_dict({"weight": image(4), "bias": image(4, seed=2)})
    layer.load_state_dict(plain.state_dict())
    found = []
    for norm in (layer, lambda x: (F.relu if act == "relu" else torch.clone)(plain(x))):
        x = image(3, 4, 5, 6).requires_grad_()
        y = norm(x)
        parameters = [*(layer if norm is layer else plain).parameters()]
        found.append(
            [y, *torch.autograd.grad((y * image(*y.shape, seed=3)).sum(), [x, *parameters])]
        )
    assert len(found[0]) == 2 + 2 * affine
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*found))


def test_batch_norm_is_torchs_with_an_activation():
    """Images of both modes and running averages are torch's."""
    layer, plain = nn.BatchNormAct2d(4, act="lrelu"), torch.nn.BatchNorm2d(4)
    plain.load_state_dict({**plain.state_dict(), "weight": image(4), "bias": image(4, seed=2)})
    layer.load_state_dict(plain.state_dict())
    for seed in range(2):
        x = image(5, 4, 3, 6, seed=seed) * (seed + 1) + 2
        assert torch.allclose(layer(x), F.leaky_relu(plain(x), 0.2), atol=1e-5)
    for name, value in plain.state_dict().items():
        assert torch.allclose(layer.state_dict()[name], value), name
    assert torch.allclose(layer.eval()(x), F.leaky_relu(plain.eval()(x), 0.2), atol=1e-5)


@pytest.mark.parametrize("kind", ["Batch", "Instance"])
@pytest.mark.parametrize(
    "arguments",
    [(1e-3, 0.3, True, True), (1e-3, 0.3, False, False), (1e-5, None, False, True)],
    ids=["tracked", "untracked", "mean-of-all"],
)
def test_leading_arguments_are_torchs(kind, arguments):
    """Images and state dicts equal torch's for the same positional arguments."""
    if kind == "Instance" and arguments[1] is None:
        arguments = (1e-5, 0.1, False, True)
    layer = getattr(nn, f"{kind}NormAct2d")(4, *arguments)
    plain = getattr(torch.nn, f"{kind}Norm2d")(4, *arguments)
    for seed in range(3):
        x = image(5, 4, 3, 6, seed=seed) * (seed + 1) + seed
        assert torch.allclose(layer(x), plain(x), atol=1e-5)
    assert layer.state_dict().keys() == plain.state_dict().keys()
    for name, value in plain.state_dict().items():
        assert torch.allclose(layer.state_dict()[name], value, atol=1e-6), name
    assert torch.allclose(layer.eval()(x), plain.eval()(x), atol=1e-5)


@pytest.mark.parametrize("kind", [nn.BatchNormAct2d, nn.InstanceNormAct2d])
def test_device_and_dtype_hold_for_parameters_and_averages(kind):
    layer = kind(4, 1e-5, 0.1, True, True, "meta", torch.float64)
    tensors = {**dict(layer.named_parameters()), **dict(layer.named_buffers())}
    del tensors["num_batches_tracked"]
    assert len(tensors) == 4
    assert all(t.device.type == "meta" and t.dtype == torch.float64 for t in tensors.values())


def test_batch_norm_over_processes_is_the_same_layer(tmp_path):
    """Statistics by all_reduce are those of the batch.

    The process group has one process.
    """
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        layer, synced = (
            nn.BatchNormAct2d(4, act="relu"),
            nn.BatchNormAct2d(4, act="relu"),
        )
        nn.convert_sync_batchnorm(synced)
        assert type(synced) is not type(layer)
        x = image(5, 4, 3, 6)
        assert torch.allclose(layer(x), synced(x), atol=1e-5)
        assert torch.allclose(layer.running_var, synced.running_var)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    "call,says",
    [
        (lambda: nn.InstanceNormAct2d(4)(image(2, 3, 5, 5)), ("x", "[N, 4, *]", "[2, 3, 5, 5]")),
        (lambda: nn.InstanceNormAct2d(0), ("num_features", "0")),
        (lambda: nn.InstanceNormAct2d(4, momentum=None), ("momentum", "None")),
        (lambda: nn.BatchNormAct2d(4, momentum=2), ("momentum", "None or", "2")),
        (lambda: nn.InstanceNormAct2d(4, act="gelu"), ("act", "'gelu'")),
        (lambda: nn.BatchNormAct2d(4)(image(2, 3, 5, 5)), ("x", "[N, 4, H, W]", "[2, 3, 5, 5]")),
        (lambda: nn.BatchNormAct2d(4, gain=float("inf")), ("gain", "inf")),
    ],
)
def test_errors(call, says):
    with pytest.raises(ValueError) as caught:
        call()
    assert all(words in str(caught.value) for words in says), caught.value
