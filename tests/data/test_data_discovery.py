"""Search for pictures: files that are read, left out, and named in messages."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import pytest
from drawn_files import RED, WHITE, corrupt, write
from PIL import Image

from fastgan.data import DataError, open_dataset
from fastgan.data.discovery import Listing, PictureKinds, few, find_pictures

RUN = {"fastgan": "0.1.0", "recipe": "gan", "settings": {}, "images": {}, "data_fingerprint": ""}
WRITTEN = [
    "tif",
    "tiff",
    "gif",
    "ppm",
    "pgm",
    "tga",
    "jfif",
    "jp2",
    "ico",
    "apng",
    "dib",
    "pcx",
    "sgi",
    "webp",
]


def run_folder(path: Path) -> None:
    """Write the folder of a run."""
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(RUN))
    write(path / "samples.png")
    write(path / "samples" / "000000000.png")


def test_every_format_that_pillow_writes_is_read(tmp_path: Path) -> None:
    formats = Image.registered_extensions()
    endings = [ending for ending in WRITTEN if formats.get(f".{ending}") in Image.SAVE]
    assert len(endings) > 8
    for ending in endings:
        write(tmp_path / f"a.{ending.upper()}", 200, mode="L", size=(16, 16))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = open_dataset(str(tmp_path))
    assert len(dataset) == len(endings) and dataset.skipped == () and dataset.notes == ()


def test_the_first_frame_of_several(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, WHITE)]
    for name in ("a.gif", "b.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    dataset = open_dataset(str(tmp_path))
    assert [dataset.image(i)[:, 4, 4].tolist() for i in range(2)] == [list(RED)] * 2


def test_a_picture_without_a_known_ending_is_found_by_its_header(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a")
    write(tmp_path / "b.jpg")
    (tmp_path / "b.jpg").rename(tmp_path / "b.jpg_original")
    assert find_pictures(tmp_path).pictures == ("a", "b.jpg_original")


def test_files_that_are_no_concern_are_not_named(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    for name in (
        "Thumbs.db",
        ".DS_Store",
        "desktop.ini",
        "a.json",
        "a.TXT",
        "a.csv",
        "._a.png",
        "b.jsonl",
    ):
        (tmp_path / name).write_bytes(b"\0\1\2\3")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = open_dataset(str(tmp_path))
    assert len(dataset) == 1 and dataset.skipped == ()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("README", b"Pictures of cats."),
        ("film.mp4", b"\0\0\0\x18ftypmp42"),
        ("train-images-idx3-ubyte", b"\0\0\x08\x03\0\0\xea\x60\0\0\0\x1c\0\0\0\x1c" + bytes(1000)),
        ("weights.bin", bytes(range(256)) * 4),
        ("paper.pdf", b"%PDF-1.4\n"),
        ("table.h5", b"\x89HDF\r\n\x1a\n"),
        ("film.mpg", b"\0\0\1\xb3\x01\x00\x10"),
        ("empty", b""),
    ],
)
def test_other_files_are_named_once(tmp_path: Path, name: str, content: bytes) -> None:
    write(tmp_path / "a.png")
    (tmp_path / name).write_bytes(content)
    with pytest.warns(
        UserWarning, match=rf"1 unreadable file of .*{name}: not a picture"
    ) as caught:
        dataset = open_dataset(str(tmp_path))
    assert len(caught) == 1 and len(dataset) == 1
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match=rf"must hold images, got only {name}: add pictures"):
        open_dataset(str(tmp_path))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("pipe", "pipe.png"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "link.png").symlink_to("pipe")
    write(tmp_path / "a.png")
    assert find_pictures(tmp_path) == Listing(("a.png",), ("link.png", "pipe", "pipe.png"))


def test_stems_of_partners() -> None:
    kinds = PictureKinds()
    names = ["x/a.tar.PNG", "x/a.tif", "v1.2", "v1.2.png", "d.png/e"]
    assert list(map(kinds.stem, names)) == ["x/a.tar", "x/a", "v1.2", "v1.2", "d.png/e"]


def test_few_names() -> None:
    assert few("abc") == "a, b, c" and few("abcde") == "a, b, c and 2 more" and few([]) == ""


# -- folders of classes ----------------------------------------------------------------------------


def test_a_class_in_any_format_keeps_its_number(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.tif", "c/1.gif"):
        write(tmp_path / name)
    assert open_dataset(str(tmp_path)).class_names == ("a", "b", "c")


@pytest.mark.parametrize("kind", ["foreign", "corrupt"])
def test_a_class_folder_without_a_readable_picture_is_named(tmp_path: Path, kind: str) -> None:
    for name in ("a/1.png", "c/1.png"):
        write(tmp_path / name)
    if kind == "foreign":
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "1.heic").write_bytes(b"\0\0\0\x18ftyphe!!")
    else:
        corrupt(tmp_path / "b" / "1.jpg")
    with pytest.warns(UserWarning, match=r"1 unreadable file of .*b/1\."):
        dataset = open_dataset(str(tmp_path))
    assert dataset.class_names == ("a", "c")
    assert dataset.notes == ("Not a class, since no picture in it can be read: b.",)


def test_a_stray_picture_is_named_as_the_reason(tmp_path: Path) -> None:
    for name in ("cat/1.png", "dog/1.png", "stray.tif"):
        write(tmp_path / name)
    dataset = open_dataset(str(tmp_path))
    assert dataset.num_classes == 0 and dataset.class_names == ()
    assert dataset.unlabelled.startswith("stray.tif lies beside the folders cat, dog")
    for i in range(5):
        write(tmp_path / f"{i}.png")
    assert open_dataset(str(tmp_path)).unlabelled.startswith(
        "0.png, 1.png, 2.png and 3 more lie beside"
    )


def test_a_flat_folder_expects_no_labels(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    assert open_dataset(str(tmp_path)).unlabelled == ""


# -- folders of runs -------------------------------------------------------------------------------


def test_folders_of_runs_are_left_out_and_named(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    fingerprint = open_dataset(str(tmp_path)).fingerprint
    for name in ("runs/one", "runs/two", "deep/er/three"):
        run_folder(tmp_path / name)
    (tmp_path / "link").symlink_to(tmp_path / "runs" / "one" / "samples")
    listing = find_pictures(tmp_path)
    assert listing.pictures == ("a.png",) and listing.runs[0] == "deep/er/three"
    dataset = open_dataset(str(tmp_path))
    assert dataset.fingerprint == fingerprint and len(dataset) == 1
    (note,) = dataset.notes
    assert note.startswith("Left out as folders of runs") and "deep/er/three" in note


def test_a_configuration_of_something_else_leaves_nothing_out(tmp_path: Path) -> None:
    for name, text in (("a", '{"model_type": "vit"}'), ("b", "[]"), ("c", "{"), ("d", "\udcff")):
        write(tmp_path / name / "1.png")
        (tmp_path / name / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    assert len(find_pictures(tmp_path).pictures) == 4


def test_the_folder_of_a_run_is_refused_but_its_samples_may_be_meant(tmp_path: Path) -> None:
    run_folder(tmp_path / "run")
    with pytest.raises(DataError, match=r"run' must be a folder of images, got the folder of a"):
        open_dataset(str(tmp_path / "run"))
    assert len(open_dataset(str(tmp_path / "run" / "samples"))) == 1
