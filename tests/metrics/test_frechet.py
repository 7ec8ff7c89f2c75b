"""The Fréchet distance equals scipy's and closed forms, its statistics equal numpy's."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from fastgan.metrics import FeatureStatistics, frechet_distance


def by_definition(mean_a, cov_a, mean_b, cov_b) -> float:
    root = sqrtm(cov_a.numpy() @ cov_b.numpy())
    return ((mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace()).item() - 2 * np.trace(
        root
    ).real


def statistics(count: int, width: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, width, generator=generator, dtype=torch.float64)
    x = x @ torch.randn(width, width, generator=generator, dtype=torch.float64) / width**0.5
    return x.mean(0), torch.cov(x.T).view(width, width)


@pytest.mark.parametrize("width", [1, 2, 20, 100])
def test_against_scipy(width: int) -> None:
    a, b = statistics(3 * width + 2, width, 0), statistics(2 * width + 5, width, 1)
    assert frechet_distance(*a, *b) == pytest.approx(by_definition(*a, *b), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("counts", [(30, 400), (400, 30), (25, 40)])
def test_against_scipy_where_vectors_are_fewer_than_features(counts: tuple[int, int]) -> None:
    a, b = (statistics(count, 60, seed) for seed, count in enumerate(counts))
    assert frechet_distance(*a, *b) == pytest.approx(by_definition(*a, *b), rel=1e-6)


def test_closed_form_of_any_rank() -> None:
    # Covariances of the same eigenvectors commute: |μ|² + Σ (√a - √b)².
    generator = torch.Generator().manual_seed(0)
    q = torch.linalg.qr(torch.randn(50, 50, generator=generator, dtype=torch.float64)).Q
    a, b = torch.rand(2, 50, generator=generator, dtype=torch.float64) * 10
    a[:20] = 0
    b[10:35] = 0
    mean = torch.rand(50, generator=generator, dtype=torch.float64)
    expected = mean.square().sum() + (a.sqrt() - b.sqrt()).square().sum()
    distance = frechet_distance(mean, q @ a.diag() @ q.T, torch.zeros(50), q @ b.diag() @ q.T)
    assert distance == pytest.approx(expected.item(), rel=1e-10)


def test_zero_for_equal_sets_and_symmetric() -> None:
    # More features than vectors.
    a, b = statistics(25, 60, 0), statistics(40, 60, 1)
    assert 0 <= frechet_distance(*a, *a) < 1e-10
    assert frechet_distance(*a, *b) == pytest.approx(frechet_distance(*b, *a), rel=1e-12)
    zero = torch.zeros(60), torch.zeros(60, 60)
    assert frechet_distance(*zero, *zero) == 0
    assert frechet_distance(torch.ones(60), zero[1], *zero) == 60


def test_wrong_statistics() -> None:
    mean, cov = statistics(30, 4, 0)
    with pytest.raises(ValueError, match=r"mean_b must be \[4\], got \[3\]"):
        frechet_distance(mean, cov, mean[:3], cov)
    with pytest.raises(ValueError, match=r"cov_a must be \[4, 4\], got \[4\]"):
        frechet_distance(mean, mean, mean, cov)
    with pytest.raises(ValueError, match="cov_b must be finite"):
        frechet_distance(mean, cov, mean, cov / 0)


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_statistics_do_not_depend_on_the_batches(batch: int) -> None:
    # Far from 0, where the difference of raw moments would lose all digits.
    x = torch.randn(100, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1e6
    statistics = FeatureStatistics()
    for part in x.split(batch):
        statistics.update(part)
    statistics.update(x[:0])
    assert statistics.count == 100
    np.testing.assert_allclose(statistics.mean, x.numpy().mean(0), rtol=1e-14)
    np.testing.assert_allclose(statistics.covariance, np.cov(x.numpy().T), rtol=1e-8, atol=1e-9)


def test_statistics_refuse() -> None:
    statistics = FeatureStatistics()
    with pytest.raises(ValueError, match="at least 2 feature vectors, got 0"):
        _ = statistics.covariance
    with pytest.raises(TypeError, match="floating-point"):
        statistics.update(torch.zeros(2, 3, dtype=torch.int64))
    statistics.update(torch.zeros(2, 3))
    for shape in [(3,), (2, 4)]:
        with pytest.raises(ValueError, match=r"\[N, 3\]"):
            statistics.update(torch.zeros(shape))
