"""Inputs of rendered shapes: they match their images, at any batch and size, in every version."""

import pytest
import torch

from fastgan.data import TASKS, DataError, Task, open_dataset
from fastgan.data.shapes import COLOURS, ShapesDataset
from fastgan.data.shapes_tasks import ATTRIBUTES, ShapesForTask
from tests.data.drawn_sets import check_task


@pytest.mark.parametrize("task", TASKS)
def test_every_task_of_the_embedded_set(task: Task) -> None:
    check_task("shapes", task)


@pytest.mark.parametrize("task", [task for task in TASKS if task != "attributes"])
def test_images_are_those_of_the_plain_set(task: Task) -> None:
    rows = torch.arange(16)
    assert torch.equal(ShapesForTask(task).batch(rows)[0], ShapesDataset().batch(rows)[0])


def test_fingerprints_and_held_out_scenes() -> None:
    plain = ShapesDataset()
    assert plain.fingerprint == "04404ab24d99ae822bed012e7f41f990a3fb633ccd10017362d65336a55f674d"
    sets = [plain, *(ShapesForTask(task) for task in TASKS)]
    held_out = [data.held_out() for data in sets]
    assert len({data.fingerprint for data in sets + held_out}) == 12
    longer = ShapesForTask("domains", length=10_010)
    images, _, inputs = held_out[1 + TASKS.index("domains")].examples(torch.arange(10))
    again = longer.examples(torch.arange(10_000, 10_010))
    assert torch.equal(images, again[0]) and torch.equal(inputs["other"], again[2]["other"])
    assert len(held_out[0]) == 1000


def test_outlines_follow_the_edge() -> None:
    data = ShapesForTask("pairs", resolution=64)
    rows = torch.arange(64)
    outlines = data.batch_inputs(rows)["input"]
    scenes = [data.attributes(i) for i in range(64)]
    ink, paper = (
        torch.tensor(colours).view(-1, 3, 1, 1)
        for colours in ([COLOURS[s.colour] for s in scenes], [s.background for s in scenes])
    )
    drawn = (outlines != paper).any(1, keepdim=True).float()
    mask = data.masks(rows).float().unsqueeze(1)
    # Two pixels inside and outside of the edge. The tips of stars may cross the outer bound.
    inner = -torch.nn.functional.max_pool2d(-mask, 5, 1, 2)
    outer = torch.nn.functional.max_pool2d(mask, 5, 1, 2)
    assert (drawn * inner).sum() == 0 and (drawn * (1 - outer)).sum() < 8
    edge = torch.nn.functional.max_pool2d(mask, 3, 1, 1) > -torch.nn.functional.max_pool2d(
        -mask, 3, 1, 1
    )
    # The outline has no gaps, and is antialiased.
    assert drawn[edge].mean() > 0.95
    full = (outlines == ink).all(1, keepdim=True)
    assert 0.3 < full.sum() / drawn.sum() < 0.9


@pytest.mark.parametrize("task", ["pairs", "domains"])
def test_inputs_show_the_same_at_every_resolution(task: Task) -> None:
    rows = torch.arange(24)
    small, large = (
        next(iter(ShapesForTask(task, resolution=r).batch_inputs(rows).values())).float()
        for r in (32, 64)
    )
    assert (torch.nn.functional.avg_pool2d(large, 2) - small).abs().mean() < 1.5


def test_maps_name_the_colour_where_the_shape_is_and_whether_the_background_is_light() -> None:
    data = ShapesForTask("maps")
    rows = torch.arange(64)
    images, _, inputs = data.examples(rows)
    names, maps, masks = data.inputs["map"].names, inputs["map"], data.masks(rows)
    assert names == ("dark background", "light background", *COLOURS) and maps.dtype == torch.uint8
    for i in rows.tolist():
        scene = data.attributes(i)
        assert {names[c] for c in maps[i][masks[i]].tolist()} == {scene.colour}
        assert {names[c] for c in maps[i][~masks[i]].tolist()} == {
            "light background" if scene.light else "dark background"
        }
        nearer = [
            (images[i].float() - torch.tensor(colour).view(3, 1, 1)).square().sum(0)
            for colour in (COLOURS[scene.colour], scene.background)
        ]
        assert ((nearer[0] < nearer[1]) == masks[i]).float().mean() > 0.98


def test_domains_are_plain_and_striped_and_show_different_scenes() -> None:
    data = ShapesForTask("domains")
    for i in range(50):
        plain, other = data.attributes(i), data.other(i)
        assert not plain.striped and other.striped and plain.centre != other.centre
    rows = torch.arange(50)
    # A period is an eighth of the side.
    level = torch.arange(32).view(32, 1).expand(32, 32) % 4
    for i, image in enumerate(data.batch_inputs(rows)["other"]):
        scene = data.other(i)
        ink = torch.tensor(COLOURS[scene.colour]).view(3, 1, 1)
        second = 0 if scene.light else 255
        base, stripes = (image == ink).all(0), (image == second).all(0)
        assert base.any() and (level[base] < 2).all()
        assert stripes.any() and (level[stripes] >= 2).all()
        assert (ink - second).abs().float().mean() > 70


def test_attributes_describe_the_scene_and_combine_in_every_way() -> None:
    data = ShapesForTask("attributes")
    spec, rows = data.inputs["attributes"], torch.arange(400)
    bits = data.batch_inputs(rows)["attributes"]
    assert spec.names == ATTRIBUTES and spec.groups == ((0, 1, 2),)
    assert (bits[:, :3].sum(1) == 1).all() and bits.max() == 1
    assert len(bits.unique(dim=0)) == 3 * 2 * 2
    for row, i in zip(bits.tolist(), range(400)):
        scene = data.attributes(i)
        named = {name for name, bit in zip(spec.names, row) if bit}
        expected = {f"colour={scene.colour}"}
        expected |= {"striped"} if scene.striped else set()
        expected |= {"light background"} if min(scene.background) > 127 else set()
        assert named == expected and (min(scene.background) > 127 or max(scene.background) < 64)


def test_captions_are_words_of_the_vocabulary() -> None:
    data = ShapesForTask("captions")
    spec = data.inputs["caption"]
    assert spec.names[0] == "" and list(spec.names[1:]) == sorted(set(spec.names[1:]))
    words = data.batch_inputs(torch.arange(400))["caption"]
    assert data.caption(0) == "a small orange circle on a light background"
    for i, row in enumerate(words.tolist()):
        text, scene = data.caption(i), data.attributes(i)
        assert " ".join(spec.names[word] for word in row) == text
        assert {scene.colour, scene.shape, "large" if scene.size > 0.29 else "small"} < set(
            text.split()
        )
    # Every word but the padding occurs.
    assert words.unique().tolist() == list(range(1, len(spec.names)))


@pytest.mark.parametrize("task", ["domains", "attributes"])
def test_stripes_need_pixels(task: Task) -> None:
    with pytest.raises(
        DataError, match=rf"^resolution must be at least 16 for .* task {task}, got 15"
    ):
        open_dataset("shapes", resolution=15, task=task)


def test_a_set_without_inputs_for_a_task() -> None:
    with pytest.raises(DataError, match=r"'digits' has no pairs: choose shapes, faces, or "):
        open_dataset("digits", task="pairs")
    with pytest.raises(DataError, match=r"^task must be one of pairs, domains, .*, got 'words'"):
        open_dataset("shapes", task="words")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"did you mean 'shapes'\?"):
        open_dataset("shape", task="maps")
