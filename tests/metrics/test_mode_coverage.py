"""Mode coverage against hand-computed values and scipy."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from fastgan.metrics import ModeCoverage, mode_coverage


def test_uniform() -> None:
    labels = torch.arange(10).repeat(7)
    assert mode_coverage(labels, 10) == ModeCoverage((7,) * 10, 10, 10, 0.0)


def test_single_class() -> None:
    coverage = mode_coverage(torch.full((50,), 3), 10)
    assert coverage.counts == (0, 0, 0, 50, 0, 0, 0, 0, 0, 0) and coverage.classes_hit == 1
    assert coverage.kl_to_uniform == pytest.approx(math.log(10))


def test_by_hand() -> None:
    # Shares 1/2, 1/4, 1/4, 0 of 4 classes: 1/2 log 2 + 1/4 log 1 + 1/4 log 1 = log(2) / 2.
    coverage = mode_coverage(torch.tensor([0, 0, 1, 2]), 4)
    assert (
        coverage.counts == (2, 1, 1, 0) and coverage.classes_hit == 3 and coverage.num_classes == 4
    )
    assert coverage.kl_to_uniform == pytest.approx(math.log(2) / 2, abs=1e-15)


def test_samples_of_no_class() -> None:
    coverage = mode_coverage(torch.tensor([-1, 0, 1, -1]), 2)
    assert coverage == ModeCoverage((1, 1), 2, 2, 0.0, near=0.5)
    none = mode_coverage(torch.tensor([-1, -1]), 8)
    assert none == ModeCoverage((0,) * 8, 0, 8, math.log(8), near=0.0)


@pytest.mark.parametrize("seed", range(5))
def test_against_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(1, 20))
    labels = rng.choice(classes, size=1000, p=rng.dirichlet(np.full(classes, 0.5)))
    counts = np.bincount(labels, minlength=classes)
    coverage = mode_coverage(torch.from_numpy(labels), classes)
    assert coverage.counts == tuple(counts.tolist()) and coverage.classes_hit == (counts > 0).sum()
    expected = entropy(counts, np.ones(classes))
    assert (
        coverage.kl_to_uniform == pytest.approx(expected, abs=1e-12) and coverage.kl_to_uniform >= 0
    )


def test_errors() -> None:
    with pytest.raises(TypeError, match="int64"):
        mode_coverage(torch.zeros(3), 10)
    with pytest.raises(ValueError, match="N at least 1"):
        mode_coverage(torch.zeros(0, dtype=torch.int64), 10)
    with pytest.raises(ValueError, match="N at least 1"):
        mode_coverage(torch.zeros(2, 2, dtype=torch.int64), 10)
    with pytest.raises(ValueError, match="num_classes"):
        mode_coverage(torch.zeros(3, dtype=torch.int64), 0)
    for bad in (-2, 10):
        with pytest.raises(ValueError, match=r"0 \.\. 9"):
            mode_coverage(torch.tensor([0, bad]), 10)
