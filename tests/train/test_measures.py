"""FD-MobileNetV2 of a run's samples: asked for, taken as documented, and refused before training if it can't be taken."""

from __future__ import annotations

import json

import pytest
import torch

from fastgan.data import InMemoryDataset, to_float
from fastgan.data.digits import DIGIT_NAMES
from fastgan.metrics import MetricError, fd_mobilenet_v2, features
from fastgan.metrics.features import mobilenet_v2
from fastgan.train import loop
from fastgan.train.checkpoint import load_checkpoint, restore
from fastgan.train.measures import main_measure, measure
from fastgan.train.samples import sample_images
from fastgan.train.state import TrainState, derive_seed


def test_a_run_that_asks_for_fd_has_it_beside_the_measures_of_its_data(run, tiny, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    real = torch.randint(0, 256, (60, 1, 8, 8), generator=generator, dtype=torch.uint8)
    labels = torch.arange(60) % 10
    dataset = InMemoryDataset("ten", real, labels, class_names=DIGIT_NAMES)
    monkeypatch.setattr(loop, "measure", lambda *args: measure(*args, samples=30))
    result, _ = run(tiny, dataset=dataset, measure="fd")
    found = result.measures
    assert found.keys() == {"samples", "classes_hit", "num_classes", "kl_to_uniform", "fd_mobilenet_v2"}
    assert main_measure(found) == "fd_mobilenet_v2"
    assert json.loads(result.run.measures.read_text()) == found

    state = TrainState.create(result.config.recipe, result.config.images)
    restore(state, load_checkpoint(result.run.latest_checkpoint), result.run.latest_checkpoint)
    images = sample_images(tiny, state.sampler, 30, seed=derive_seed(tiny.seed, "measures"))
    assert found["fd_mobilenet_v2"] == pytest.approx(fd_mobilenet_v2(images, to_float(real)), rel=1e-4)


def test_fd_is_refused_before_training_where_the_weights_are_missing(run, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(features, "PACKAGE", "no-such-weights")
    mobilenet_v2.cache_clear()
    with pytest.raises(MetricError, match="no-such-weights"):
        run(tiny, measure="fd")
    assert not (tmp_path / "run").exists()
