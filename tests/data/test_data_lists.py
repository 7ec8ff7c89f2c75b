"""Spellings of names in lists: Unicode forms, separators, blanks, marks and line ends."""

import json
import unicodedata
from pathlib import Path

import pytest
import torch
from PIL import Image

from fastgan.data import DataError, open_dataset
from fastgan.data.captions import caption_spec, encode_caption

NAME = "caf\u00e9/gr\u00fcn.png"


def picture(path: Path, value: int = 9) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), value).save(path)


def captions(root: Path, *files: str, end: str = "\n", mark: str = "") -> None:
    root.mkdir(exist_ok=True)
    text = end.join(json.dumps({"file": file, "text": "a bird"}) for file in files)
    (root / "captions.jsonl").write_bytes((mark + text + end).encode())


@pytest.mark.parametrize("listed", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_unicode_forms(tmp_path: Path, listed: str, stored: str) -> None:
    picture(tmp_path / unicodedata.normalize(stored, NAME))
    captions(tmp_path, unicodedata.normalize(listed, NAME))
    assert len(open_dataset(str(tmp_path), task="captions")) == 1
    (tmp_path / "captions.jsonl").unlink()
    (tmp_path / "attributes.csv").write_text(
        f"file,small\n{unicodedata.normalize(listed, NAME)},1\n", encoding="utf-8"
    )
    assert len(open_dataset(str(tmp_path), task="attributes")) == 1


@pytest.mark.parametrize(
    "written", ["a/b.png", "./a/b.png", "a\\b.png", ".\\a\\b.png", " a/b.png ", "a//b.png"]
)
@pytest.mark.parametrize(("end", "mark"), [("\n", ""), ("\r\n", "\ufeff")])
def test_separators_blanks_marks_and_line_ends(
    tmp_path: Path, written: str, end: str, mark: str
) -> None:
    picture(tmp_path / "a" / "b.png")
    captions(tmp_path, written, end=end, mark=mark)
    plain = open_dataset(str(tmp_path), task="captions")
    captions(tmp_path, "a/b.png")
    assert plain.fingerprint == open_dataset(str(tmp_path), task="captions").fingerprint
    (tmp_path / "captions.jsonl").unlink()
    (tmp_path / "attributes.csv").write_bytes(
        f"{mark} file , small{end}{written}, 1 {end}".encode()
    )
    assert open_dataset(str(tmp_path), task="attributes").inputs["attributes"].names == ("small",)


def test_another_case_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "Wren.PNG")
    captions(tmp_path, "wren.png")
    with pytest.raises(
        DataError, match=r"Line 1 of .*'wren\.png', .*only the case differs from 'Wren\.PNG'"
    ):
        open_dataset(str(tmp_path), task="captions")


def test_a_name_that_may_mean_two_files(tmp_path: Path) -> None:
    both = [unicodedata.normalize(form, NAME) for form in ("NFC", "NFD")]
    for name in both:
        picture(tmp_path / name)
    captions(tmp_path, f"./{both[0]}")
    with pytest.raises(DataError, match=r"Line 1 of .* may mean .* or .*: rename one"):
        open_dataset(str(tmp_path), task="captions")
    # Each name matches exactly.
    captions(tmp_path, *both)
    assert len(open_dataset(str(tmp_path), task="captions")) == 2


@pytest.mark.parametrize("written", ["../outside.png", "missing.png", ""])
def test_files_that_are_not_in_the_folder(tmp_path: Path, written: str) -> None:
    picture(tmp_path / "outside.png")
    picture(tmp_path / "set" / "a.png")
    captions(tmp_path / "set", "a.png", written)
    with pytest.raises(DataError, match=r"Line 2 of .* isn't in"):
        open_dataset(str(tmp_path / "set"), task="captions")


def test_partners_in_two_forms(tmp_path: Path) -> None:
    forms = [unicodedata.normalize(form, "gr\u00fcn") for form in ("NFC", "NFD")]
    picture(tmp_path / "images" / f"{forms[0]}.png", 1)
    picture(tmp_path / "inputs" / f"{forms[1]}.png", 2)
    data = open_dataset(str(tmp_path), task="pairs")
    assert int(data.batch_inputs(torch.tensor([0]))["input"][0, 0, 0, 0]) == 2
    picture(tmp_path / "inputs" / f"{forms[0]}.png")
    with pytest.raises(DataError, match="the same name in two Unicode forms"):
        open_dataset(str(tmp_path), task="pairs")


def test_partners_in_another_case(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "A.png")
    picture(tmp_path / "inputs" / "a.png")
    with pytest.raises(
        DataError, match=r"has no input \(only the case differs from 'inputs/a\.png'\)"
    ):
        open_dataset(str(tmp_path), task="pairs")


def test_names_of_classes(tmp_path: Path) -> None:
    for folder in ("images", "maps"):
        picture(tmp_path / folder / "a.png", 1)
    (tmp_path / "classes.txt").write_bytes("\ufeff road \r\nb\u0061\u0308ume\r\n\r\n".encode())
    assert open_dataset(str(tmp_path), task="maps").inputs["map"].names == ("road", "b\u00e4ume")


def test_words_in_either_form() -> None:
    composed, apart = (unicodedata.normalize(form, "gr\u00fcn Vogel") for form in ("NFC", "NFD"))
    spec = caption_spec([apart])
    assert spec.names == ("", "gr\u00fcn", "vogel")
    assert encode_caption(composed, spec).tolist() == encode_caption(apart, spec).tolist() == [1, 2]


def test_a_line_separator_inside_a_text_ends_no_line(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "captions.jsonl").write_text(
        '{"file": "a.png", "text": "a\u2028bird"}\n', encoding="utf-8"
    )
    assert open_dataset(str(tmp_path), task="captions").inputs["caption"].names == ("", "a", "bird")
