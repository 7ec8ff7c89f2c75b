"""Stacked MNIST: an image of three digits depends on its index alone and matches its label."""

from __future__ import annotations

import pytest
import torch

from fastgan.data import DataError, open_dataset
from fastgan.data.stacked_mnist import MODE_NAMES, StackedMnist


def test_each_channel_is_the_digit_of_the_label() -> None:
    dataset, digits = StackedMnist(length=50, resolution=16), open_dataset("mnist5k", resolution=16)
    real, classes = digits.batch(torch.arange(len(digits)))
    images, labels = dataset.batch(torch.arange(50))
    for image, label in zip(images, labels.tolist()):
        for channel, digit in zip(image, MODE_NAMES[label]):
            same = (real[:, 0] == channel).all(dim=(1, 2)).nonzero().flatten()
            assert int(digit) in classes[same].tolist()
    assert len({tuple(image.flatten().tolist()) for image in images}) == 50


def test_an_index_has_its_image_in_any_batch_and_length() -> None:
    dataset = StackedMnist(resolution=8)
    rows = torch.tensor([127_999, 5, 5, 0])
    images, labels = dataset.batch(rows)
    assert torch.equal(images, torch.stack([dataset.image(i) for i in rows.tolist()]))
    assert labels.tolist() == [dataset.label(i) for i in rows.tolist()]
    assert torch.equal(StackedMnist(resolution=8, length=6).batch(rows[1:])[0], images[1:])
    # Drawn by Philox, so the same on every machine.
    assert labels.tolist() == [840, 547, 547, 400]
    other = StackedMnist(resolution=8, seed=1)
    assert other.fingerprint != dataset.fingerprint and (other.image(5) != dataset.image(5)).any()


def test_all_modes_occur_about_equally_often() -> None:
    dataset = StackedMnist(resolution=4)
    labels = dataset.batch(torch.arange(len(dataset)))[1]
    counts = torch.bincount(labels, minlength=1000)
    # The mean is 128, the standard deviation 11.3.
    assert counts.min() > 60 and counts.max() < 200


def test_refused() -> None:
    with pytest.raises(DataError, match=r"^length must be at least 1, got 0"):
        StackedMnist(length=0)
    with pytest.raises(DataError, match=r"^seed must be from 0 to 2\*\*64 - 1, got -1"):
        StackedMnist(seed=-1)
