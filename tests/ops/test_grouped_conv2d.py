"""conv2d in groups: each derivative is one convolution for any number of groups."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fastgan import nn, ops
from fastgan.ops.conv2d import choice
from tests.ops.contract import OpContract
from tests.specs import evaluate, first_mismatch, poisoned_memory
from tests.specs.build import values
from tests.specs.conv2d_calls import ConvolutionCalls
from tests.specs.grouped_conv2d import GROUPED_CONV2D, random_call

COMPOSITE = True
TOLERANCE = 1e-5


@pytest.fixture(autouse=True)
def from_two_groups_on(monkeypatch):
    """Use our derivatives from two groups on, even if torch's are faster."""
    monkeypatch.setattr(choice, "FEWEST_GROUPS", 2)


class TestContract(OpContract):
    spec = GROUPED_CONV2D

    @pytest.fixture(autouse=True)
    def plain_pytorch_is_held_elsewhere(self, request):
        if request.node.callspec.params.get("backend") == "reference":
            pytest.skip("plain PyTorch in groups is held by test_conv2d.py")


@pytest.mark.usefixtures("one_thread")
def test_random_arguments():
    """Check results, first and second derivatives; a failure's message has its seed."""
    for seed in range(60):
        tensors, options = random_call(seed)
        with poisoned_memory():
            found = evaluate(
                ops.conv2d, [t.float() for t in tensors], {**options, "backend": "cpu"}, order=2
            )
        expected = evaluate(F.conv2d, tensors, options, order=2)
        # Some results are sums whose terms cancel.
        problem = first_mismatch(found, expected, 5 * TOLERANCE)
        assert problem is None, f"seed {seed}, {options}: {problem}"


def test_transposed_in_groups_is_the_adjoint():
    x, w = values((2, 6, 5, 4), 1), values((6, 2, 3, 2), 2)
    for options in ({"groups": 2}, {"groups": 3, "stride": (2, 3), "padding": (1, 0)}):
        found = evaluate(
            ops.conv_transpose2d, [x.float(), w.float()], {**options, "backend": "cpu"}, order=2
        )
        expected = evaluate(F.conv_transpose2d, [x, w], options, order=2)
        assert (problem := first_mismatch(found, expected, TOLERANCE)) is None, problem


@pytest.mark.parametrize("groups", [2, 8, 32])
def test_a_penalty_takes_as_many_convolutions_whatever_the_groups(groups):
    """Count convolutions: forward, the image's gradient, and the derivatives of that gradient."""
    layer = nn.Conv2d(32, 32, 3, padding=1, groups=groups, bias=False)
    x = values((2, 32, 5, 5), 1).float().requires_grad_()
    with ConvolutionCalls() as calls, ops.use_backend("cpu"):
        (g,) = torch.autograd.grad(layer(x).square().sum() / 2, x, create_graph=True)
        assert calls.count == 2
        torch.autograd.grad(g.square().sum(), layer.weight)
    # g = (x ⋆ w) ⋆ᵀ w has derivatives in x ⋆ w, and in both weights.
    assert calls.count == 2 + 3


def test_a_gradient_keeps_the_layout_of_its_image():
    """One pixel has no layout of its own, but earlier layers would run in the other one."""
    x = values((2, 8, 4, 4), 1).float().to(memory_format=torch.channels_last).requires_grad_()
    w = values((8, 1, 4, 4), 2).float()
    (g,) = torch.autograd.grad(ops.conv2d(x, w, groups=8).sum(), x)
    assert g.is_contiguous(memory_format=torch.channels_last)


def test_which_convolutions_run_on_it(monkeypatch):
    """Convolutions that may need a gradient run on it, from eight groups on."""
    x, w = values((2, 16, 5, 5), 1).float(), values((16, 2, 3, 3), 2).float().requires_grad_()

    def runs(groups, **options):
        return (
            "grouped"
            in ops.conv2d(x, w[:, : 16 // groups], groups=groups, **options).grad_fn.name()
        )

    monkeypatch.undo()
    assert runs(8) and runs(16) and not runs(8, backend="reference")
    assert not ops.conv2d(x[:, :8], w, groups=4).grad_fn.name().count("grouped")
    with torch.no_grad():
        assert torch.equal(ops.conv2d(x, w, groups=8), F.conv2d(x, w, groups=8))
