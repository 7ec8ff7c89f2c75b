"""The randomly drawn share of the tests of a GPU."""

from __future__ import annotations

import pytest

from tests import tiers

NODES = [f"tests/ops/test_a.py::test_values[{i}]" for i in range(2000)]


def test_a_share_depends_on_the_seed_alone():
    drawn = [{node for node in NODES if tiers.sampled(node, 0.2, seed)} for seed in (1, 2)]
    assert all(340 < len(one) < 460 for one in drawn)
    assert drawn[0] != drawn[1]
    assert drawn[0] == {node for node in reversed(NODES) if tiers.sampled(node, 0.2, 1)}


@pytest.mark.parametrize("share,count", [(0.0, 0), (1.0, 2000)])
def test_none_and_all(share, count):
    assert sum(tiers.sampled(node, share, 1) for node in NODES) == count


class Config:
    def __init__(self, **options):
        self.option = type("Options", (), options)()
        self.hook = type("Hook", (), {"pytest_deselected": lambda self, items: None})()

    def getoption(self, name):
        return getattr(self.option, name.strip("-").replace("-", "_"))


class Item:
    def __init__(self, nodeid, gpu):
        self.nodeid, self.gpu = nodeid, gpu

    def get_closest_marker(self, name):
        return self.gpu and name == "gpu"


def test_other_tests_stay_and_workers_draw_the_same():
    config = Config(gpu_sample=0.2, seed=None)
    tiers.draw_seed(config)
    assert config.option.seed is not None
    items = [Item(node, gpu=True) for node in NODES] + [Item("other", gpu=False)]
    named = [Item(f"{item.nodeid}@group", item.gpu) for item in items]
    for some in (items, named):
        tiers.sample_gpu_tests(config, some)
    assert [item.nodeid for item in items] == [item.nodeid.partition("@")[0] for item in named]
    assert 300 < len(items) < 500 and items[-1].nodeid == "other"


def test_without_the_option_nothing_is_drawn():
    config = Config(gpu_sample=None, seed=None)
    tiers.draw_seed(config)
    items = [Item("a", gpu=True)]
    tiers.sample_gpu_tests(config, items)
    assert config.option.seed is None and len(items) == 1
