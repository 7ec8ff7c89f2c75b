"""Features of real images: computed once, cached by set and network, repaired if damaged."""

from __future__ import annotations

import errno
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fastgan.data import InMemoryDataset
from fastgan.metrics import real, real_features
from fastgan.metrics.real import spread


class Means:
    """A network of one feature per row of pixels, which counts its images."""

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


def environment(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *, named: str | None, home: str | None
) -> None:
    """Set or unset FASTGAN_CACHE and HOME; `{}` in them is the folder."""
    forget(monkeypatch)
    for name, value in {"FASTGAN_CACHE": named, "HOME": home}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value.format(folder))


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real, "_known", {})


def test_computed_once_for_a_set_and_a_network(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Means()
    first = real_features(dataset(), network)
    assert first.features.shape == (10, 4) and first.statistics.count == 10 and network.seen == 10
    assert real_features(dataset(), network) is first
    # As in another process.
    forget(monkeypatch)
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
        spread(3, 9).tolist() == [0, 3, 6]
        and spread(9, 3).tolist() == [0, 1, 2]
        and len(spread(5, 0)) == 0
    )


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign"])
def test_damaged_files_are_replaced_with_one_warning(
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
    with pytest.warns(
        UserWarning, match=r"means-.* are damaged \(.*\): they are computed anew\."
    ) as caught:
        computed = real_features(dataset(), network)
    assert len(caught) == 1 and network.seen == 20
    assert torch.equal(computed.features, expected)
    forget(monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        real_features(dataset(), network)
    assert network.seen == 20 and list(folder.iterdir()) == [path]


def test_a_folder_that_cannot_be_written(folder: Path) -> None:
    folder.write_text("a file")
    with pytest.warns(
        UserWarning, match=r"can't be cached in .*cache.*: set another folder in FASTGAN_CACHE\."
    ):
        assert len(real_features(dataset(), Means()).features) == 10


@pytest.mark.parametrize(
    ("named", "home", "expected"),
    [
        ("", "{}", "{}/.cache/fastgan"),
        (None, "{}", "{}/.cache/fastgan"),
        ("~/kept", "{}", "{}/kept"),
        ("{}/kept", None, "{}/kept"),
        ("{}/kept", "{}/none", "{}/kept"),
    ],
)
def test_the_folder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    named: str | None,
    home: str | None,
    expected: str,
) -> None:
    environment(monkeypatch, tmp_path, named=named, home=home)
    assert real.cache_folder() == Path(expected.format(tmp_path))


@pytest.mark.parametrize(
    ("named", "home"),
    [(None, ""), (None, "{}/none"), ("~/kept", "{}/none"), ("~no-such-user/kept", "{}"), ("~", "")],
)
def test_without_a_home_nothing_is_cached_and_no_home_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str | None, home: str
) -> None:
    environment(monkeypatch, tmp_path, named=named, home=home)
    message = r"can't be cached in '~.* \(there is no such home folder\).*set another folder in FAS"
    with pytest.warns(UserWarning, match=message) as warned:
        assert len(real_features(dataset(), Means()).features) == 10
    assert len(warned) == 1 and not list(tmp_path.iterdir())


def test_a_user_without_an_entry_in_the_password_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container may start under another user number, without HOME."""

    def no_entry(uid: int) -> object:
        raise KeyError(uid)

    environment(monkeypatch, tmp_path, named=None, home=None)
    monkeypatch.setattr("pwd.getpwuid", no_entry)
    with pytest.warns(UserWarning, match="there is no such home folder"):
        assert len(real_features(dataset(), Means()).features) == 10


def test_a_home_that_must_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is simulated, since root may read everything."""

    def forbidden(self: Path, *_: object, **__: object) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    for name in ("read_bytes", "exists", "mkdir"):
        monkeypatch.setattr(Path, name, forbidden)
    with pytest.warns(
        UserWarning, match=r"can't be cached in .*cache' \(Permission denied\)"
    ) as warned:
        assert len(real_features(dataset(), Means()).features) == 10
    assert len(warned) == 1
