"""Copies of buffers before an update."""

from __future__ import annotations

import torch
from torch import nn

from fastgan.nn import Blur, NoiseInjection
from fastgan.recipes.memory import ImagePool, WeightHistory
from fastgan.training.snapshot import Snapshot, changes, changing_buffers


def network() -> nn.Module:
    return nn.Sequential(nn.BatchNorm2d(2), Blur(), NoiseInjection(4))


def test_constant_buffers_are_left_out():
    norm = (made := network())[0]
    assert list(map(id, changing_buffers(made))) == list(map(id, norm.buffers()))


def test_a_snapshot_restores_and_names_what_changed():
    made = network()
    snapshot = Snapshot([made])
    snapshot.take()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    assert changes(snapshot.own()).tolist() == [0, 0]
    made[0].running_mean[1] = float("nan")
    assert changes(snapshot.own()).tolist() == [1, 0]
    made[0](torch.randn(3, 2, 4, 4))
    assert changes(snapshot.own()).tolist() == [1, 1]
    snapshot.restore(where=torch.tensor(False))
    assert changes(snapshot.own()).tolist() == [1, 1]
    snapshot.restore()
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


def test_copies_keep_their_memory_until_a_buffer_is_replaced():
    made = network()
    snapshot = Snapshot([made])
    snapshot.take()
    first = [copy.data_ptr() for copy in snapshot.copies]
    made[0].running_mean += 1
    snapshot.take()
    assert [copy.data_ptr() for copy in snapshot.copies] == first
    assert not changes(snapshot.own()).any() and snapshot.generation == 1
    made[0].running_mean = torch.ones(2)
    snapshot.take()
    assert snapshot.generation == 2
    made[0].running_mean.zero_()
    snapshot.restore()
    assert made[0].running_mean.tolist() == [1, 1]


def test_networks_without_buffers_have_nothing_to_copy():
    snapshot = Snapshot([nn.Linear(2, 2)])
    snapshot.take()
    snapshot.restore()
    assert snapshot.copies == []


def test_processes_average_what_each_changes_for_itself():
    history, pool, norm = WeightHistory(), ImagePool(2, (1, 4, 4)), nn.BatchNorm2d(2)
    history.follow([torch.ones(2)])
    snapshot = Snapshot([nn.ModuleList([history, pool, norm])])
    snapshot.take()
    own = [buffer for buffer, _ in snapshot.own()]
    assert list(map(id, own)) == [id(norm.running_mean), id(norm.running_var)]
