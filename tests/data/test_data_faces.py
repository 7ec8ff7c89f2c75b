"""Drawn faces: the same at any batch and size and in every version, as their traits say."""

import contextlib
import hashlib

import pytest
import torch

from fastgan.data import TASKS, DataError, Task, open_dataset
from fastgan.data.faces import FACE_ATTRIBUTES, PARTS, TRAITS, FacesDataset
from fastgan.data.faces.drawing import draw
from fastgan.data.painting import Layers
from tests.data.drawn_sets import check_task


@pytest.mark.parametrize("task", TASKS)
def test_every_task(task: Task) -> None:
    check_task("faces", task)


def test_fingerprints_and_held_out_faces() -> None:
    sets = [FacesDataset(), *(FacesDataset(task) for task in TASKS)]
    held_out = [data.held_out() for data in sets]
    assert len({data.fingerprint for data in sets + held_out}) == 12
    assert len(held_out[0]) == 1000
    longer = FacesDataset(length=20_004, resolution=16)
    again = FacesDataset(resolution=16).held_out().batch(torch.arange(4))[0]
    assert torch.equal(again, longer.batch(torch.arange(20_000, 20_004))[0])


def test_drawings_are_fixed_for_good() -> None:
    data = FacesDataset("captions", resolution=32)
    assert data.caption(3) == "a calm old person with parted grey hair and glasses"
    pixels = data.batch(torch.arange(16))[0]
    digest = hashlib.sha256(pixels.numpy().tobytes()).hexdigest()
    assert digest[:16] == "9e8d5626ac0364b1"


def test_faces_are_the_same_at_every_resolution() -> None:
    rows = torch.arange(24)
    small, large = (FacesDataset(resolution=r).batch(rows)[0].float() for r in (32, 128))
    # Edges are antialiased by distances, not by area.
    assert (torch.nn.functional.avg_pool2d(large, 4) - small).abs().mean() < 4


def test_traits_of_one_face_and_of_a_list():
    data = FacesDataset()
    of_some = data.traits(torch.arange(4))
    for name, values in of_some.items():
        assert torch.equal(data.traits(3)[name], values[3:])
        assert torch.equal(data.traits([0, 2])[name], values[[0, 2]])


def test_traits_are_drawn_about_equally() -> None:
    traits = FacesDataset().traits(torch.arange(4000))
    for name, values in TRAITS.items():
        if name != "beard":
            shares = traits[name].bincount(minlength=len(values)) / 4000
            # Five standard deviations of a share.
            assert ((shares - 1 / len(values)).abs() < 5 * 0.5 / 4000**0.5).all(), name
    young = traits["age"] == 0
    assert not traits["beard"][young].any() and traits["beard"][~young].float().mean() > 0.4


def test_no_feature_is_cut_by_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = FacesDataset()._faces(list(range(64)))
    # The largest size, at all extremes of the position.
    faces.numbers["size"].fill_(0.31)
    faces.numbers["x"].copy_(torch.tensor([0.43, 0.57]).repeat(32).view(-1, 1, 1))
    faces.numbers["y"].copy_(torch.tensor([0.45, 0.51]).repeat_interleave(32).view(-1, 1, 1))
    windowed = draw(faces, 64).shares
    monkeypatch.setattr(Layers, "window", lambda self: contextlib.nullcontext())
    assert torch.equal(draw(faces, 64).shares, windowed)


def test_shares_of_layers_add_up_to_one() -> None:
    layers = draw(FacesDataset()._faces([0, 1, 2]), 32)
    assert (layers.shares.sum(dim=1) == 255).all() and layers.shares.min() == 0
    assert len(layers.colours) == layers.shares.shape[1]


def test_maps_masks_and_outlines_agree() -> None:
    rows = torch.arange(32)
    data = FacesDataset("maps", resolution=64)
    parts = data.batch_inputs(rows)["map"]
    assert torch.equal(data.masks(rows), parts != 0)
    traits = data.traits(rows)
    for name in ("glasses", "beard", "hat"):
        seen = (parts == PARTS.index(name)).flatten(1).any(dim=1)
        assert torch.equal(seen, traits[name] == 1), name
    assert 0.2 < (parts != 0).float().mean() < 0.7
    outlines = FacesDataset("pairs", resolution=64).batch_inputs(rows)["input"]
    images = data.batch(rows)[0]
    drawn = (outlines != 255).any(dim=1)
    # Neighbours of one part are white; lines have the picture's colours.
    assert 0.02 < drawn.float().mean() < 0.2
    assert torch.equal(outlines[drawn[:, None].expand_as(outlines)],
                       images[drawn[:, None].expand_as(images)])  # fmt: skip


def test_domains_are_summer_and_winter() -> None:
    rows = torch.arange(32)
    data = FacesDataset("domains", resolution=32)
    assert (data.traits(rows)["dress"] == 0).all()
    other = data.batch_inputs(rows)["other"]
    # Coats are darker than shirts.
    shoulders = [x[:, :, -3:, 13:19].float().mean() for x in (data.batch(rows)[0], other)]
    assert shoulders[1] < shoulders[0] - 30


def test_attributes_and_captions_say_what_is_drawn() -> None:
    rows = torch.arange(64)
    data = FacesDataset("attributes", resolution=16)
    given = data.batch_inputs(rows)["attributes"]
    assert (given[:, :3].sum(dim=1) == 1).all()
    for i in range(64):
        has = data.attributes(i)
        assert has["hat"] == "no" and has["mouth"] != "sad" and has["age"] != "young"
        words = {name for name, yes in zip(FACE_ATTRIBUTES, given[i].tolist()) if yes}
        assert f"hair={has['hair colour']}" in words
        assert ("smiling" in words) == (has["mouth"] == "smiling")
        assert ("old" in words) == (has["age"] == "old")
        assert ("glasses" in words) == (has["glasses"] == "yes")
    captions = FacesDataset("captions", resolution=16)
    names = captions.inputs["caption"].names
    for i, row in enumerate(captions.batch_inputs(rows)["caption"].tolist()):
        assert " ".join(names[place] for place in row if place) == captions.caption(i)


def test_wrong_arguments() -> None:
    with pytest.raises(DataError, match=r"^resolution must be at least 16 for faces, got 8\.$"):
        open_dataset("faces", resolution=8)
    with pytest.raises(DataError, match=r"^length must be at least 1, got 0"):
        FacesDataset(length=0)
    with pytest.raises(DataError, match=r"^seed must be from 0 to 2\*\*64 - 1, got -1"):
        FacesDataset(seed=-1)
    with pytest.raises(IndexError, match="outside"):
        FacesDataset(length=3).attributes(3)
