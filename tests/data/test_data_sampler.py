"""The endless, seeded sequence of data positions."""

import pytest
import torch

from fastgan.data import batch_indices


@pytest.mark.parametrize("length", [1, 2, 7, 100])
def test_every_epoch_is_a_permutation(length: int) -> None:
    for epoch in range(3):
        indices = batch_indices(length, seed=3, start=epoch * length, count=length)
        assert indices.dtype == torch.int64
        assert indices.sort().values.tolist() == list(range(length))


def test_any_cut_gives_the_same_sequence() -> None:
    whole = batch_indices(10, seed=1, start=0, count=95)
    for start, count in [(0, 1), (9, 2), (10, 10), (13, 40), (94, 1), (50, 0)]:
        assert torch.equal(
            batch_indices(10, seed=1, start=start, count=count), whole[start : start + count]
        )


def test_epochs_and_seeds_differ() -> None:
    epochs = [
        batch_indices(1000, seed=s, start=e * 1000, count=1000) for s in (0, 1, -1) for e in (0, 1)
    ]
    for i, a in enumerate(epochs):
        for b in epochs[:i]:
            # Two random permutations agree in one position on average.
            assert (a == b).sum() < 20


def test_seed_and_epoch_are_not_interchangeable() -> None:
    a = batch_indices(1000, seed=1, start=2000, count=1000)
    b = batch_indices(1000, seed=2, start=1000, count=1000)
    assert not torch.equal(a, b)


def test_result_may_be_changed_freely_and_global_rng_is_untouched() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = batch_indices(50, seed=0, start=0, count=50)
    kept = first.clone()
    first.zero_()
    assert torch.equal(batch_indices(50, seed=0, start=0, count=50), kept)
    assert torch.equal(torch.get_rng_state(), state)


def test_far_positions_are_direct() -> None:
    assert len(batch_indices(60_000, seed=0, start=60_000 * 10**9 + 59_990, count=64)) == 64


@pytest.mark.parametrize(
    ("length", "start", "count", "name"),
    [(0, 0, 1, "length"), (5, -1, 1, "start"), (5, 0, -1, "count")],
)
def test_errors(length: int, start: int, count: int, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        batch_indices(length, seed=0, start=start, count=count)
