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
    """The same parameters by name, images and gradients."""
    layer, plain = (
        nn.InstanceNorm2d(4, affine=affine, act=act, gain=1),
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
    """In training, in evaluation, and in what it keeps."""
    layer, plain = nn.BatchNorm2d(4, act="lrelu", gain=1), torch.nn.BatchNorm2d(4)
    plain.load_state_dict({**plain.state_dict(), "weight": image(4), "bias": image(4, seed=2)})
    layer.load_state_dict(plain.state_dict())
    for seed in range(2):
        x = image(5, 4, 3, 6, seed=seed) * (seed + 1) + 2
        assert torch.allclose(layer(x), F.leaky_relu(plain(x), 0.2), atol=1e-5)
    for name, value in plain.state_dict().items():
        assert torch.allclose(layer.state_dict()[name], value), name
    assert torch.allclose(layer.eval()(x), F.leaky_relu(plain.eval()(x), 0.2), atol=1e-5)


def test_batch_norm_becomes_that_of_all_processes(tmp_path):
    """In a group of one process: the statistics by way of all_reduce."""
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        layer, synced = nn.BatchNorm2d(4, act="relu", gain=1), nn.BatchNorm2d(4, act="relu", gain=1)
        nn.sync_batch_norm(synced)
        assert type(synced) is not type(layer)
        x = image(5, 4, 3, 6)
        assert torch.allclose(layer(x), synced(x), atol=1e-5)
        assert torch.allclose(layer.running_var, synced.running_var)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    "call,says",
    [
        (lambda: nn.InstanceNorm2d(4)(image(2, 3, 5, 5)), ("x", "[N, 4, *]", "[2, 3, 5, 5]")),
        (lambda: nn.InstanceNorm2d(0), ("channels", "0")),
        (lambda: nn.InstanceNorm2d(4, act="gelu"), ("act", "'gelu'")),
        (lambda: nn.BatchNorm2d(4)(image(2, 3, 5, 5)), ("x", "[N, 4, H, W]", "[2, 3, 5, 5]")),
        (lambda: nn.BatchNorm2d(4, gain=float("inf")), ("gain", "inf")),
    ],
)
def test_errors(call, says):
    with pytest.raises(ValueError) as caught:
        call()
    assert all(words in str(caught.value) for words in says), caught.value
