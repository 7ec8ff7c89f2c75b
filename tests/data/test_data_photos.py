"""Patches of photographs: the same at any batch, split by photograph."""

import importlib.util

import pytest
import torch

from fastgan.data import DataError, open_dataset
from fastgan.data.photos import HELD_OUT_PHOTOS, PHOTOS, PhotosDataset, _photo


def test_patches_are_the_same_alone_and_in_any_batch() -> None:
    data = open_dataset("photos", resolution=24)
    rows = torch.arange(12)
    images, labels = data.batch(rows)
    assert images.shape == (12, 3, 24, 24) and not labels.any()
    for order in (rows.flip(0), rows[5:6], rows[:0]):
        assert torch.equal(data.batch(order)[0], images[order])
    grey = open_dataset("photos", resolution=24, channels=1).batch(rows)[0]
    assert grey.shape == (12, 1, 24, 24)
    assert not torch.equal(PhotosDataset(resolution=24, seed=1).batch(rows)[0], images)


def test_held_out_patches_are_of_other_photographs() -> None:
    data = PhotosDataset(resolution=16)
    held_out = data.held_out()
    assert len(held_out) == 1000 and held_out.fingerprint != data.fingerprint
    photos = {name: _photo(name) for name in PHOTOS}
    for patches, names in (
        (data, [name for name in PHOTOS if name not in HELD_OUT_PHOTOS]),
        (held_out, list(HELD_OUT_PHOTOS)),
    ):
        # Two of them have the same shape.
        for photo, name in zip(patches._photos, names, strict=True):
            assert torch.equal(photo, photos[name])


def test_a_patch_is_cut_where_the_draw_says(monkeypatch: pytest.MonkeyPatch) -> None:
    data = PhotosDataset(resolution=32)
    drawn = torch.tensor([[0.0, 0.0, 0.5, 0.5]], dtype=torch.float64)
    monkeypatch.setattr(data, "_draws", lambda wanted, count: drawn)
    photo = data._photos[0]
    left, top = int(0.5 * (photo.shape[2] - 31)), int(0.5 * (photo.shape[1] - 31))
    assert torch.equal(data.image(0), photo[:, top : top + 32, left : left + 32])


def test_missing_package_and_wrong_size(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"^resolution must be at most 300 for photos, got 512"):
        open_dataset("photos", resolution=512)
    with pytest.raises(DataError, match=r"'photos' has no pairs"):
        open_dataset("photos", task="pairs")
    _photo.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"needs china.jpg of scikit-learn.*fastgan\[photos\]"):
        PhotosDataset()
