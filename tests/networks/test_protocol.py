"""The contract of discriminators: arguments, outputs, and graphs of them."""

from __future__ import annotations

import inspect
import io

import pytest
import torch
from torch import Tensor

from fastgan.networks import DiscriminatorOutput, create_network, list_networks
from fastgan.networks.protocol import logits_of
from fastgan.networks.registry import network_class

CLASSES, MAPS = {"c_dim": 3}, {"label_channels": 2}
TEXT = {"vocabulary": 5, "text_dim": 4}
SMALL = {
    "dcgan-discriminator": {"resolution": 16, "channels": 1, "ndf": 2, **CLASSES},
    "lightgan-discriminator": {"resolution": 16, "channels": 1, "ndf": 2},
    "mlp-discriminator": {"image_shape": (1, 16, 16), "hidden": [4], **CLASSES},
    "multiscale-discriminator": {"channels": 1, "scales": 2, "patch": 16, "ndf": 2, **MAPS},
    "patch-discriminator": {"channels": 1, "patch": 16, "ndf": 2, **MAPS},
    "progan-discriminator": {"resolution": 16, "channels": 1, "channel_max": 4, **CLASSES},
    "r3gan-discriminator": {"resolution": 16, "channels": 1, "channel_max": 16, **CLASSES},
    "resnet-discriminator": {"resolution": 16, "channels": 1, "ndf": 2, **CLASSES},
    "srgan-discriminator": {"resolution": 32, "channels": 1, "ndf": 2},
    "stargan-discriminator": {"resolution": 16, "channels": 1, "ndf": 2, "c_dim": 2},
    "stylegan2-discriminator": {"resolution": 16, "channels": 1, "channel_max": 4, **CLASSES},
    "text-discriminator": {"resolution": 16, "channels": 1, "ndf": 2, **TEXT},
}  # fmt: skip
"""Arguments of a small network for each name, with a condition where there is one."""
UNCONDITIONAL = {"lightgan-discriminator", "srgan-discriminator", "stargan-discriminator"}
each = pytest.mark.parametrize("name", SMALL)


def build(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return create_network(name, **SMALL[name])


def inputs(name: str) -> tuple[Tensor, Tensor | None]:
    """Return two images and their labels."""
    size = SMALL[name].get("resolution", 16)
    images = torch.randn(2, 1, size, size, generator=torch.Generator().manual_seed(0))
    if name in UNCONDITIONAL:
        return images, None
    if "label_channels" in SMALL[name]:
        return images, torch.ones(2, 2, size, size)
    captions = name == "text-discriminator"
    return images, torch.tensor([[1, 2, 0], [3, 4, 1]]) if captions else torch.tensor([0, 2])


def test_every_discriminator_is_here():
    assert list_networks("*-discriminator") == sorted(SMALL)


@each
def test_arguments_are_images_and_labels(name):
    parameters = list(inspect.signature(network_class(name).forward).parameters.values())[1:]
    assert [parameter.name for parameter in parameters[:2]] == ["images", "labels"]
    assert parameters[1].default is None
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters[2:])


@each
def test_the_output_is_logits_or_a_discriminator_output(name):
    images, labels = inputs(name)
    output = build(name)(images, labels)
    assert isinstance(output, (Tensor, DiscriminatorOutput))
    for logits in logits_of(output):
        assert logits.shape == (2,) or (logits.ndim == 4 and logits.shape[:2] == (2, 1))
    if isinstance(output, DiscriminatorOutput):
        assert output.features or output.class_logits is not None
        assert len(output.features) in (0, len(output.logits))
        assert output.class_logits is None or output.class_logits.shape == (2, 2)


@each
def test_labels_must_fit_the_network(name):
    """A missing condition is refused, and so is one that the network does not take."""
    images, labels = inputs(name)
    with pytest.raises(ValueError, match="labels must"):
        build(name)(images, torch.tensor([0, 1]) if labels is None else None)


@each
def test_labels_change_the_logits(name):
    images, labels = inputs(name)
    if labels is None:
        pytest.skip("a network without a condition")
    network = build(name).eval()
    other = 0 * labels if labels.is_floating_point() else labels.flip(0)
    first, second = (logits_of(network(images, each))[0] for each in (labels, other))
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("name", ["multiscale-discriminator", "stargan-discriminator"])
def test_an_output_passes_compiled_and_exported_graphs(name):
    network, arguments = build(name).eval(), tuple(t for t in inputs(name) if t is not None)
    with torch.no_grad():
        expected = network(*arguments)
        compiled = torch.compile(network, fullgraph=True, backend="eager")
        program = torch.export.export(network, arguments)
        file = io.BytesIO()
        torch.export.save(program, file)
        file.seek(0)
        loaded = torch.export.load(file).module()
        for run in (compiled, program.module(), loaded):
            found = run(*arguments)
            assert isinstance(found, DiscriminatorOutput)
            torch.testing.assert_close(found.logits, expected.logits)
            torch.testing.assert_close(found.features, expected.features)
            torch.testing.assert_close(found.class_logits, expected.class_logits)
    torch.compiler.reset()


@pytest.mark.long
def test_an_output_passes_aotinductor(tmp_path):
    network, arguments = build("stargan-discriminator").eval(), inputs("stargan-discriminator")[:1]
    with torch.no_grad():
        program = torch.export.export(network, arguments)
        path = torch._inductor.aoti_compile_and_package(
            program, package_path=str(tmp_path / "network.pt2")
        )
        output, expected = torch._inductor.aoti_load_package(path)(*arguments), network(*arguments)
    assert isinstance(output, DiscriminatorOutput)
    torch.testing.assert_close(output.logits, expected.logits)
    torch.testing.assert_close(output.class_logits, expected.class_logits)


def test_another_output_is_refused():
    with pytest.raises(TypeError, match="a tensor of logits or a DiscriminatorOutput, got a list"):
        logits_of([torch.zeros(2)])
