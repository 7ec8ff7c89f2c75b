"""Deterministic algorithms: switched on for the steps of a run alone."""

from __future__ import annotations

import os

import pytest
import torch

from fastgan.training import Callback
from fastgan.training.deterministic import WORKSPACE, NotDeterministic, deterministic


def settings():
    cudnn = torch.backends.cudnn
    return {
        "algorithms": torch.are_deterministic_algorithms_enabled(),
        "warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "fill": torch.utils.deterministic.fill_uninitialized_memory,
        "cudnn": cudnn.deterministic,
        "benchmark": cudnn.benchmark,
        "workspace": os.environ.get(WORKSPACE),
    }


@pytest.fixture
def others():
    """Other settings than torch's own, such as a program may have."""
    before = settings()
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = True
    yield settings()
    torch.use_deterministic_algorithms(before["algorithms"], warn_only=before["warn only"])
    torch.backends.cudnn.benchmark = before["benchmark"]


def test_settings_hold_inside_and_are_as_before_afterwards(others, monkeypatch):
    monkeypatch.delenv(WORKSPACE, raising=False)
    before = settings()
    with deterministic(True):
        assert settings() == {
            "algorithms": True, "warn only": False, "fill": False, "cudnn": True,
            "benchmark": False, "workspace": ":4096:8",
        }  # fmt: skip
    assert settings() == before
    with deterministic(False):
        assert settings() == before
    monkeypatch.setenv(WORKSPACE, ":16:8")
    with deterministic(True):
        assert settings()["workspace"] == ":16:8"
    assert settings()["workspace"] == ":16:8"


def test_an_operation_without_a_deterministic_algorithm_is_named(others):
    before = settings()
    expected = "deterministic needs .* torch has none of upsample_b.*: leave it out"
    with pytest.raises(NotDeterministic, match=expected), deterministic(True):
        raise RuntimeError(
            "upsample_bicubic2d_backward_out_cuda does not have a deterministic implementation, "
            "but you set 'torch.use_deterministic_algorithms(True)'."
        )
    with pytest.raises(RuntimeError, match="another"), deterministic(True):
        raise RuntimeError("another error")
    assert settings() == before


@pytest.mark.parametrize("wanted", [True, False])
def test_steps_of_a_run_are_deterministic_if_asked(run, tiny, wanted):
    seen = []

    class Watch(Callback):
        def on_start(self, run):
            g = run.state.networks["G"]
            g.register_forward_hook(lambda *_: seen.append((g.training, settings()["algorithms"])))

        def on_step(self, run, stats):
            assert not settings()["algorithms"]

    before = settings()
    run(tiny, total_images=32, callbacks=[Watch()], deterministic=wanted)
    # Only networks of a step are in training mode; grids of samples are outside.
    assert {algorithms for training, algorithms in seen if training} == {wanted}
    assert settings() == before
