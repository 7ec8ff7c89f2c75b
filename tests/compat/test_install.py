from __future__ import annotations

import contextlib
import logging
import sys

import pytest
import torch
import torch.nn.functional as F

from fastgan.compat import stylegan_ops
from tests.compat import fake_package

NAMES = {f"{module}.{name}" for module, names in fake_package.THEIRS.items() for name in names}


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Return a function that writes the fake package and imports its ops; uninstall at the end."""
    monkeypatch.syspath_prepend(str(tmp_path))
    packages = []

    def make(**options):
        fake_package.write(tmp_path, **options)
        packages.append(fake_package.package())
        return packages[0]

    yield make
    for package in packages:
        # The test may have uninstalled it.
        with contextlib.suppress(ValueError):
            stylegan_ops.uninstall(package)
    fake_package.forget()


def plain(g, styles: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Run the fake generator in plain PyTorch, with weights per image and torch's convolutions."""
    f = torch.tensor([1.0, 3, 3, 1], dtype=torch.float64)
    f = torch.outer(f, f) / 64

    def filtered(x, kernel, sides, stride=1):
        x = F.pad(x, sides)
        return F.conv2d(x, kernel.expand(x.shape[1], 1, 4, 4), stride=stride, groups=x.shape[1])

    def doubled(x, more=0):
        zeros = x.new_zeros(*x.shape[:2], x.shape[2] * 2, x.shape[3] * 2)
        zeros[:, :, ::2, ::2] = x
        return filtered(zeros, f * 4, (2 + more, 1 + more, 2 + more, 1 + more))

    def layer(x, weight, style, noise, up):
        images = []
        for image, s in zip(x, style):
            w = weight * s[:, None, None]
            w = w / (w.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
            # The fake generator calls it with flip_weight=False.
            if up:
                images.append(F.conv2d(doubled(image[None], more=1), w.flip(2, 3)))
            else:
                images.append(F.conv2d(image[None], w, padding=1))
        return torch.cat(images) + noise

    x = layer(
        g.const.expand(len(styles), -1, -1, -1), g.weight0, styles[:, :4], g.noise[0, 0], False
    )
    x = (F.leaky_relu(x + g.bias[:, None, None], 0.2) * 2**0.5).clamp(-256, 256)
    x = layer(x, g.weight1, styles, g.noise, True)
    x = F.silu(x + g.bias[:, None, None]) * 2**0.5
    image = filtered(doubled(F.conv2d(x, g.to_image)), f, (1, 1, 1, 1), stride=2)
    return F.grid_sample(image, grid, align_corners=False)


@pytest.mark.parametrize("installed", ["before", "after"])
def test_a_network_runs_on_fastgan(make, installed):
    """Values and gradients equal plain PyTorch's for networks imported before and after."""
    package = make()
    if installed == "after":
        fake_package.networks()
    assert set(stylegan_ops.install(package)) == NAMES
    generator = fake_package.networks().Generator()
    assert generator.resample_filter.shape == (4, 4)
    torch.manual_seed(0)
    styles = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    grid = torch.rand(3, 6, 7, 2, dtype=torch.float64).mul(2.2).sub(1.1).requires_grad_()
    inputs = [styles, grid, *generator.parameters()]
    results = []
    for y in (generator(styles, grid), plain(generator, styles, grid)):
        results.append([y, *torch.autograd.grad(y.square().sum(), inputs)])
    assert all(torch.allclose(a, b, rtol=1e-7, atol=1e-7) for a, b in zip(*results))
    # Path length regularisation is a gradient of a gradient through all layers.
    (g,) = torch.autograd.grad(generator(styles, grid).sum(), styles, create_graph=True)
    g.square().sum().backward()
    assert all(
        p.grad.abs().max() > 0 for name, p in generator.named_parameters() if "weight" in name
    )


def test_other_attributes_stay(make):
    package = make()
    stylegan_ops.install(package)
    assert (
        package.upfirdn2d._parse_padding(1) == "theirs" and package.conv2d_gradfix.enabled is False
    )
    assert package.upfirdn2d.upfirdn2d is stylegan_ops.upfirdn2d.upfirdn2d


def test_installing_twice_and_uninstalling(make):
    package = make()
    first = stylegan_ops.install(package)
    assert stylegan_ops.install(package) == first
    stylegan_ops.uninstall(package)
    for name in NAMES:
        module, function = name.split(".")
        with pytest.raises(AssertionError, match=f"theirs ran: {name}"):
            getattr(getattr(package, module), function)()


def test_missing_and_failing_modules_are_ours(make, caplog):
    """A package with missing modules, or with modules for another torch, works too."""
    package = make(without=("fma", "upfirdn2d"), failing=("grid_sample_gradfix",))
    with caplog.at_level(logging.WARNING, "fastgan"):
        assert set(stylegan_ops.install(package)) == NAMES
    assert len(caplog.records) == 1 and "made for another torch" in caplog.text
    assert package.fma is sys.modules["fake_utils.ops.fma"] is stylegan_ops.fma
    generator = fake_package.networks().Generator()
    styles, grid = (
        torch.randn(2, 5, dtype=torch.float64),
        torch.zeros(2, 3, 3, 2, dtype=torch.float64),
    )
    assert torch.allclose(generator(styles, grid), plain(generator, styles, grid))
    stylegan_ops.uninstall(package)
    assert not hasattr(package, "fma") and "fake_utils.ops.fma" not in sys.modules
    with pytest.raises(RuntimeError, match="another torch"):
        __import__("fake_utils.ops.grid_sample_gradfix")


def test_installing_leaves_our_modules_alone(make):
    """fastgan's modules are installed by reference, so uninstalling must not change them."""
    package = make(without=tuple(fake_package.THEIRS))
    stylegan_ops.install(package)
    stylegan_ops.install(package)
    stylegan_ops.uninstall(package)
    for module, names in fake_package.THEIRS.items():
        assert all(callable(getattr(getattr(stylegan_ops, module), name)) for name in names)


def test_errors(make):
    with pytest.raises(
        TypeError, match=r"package must be an imported package, such as torch_utils.ops, got a str"
    ):
        stylegan_ops.install("torch_utils.ops")
    with pytest.raises(TypeError, match="got the module sys"):
        stylegan_ops.install(sys)
    with pytest.raises(
        ValueError, match=r"nothing of fastgan is installed in fake_utils\.ops; call install first"
    ):
        stylegan_ops.uninstall(make())
