from __future__ import annotations

import pytest
import torch

from fastgan import nn

OPTIONS = [
    ((3, 6, 4, 2, 1), {"bias": False}),
    ((3, 6, (3, 2)), {"stride": (2, 1), "padding": (1, 0)}),
    ((4, 6, 3), {"groups": 2}),
    ((3, 5, 3), {"stride": 2, "output_padding": 1}),
    ((3, 5, 3), {"dilation": 2}),
]


@pytest.mark.parametrize("args,options", OPTIONS, ids=str)
def test_the_layer_stands_in_for_torchs(args, options):
    """Seeded parameters, results and gradients of batches and single images are torch's."""
    torch.manual_seed(0)
    theirs = torch.nn.ConvTranspose2d(*args, **options)
    torch.manual_seed(0)
    ours = nn.ConvTranspose2d(*args, **options)
    assert isinstance(ours, torch.nn.ConvTranspose2d) and repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for shape in [(2, args[0], 5, 4), (args[0], 4, 6)]:
        results = []
        for layer in (ours, theirs):
            leaf = torch.linspace(-1, 1, torch.Size(shape).numel()).view(shape).requires_grad_()
            y = layer(leaf)
            results.append([y, *torch.autograd.grad(y.square().sum(), [leaf, *layer.parameters()])])
        for found, expected in zip(*results):
            torch.testing.assert_close(found, expected)


def test_the_size_of_a_result_can_be_asked_for():
    layer = nn.ConvTranspose2d(3, 5, 3, stride=2)
    assert layer(torch.ones(1, 3, 4, 4), output_size=[10, 10]).shape == (1, 5, 10, 10)
