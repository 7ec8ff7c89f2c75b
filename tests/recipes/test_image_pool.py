"""The image pool: storing, showing, its state and several processes."""

from __future__ import annotations

import pytest
import torch

from fastgan.recipes.memory import ImagePool


def batch(*values):
    images = (
        torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()
    )
    return images, torch.tensor(values) + 100


def shown(pool, values, swapped, place):
    images, labels = pool(*batch(*values), swapped=torch.tensor(swapped), place=torch.tensor(place))
    # An image keeps its label.
    assert torch.equal(images[:, 0, 0, 0].long() + 100, labels)
    return (labels - 100).tolist()


def test_a_stored_image_replaces_an_older_one_that_is_shown():
    pool = ImagePool(4, (1, 2, 2))
    # Places are empty, so new images are shown.
    assert shown(pool, [1, 2], [True, True], [0, 3]) == [1, 2]
    # 3 replaces 2; 4 is not stored.
    assert shown(pool, [3, 4], [True, False], [3, 0]) == [2, 4]
    assert shown(pool, [5, 6], [True, True], [3, 0]) == [3, 1]
    assert shown(pool, [7, 8], [False, True], [1, 2]) == [7, 8]
    assert pool.images[:, 0, 0, 0].tolist() == [6, 0, 8, 5]
    assert pool.full.tolist() == [True, False, True, True]


def test_the_pool_is_in_the_state_dict_and_has_no_graph():
    pool, again = ImagePool(2, (1, 2, 2)), ImagePool(2, (1, 2, 2))
    images, labels = batch(1, 2)
    out, _ = pool(
        images.requires_grad_(),
        labels,
        swapped=torch.tensor([True, True]),
        place=torch.tensor([0, 1]),
    )
    assert not out.requires_grad and not list(pool.parameters())
    again.load_state_dict(pool.state_dict())
    assert shown(again, [3, 4], [True, True], [1, 0]) == [2, 1]


def test_half_types_are_kept():
    pool = ImagePool(2, (1, 2, 2))
    images, labels = batch(1, 2)
    rows = {"swapped": torch.tensor([True, False]), "place": torch.tensor([0, 1])}
    assert pool(images.bfloat16(), labels, **rows)[0].dtype == torch.bfloat16
    assert pool.images.dtype == torch.float32


def test_every_process_stores_the_images_of_all(monkeypatch):
    """Two ranks run in turn; the sum of their contributions stands in for the all-reduce."""
    import torch.distributed as dist

    from fastgan.recipes.memory import image_pool

    rank = 0
    contributed = {0: [], 1: []}
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "get_rank", lambda: rank)
    monkeypatch.setattr(image_pool, "all_reduce_sum", lambda x: contributed[rank].append(x) or x)
    rows = [((1, 2), [True, False], [0, 1]), ((3, 4), [True, True], [2, 3])]
    for rank in (0, 1):
        shown(ImagePool(4, (1, 2, 2)), *rows[rank])
    sums = [a + b for a, b in zip(contributed[0], contributed[1])]
    pools = []
    for rank in (0, 1):
        left = iter(sums)
        monkeypatch.setattr(image_pool, "all_reduce_sum", lambda x, left=left: next(left))
        pools.append(ImagePool(4, (1, 2, 2)))
        assert shown(pools[rank], *rows[rank]) == list(rows[rank][0])
    for pool in pools:
        assert pool.images[:, 0, 0, 0].tolist() == [1, 0, 3, 4]
        assert pool.labels.tolist() == [101, 0, 103, 104]
        assert pool.full.tolist() == [True, False, True, True]


def test_error():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        ImagePool(0, (1, 2, 2))
