"""Inception's features by torch-fidelity, with a stand-in for its weights."""

from __future__ import annotations

import hashlib
import sys
import types
import urllib.error
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fastgan.metrics import MetricError, open_features
from fastgan.metrics import inception as inception_room


class StandIn(nn.Module):
    """Network with the interface of torch-fidelity's class: uint8 images to a tuple of features."""

    def __init__(
        self, name: str, features_list: list[str], feature_extractor_weights_path: str
    ) -> None:
        super().__init__()
        assert features_list == ["2048"]
        self.fc = nn.Linear(2048, 1008)
        self.load_state_dict(torch.load(feature_extractor_weights_path, weights_only=True))

    def forward(self, images: Tensor) -> tuple[Tensor]:
        assert images.dtype == torch.uint8 and images.shape[1] == 3
        return (images.float().mean(dim=(1, 2, 3))[:, None].expand(-1, 2048),)


@pytest.fixture
def fidelity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Install a stand-in for torch-fidelity and return the file of its weights."""
    module = types.ModuleType("torch_fidelity")
    network = types.ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    vars(network)["FeatureExtractorInceptionV3"] = StandIn
    vars(network)["URL_INCEPTION_V3"] = "https://nowhere.invalid/weights-inception.pth"
    vars(module)["feature_extractor_inceptionv3"] = network
    monkeypatch.setitem(sys.modules, "torch_fidelity", module)
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", network)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    path = tmp_path / "weights.pth"
    torch.save({"fc.weight": torch.randn(1008, 2048), "fc.bias": torch.ones(1008)}, path)
    start = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(inception_room, "SHA256_START", start)
    inception_room.inception.cache_clear()
    return path


def test_features_and_logits(fidelity: Path) -> None:
    state = torch.get_rng_state()
    network = open_features("inception", weights=fidelity)
    assert torch.equal(torch.get_rng_state(), state)
    # More than a chunk.
    grey = torch.linspace(-1, 1, 40).view(40, 1, 1, 1).expand(-1, 1, 4, 4)
    features = network.features(grey)
    expected = ((grey[:, 0, 0, 0] + 1) * 127.5).round()
    torch.testing.assert_close(features, expected[:, None].expand(-1, 2048))
    assert network.features(grey[:0]).shape == (0, 2048)
    weight = torch.load(fidelity, weights_only=True)["fc.weight"]
    # Without the bias.
    torch.testing.assert_close(network.classify(features), features @ weight.T)
    assert network.key == "inception" and network.sha256.startswith(inception_room.SHA256_START)
    assert isinstance(network, nn.Module)
    assert not any(p.requires_grad for p in network.parameters())
    assert open_features("inception", weights=fidelity) is network


def test_weights_are_downloaded_once_or_refused(
    fidelity: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(url: str, path: str, **options: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(
        MetricError, match=r"can't be downloaded from https://nowhere.*: give weights with a copy"
    ):
        open_features("inception")

    fetched = []

    def online(url: str, path: str, hash_prefix: str) -> None:
        fetched.append((url, hash_prefix))
        Path(path).write_bytes(fidelity.read_bytes())

    monkeypatch.setattr(torch.hub, "download_url_to_file", online)
    for _ in range(2):
        inception_room.inception.cache_clear()
        open_features("inception")
    assert fetched == [
        ("https://nowhere.invalid/weights-inception.pth", inception_room.SHA256_START)
    ]


def test_other_weights_are_refused(
    fidelity: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(MetricError, match=r"nothing.pth' can't be read: No such file"):
        open_features("inception", weights=tmp_path / "nothing.pth")
    (tmp_path / "x.pth").write_bytes(b"x")
    with pytest.raises(
        MetricError,
        match=r"doesn't hold Inception's weights \(its SHA-256 begins with 2d711642, not",
    ):
        open_features("inception", weights=tmp_path / "x.pth")
    monkeypatch.setattr(inception_room, "SHA256_START", "")
    with pytest.raises(MetricError, match=r"x\.pth' was refused: it holds more than tensors"):
        open_features("inception", weights=tmp_path / "x.pth")
    with pytest.raises(
        MetricError, match=r"^weights must be None for the features 'digits', got '.*weights\.pth'"
    ):
        open_features("digits", weights=fidelity)
    with pytest.raises(MetricError, match="of mobilenet, digits, faces, inception, got 'vgg'"):
        open_features("vgg")  # type: ignore[arg-type]


def test_without_torch_fidelity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    inception_room.inception.cache_clear()
    with pytest.raises(
        MetricError, match=r"need torch-fidelity .*: pip install 'fastgan\[metrics\]'"
    ):
        open_features("inception")


def test_torch_fidelity_has_the_interface_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    assert inception_room.SHA256_START in fidelity.URL_INCEPTION_V3
    network = fidelity.FeatureExtractorInceptionV3
    monkeypatch.setattr(torch, "load", lambda path, **_: {"from": path})
    monkeypatch.setattr(
        network, "load_state_dict", lambda self, state: setattr(self, "state", state)
    )
    with torch.device("meta"):
        built = network("inception-v3-compat", ["2048"], feature_extractor_weights_path="x.pth")
    assert built.state == {"from": "x.pth"}
    assert built.get_parameter("fc.weight").shape == (1008, 2048)
