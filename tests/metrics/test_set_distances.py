"""Kernel distance, classifier score, PRDC and neighbours equal their definitions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fastgan.data import InMemoryDataset
from fastgan.metrics import (
    FeatureStatistics,
    classifier_score,
    frechet_distance,
    kernel_distance,
    l1,
    load_digit_classifier,
    mode_coverage,
    nearest_neighbours,
    neighbour_grid,
    polynomial_mmd,
    prdc,
)


def normal(count: int, width: int = 6, *, seed: int = 0, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=generator, dtype=torch.float64) + shift


def test_the_kernel_distance_is_the_double_sum() -> None:
    a, b = normal(9).numpy(), normal(7, seed=1, shift=0.5).numpy()

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return (float(x @ y) / 6 + 1) ** 3

    within_a = [k(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j]
    within_b = [k(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j]
    between = [k(x, y) for x in a for y in b]
    expected = math.fsum(within_a) / 72 + math.fsum(within_b) / 42 - 2 * math.fsum(between) / 63
    distance = polynomial_mmd(torch.from_numpy(a), torch.from_numpy(b))
    assert distance == pytest.approx(expected, rel=1e-12)
    # Subsets as large as the sets are equal.
    whole = kernel_distance(torch.from_numpy(a[:7]), torch.from_numpy(b), subsets=3)
    assert whole.mean == pytest.approx(
        polynomial_mmd(torch.from_numpy(a[:7]), torch.from_numpy(b)), rel=1e-12
    )
    assert whole.std == pytest.approx(0, abs=1e-12)


TAKERS: dict[str, Callable[[Any], object]] = {
    "features": lambda x: FeatureStatistics().update(x),
    "mean_a": lambda x: frechet_distance(x, torch.eye(6), normal(6)[0], torch.eye(6)),
    "cov_b": lambda x: frechet_distance(normal(6)[0], torch.eye(6), normal(6)[0], x),
    "real": lambda x: prdc(x, normal(9)),
    "fake": lambda x: prdc(normal(9), x),
    "features_a": lambda x: kernel_distance(x, normal(9)),
    "b": lambda x: polynomial_mmd(normal(9), x),
    "logits": lambda x: classifier_score(x, splits=1),
    "queries": lambda x: nearest_neighbours(x, [normal(9)], 1),
    "references": lambda x: nearest_neighbours(normal(9), [x], 1),
}


@pytest.mark.parametrize("name", TAKERS)
def test_arrays_and_integers_are_no_features(name: str) -> None:
    for wrong, message in (
        (normal(9).numpy(), r", got ndarray: .*from_numpy"),
        (np.zeros(9, np.uint8), "got ndarray"),
        ([[0.0]], "got list"),
        (normal(9).long(), r"got torch\.int64: .*float\(\)"),
    ):
        expected = rf"^{name} must be a floating-point tensor \[.*{message}"
        with pytest.raises(TypeError, match=expected):
            TAKERS[name](wrong)


@pytest.mark.parametrize("wrong", [np.zeros(3, np.int64), [0, 1], torch.zeros(3)])
def test_labels_of_modes_are_integers_of_a_tensor(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"labels must be an int64 tensor \[N\], got (\w|\.)+: "):
        mode_coverage(wrong, 3)


def test_arrays_are_no_images() -> None:
    for wrong in (np.zeros((1, 1, 8, 8), np.float32), np.zeros((1, 1, 8, 8), np.uint8)):
        with pytest.raises(
            TypeError, match=r"images must be a floating-point tensor .*got ndarray"
        ):
            load_digit_classifier().features(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"targets must be a floating-point tensor .*got ndarray"):
        l1(torch.zeros(1, 1, 8, 8), np.zeros((1, 1, 8, 8)))  # type: ignore[arg-type]


def test_subsets_are_seeded_and_unbiased() -> None:
    a, b = normal(300), normal(400, seed=1)
    first = kernel_distance(a, b, subsets=50, subset_size=40)
    assert kernel_distance(a, b, subsets=50, subset_size=40) == first
    assert kernel_distance(a, b, subsets=50, subset_size=40, seed=1) != first
    # Equal distributions have a mean of 0.
    assert abs(first.mean) < 3 * first.std / math.sqrt(50) + 0.05
    shifted = kernel_distance(a, b + 0.5, subsets=50, subset_size=40)
    assert shifted.mean == pytest.approx(
        polynomial_mmd(a, b + 0.5), abs=4 * shifted.std / math.sqrt(50)
    )
    assert shifted.mean > first.mean + 0.2


def test_the_kernel_distance_refuses() -> None:
    for a, b in [((1, 6), (9, 6)), ((9, 6), (9, 5)), ((9,), (9, 6))]:
        with pytest.raises(ValueError, match=r"\[N, D\] and \[M, D\] with N and M at least 2"):
            polynomial_mmd(torch.zeros(a), torch.zeros(b))
    for bad in ({"subsets": 0}, {"subset_size": 1}):
        with pytest.raises(
            ValueError, match="subsets must be at least 1 and subset_size at least 2"
        ):
            kernel_distance(normal(5), normal(5), **bad)


def test_the_score_by_its_definition_and_at_its_ends() -> None:
    logits = 2 * normal(40, 5)
    p = logits.softmax(1).numpy()
    expected = []
    for part in np.split(p, 4):
        marginal = part.mean(0)
        expected.append(math.exp(np.mean([np.sum(row * np.log(row / marginal)) for row in part])))
    score = classifier_score(logits, splits=4)
    assert score.mean == pytest.approx(np.mean(expected))
    assert score.std == pytest.approx(np.std(expected))
    # All classes with certainty, one class, and no information.
    certain = torch.where(torch.eye(5, dtype=torch.bool), 0.0, -torch.inf).repeat(4, 1)
    assert classifier_score(certain, splits=1).mean == pytest.approx(5)
    assert classifier_score(certain[:1].expand(10, -1), splits=1).mean == pytest.approx(1)
    assert classifier_score(torch.zeros(10, 5)).mean == pytest.approx(1)
    with pytest.raises(ValueError, match=r"\[N, K\] with N at least 10, got \[9, 5\]"):
        classifier_score(torch.zeros(9, 5))


def by_force(
    real: np.ndarray, fake: np.ndarray, k_precision: int, k_density: int
) -> tuple[float, ...]:
    def distance(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.sqrt(np.sum((x - y) ** 2)))

    def radius(points: np.ndarray, i: int, k: int) -> float:
        return sorted(distance(points[i], points[j]) for j in range(len(points)) if j != i)[k - 1]

    n, m = range(len(real)), range(len(fake))
    r3, r5 = ([radius(real, i, k) for i in n] for k in (k_precision, k_density))
    f3 = [radius(fake, j, k_precision) for j in m]
    d = [[distance(real[i], fake[j]) for j in m] for i in n]
    return (
        sum(any(d[i][j] <= r3[i] for i in n) for j in m) / len(fake),
        sum(any(d[i][j] <= f3[j] for j in m) for i in n) / len(real),
        sum(d[i][j] <= r5[i] for i in n for j in m) / (k_density * len(fake)),
        sum(any(d[i][j] <= r5[i] for j in m) for i in n) / len(real),
    )


@pytest.mark.parametrize(("counts", "shift"), [((40, 30), 0.5), ((25, 45), 1.5), ((8, 8), 0.0)])
def test_prdc_by_force(
    counts: tuple[int, int], shift: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, fake = normal(counts[0], 3), normal(counts[1], 3, seed=1, shift=shift)
    expected = by_force(real.numpy(), fake.numpy(), 3, 5)
    assert tuple(prdc(real, fake)) == pytest.approx(expected, abs=1e-15)
    import sys

    # In several parts.
    monkeypatch.setattr(sys.modules["fastgan.metrics.prdc"], "_ROWS", 7)
    assert tuple(prdc(real, fake)) == pytest.approx(expected, abs=1e-15)


def test_prdc_at_its_ends() -> None:
    real = normal(60)
    # Each vector lies in its own ball and in five others on average.
    assert prdc(real, real) == pytest.approx((1, 1, (5 + 1) / 5, 1))
    assert prdc(real, real + 100) == (0, 0, 0, 0)
    collapsed = prdc(real, real[:1] + 1e-3 * normal(60, seed=1))
    assert collapsed.precision == 1 and collapsed.recall < 0.1 and collapsed.coverage < 0.5


def test_prdc_refuses() -> None:
    for a, b in [((5, 6), (9, 6)), ((9, 6), (9, 5)), ((9,), (9, 6))]:
        with pytest.raises(ValueError, match=r"\[N, D\] and \[M, D\] with N and M above 5"):
            prdc(torch.zeros(a), torch.zeros(b))
    with pytest.raises(
        ValueError, match="precision_neighbour and density_neighbour must be at least 1, got 0 and"
    ):
        prdc(normal(9), normal(9), precision_neighbour=0)


def test_neighbours_and_their_picture() -> None:
    references = normal(20, 12)
    queries = references[[3, 17]] + 1e-3
    nearest = nearest_neighbours(queries, references.split(6), 4)
    everything = torch.cdist(queries, references).sort(dim=1)
    assert torch.equal(nearest.indices, everything.indices[:, :4])
    assert nearest.indices[:, 0].tolist() == [3, 17]
    torch.testing.assert_close(nearest.distances, everything.values[:, :4])
    for k in (0, 21):
        message = f"k must be from 1 to the number of references, 20, got {k}"
        with pytest.raises(ValueError, match=message):
            nearest_neighbours(queries, [references], k)
    with pytest.raises(ValueError, match=r"\[Q, D\] and \[n, D\], got \[2, 12\] and \[20, 11\]"):
        nearest_neighbours(queries, [references[:, :11]], 1)

    images = torch.arange(20, dtype=torch.uint8).view(20, 1, 1, 1).expand(-1, 1, 4, 4)
    dataset = InMemoryDataset("numbers", images, torch.zeros(20, dtype=torch.int64))
    picture = neighbour_grid(images[[3, 17]] + 100, dataset, nearest.indices)
    # The corner of each tile.
    corners = picture[0, 2::6, 2::6].tolist()
    first, second = nearest.indices.tolist()
    assert corners == [[103, *first], [117, *second]]


def test_torch_fidelity_agrees() -> None:
    """Equal features give equal results, so that Inception's are the FID, KID and IS of papers."""
    fidelity = pytest.importorskip("torch_fidelity")
    a, b = normal(60, 8).float(), normal(60, 8, seed=1, shift=0.4).float()
    kid = fidelity.metric_kid.kid_features_to_metric(
        a, b, kid_subsets=1, kid_subset_size=60, verbose=False
    )
    assert polynomial_mmd(a, b) == pytest.approx(kid["kernel_inception_distance_mean"], rel=1e-4)
    score = fidelity.metric_isc.isc_features_to_metric(a, 10, False)
    assert tuple(classifier_score(a)) == pytest.approx(tuple(score.values()), rel=1e-9)
    shares = fidelity.metric_prc.prc_features_to_metric(b, a, prc_neighborhood=3, verbose=False)
    assert prdc(a, b)[:2] == pytest.approx((shares["precision"], shares["recall"]), rel=1e-6)
    of_sets = [fidelity.metric_fid.fid_features_to_statistics(x) for x in (a, b)]
    fid = fidelity.metric_fid.fid_statistics_to_metric(*of_sets, False)[
        "frechet_inception_distance"
    ]
    ours = [FeatureStatistics(), FeatureStatistics()]
    for statistics, x in zip(ours, (a, b)):
        statistics.update(x)
    assert frechet_distance(
        ours[0].mean, ours[0].covariance, ours[1].mean, ours[1].covariance
    ) == pytest.approx(fid, rel=1e-6)
