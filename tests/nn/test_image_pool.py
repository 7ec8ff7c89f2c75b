"""Experience replay: what goes into the pool, and what comes out."""

from __future__ import annotations

import pytest
import torch

from fastgan.nn import ImagePool


def batch(*values):
    images = (
        torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()
    )
    return images, torch.tensor(values) + 100


def shown(pool, values, swapped, place):
    images, labels = pool(*batch(*values), swapped=torch.tensor(swapped), place=torch.tensor(place))
    assert torch.equal(images[:, 0, 0, 0].long() + 100, labels)  # an image keeps its label
    return (labels - 100).tolist()


def test_older_images_come_out_where_newer_ones_go_in():
    pool = ImagePool(4, (1, 2, 2))
    assert shown(pool, [1, 2], [True, True], [0, 3]) == [1, 2]  # still empty
    assert shown(pool, [3, 4], [True, False], [3, 0]) == [2, 4]  # 3 for 2, 4 doesn't go in
    assert shown(pool, [5, 6], [True, True], [3, 0]) == [3, 1]
    assert shown(pool, [7, 8], [False, True], [1, 1 + 1]) == [7, 8]
    assert pool.images[:, 0, 0, 0].tolist() == [6, 0, 8, 5]
    assert pool.full.tolist() == [True, False, True, True]


def test_it_is_in_the_state_dict_and_has_no_graph():
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


def test_half_types_come_out_as_they_came():
    pool = ImagePool(2, (1, 2, 2))
    images, labels = batch(1, 2)
    rows = {"swapped": torch.tensor([True, False]), "place": torch.tensor([0, 1])}
    assert pool(images.bfloat16(), labels, **rows)[0].dtype == torch.bfloat16
    assert pool.images.dtype == torch.float32


def test_every_process_puts_in_the_images_of_all(monkeypatch):
    """Two ranks, one after the other: each contributes its rows to what the other adds up."""
    import torch.distributed as dist

    from fastgan.nn import image_pool

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
        assert pool.labels.tolist() == [101, 0, 103, 104] and pool.full.tolist() == [
            True,
            False,
            True,
            True,
        ]


def test_error():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        ImagePool(0, (1, 2, 2))
