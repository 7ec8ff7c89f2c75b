"""The sum over processes, in a group of one; tests/training has groups of several."""

from __future__ import annotations

import pytest
import torch

from fastgan import ops


@pytest.fixture
def group(tmp_path):
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_without_a_group_it_refuses():
    with pytest.raises(ValueError, match="process group"):
        ops.all_reduce_sum(torch.ones(2))


def test_it_is_a_registered_op_with_derivatives_of_any_order(group):
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    y = ops.all_reduce_sum(x.t())
    assert y.is_contiguous() and torch.equal(y, x.t()) and y.data_ptr() != x.data_ptr()
    assert torch.autograd.gradcheck(ops.all_reduce_sum, x)
    assert torch.autograd.gradgradcheck(lambda x: ops.all_reduce_sum(x).square(), x)
    torch.library.opcheck(torch.ops.fastgan.all_reduce_sum.default, (x.detach(),))


def test_it_compiles_in_one_graph(group):
    x = torch.randn(3, 4)
    compiled = torch.compile(ops.all_reduce_sum, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), x)
