"""Labels: the order of classes, classes by name or number, and what dataset.json states."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn_files import write

from fastgan.data import DataError, ImageDataset, open_dataset
from fastgan.data.labels import class_number, order_classes
from fastgan.data.listed_names import ListedNames

NAMES = ["00000/a.png", "00001/b.png", "00002/c.png"]


@pytest.fixture
def stated(tmp_path: Path) -> Any:
    """Return a function that opens three pictures in three shards with a given dataset.json."""
    for name in NAMES:
        write(tmp_path / name)

    def opened(content: Any) -> ImageDataset:
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "dataset.json").write_text(text)
        return open_dataset(str(tmp_path))

    return opened


def labels_of(dataset: ImageDataset) -> list[int]:
    return dataset.batch(torch.arange(len(dataset)))[1].tolist()


# -- order and names -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([str(i) for i in range(12)], [str(i) for i in range(12)]),
        (["10", "9", "-1", "+2"], ["-1", "+2", "9", "10"]),
        (["1", "01", "0"], ["0", "01", "1"]),
        (["10", "9", "x"], ["10", "9", "x"]),
        (["a10", "a9"], ["a10", "a9"]),
        (["b", "A", "a"], ["A", "a", "b"]),
        (["²", "1"], ["1", "²"]),
        (["1.5", "10", "9"], ["1.5", "10", "9"]),
    ],
)
def test_order_of_classes(names: list[str], expected: list[str]) -> None:
    assert list(order_classes(names)) == expected == list(order_classes(reversed(names)))


def test_numbered_folders_have_their_own_numbers(tmp_path: Path) -> None:
    for i in range(12):
        write(tmp_path / str(i) / "x.png", (20 * i, 0, 0))
    dataset = open_dataset(str(tmp_path))
    assert dataset.class_names == tuple(map(str, range(12)))
    for i in range(12):
        assert int(dataset.image(i)[0, 0, 0]) == 20 * dataset.label(i)


def test_classes_by_name_and_number() -> None:
    pets = ("cat", "dog", "7")
    assert [class_number(asked, pets, 3) for asked in ("dog", "0", "7", "1", "+2")] == [
        1,
        0,
        2,
        1,
        2,
    ]
    years = ("1990", "2000", "2010")
    assert class_number("2000", years, 3) == 1
    assert class_number("2", (), 3) == 2
    assert class_number("01", ("01", "1"), 2) == 0


@pytest.mark.parametrize(
    ("asked", "names", "count", "match"),
    [
        (
            "dgo",
            ("cat", "dog"),
            2,
            r"^There is no class 'dgo'\. Did you mean 'dog'\? The classes are cat, dog, or",
        ),
        ("DOG", ("cat", "dog"), 2, r"Did you mean 'dog'\?"),
        ("2", ("cat", "dog"), 2, r"no class '2'\. The classes are cat, dog, or a number, 0 to 1\."),
        ("-1", ("cat", "dog"), 2, r"no class '-1'"),
        ("0", ("1990", "2000"), 2, r"no class '0'\. .*The classes are 1990, 2000\.$"),
        ("3", (), 3, r"^The class must be a number, 0 to 2, got '3'\.$"),
        ("cat", (), 3, r"must be a number, 0 to 2, got 'cat'"),
        ("", ("cat",), 1, r"no class ''"),
        (
            "q",
            tuple(f"c{i:03d}" for i in range(300)),
            300,
            r"c019 and 280 more, or a number, 0 to 299\.$",
        ),
    ],
)
def test_classes_that_there_are_not(
    asked: str, names: tuple[str, ...], count: int, match: str
) -> None:
    with pytest.raises(DataError, match=match):
        class_number(asked, names, count)


# -- dataset.json ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "numbers", "classes"),
    [
        ([0, 1, 0], [0, 1, 0], 2),
        ([2, 0, 2], [2, 0, 2], 3),
        ([1.0, 0.0, 1.0], [1, 0, 1], 2),
        ([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0]], [0, 2, 1], 4),
        ([[0.0, 1.0], [1.0, 0.0], [0, 1]], [1, 0, 1], 2),
        ([0, 0, 0], [0, 0, 0], 1),
    ],
)
def test_stated_labels_win_over_the_layout(
    stated: Any, labels: list[Any], numbers: list[int], classes: int
) -> None:
    for pairs in (list(zip(NAMES, labels)), dict(zip(NAMES, labels))):
        dataset = stated({"labels": pairs})
        assert labels_of(dataset) == numbers and dataset.num_classes == classes
        assert dataset.class_names == tuple(map(str, range(classes))) and dataset.unlabelled == ""


def test_other_spellings_of_paths(stated: Any) -> None:
    dataset = stated({"labels": [["00000\\a.png", 0], ["./00001/b.png", 1], ["00002/c.png", 1]]})
    assert labels_of(dataset) == [0, 1, 1]
    assert labels_of(stated("\ufeff" + json.dumps({"labels": [[n, 1] for n in NAMES]}))) == [
        1,
        1,
        1,
    ]


@pytest.mark.parametrize(("on_disk", "written"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_in_another_normal_form(tmp_path: Path, on_disk: Any, written: Any) -> None:
    write(tmp_path / unicodedata.normalize(on_disk, "café.png"))
    text = json.dumps(
        {"labels": [[unicodedata.normalize(written, "café.png"), 1]]}, ensure_ascii=False
    )
    (tmp_path / "dataset.json").write_text(text)
    assert open_dataset(str(tmp_path)).num_classes == 2


def test_two_files_that_a_list_may_mean() -> None:
    forms = [unicodedata.normalize(form, "é") for form in ("NFC", "NFD")]
    files = ListedNames([f"{form}.png" for form in forms])
    assert [files.find(f"{form}.png") for form in forms] == [f"{form}.png" for form in forms]
    with pytest.raises(DataError, match=r"may mean 'e\\u0301\.png' or '\\xe9\.png': rename one"):
        files.find(f"./{forms[0]}.png")


def test_files_that_a_list_means() -> None:
    files = ListedNames(["a/b.png", "odd\\name.png"])
    for spelling in ("a/b.png", "a\\b.png", "./a/b.png", " a/b.png\r", "a//b.png", "a/./b.png"):
        assert files.find(spelling) == "a/b.png"
    assert files.find("odd\\name.png") == "odd\\name.png" and files.find("../a/b.png") is None


def test_classes_without_a_picture_are_named(stated: Any) -> None:
    assert stated({"labels": [[n, 3 * (n == NAMES[2])] for n in NAMES]}).notes == (
        "Classes of dataset.json without a picture: 1, 2.",
    )


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (None, r"^dataset\.json says null for the labels$"),
        ([], r"has no label for 00000/a\.png, 00001/b\.png, 00002/c\.png$"),
        ([["00000/a.png", 0]], r"no label for 00001/b\.png, 00002/c\.png$"),
        ([[n, i or None] for i, n in enumerate(NAMES)], r"no label for 00000/a\.png$"),
        (
            [*([n, 0] for n in NAMES), ["gone.png", 1]],
            r"labels for file not in the set: gone\.png$",
        ),
        (
            [["00000/A.PNG", 0]],
            r"not in the set: 00000/A\.PNG \(only the case differs from '00000/a\.png'\)$",
        ),
        ([["a.png", 0]], r"not in the set: a\.png \(a file of that name is '00000/a\.png'\)$"),
        ([*([n, 0] for n in NAMES), [NAMES[1], 1]], r"two labels for '00001/b\.png', 0 and 1$"),
        ([[n, -1] for n in NAMES], r"must be a class number, .* got -1 for '00000/a\.png'"),
        ([[n, 0.5] for n in NAMES], r"must be a class number, .* got 0\.5 for"),
        ([[n, "cat"] for n in NAMES], r"must be a class number, .* got \"cat\" for"),
        ([[n, True] for n in NAMES], r"got true for"),
        ([[n, 10**400] for n in NAMES], r"must be a class number, 0 to 65535"),
        (
            [[n, [0.3, 0.7]] for n in NAMES],
            r"must be one-hot, .*, got \[0\.3, 0\.7\] for '00000/a\.png'",
        ),
        ([[n, [1, 1]] for n in NAMES], r"must be one-hot"),
        ([[n, [0, 0]] for n in NAMES], r"must be one-hot"),
        ([[n, []] for n in NAMES], r"must be one-hot"),
        ([[n, [True, False]] for n in NAMES], r"must be one-hot"),
        (
            [[n, [1, 0, 0][: 2 + (i > 1)]] for i, n in enumerate(NAMES)],
            r"vectors of 2 and of 3 .*'00002/c\.png'",
        ),
        (
            [[n, [1, 0] if i else 0] for i, n in enumerate(NAMES)],
            r"a vector for '00001/b\.png', but a number",
        ),
        ("cat", r"must be a list, got \"cat\""),
        ([1, 2], r"must be \[file, label\], got 1"),
        ([["00000/a.png"]], r"must be \[file, label\]"),
        ([[3, 4]], r"must be \[file, label\]"),
    ],
)
def test_labels_that_can_not_be_used_say_why(stated: Any, labels: Any, why: str) -> None:
    dataset = stated({"labels": labels})
    assert dataset.num_classes == 0 and labels_of(dataset) == [0, 0, 0]
    assert re.search(why, dataset.unlabelled), dataset.unlabelled


@pytest.mark.parametrize("content", [[1, 2], {"title": "pets"}, "7"])
def test_a_file_of_something_else_is_named(stated: Any, content: Any) -> None:
    dataset = stated(content)
    assert dataset.class_names == ("00000", "00001", "00002")
    assert dataset.notes[0].startswith("dataset.json has no labels and is ignored")


@pytest.mark.parametrize(
    "content", ["", "{", "[" * 100_000, '{"labels": [}', '{"labels": "\\ud800']
)
def test_a_file_that_is_no_json_is_refused(stated: Any, content: str) -> None:
    with pytest.raises(
        DataError, match=r"^The file dataset\.json beside the images can't be read as JSON \("
    ):
        stated(content)


def test_the_fingerprint_covers_stated_labels(stated: Any) -> None:
    fingerprints = {
        stated({"labels": [[n, x] for n, x in zip(NAMES, labels)]}).fingerprint
        for labels in (
            [0, 1, 1],
            [0, 0, 1],
            [[1, 0], [0, 1], [0, 1]],
            [[1, 0, 0], [0, 1, 0], [0, 1, 0]],
        )
    }
    # One-hot vectors of two classes state the same labels as numbers.
    assert len(fingerprints) == 3
