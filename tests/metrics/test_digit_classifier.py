"""The embedded digit classifier: its file, its accuracy, and its training."""

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from fastgan.data import open_dataset, to_float
from fastgan.errors import FastganError
from fastgan.metrics import DigitClassifier, load_digit_classifier
from fastgan.metrics.digits import SHA256, WEIGHTS
from tools.train_digit_classifier import accuracy, held_out_split, train


@pytest.fixture(scope="module")
def classifier() -> DigitClassifier:
    return load_digit_classifier()


@pytest.fixture(scope="module")
def held_out() -> tuple[Tensor, Tensor]:
    dataset = open_dataset("mnist5k")
    images, labels = dataset.batch(held_out_split(dataset)[1])
    return to_float(images), labels


def test_shipped_file() -> None:
    assert WEIGHTS.stat().st_size < 300_000
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() == SHA256
    with safe_open(WEIGHTS, framework="pt") as file:
        assert float(file.metadata()["held_out_accuracy"]) > 0.98


def test_held_out_accuracy(classifier: DigitClassifier, held_out: tuple[Tensor, Tensor]) -> None:
    images, labels = held_out
    assert torch.bincount(labels).tolist() == [100] * 10
    assert accuracy(classifier, images, labels) > 0.97
    with safe_open(WEIGHTS, framework="pt") as file:
        stated = float(file.metadata()["held_out_accuracy"])
    assert accuracy(classifier, images, labels) == pytest.approx(stated, abs=0.003)


def test_split_is_disjoint_and_complete() -> None:
    dataset = open_dataset("mnist5k")
    training, held = held_out_split(dataset)
    assert (len(training), len(held)) == (4000, 1000)
    assert torch.cat([training, held]).sort().values.tolist() == list(range(5000))
    assert torch.equal(held_out_split(dataset)[1], held)


@pytest.mark.parametrize("resolution", [28, 64])
def test_other_resolutions_and_colour(classifier: DigitClassifier, resolution: int) -> None:
    dataset = open_dataset("mnist5k", resolution=resolution, channels=3)
    images, labels = dataset.batch(held_out_split(dataset)[1])
    assert accuracy(classifier, to_float(images), labels) > 0.97


def test_grainy_samples(classifier: DigitClassifier, held_out: tuple[Tensor, Tensor]) -> None:
    images, labels = held_out
    grain = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    assert accuracy(classifier, (images + 0.3 * grain).clamp(-1, 1), labels) > 0.95


def test_shapes_dtypes_and_chunks(
    classifier: DigitClassifier, held_out: tuple[Tensor, Tensor]
) -> None:
    # More than one chunk.
    images = held_out[0][:600]
    logits, features = classifier.logits(images), classifier.features(images)
    assert logits.shape == (600, 10) and features.shape == (600, 64)
    assert logits.dtype == features.dtype == torch.float32
    assert not logits.requires_grad and (features >= 0).all()
    assert torch.allclose(classifier.head(features), logits, atol=1e-5)
    assert torch.allclose(classifier.logits(images[590:]), logits[590:], atol=1e-4)
    assert classifier.logits(images[:3].double()).dtype == torch.float32
    assert classifier.logits(images[:0]).shape == (0, 10)


def test_loaded_model_is_frozen_and_measures_in_eval_mode(classifier: DigitClassifier) -> None:
    assert not classifier.training and not any(p.requires_grad for p in classifier.parameters())
    x = torch.randn(4, 1, 32, 32)
    expected = classifier.logits(x)
    other = load_digit_classifier().train()
    before = {name: value.clone() for name, value in other.state_dict().items()}
    assert torch.equal(other.logits(x), expected) and other.training
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


def test_wrong_input(classifier: DigitClassifier) -> None:
    with pytest.raises(TypeError, match="to_float"):
        classifier.logits(torch.zeros(1, 1, 32, 32, dtype=torch.uint8))
    for shape in [(1, 5, 32, 32), (1, 32, 32), (1, 1, 0, 32)]:
        with pytest.raises(ValueError, match="N, 1 to 4, H, W"):
            classifier.features(torch.zeros(shape))


def test_wrong_files(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(FastganError, match="can't be read"):
        load_digit_classifier(path)
    path.write_bytes(WEIGHTS.read_bytes()[:-1])
    with pytest.raises(FastganError, match="SHA-256 differs"):
        load_digit_classifier(path)
    with pytest.raises(FastganError, match="doesn't hold"):
        load_digit_classifier(path, sha256=None)
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(FastganError, match="doesn't hold"):
        load_digit_classifier(path, sha256=None)


def test_training_learns_and_is_seeded() -> None:
    dataset = open_dataset("mnist5k")
    images, labels = dataset.batch(held_out_split(dataset)[0][::20])
    x = to_float(images)
    # Chance is 0.1.
    assert accuracy(train(x, labels, epochs=15), x, labels) > 0.4
    first, second = (train(x[::2], labels[::2], epochs=1).parameters() for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second))
