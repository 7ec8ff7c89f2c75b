"""Folders laid out for a task: content, pairing, and errors that name the file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fastgan.data import BatchLoader, DataError, InputSpec, Task, open_dataset
from fastgan.data.captions import caption_spec, encode_caption, words_of
from fastgan.data.task_folders import InputFolder, SideBySideFolder


def noise(
    path: Path, seed: int = 0, size: tuple[int, int] = (8, 8), **options: Any
) -> torch.Tensor:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def flat(path: Path, value: int, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)


def save_map(path: Path, indices: Any, palette: bool = False) -> torch.Tensor:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.asarray(indices, dtype=np.uint8)
    picture = Image.fromarray(pixels)
    if palette:
        picture = Image.fromarray(pixels, mode="P")
        # Colours unlike the indices.
        picture.putpalette([255 - k for k in range(256) for _ in range(3)])
    picture.save(path)
    return torch.from_numpy(pixels)


def lines(path: Path, *entries: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(e if isinstance(e, str) else json.dumps(e) for e in entries) + "\n")


def refused(root: Path, task: Task, match: str) -> None:
    with pytest.raises(DataError, match=match):
        open_dataset(str(root), task=task)


# -- pairs -----------------------------------------------------------------------------------------


def test_pairs_side_by_side(tmp_path: Path) -> None:
    both = [noise(tmp_path / f"{i}.png", i, (16, 8)) for i in range(3)]
    data = open_dataset(str(tmp_path), task="pairs")
    assert (len(data), data.resolution, data.channels, data.num_classes) == (3, 8, 3, 0)
    assert data.inputs == {"input": InputSpec("image", channels=3)} and data.name == tmp_path.name
    images, labels, inputs = data.examples(torch.tensor([2, 0]))
    assert labels.tolist() == [0, 0] and data.held_out() is None
    for image, source, pair in zip(images, inputs["input"], (both[2], both[0])):
        assert torch.equal(source, pair[:, :, :8]) and torch.equal(image, pair[:, :, 8:])
    assert torch.equal(data.image(0), both[0][:, :, 8:])
    small = open_dataset(str(tmp_path), resolution=4, channels=1, task="pairs")
    assert small.batch_inputs(torch.tensor([1]))["input"].shape == (1, 1, 4, 4)
    assert len({small.fingerprint, data.fingerprint, open_dataset(str(tmp_path)).fingerprint}) == 3


def test_pairs_of_two_folders_are_cropped_equally(tmp_path: Path) -> None:
    for i, (name, other) in enumerate([("a.png", "a.jpg"), ("deep/b.png", "deep/b.png")]):
        flat(tmp_path / "images" / name, 100 + i, (24, 8))
        flat(tmp_path / "inputs" / other, 50 + i, (24, 8))
    data = open_dataset(str(tmp_path), resolution=4, task="pairs")
    images, _, inputs = data.examples(torch.tensor([0, 1]))
    assert data.channels == 1
    assert images.flatten(1).unique(dim=1).flatten().tolist() == [100, 101]
    assert inputs["input"].flatten(1).unique(dim=1).flatten().tolist() == [50, 51]


@pytest.mark.parametrize("cache_limit", [1 << 20, 0])
def test_a_corrupt_file_takes_its_partner_along(tmp_path: Path, cache_limit: int) -> None:
    for i in range(6):
        for folder, value in (("images", 10 * i), ("inputs", 10 * i + 5)):
            flat(tmp_path / folder / f"{i}.png", value, (64, 64))
    for broken in ("images/1.png", "inputs/4.png"):
        path = tmp_path / broken
        noise(path, size=(64, 64))
        path.write_bytes(path.read_bytes()[:3000])
    with pytest.warns(UserWarning, match="left out"):
        data = InputFolder(tmp_path, channels=1, cache_limit=cache_limit)
        with BatchLoader(data, seed=0, start=0, batch=len(data), workers=2) as batches:
            images, _, inputs = next(batches)
        gap = (inputs["input"] - images) * 127.5
    assert torch.allclose(gap, torch.full_like(gap, 5), atol=1e-3)
    assert [reason.split(": ")[0] for reason in data.skipped] == ["images/1.png", "images/4.png"]
    assert data.skipped[1].startswith("images/4.png: inputs/4.png: ")
    assert len(data) == (4 if cache_limit else 6)


def test_train_and_test_folders(tmp_path: Path) -> None:
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        for i in range(count):
            noise(tmp_path / split / f"{i}.png", i, (32, 16))
    data = open_dataset(str(tmp_path), resolution=8, task="pairs")
    held_out = data.held_out()
    assert held_out is not None and (len(data), len(held_out)) == (3, 1)
    assert (
        held_out.inputs == data.inputs and held_out.resolution == 8 and held_out.held_out() is None
    )


def test_pairs_refused(tmp_path: Path) -> None:
    noise(tmp_path / "one" / "a.png", size=(15, 8))
    refused(
        tmp_path / "one",
        "pairs",
        r"a\.png' must be .* twice as wide as high, got 15x8: .*inputs/ and images/",
    )
    noise(tmp_path / "two" / "images" / "a.png")
    noise(tmp_path / "two" / "inputs" / "a.png", size=(8, 9))
    refused(
        tmp_path / "two",
        "pairs",
        r"inputs/a\.png' must have the size of its image 'images/a\.png', 8x8, got 8x9: resize",
    )
    refused(tmp_path / "none", "pairs", r"none' doesn't exist")
    noise(tmp_path / "two" / "inputs" / "b.png")
    refused(
        tmp_path / "two",
        "pairs",
        r"inputs/b\.png' has no image: add images/b with the ending of any picture, or remove",
    )
    noise(tmp_path / "two" / "images" / "b.png")
    noise(tmp_path / "two" / "images" / "b.jpg")
    refused(
        tmp_path / "two",
        "pairs",
        r"b\.png' and 'images/b\.jpg' have the same name but for the ending",
    )


def test_the_size_of_a_rotated_picture_is_that_after_rotation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(tmp_path / "images" / "a.jpg", size=(8, 16), exif=exif)
    noise(tmp_path / "inputs" / "a.jpg", size=(16, 8))
    assert len(open_dataset(str(tmp_path), task="pairs")) == 1


# -- domains ---------------------------------------------------------------------------------------


def test_domains_of_different_sizes(tmp_path: Path) -> None:
    for folder, values in (
        ("trainA", range(3)),
        ("trainB", range(100, 107)),
        ("testA", [7]),
        ("testB", [8]),
    ):
        for value in values:
            flat(tmp_path / folder / f"{value}.png", value)
    data = open_dataset(str(tmp_path), task="domains")
    assert len(data) == 7 and data.inputs == {"other": InputSpec("image", channels=1)}
    images, _, inputs = data.examples(torch.arange(7))
    first, other = images[:, 0, 0, 0].tolist(), inputs["other"][:, 0, 0, 0].tolist()
    assert sorted(first[:3]) == sorted(first[3:6]) == [0, 1, 2]
    assert sorted(other) == list(range(100, 107)) != other
    assert [int(data.image(i)[0, 0, 0]) for i in range(7)] == first
    again = open_dataset(str(tmp_path), task="domains")
    assert again.fingerprint == data.fingerprint
    assert torch.equal(again.batch_inputs(torch.arange(7))["other"], inputs["other"])
    held_out = data.held_out()
    assert held_out is not None and held_out.image(0).unique().tolist() == [7]


def test_colour_in_one_domain_is_colour_in_both(tmp_path: Path) -> None:
    flat(tmp_path / "trainA" / "a.png", 3, (9, 9))
    noise(tmp_path / "trainB" / "b.png")
    data = open_dataset(str(tmp_path), task="domains")
    images, _, inputs = data.examples(torch.tensor([0]))
    assert images.shape == inputs["other"].shape == (1, 3, 9, 9)
    (tmp_path / "trainB" / "b.png").unlink()
    refused(tmp_path, "domains", "trainB' must hold images, got none")
    refused(
        tmp_path / "trainA",
        "domains",
        r"must have the folders trainA/ and trainB/ .* domains: add trainA/ and trainB/\.",
    )
    (tmp_path / "trainB").rmdir()
    refused(tmp_path, "domains", r"the images of the two domains: add trainB/\.")


# -- maps ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("palette", [False, True])
def test_maps_are_indices_cut_like_their_images(tmp_path: Path, palette: bool) -> None:
    picture = noise(tmp_path / "images" / "a.png", size=(12, 8))
    indices = save_map(tmp_path / "maps" / "a.png", np.arange(96).reshape(8, 12) % 7, palette)
    data = open_dataset(str(tmp_path), task="maps")
    images, _, inputs = data.examples(torch.tensor([0]))
    assert data.inputs["map"].names == tuple("0123456")
    assert torch.equal(inputs["map"][0], indices[:, 2:10]) and torch.equal(
        images[0], picture[:, :, 2:10]
    )
    half = open_dataset(str(tmp_path), resolution=4, task="maps").batch_inputs(torch.tensor([0]))[
        "map"
    ][0]
    assert torch.equal(half, indices[1::2, 3:10:2])
    double = open_dataset(str(tmp_path), resolution=16, task="maps").batch_inputs(
        torch.tensor([0])
    )["map"][0]
    assert torch.equal(double, indices[:, 2:10].repeat_interleave(2, 0).repeat_interleave(2, 1))


def test_classes_have_names_and_no_others_occur(tmp_path: Path) -> None:
    for split in ("train", "test"):
        noise(tmp_path / split / "images" / "a.png")
        save_map(tmp_path / split / "maps" / "a.png", np.ones((8, 8)))
    lines(tmp_path / "classes.txt", "sky", "sea")
    data = open_dataset(str(tmp_path), task="maps")
    assert data.inputs["map"].names == ("sky", "sea")
    save_map(tmp_path / "test" / "maps" / "a.png", np.full((8, 8), 2))
    with pytest.raises(
        DataError,
        match=r"test/maps/a\.png' has the value 2, but there are 2 classes, 0 to 1: correct",
    ):
        data.held_out()
    lines(tmp_path / "classes.txt", "sky", "sky")
    refused(tmp_path, "maps", r"classes\.txt' must have 1 to 256 names .* got 2 lines, 1 of them")


def test_maps_refused(tmp_path: Path) -> None:
    noise(tmp_path / "images" / "a.png")
    refused(
        tmp_path,
        "maps",
        r"must have the folders images/ and maps/, with a map for each image .*: add maps/",
    )
    noise(tmp_path / "maps" / "a.jpg")
    refused(
        tmp_path, "maps", r"maps/a\.jpg' is a JPEG file, whose compression changes indices: save it"
    )
    (tmp_path / "maps" / "a.jpg").unlink()
    noise(tmp_path / "maps" / "a.png")
    refused(
        tmp_path,
        "maps",
        r"maps/a\.png' must have the index of a class in each pixel, got a picture of mode RGB:",
    )
    save_map(tmp_path / "maps" / "a.png", np.zeros((8, 9)))
    refused(tmp_path, "maps", r"maps/a\.png' must have .* 'images/a\.png', 8x8, got 9x8: resize")


# -- captions and attributes -----------------------------------------------------------------------


def test_captions(tmp_path: Path) -> None:
    for value in (1, 2):
        flat(tmp_path / f"{value}.png", value)
    lines(
        tmp_path / "captions.jsonl",
        {"file": "2.png", "text": "A dog's dinner, served."},
        {"file": "1.png", "text": "dinner"},
        {"file": "2.png", "text": "A dog"},
    )
    data = open_dataset(str(tmp_path), task="captions")
    spec = data.inputs["caption"]
    assert spec.names == ("", "a", "dinner", "dog", "dog's", "served") and spec.length == 4
    images, _, inputs = data.examples(torch.arange(3))
    assert images[:, 0, 0, 0].tolist() == [2, 1, 2]
    assert inputs["caption"].tolist() == [[1, 4, 2, 5], [2, 0, 0, 0], [1, 3, 0, 0]]
    before = data.fingerprint
    lines(
        tmp_path / "captions.jsonl",
        {"file": "2.png", "text": "A dog's dinner, served."},
        {"file": "1.png", "text": "served"},
        {"file": "2.png", "text": "A dog"},
    )
    assert open_dataset(str(tmp_path), task="captions").fingerprint != before


def test_held_out_captions_have_the_words_of_training(tmp_path: Path) -> None:
    for split, text in (("train", "a red sun"), ("test", "a sun")):
        flat(tmp_path / split / "x.png", 1)
        lines(tmp_path / split / "captions.jsonl", {"file": "x.png", "text": text})
    data = open_dataset(str(tmp_path), task="captions")
    held_out = data.held_out()
    assert held_out is not None
    assert held_out.batch_inputs(torch.tensor([0]))["caption"].tolist() == [[1, 3, 0]]
    lines(tmp_path / "test" / "captions.jsonl", {"file": "x.png", "text": "a sum"})
    with pytest.raises(
        DataError, match=r"^Line 1 of .*test/captions\.jsonl': The word 'sum' .* such as sun"
    ):
        data.held_out()


def test_words_and_sentences() -> None:
    assert words_of("The cat’s -- 3 EGGS!") == ["the", "cat's", "3", "eggs"]
    spec = caption_spec(["b a", "a"])
    assert encode_caption("B", spec).tolist() == [2, 0]
    for text in ("", "a a a"):
        with pytest.raises(DataError, match=rf"must have 1 to 2 words, got . in {text!r}: correct"):
            encode_caption(text, spec)


def test_attributes_of_both_kinds_of_list(tmp_path: Path) -> None:
    for value in (1, 2):
        flat(tmp_path / f"{value}.png", value)
    lines(
        tmp_path / "attributes.csv",
        "file,tall,hair=red,hair=black",
        "2.png,1,-1,1",
        "",
        "1.png,0,1,0",
    )
    data = open_dataset(str(tmp_path), task="attributes")
    spec = data.inputs["attributes"]
    assert spec.names == ("hair=black", "hair=red", "tall") and spec.groups == ((0, 1),)
    images, _, inputs = data.examples(torch.arange(2))
    assert images[:, 0, 0, 0].tolist() == [2, 1]
    assert inputs["attributes"].tolist() == [[1, 0, 1], [0, 1, 0]]
    (tmp_path / "attributes.csv").unlink()
    lines(
        tmp_path / "attributes.jsonl",
        {"file": "2.png", "attributes": ["tall", "hair=black"]},
        {"file": "1.png", "attributes": ["hair=red"]},
    )
    same = open_dataset(str(tmp_path), task="attributes")
    assert same.inputs == data.inputs and same.fingerprint == data.fingerprint


@pytest.mark.parametrize(
    ("task", "name", "entries", "match"),
    [
        (
            "captions",
            "captions.jsonl",
            ["{"],
            r"Line 1 of .*captions\.jsonl' must be {\"file\": a path, \"text\": .*, got '{':",
        ),
        (
            "captions",
            "captions.jsonl",
            [{"file": "x.png"}],
            r"must be {\"file\": a path, \"text\": a text}, got",
        ),
        (
            "captions",
            "captions.jsonl",
            [{"file": "y.png", "text": "a"}],
            r"Line 1 of .* names the image 'y\.png', which",
        ),
        (
            "captions",
            "captions.jsonl",
            [{"file": "/x.png", "text": "a"}],
            r"names the image '/x\.png', which isn't",
        ),
        ("captions", "captions.jsonl", [], r"x\.png' is in no line of the list: add one"),
        (
            "captions",
            "captions.jsonl",
            [{"file": "x.png", "text": "!"}],
            r"Line 1 of .*: A caption must have 1 to 0 words",
        ),
        (
            "captions",
            "else.jsonl",
            [],
            r"must have captions\.jsonl, with a line for each image: write it",
        ),
        (
            "attributes",
            "else.jsonl",
            [],
            r"must have attributes\.jsonl or attributes\.csv, with a line",
        ),
        (
            "attributes",
            "attributes.jsonl",
            [{"file": "x.png", "attributes": "a"}],
            r"\"attributes\": a list}",
        ),
        (
            "attributes",
            "attributes.jsonl",
            [{"file": "x.png", "attributes": ["a=1", "a=2"]}],
            r"must have exactly one of the attributes a=1, a=2, got 2: correct",
        ),
        (
            "attributes",
            "attributes.csv",
            ["name,a", "x.png,1"],
            r"first line of .* must be file and the names .*, got 'name,a':",
        ),
        (
            "attributes",
            "attributes.csv",
            ["file,a", "x.png,2"],
            r"Line 2 of .* must be a file and 1 values 0, 1 or -1, got 'x\.png,2':",
        ),
    ],
)
def test_lists_refused(
    tmp_path: Path, task: Task, name: str, entries: list[Any], match: str
) -> None:
    flat(tmp_path / "x.png", 1)
    lines(tmp_path / name, *entries)
    refused(tmp_path, task, match)


def test_lists_of_spreadsheets_and_of_no_text(tmp_path: Path) -> None:
    flat(tmp_path / "x.png", 1)
    (tmp_path / "attributes.csv").write_bytes(b"\xef\xbb\xbffile,tall\r\nx.png,1\r\n")
    assert open_dataset(str(tmp_path), task="attributes").inputs["attributes"].names == ("tall",)
    (tmp_path / "attributes.csv").write_bytes(b"file,gr\xf6\xdfe\nx.png,1\n")
    refused(
        tmp_path,
        "attributes",
        r"attributes\.csv' can't be read as text in UTF-8 .*: save it as such",
    )


def test_an_attribute_that_training_does_not_know(tmp_path: Path) -> None:
    for split, name in (("train", "tall"), ("test", "tal")):
        flat(tmp_path / split / "x.png", 1)
        lines(tmp_path / split / "attributes.jsonl", {"file": "x.png", "attributes": [name]})
    with pytest.raises(
        DataError, match=r"^Line 1 of .* must have attributes among tall, got 'tal': correct it"
    ):
        open_dataset(str(tmp_path), task="attributes").held_out()


def test_pairs_decoded_on_demand_are_equal(tmp_path: Path) -> None:
    for i in range(4):
        noise(tmp_path / f"{i}.png", i, (32, 16))
    kept, on_demand = (
        SideBySideFolder(tmp_path, resolution=8, cache_limit=limit) for limit in (1 << 20, 0)
    )
    assert kept.in_memory and not on_demand.in_memory
    for one, other in zip(
        kept.examples(torch.arange(4))[::2], on_demand.examples(torch.arange(4))[::2]
    ):
        pairs = zip(one.values(), other.values()) if isinstance(one, dict) else [(one, other)]
        assert all(torch.equal(a, b) for a, b in pairs)
