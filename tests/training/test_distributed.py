"""Two processes equal one with the same global batch, and report the loss of one of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fastgan.nn import convert_sync_batchnorm
from fastgan.training.config import ConfigError
from fastgan.training.distributed import RankLost, RanksDiffer, World, choose_device, join_world
from tests.training import ranks
from tests.training.launch import torchrun

pytestmark = pytest.mark.xdist_group("two processes")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return the results of each of two ranks."""
    folder = tmp_path_factory.mktemp("ranks")
    process = torchrun(Path(ranks.__file__), folder)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ranks.GAMES, "own batch norm"])
def test_all_ranks_end_with_the_same_bits(results, name, assert_same):
    assert_same(*(rank["trained"][name] for rank in results))


@pytest.mark.slow
@pytest.mark.parametrize("name", ranks.GAMES)
def test_two_processes_give_the_state_of_one(results, name):
    alone = ranks.trained(ranks.GAMES[name], World(torch.device("cpu"))).state_dict()
    tolerance = {"rtol": 1e-2, "atol": 1e-3} if name == "fp16" else {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(results[0]["trained"][name], alone, **tolerance)


@pytest.mark.slow
def test_batch_norm_of_two_processes_is_that_of_the_whole_batch(results):
    own, shared, statistics = ranks.normalised(None)
    for name, value in own.items():
        theirs = torch.cat([rank["norm"][0][name] for rank in results])
        torch.testing.assert_close(theirs, value, msg=lambda m, name=name: f"{name}: {m}")
    for rank in results:
        # Ranks hold the mean of their two parts.
        torch.testing.assert_close([2 * grad for grad in rank["norm"][1]], shared)
        torch.testing.assert_close(rank["norm"][2], statistics)


@pytest.mark.slow
def test_what_ranks_tell_each_other(results):
    for rank in results:
        messages = rank["messages"]
        assert messages["any"] == [True, False]
        assert messages["mean"] == {"rank": 0.5}
        assert messages["broadcast"]["rank"] == 0 and messages["broadcast"]["tensor"].tolist() == [
            0,
            0,
            0,
        ]
        assert messages["same"] == [True, False, False]


def test_a_world_of_one_sends_nothing():
    with join_world("cpu") as world:
        assert (world.rank, world.size, world.is_main) == (0, 1, True)
        assert world.any(True) and not world.any(False)
        assert world.mean({"a": 1.5}) == {"a": 1.5} and world.broadcast("x") == "x"
        t = torch.ones(3)
        world.average_([t])
        world.barrier()
        assert t.tolist() == [1, 1, 1] and world.same([t])
        assert not torch.distributed.is_initialized()


def test_synchronised_batch_norm_is_torchs_where_there_is_no_process_group():
    x = torch.randn(6, 3, 4, 4)
    torchs, ours = torch.nn.BatchNorm2d(3), convert_sync_batchnorm(torch.nn.BatchNorm2d(3))
    assert torch.equal(ours(x), torchs(x)) and torch.equal(ours.running_var, torchs.running_var)


def test_only_what_other_ranks_did_makes_a_rank_lost():
    world = World(torch.device("cpu"), 1, 2)
    with (
        pytest.raises(
            RankLost, match=r"Rank 1 of 2 lost touch with another rank \(\[gloo/pair.cc\] closed\)"
        ),
        world.conversation(among_other_work=True),
    ):
        raise RuntimeError("[gloo/pair.cc] closed")
    with (
        pytest.raises(RuntimeError, match="mat1 and mat2"),
        world.conversation(among_other_work=True),
    ):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def test_ranks_that_differ_are_not_saved(run, tiny, monkeypatch):
    monkeypatch.setattr(World, "same", lambda self, tensors: False)
    with pytest.raises(
        RanksDiffer, match="After 112 images the processes no longer hold the same weights"
    ):
        run(tiny)


def test_a_rank_without_a_device_is_told_how_many_there_are(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto", local_rank=1) == torch.device("cuda", 1)
    with pytest.raises(ConfigError, match=r"process number 3 .* 2 CUDA device.*--nproc-per-node 2"):
        choose_device("auto", local_rank=2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="torch sees no CUDA device"):
        choose_device("cuda")
