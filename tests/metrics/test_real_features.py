"""Features of real images: taken once, kept on disk by what the set and the network are, made anew where damaged."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fastgan.data import InMemoryDataset
from fastgan.metrics import real, real_features
from fastgan.metrics.real import spread


class Means:
    """A network of one feature per row of pixels, which counts the images that it has seen."""

    key, name, sha256, resolution, preparation = "means", "means", "0" * 64, 4, ""

    def __init__(self) -> None:
        self.seen = 0

    def features(self, images: Tensor) -> Tensor:
        self.seen += len(images)
        return images.mean(dim=(1, 3))

    def classify(self, features: Tensor) -> Tensor:
        return features


def dataset(seed: int = 0, count: int = 10) -> InMemoryDataset:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 1, 4, 4), generator=generator, dtype=torch.uint8)
    return InMemoryDataset("x", images, torch.zeros(count, dtype=torch.int64))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FASTGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(real, "_known", {})
    return tmp_path / "cache"


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real, "_known", {})


def test_taken_once_for_what_a_set_and_a_network_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Means()
    first = real_features(dataset(), network)
    assert first.features.shape == (10, 4) and first.statistics.count == 10 and network.seen == 10
    assert real_features(dataset(), network) is first
    forget(monkeypatch)  # another process
    again = real_features(dataset(), network)
    assert network.seen == 10 and torch.equal(again.features, first.features)
    assert torch.equal(again.indices, first.indices) and len(list(folder.iterdir())) == 1
    real_features(dataset(seed=1), network)
    assert network.seen == 20
    few = real_features(dataset(), network, most=4)
    assert network.seen == 24 and torch.equal(few.features, first.features[[0, 2, 5, 7]])
    other = Means()
    other.sha256 = "1" * 64
    real_features(dataset(), other)
    assert other.seen == 10
    assert real_features(dataset(), network, most=None).features is again.features


def test_spread() -> None:
    assert (
        spread(3, 9).tolist() == [0, 3, 6] and spread(9, 3).tolist() == [0, 1, 2] and len(spread(5, 0)) == 0
    )


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign"])
def test_damaged_ones_are_made_anew_with_one_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    network = Means()
    expected = real_features(dataset(), network).features
    (path,) = folder.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-40] ^= 1
    path.write_bytes({"cut": content[:-1], "flipped": content, "foreign": b"features"}[damage])
    forget(monkeypatch)
    with pytest.warns(UserWarning, match=r"means-.* are damaged \(.*\): they are taken anew\.") as said:
        found = real_features(dataset(), network)
    assert len(said) == 1 and network.seen == 20 and torch.equal(found.features, expected)
    forget(monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        real_features(dataset(), network)
    assert network.seen == 20 and list(folder.iterdir()) == [path]


def test_a_folder_that_cannot_be_written(folder: Path) -> None:
    folder.write_text("a file")
    with pytest.warns(
        UserWarning, match=r"can't be kept in .*cache.*: name another folder in FASTGAN_CACHE\."
    ):
        assert len(real_features(dataset(), Means()).features) == 10


def test_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTGAN_CACHE")
    assert real.cache_folder() == Path.home() / ".cache" / "fastgan"
