"""Projection: it recovers an image of the generator, by the paper's schedules and penalty."""

import math

import pytest
import torch

from fastgan.latent import Schedule, WStatistics, estimate_w_avg, project
from fastgan.latent.projection import _normalize, noise_penalty
from fastgan.metrics import PerceptualDistance
from tests.latent.generators import generator


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def small():
    return generator(resolution=16)


@pytest.fixture(scope="module")
def statistics(small):
    return estimate_w_avg(small, generator=rng())


@pytest.fixture(scope="module")
def target(small):
    with torch.no_grad():
        return small(torch.randn(1, 16, generator=rng(5)), noise_mode="const")


@pytest.fixture(scope="module")
def projection(small, statistics, target):
    return project(small, target, steps=12, w_statistics=statistics, frame_every=5, generator=rng())


def test_it_recovers_an_image_of_the_generator(G):
    """It recovers w too, unlike a projection by pixels alone with these seeds."""
    statistics = estimate_w_avg(G, generator=rng())
    with torch.no_grad():
        ws = G.mapping(torch.randn(1, 16, generator=rng(7)))
        target = G.synthesis(ws, noise_mode="const")
        average = G.synthesis(statistics.mean.expand_as(ws), noise_mode="const")
    result, by_pixels = (
        project(G, target, steps=100, perceptual=distance, w_statistics=statistics, generator=rng())
        for distance in (None, lambda a, b: (a - b).square().mean((1, 2, 3)))
    )
    distance, start = PerceptualDistance(), (statistics.mean - ws[0, 0]).norm()
    assert result.distances[-1] == pytest.approx(distance(result.image, target).item())
    assert result.distances[-1] < 0.35 * min(result.distances[0], distance(average, target).item())
    assert result.distances[-1] < 0.6 * distance(by_pixels.image, target).item()
    assert (result.ws[0, 0] - ws[0, 0]).norm() < 0.3 * start
    assert 0.3 * start < 0.5 * (by_pixels.ws[0, 0] - ws[0, 0]).norm()
    images = (result.image, by_pixels.image, average)
    errors = [(image - target).square().mean() for image in images]
    assert errors[0] < 0.2 * errors[2] and errors[0] < 0.7 * errors[1] < 0.35 * errors[2]


def test_the_result(small, projection):
    ws = projection.ws
    assert ws.shape == (1, small.num_ws, 16) and torch.equal(ws, ws[:, :1].expand_as(ws))
    # Frames of steps 0, 5, 10 and of the end.
    assert len(projection.distances) == 13 and projection.frames.shape == (4, 3, 16, 16)
    for n in projection.noise.values():
        assert n.mean().abs() < 1e-5 and n.square().mean().item() == pytest.approx(1, abs=1e-4)
    copy = generator(resolution=16)
    copy.load_state_dict(small.state_dict())
    missing = copy.synthesis.load_state_dict(projection.noise, strict=False)
    assert not missing.unexpected_keys
    with torch.no_grad():
        torch.testing.assert_close(copy.synthesis(ws, noise_mode="const"), projection.image)


def test_one_w_for_each_layer_and_the_generator_stays(small, statistics, target):
    before = {name: value.clone() for name, value in small.state_dict().items()}
    seen = []
    # The caller's gradient mode doesn't matter.
    with torch.no_grad():
        wide = project(
            small,
            target[0],
            space="w+",
            steps=8,
            w_statistics=statistics,
            generator=rng(),
            progress=lambda step, distance: seen.append((step, distance)),
        )
    assert not torch.equal(wide.ws[:, 0], wide.ws[:, 1]) and wide.distances[-1] < wide.distances[0]
    assert seen == list(enumerate(wide.distances[:-1])) and len(wide.frames) == 0
    again = project(small, target, space="w+", steps=8, w_statistics=statistics, generator=rng())
    torch.testing.assert_close(again.image, wide.image, atol=1e-3, rtol=1e-3)
    assert all(torch.equal(value, before[name]) for name, value in small.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in small.parameters())


def test_the_schedule_is_the_papers():
    schedule = Schedule()
    assert schedule.rate(0) == 0 and schedule.rate(1) == pytest.approx(0)
    assert schedule.rate(0.025) == pytest.approx(0.05)
    assert {schedule.rate(t) for t in (0.05, 0.3, 0.75)} == {0.1}
    assert schedule.rate(0.875) == pytest.approx(0.05)
    assert [schedule.deviation(t) for t in (0, 0.375, 0.75, 1)] == pytest.approx(
        [0.05, 0.0125, 0, 0]
    )
    flat = Schedule(ramp_up=0, ramp_down=0, w_noise_share=0)
    assert [flat.rate(t) for t in (0, 0.5, 1)] == [0.1] * 3 and flat.deviation(0) == 0


def test_noise_penalty():
    """It is small for white noise, and large for a wave of any scale along either axis."""
    white = torch.randn(64, 64, generator=rng())
    assert noise_penalty([white]) < 0.1
    # Waves that show at full size, or at a smaller one.
    for period in (8, 16, 32):
        wave = math.sqrt(2) * torch.sin(2 * math.pi * torch.arange(64) / period).expand(64, 64)
        assert noise_penalty([wave]) > 1 and noise_penalty([wave.T]) > 1
    n = torch.randn(4, 4, generator=rng(1))
    alike = sum((n * n.roll(1, axis)).mean() ** 2 for axis in (0, 1))
    torch.testing.assert_close(noise_penalty([n, n]), 2 * alike)
    tall = torch.randn(16, 32, generator=rng(2))
    half = tall.view(8, 2, 16, 2).sum((1, 3)) / 2
    expected = sum((m * m.roll(1, axis)).mean() ** 2 for m in (tall, half) for axis in (0, 1))
    torch.testing.assert_close(noise_penalty([tall]), expected)
    _normalize([tall.mul_(3).add_(1)])
    assert tall.mean().abs() < 1e-6 and tall.square().mean().item() == pytest.approx(1, abs=1e-5)


def test_a_large_image_is_compared_in_a_smaller_copy():
    G = generator(resolution=512, channel_base=1024, channel_max=2)
    seen = []

    def distance(a, b):
        seen.append((a.shape, b.shape))
        return (a - b).square().mean()

    image = torch.zeros(3, 512, 512)
    image[:, ::2] = 1
    project(G, image, steps=1, perceptual=distance, w_statistics=WStatistics(torch.zeros(16), 1.0))
    assert set(seen) == {((1, 3, 256, 256), (1, 3, 256, 256))}


def test_classes_and_wide_images():
    G = generator(c_dim=3, base=(4, 8), resolution=8)
    image = torch.zeros(1, 3, 8, 16)
    result = project(G, image, steps=2, labels=torch.tensor([1]), generator=rng())
    assert result.image.shape == (1, 3, 8, 16)
    assert {tuple(n.shape) for n in result.noise.values()} == {(4, 8), (8, 16)}


def test_refused(small, target):
    for wrong in (target[:, :1], target[..., 1:], target.repeat(2, 1, 1, 1), target.byte()):
        with pytest.raises(
            ValueError, match=r"image must be floating-point \[3, 16, 16\] in \[-1, 1\], got"
        ):
            project(small, wrong)
    with pytest.raises(ValueError, match="space must be 'w' or 'w\\+', got 'z'"):
        project(small, target, space="z")
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        project(small, target, steps=0)
