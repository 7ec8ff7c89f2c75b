"""Classes by name, from the folder of data to samples, reports, exports and resumed runs."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fastgan.recipes import ImageSpec, StyleGAN2
from fastgan.training.checkpoint import save_checkpoint
from fastgan.training.config import RunConfig
from fastgan.training.run_settings import RunSettings
from fastgan.training.state import TrainState

PIL = pytest.importorskip("PIL.Image")
SMALL = [
    "--batch",
    4,
    "--total-images",
    8,
    "--z-dim",
    4,
    "--g-hidden",
    4,
    "--d-hidden",
    4,
    "--measure",
    "none",
]


def fill(root: Path, *folders: str) -> Path:
    """Two pictures of 8×8 in each folder."""
    for i, folder in enumerate(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for j in range(2):
            PIL.new("L", (8, 8), 40 * i + j).save(root / folder / f"{j}.png")
    return root


@pytest.fixture
def train(fastgan, monkeypatch):
    """Run `fastgan train gan --conditional` with tiny networks and without plots."""
    monkeypatch.setattr("fastgan.training.report.draw_curves", lambda rows, **_: b"curves")

    def train(data, out, *more, conditional=True):
        labels = ["--conditional"] if conditional else []
        return fastgan("train", "gan", "--data", data, "--out", out, *SMALL, *labels, *more)

    return train


@pytest.fixture
def pets(tmp_path, train):
    """A run on cats and dogs: its data, its folder, what it said."""
    data = fill(tmp_path / "pets", "dog", "cat")
    outcome = train(data, tmp_path / "run")
    assert outcome.status == 0, outcome.err
    return data, tmp_path / "run", outcome.out


def drawn(fastgan, source, asked, tmp_path):
    outcome = fastgan("sample", source, "--out", tmp_path / "a.png", "--rows", 1, "--class", asked)
    assert outcome.status == 0, outcome.err
    return np.array(PIL.open(tmp_path / "a.png"))


def test_names_are_kept_and_shown(pets):
    _, run, said = pets
    assert "\n2 classes: cat, dog.\n" in said
    assert json.loads((run / "config.json").read_text())["images"]["class_names"] == ["cat", "dog"]
    assert "<th>classes</th><td>2: cat, dog</td>" in (run / "report.html").read_text()


def test_a_class_is_drawn_by_name_or_number(pets, fastgan, refused, tmp_path):
    _, run, _ = pets
    by_name, by_number = (drawn(fastgan, run, asked, tmp_path) for asked in ("dog", "1"))
    assert (by_name == by_number).all() and (by_name != drawn(fastgan, run, "cat", tmp_path)).any()
    assert refused("sample", run, "--out", tmp_path / "b.png", "--class", "dgo") == (
        "There is no class 'dgo'. Did you mean 'dog'? The classes are cat, dog, or a number, 0 to "
        "1."
    )
    assert not (tmp_path / "b.png").exists()


def test_numbered_folders_are_drawn_by_their_own_numbers(fastgan, train, tmp_path):
    names = [str(i) for i in range(12)]
    said = train(fill(tmp_path / "data", *names), tmp_path / "run").out
    assert "12 classes: 0, 1, 2, 3, 4, 5, 6, 7 and 4 more." in said
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["images"]["class_names"] == names


def test_names_follow_an_exported_network(fastgan, refused, tmp_path):
    recipe = StyleGAN2(
        z_dim=4,
        w_dim=4,
        channel_base=32,
        channel_max=4,
        mapping_layers=1,
        conditional=True,
    )
    images = ImageSpec(3, 8, 2, class_names=("cat", "dog"))
    config, state = (
        RunConfig(recipe, RunSettings.of(recipe), images, "pets", ""),
        TrainState.create(recipe, images),
    )
    save_checkpoint(tmp_path / "run" / "checkpoints", config, state, keep=1)
    file = tmp_path / "G.safetensors"
    assert fastgan("export", tmp_path / "run", "--to", "safetensors", "--out", file).status == 0
    for source in (tmp_path / "run", file):
        drawn(fastgan, source, "dog", tmp_path)
        said = refused("sample", source, "--out", tmp_path / "b.png", "--class", "cta")
        assert said.startswith("There is no class 'cta'. Did you mean 'cat'?")


# -- without labels --------------------------------------------------------------------------------


def test_a_stray_picture_is_named(fastgan, refused, train, tmp_path):
    data = fill(tmp_path / "pets", "cat", "dog")
    PIL.new("L", (8, 8)).save(data / "stray.tif")
    said = refused(
        "train", "gan", "--data", data, "--out", tmp_path / "run", *SMALL, "--conditional"
    )
    assert said.startswith(
        "--conditional needs labels, but there are none in 'pets': stray.tif lies beside"
    )
    assert not (tmp_path / "run").exists()
    outcome = train(data, tmp_path / "run", conditional=False)
    assert (
        outcome.status == 0
        and "\nLabels are ignored: stray.tif lies beside the folders cat, dog" in outcome.out
    )


def test_labels_of_a_file_that_can_not_be_used_are_refused(refused, tmp_path):
    data = fill(tmp_path / "pets", "00000", "00001")
    (data / "dataset.json").write_text(json.dumps({"labels": [["00000/0.png", 0]]}))
    said = refused(
        "train", "gan", "--data", data, "--out", tmp_path / "run", *SMALL, "--conditional"
    )
    assert (
        "in 'pets': dataset.json has no label for 00000/1.png, 00001/0.png, 00001/1.png; mend that"
        in said
    )


def test_one_class_is_too_few(refused, tmp_path):
    data = fill(tmp_path / "pets", "cat")
    said = refused(
        "train", "gan", "--data", data, "--out", tmp_path / "run", *SMALL, "--conditional"
    )
    assert said.startswith("--conditional needs two classes or more, but 'pets' has one, 'cat'")


def test_an_archive_trains_with_the_classes_that_it_states(train, tmp_path):
    data = fill(tmp_path / "in", "00000", "00001", "00002")
    names = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.png"))
    labels = {"labels": [[name, [1, 0] if i < 3 else [0, 1]] for i, name in enumerate(names)]}
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("dataset.json", json.dumps(labels))
        for name in names:
            archive.write(data / name, name)
    outcome = train(tmp_path / "set.zip", tmp_path / "run")
    assert outcome.status == 0 and "gan on set.zip (6 images" in outcome.out
    assert "\n2 classes: 0, 1.\n" in outcome.out
    (data / "dataset.json").write_text(json.dumps(labels))
    assert train(data, tmp_path / "run", "--resume", "--total-images", 16).status == 0


# -- resuming --------------------------------------------------------------------------------------


def resume(refused, data, run):
    return refused("train", "gan", "--data", data, "--out", run, "--resume", "--total-images", 16)


def test_other_classes_are_named(pets, refused):
    data, run, _ = pets
    (data / "dog").rename(data / "hound")
    assert resume(refused, data, run) == (
        f"This run was started with the classes cat, dog, but --data {data} lacks dog and has "
        f"hound: name them as "
        "they were, or start another run in a new --out folder."
    )
    fill(data, "cat", "dog")
    assert f"--data {data} has hound: name them" in resume(refused, data, run)
    shutil.rmtree(data / "dog")
    PIL.new("L", (8, 8)).save(data / "stray.png")
    assert "none in 'pets': stray.png lies beside" in resume(refused, data, run)


def test_pictures_without_classes_are_named(train, refused, tmp_path):
    """A run without classes is refused too, since its data changed."""
    data = fill(tmp_path / "pets", "dog", "cat")
    assert train(data, tmp_path / "run", conditional=False).status == 0
    PIL.new("L", (8, 8)).save(data / "stray.png")
    assert "with the classes cat, dog, but --data" in resume(refused, data, tmp_path / "run")


def strip_names(run: Path) -> None:
    """Older versions wrote configurations without names."""
    path = run / "config.json"
    config = json.loads(path.read_text())
    del config["images"]["class_names"]
    path.write_text(json.dumps(config))


def test_a_run_of_an_older_version_goes_on_where_classes_have_the_same_numbers(
    pets, train, monkeypatch
):
    data, run, _ = pets
    strip_names(run)
    assert train(data, run, "--resume", "--total-images", 16).status == 0
    assert json.loads((run / "config.json").read_text())["images"]["class_names"] == ["cat", "dog"]


def test_a_run_of_an_older_version_is_refused_where_they_have_others(refused, train, tmp_path):
    data = fill(tmp_path / "data", *map(str, range(11)))
    assert train(data, tmp_path / "run").status == 0
    strip_names(tmp_path / "run")
    assert "in the order 0, 1, 10, 2 and 7 more, but it's 0, 1, 2, 3 and 7 more now" in resume(
        refused, data, tmp_path / "run"
    )


# -- runs inside the data --------------------------------------------------------------------------


def test_a_run_inside_its_data_never_sees_its_samples(fastgan, train, tmp_path, monkeypatch):
    data = fill(tmp_path / "data", ".")
    monkeypatch.chdir(data)
    first = train(".", "runs/a", conditional=False)
    assert (
        first.status == 0 and "gan on data (2 images" in first.out and "Left out" not in first.out
    )
    again = train(".", "runs/a", "--resume", "--total-images", 16, conditional=False)
    assert again.status == 0 and "gan on data (2 images" in again.out
    assert "\nLeft out as the folder of a run, whose pictures are samples: runs/a.\n" in again.out
    other = train(data, data / "deep" / "b", conditional=False)
    assert (
        other.status == 0
        and "gan on data (2 images" in other.out
        and "samples: runs/a." in other.out
    )
    first_config, other_config = (
        json.loads((data / run / "config.json").read_text()) for run in ("runs/a", "deep/b")
    )
    assert first_config["data_fingerprint"] == other_config["data_fingerprint"]
    evaluated = fastgan("evaluate", "runs/a", "--metrics", "l1", "--samples", 10)
    assert "no longer holds" not in evaluated.err
