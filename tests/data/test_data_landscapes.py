"""Drawn landscapes: the same at any batch and size and in every version, with maps and domains."""

import hashlib

import pytest
import torch
from torch.nn import functional as F

from fastgan.data import DataError, Task, open_dataset
from fastgan.data.landscapes import _DRAWS, LAND_PARTS, LAND_TASKS, LandscapesDataset, draw
from tests.data.drawn_sets import check_task


@pytest.mark.parametrize("task", LAND_TASKS)
def test_every_task(task: Task) -> None:
    check_task("landscapes", task)


def test_drawings_are_fixed_for_good() -> None:
    data = LandscapesDataset(resolution=32)
    assert data.batch_labels(torch.arange(6)).tolist() == [1, 1, 0, 1, 0, 0]
    digest = hashlib.sha256(data.batch(torch.arange(16))[0].numpy().tobytes()).hexdigest()
    assert digest[:16] == "cc8ccdb96e0621fb"


def test_landscapes_are_the_same_at_every_resolution() -> None:
    rows = torch.arange(24)
    small, large = (LandscapesDataset(resolution=r).batch(rows)[0].float() for r in (32, 128))
    # Edges are antialiased by distances, not by area.
    assert (F.avg_pool2d(large, 4) - small).abs().mean() < 6


def test_fingerprints_and_held_out_landscapes() -> None:
    sets = [LandscapesDataset(), *(LandscapesDataset(task) for task in LAND_TASKS)]
    held_out = [data.held_out() for data in sets]
    assert len({data.fingerprint for data in sets + held_out}) == 6
    longer = LandscapesDataset(length=20_004, resolution=16)
    again = LandscapesDataset(resolution=16).held_out().batch(torch.arange(4))[0]
    assert torch.equal(again, longer.batch(torch.arange(20_000, 20_004))[0])


def test_day_is_bright_and_dusk_is_dark() -> None:
    rows = torch.arange(200)
    data = LandscapesDataset(resolution=16)
    images, labels = data.batch(rows)
    light = images.float().mean(dim=(1, 2, 3))
    assert light[labels == 0].min() > light[labels == 1].max()
    assert 60 < labels.sum() < 140
    domains = LandscapesDataset("domains", resolution=16)
    day, dusk = domains.batch(rows)[0], domains.batch_inputs(rows)["other"]
    assert day.float().mean(dim=(1, 2, 3)).min() > dusk.float().mean(dim=(1, 2, 3)).max()
    assert (domains.batch_labels(rows) == 0).all()


def test_maps_have_every_part_in_its_place() -> None:
    rows = torch.arange(60)
    maps = LandscapesDataset("maps", resolution=48).batch_inputs(rows)["map"]
    shares = maps.flatten().bincount(minlength=len(LAND_PARTS)) / maps.numel()
    assert (shares > 0.001).all()
    y = torch.arange(48.0).view(1, -1, 1).expand(maps.shape)
    middle = {name: y[maps == k].mean().item() for k, name in enumerate(LAND_PARTS)}
    assert middle["sky"] < middle["hill"] < middle["water"] < middle["meadow"]
    # The front is always meadow or a tree.
    front = maps[:, -1]
    assert ((front == LAND_PARTS.index("meadow")) | (front == LAND_PARTS.index("tree"))).all()


def test_shares_of_layers_add_up_to_one() -> None:
    data = LandscapesDataset()
    layers = draw(data._draws([0, 1, 2], _DRAWS), 32)
    assert (layers.shares.sum(dim=1) == 255).all() and layers.shares.min() == 0
    assert len(layers.colours) == layers.shares.shape[1]


def test_wrong_arguments() -> None:
    with pytest.raises(DataError, match=r"'landscapes' has no captions: choose faces or shapes"):
        open_dataset("landscapes", task="captions")
    with pytest.raises(DataError, match=r"^resolution must be at least 16 for landscapes, got 8"):
        open_dataset("landscapes", resolution=8)
