"""The embedded reader of faces: its file, its accuracy, and its training."""

import hashlib
import json

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from fastgan.data import to_float
from fastgan.data.faces import TRAITS, FacesDataset
from fastgan.metrics import FaceReader, load_face_reader, mode_classifier, open_features
from fastgan.metrics.faces import SHA256, WEIGHTS, split_traits
from tools.train_face_reader import SEED, accuracies, loss_of, train


@pytest.fixture(scope="module")
def reader() -> FaceReader:
    return load_face_reader()


@pytest.fixture(scope="module")
def faces() -> tuple[Tensor, dict[str, Tensor]]:
    # Neither seen in training nor among those whose accuracy the file states.
    data = FacesDataset(seed=SEED + 1)
    rows = torch.arange(500)
    return to_float(data.batch(rows)[0]), data.traits(rows)


def stated() -> dict[str, float]:
    with safe_open(WEIGHTS, framework="pt") as file:
        return json.loads(file.metadata()["held_out_accuracy"])


def test_shipped_file() -> None:
    assert WEIGHTS.stat().st_size < 400_000
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() == SHA256
    assert stated().keys() == TRAITS.keys() and min(stated().values()) > 0.7


def test_traits_are_read_as_well_as_stated(
    reader: FaceReader, faces: tuple[Tensor, dict[str, Tensor]]
) -> None:
    for name, share in accuracies(reader, *faces).items():
        # Four standard deviations of a share of 500.
        assert share > stated()[name] - 4 * (0.09 / 500) ** 0.5, name


@pytest.mark.parametrize("resolution", [48, 128])
def test_other_resolutions(reader: FaceReader, resolution: int) -> None:
    data = FacesDataset(seed=SEED + 1, resolution=resolution)
    rows = torch.arange(200)
    scores = accuracies(reader, to_float(data.batch(rows)[0]), data.traits(rows))
    assert sum(scores.values()) / len(scores) > 0.9


def test_readings_and_features(reader: FaceReader, faces: tuple[Tensor, dict[str, Tensor]]) -> None:
    images = faces[0][:300]
    logits, features, reading = reader.logits(images), reader.features(images), reader.read(images)
    assert features.shape == (300, 96) and (features >= 0).all() and not logits.requires_grad
    assert torch.allclose(reader.classify(features), logits, atol=1e-4)
    for name, part in split_traits(logits).items():
        assert part.shape == (300, len(TRAITS[name]))
        assert torch.equal(reading.traits[name], part.argmax(dim=1))
        assert torch.allclose(reading.confidence[name], part.softmax(dim=1).amax(dim=1))
    assert reader.logits(images[:0]).shape == (0, logits.shape[1])
    assert reader.logits(images[:3, :1]).shape == (3, logits.shape[1])
    assert open_features("faces").features(images[:2]).shape == (2, 96)


def test_modes_are_hair_styles(faces: tuple[Tensor, dict[str, Tensor]]) -> None:
    images, traits = faces
    classify = mode_classifier(TRAITS["hair style"], 3)
    assert classify is not None
    classes, confidence = classify(images)
    assert (classes == traits["hair style"]).float().mean() > 0.9
    assert confidence is not None and confidence.shape == (500, len(TRAITS))
    assert (confidence > 0.9).float().mean() > 0.85
    # Noise has no traits.
    noise = torch.randn(50, 3, 64, 64, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    unsure = classify(noise)[1]
    assert unsure is not None and (unsure > 0.9).float().mean() < (confidence > 0.9).float().mean()


def test_training_learns() -> None:
    data = FacesDataset(seed=5, length=64 * 6, resolution=64)
    images, traits = to_float(data.batch(torch.arange(64))[0]), data.traits(torch.arange(64))
    few, more = (loss_of(train(data, steps=n)(images), traits).item() for n in (1, 6))
    assert more < few
