"""Checks of data sets that are drawn by index."""

import pytest
import torch

from fastgan.data import Task, open_dataset


def check_task(name: str, task: Task) -> None:
    """Check forms of images and inputs, which are the same in any batch."""
    data = open_dataset(name, resolution=19, channels=1, task=task)
    ((key, spec),) = data.inputs.items()
    rows = torch.arange(24)
    images, labels, inputs = data.examples(rows)
    assert images.shape == (24, 1, 19, 19) and list(inputs) == [key]
    assert inputs[key].shape == (24, *spec.shape(19)) and inputs[key].dtype == spec.dtype
    for order in (rows.flip(0), rows[5:6], rows[:0]):
        again = data.examples(order)
        assert torch.equal(again[0], images[order]) and torch.equal(again[1], labels[order])
        assert torch.equal(again[2][key], inputs[key][order])
    with pytest.raises(IndexError, match="outside"):
        data.batch_inputs(torch.tensor([len(data)]))
