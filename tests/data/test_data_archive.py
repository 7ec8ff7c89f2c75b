"""Zip archives of pictures: content, concurrent reads, and damage."""

from __future__ import annotations

import io
import json
import os
import shutil
import threading
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn_files import noise, write
from PIL import Image

from fastgan.data import DataError, open_dataset
from fastgan.data.archive import Archive
from fastgan.data.folder import FolderDataset


def zipped(root: Path, path: Path, *, method: int = zipfile.ZIP_STORED, top: str = "") -> Path:
    """Write a zip archive of ``root`` with the prefix ``top`` before each name."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(root.rglob("*")):
            archive.write(file, top + file.relative_to(root).as_posix())
    return path


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Write six pictures in three shards, of two classes in dataset.json."""
    root = tmp_path / "set"
    names = [f"0000{i // 2}/img{i:08d}.png" for i in range(6)]
    for i, name in enumerate(names):
        noise(root / name, seed=i)
    labels = [[name, int(i >= 2)] for i, name in enumerate(names)]
    (root / "dataset.json").write_text(json.dumps({"labels": labels}))
    return root


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("cache_limit", [1 << 30, 0])
def test_an_archive_is_as_its_folder(
    shards: Path, tmp_path: Path, method: int, cache_limit: int
) -> None:
    path = zipped(shards, tmp_path / "set.ZIP", method=method)
    before = sorted(tmp_path.rglob("*"))
    folder, archive = (FolderDataset(p, cache_limit=cache_limit) for p in (shards, path))
    assert archive.fingerprint == folder.fingerprint and archive.name == "set.ZIP"
    assert archive.class_names == folder.class_names == ("0", "1")
    rows = torch.tensor([5, 0, 2, 2])
    for a, b in zip(archive.batch(rows), folder.batch(rows)):
        assert torch.equal(a, b)
    # Nothing was unpacked.
    assert sorted(tmp_path.rglob("*")) == before


def test_opened_by_its_path(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zipped(shards, tmp_path / "set.zip")
    monkeypatch.chdir(tmp_path)
    assert len(open_dataset("set.zip")) == 6
    with pytest.raises(
        DataError, match=r"'other\.zip' can't be read \(No such file or directory\)"
    ):
        open_dataset("other.zip")
    with pytest.raises(DataError, match=r"set\.zip' .* got a file: unpack it and pass the folder"):
        open_dataset("set.zip", task="pairs")


def test_the_fingerprint_follows_the_content(shards: Path, tmp_path: Path) -> None:
    def fingerprint() -> str:
        return FolderDataset(zipped(shards, tmp_path / "a.zip")).fingerprint

    first = fingerprint()
    noise(shards / "00001" / "img00000002.png", seed=9)
    second = fingerprint()
    text = (shards / "dataset.json").read_text()
    (shards / "dataset.json").write_text(text.replace('img00000005.png", 1', 'img00000005.png", 0'))
    assert len({first, second, fingerprint()}) == 3


def test_class_folders_in_one_folder_at_the_top(tmp_path: Path) -> None:
    for name in ("b/1.png", "a/2.tif"):
        write(tmp_path / "in" / name)
    (tmp_path / "in" / "a" / "README").write_text("x")
    for top in ("", "pets/"):
        path = zipped(tmp_path / "in", tmp_path / "pets.zip", top=top)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("__MACOSX/pets/._1.png", b"x")
            archive.writestr(f"{top}.hidden/1.png", b"x")
        with pytest.warns(UserWarning, match="1 unreadable file of .*: a/README: not a picture"):
            dataset = open_dataset(str(path))
        assert dataset.class_names == ("a", "b") and len(dataset) == 2


def test_a_picture_whose_header_is_at_its_end(tmp_path: Path) -> None:
    """TIFF's directory follows the pixels here, beyond the bytes that are read first."""
    root = tmp_path / "in"
    noise(root / "a.png", size=(200, 200))
    Image.open(root / "a.png").save(root / "a.tif")
    (root / "a.png").unlink()
    assert (root / "a.tif").stat().st_size > 1 << 16
    path = zipped(root, tmp_path / "a.zip", method=zipfile.ZIP_DEFLATED)
    dataset = FolderDataset(path, resolution=16, cache_limit=0)
    assert torch.equal(dataset.image(0), FolderDataset(root, resolution=16).image(0))


def test_labels_that_lie_deeper_are_named(shards: Path, tmp_path: Path) -> None:
    shutil.copytree(shards, tmp_path / "in" / "set")
    write(tmp_path / "in" / "other" / "a.png")
    for path in (tmp_path / "in", zipped(tmp_path / "in", tmp_path / "a.zip")):
        (note,) = open_dataset(str(path)).notes
        assert note == "set/dataset.json is ignored: open its folder to use its labels."


def test_runs_in_an_archive_are_left_out(shards: Path, tmp_path: Path) -> None:
    run = json.dumps({"fastgan": "0", "recipe": "gan", "settings": {}, "data_fingerprint": ""})
    before = FolderDataset(zipped(shards, tmp_path / "a.zip")).fingerprint
    (shards / "runs" / "gan").mkdir(parents=True)
    (shards / "runs" / "gan" / "config.json").write_text(run)
    write(shards / "runs" / "gan" / "samples.png")
    dataset = FolderDataset(zipped(shards, tmp_path / "a.zip"))
    assert dataset.fingerprint == before
    assert dataset.notes == (
        "Left out as the folder of a run, whose pictures are samples: runs/gan.",
    )
    with pytest.raises(DataError, match="must hold images, got only the run"):
        open_dataset(str(zipped(shards / "runs" / "gan", tmp_path / "b.zip")))


# -- one handle ------------------------------------------------------------------------------------


def test_threads_and_a_forked_process_share_one_handle(shards: Path, tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    dataset = FolderDataset(zipped(shards, tmp_path / "a.zip"), cache_limit=0)
    expected = dataset.batch(torch.arange(6))[0]
    wrong: list[int] = []

    def read(dataset: FolderDataset) -> None:
        for i in [*range(6)] * 5:
            if not torch.equal(dataset.image(i), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=read, args=(dataset,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    archive = Archive(tmp_path / "a.zip")
    name = "00002/img00000005.png"
    if (child := os.fork()) == 0:
        same = all(
            archive.file(name).read_bytes() == (shards / name).read_bytes() for _ in range(20)
        )
        os._exit(0 if same else 1)
    for _ in range(20):
        assert archive.file(name).read_bytes() == (shards / name).read_bytes()
    assert os.waitpid(child, 0)[1] == 0
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(set(os.listdir("/proc/self/fd")) - before) <= 2
    del dataset, archive, threads
    assert not set(os.listdir("/proc/self/fd")) - before


# -- broken archives -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"not a zip", b"PK\3\4" + bytes(100), b"PK\5\6" + b"\xff" * 18]
)
def test_a_file_that_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.zip' (can't be read|must hold images)"):
        open_dataset(str(tmp_path / "a.zip"))


def test_truncated_anywhere_it_is_one_sentence(shards: Path, tmp_path: Path) -> None:
    content = zipped(shards, tmp_path / "a.zip").read_bytes()
    for length in range(0, len(content), 97):
        (tmp_path / "a.zip").write_bytes(content[:length])
        with pytest.raises(
            DataError, match=r"a\.zip' can't be read as a zip file \(.*\): it may be incomplete"
        ):
            open_dataset(str(tmp_path / "a.zip"))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_changed_bytes_never_pass(shards: Path, tmp_path: Path, method: int) -> None:
    """A damaged picture is left out, and an unreadable archive is refused."""
    (shards / "dataset.json").unlink()
    content = zipped(shards, tmp_path / "a.zip", method=method).read_bytes()
    whole = [FolderDataset(tmp_path / "a.zip").image(i) for i in range(6)]
    seen: set[str] = set()
    for place in range(0, len(content), 41):
        (tmp_path / "a.zip").write_bytes(
            content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :]
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                dataset = FolderDataset(tmp_path / "a.zip", resolution=8)
            except DataError as error:
                assert str(error).endswith((".", "?")) and "\n" not in str(error)
                seen.add("refused")
                continue
        seen.add("left out" if dataset.skipped else "whole")
        for i in range(len(dataset)):
            assert any(torch.equal(dataset.image(i), image) for image in whole)
    assert "left out" in seen


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            {"compress_type": zipfile.ZIP_BZIP2},
            r"a\.png' in .* must be stored or deflated, got compression method 12: pack",
        ),
        ({"flag_bits": 1}, r"a\.png' in .* is encrypted: unpack it"),
    ],
)
def test_members_of_other_kinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], match: str
) -> None:
    write(tmp_path / "in" / "a.png")
    path = zipped(tmp_path / "in", tmp_path / "a.zip")
    real = zipfile.ZipFile.infolist

    def infolist(self: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
        infos = real(self)
        for key, value in change.items():
            setattr(infos[0], key, value)
        return infos

    monkeypatch.setattr(zipfile.ZipFile, "infolist", infolist)
    with pytest.raises(DataError, match=match):
        open_dataset(str(path))


def test_damaged_labels_in_an_archive(shards: Path, tmp_path: Path) -> None:
    path = zipped(shards, tmp_path / "a.zip")
    path.write_bytes(path.read_bytes().replace(b'{"labels"', b'{"lebals"', 1))
    with pytest.raises(
        DataError, match=r"'dataset\.json' in the archive .* damaged, its checksum doesn't fit"
    ):
        open_dataset(str(path))


def test_a_folder_whose_name_ends_in_zip(shards: Path, tmp_path: Path) -> None:
    shutil.copytree(shards, tmp_path / "folder.zip")
    assert len(open_dataset(str(tmp_path / "folder.zip"))) == 6


def test_heads_of_members(tmp_path: Path) -> None:
    data = bytes(range(256)) * 500
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        memory = io.BytesIO()
        with zipfile.ZipFile(memory, "w", method) as archive:
            archive.writestr("a.png", data)
            archive.writestr("empty.png", b"")
        (tmp_path / "a.zip").write_bytes(memory.getvalue())
        opened = Archive(tmp_path / "a.zip")
        assert (
            opened.file("a.png").head(1000) == data[:1000]
            and opened.file("a.png").read_bytes() == data
        )
        assert opened.file("empty.png").read_bytes() == b"" == opened.file("empty.png").head(5)
