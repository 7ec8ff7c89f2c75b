"""The embedded perceptual network: its file, its distance, and its training."""

import hashlib

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file

from fastgan.data import open_dataset, to_float
from fastgan.metrics import MetricError, PerceptualDistance, load_perceptual_network
from fastgan.metrics.perceptual import SHA256, WEIGHTS, WIDTHS
from tools.train_perceptual import NUM_ATTRIBUTES, accuracy, held_out_split, paint, train


@pytest.fixture(scope="module")
def distance():
    return PerceptualDistance()


def test_shipped_file():
    assert WEIGHTS.stat().st_size < 400_000
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() == SHA256
    with safe_open(WEIGHTS, framework="pt") as file:
        # Of 18 classes in noise and blur.
        assert float(file.metadata()["held_out_accuracy"]) > 0.8


@pytest.mark.parametrize("size", [(8, 8), (33, 20)])
def test_features(distance, size):
    features = distance.features(torch.rand(2, 3, *size) * 2 - 1)
    assert [f.shape[:2] for f in features] == [(2, width) for width in WIDTHS]
    assert [f.shape[2] for f in features] == [-(-size[0] // 2**i) for i in range(4)]


def test_distance_is_its_formula(distance):
    a, b = torch.rand(2, 4, 3, 16, 16).mul(2).sub(1)
    expected = torch.zeros(4)
    for x, y in zip(distance.features(a), distance.features(b)):
        for n in range(4):
            units = [f[n].flatten(1) / f[n].flatten(1).norm(dim=0).clamp(min=1e-12) for f in (x, y)]
            expected[n] += (units[0] - units[1]).square().sum(0).mean()
    torch.testing.assert_close(distance(a, b), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(distance(a, a), torch.zeros(4))
    grey = a[:, :1]
    assert torch.equal(distance(grey, b), distance(grey.expand(-1, 3, -1, -1), b))
    with pytest.raises(
        ValueError, match=r"\[N, 1 to 4, H, W\], got \[4, 5, 16, 16\]; pass your own perceptual"
    ):
        distance(torch.cat([grey] * 5, 1), b)


def test_grain_and_blur_weigh_more_than_brightness(distance):
    """Grain and blur have a larger distance than brightness, with a smaller change in pixels."""
    a = to_float(open_dataset("shapes").batch(torch.arange(48))[0])
    brighter = a + 0.15
    grain = a + 0.1 * torch.randn(a.shape, generator=torch.Generator().manual_seed(0))
    blurred = F.avg_pool2d(F.pad(a, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    for other in (grain, blurred):
        assert (a - other).square().mean() < (a - brighter).square().mean()
        assert distance(a, other).mean() > 4 * distance(a, brighter).mean()
    # Another scene is further away than a blurred one.
    assert distance(a, a.roll(1, 0)).mean() > 4 * distance(a, blurred).mean()


def test_gradients_reach_the_image(distance):
    a, b = torch.rand(1, 3, 8, 8, dtype=torch.float64), torch.rand(1, 3, 8, 8, dtype=torch.float64)
    double = PerceptualDistance(load_perceptual_network().double().forward)
    before = double(a, b).item()
    (gradient,) = torch.autograd.grad(double(a.requires_grad_(), b).sum(), a)
    assert double(a - 1e-3 * gradient, b).item() < before
    assert not any(p.requires_grad for p in distance.parameters())


def test_wrong_files(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(MetricError, match="can't be read"):
        load_perceptual_network(path)
    path.write_bytes(WEIGHTS.read_bytes()[:-1])
    with pytest.raises(MetricError, match="SHA-256 differs"):
        load_perceptual_network(path)
    with pytest.raises(MetricError, match="doesn't hold"):
        load_perceptual_network(path, sha256=None)
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(MetricError, match="doesn't hold"):
        load_perceptual_network(path, sha256=None)


def test_training_learns_and_is_seeded():
    """The classes are discs and bars, so chance is at most a half."""
    ramp = torch.linspace(-1, 1, 32)
    disc = (ramp.square()[:, None] + ramp.square() < 0.4).float()
    bar = (ramp.abs()[:, None] < 0.2).float().expand(32, 32)
    cover, labels = torch.stack([disc, bar] * 32)[:, None], torch.arange(64) % 2
    model = train(cover, labels, steps=40, batch=16)
    assert accuracy(model, cover, labels) > 0.65
    first, second = (train(cover, labels, steps=2, batch=4).state_dict().values() for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second))


def test_scenes_and_split():
    cover = torch.zeros(3, 1, 32, 32)
    cover[:, :, 8:24, 4:20] = 1
    scenes = paint(cover, torch.arange(3), torch.Generator().manual_seed(0))
    assert scenes.images.shape == (3, 3, 32, 32) and scenes.images.abs().max() <= 1
    assert scenes.attributes.shape == (3, NUM_ATTRIBUTES)
    training, held = held_out_split(15_000)
    assert (len(training), len(held)) == (13_000, 2_000)
    assert torch.equal(torch.cat([training, held]).sort().values, torch.arange(15_000))
