"""Graphs of torch.export and packages of AOTInductor."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch._inductor
from torch import nn

from fastgan import ops
from fastgan.export import ExportError, Form, generator_form, to_aotinductor, to_torch_export


class Upsampler(nn.Module):
    """Every native op of a generator, at a size where larger batches take Winograd on the CPU."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(32, 32, 3, 3))
        self.bias = nn.Parameter(torch.randn(32))
        self.register_buffer("filter", ops.setup_filter([1, 3, 3, 1]))

    def forward(self, x):
        styles = x.mean((2, 3))
        x = ops.modulated_conv2d(
            x, self.weight, styles, bias=self.bias, act="lrelu", up=2, resample_filter=self.filter
        )
        x = ops.conv2d(x, self.weight, self.bias, padding=1, act="lrelu")
        return ops.upfirdn2d(ops.bias_act(x, act="tanh"), self.filter, up=2)


def load(path):
    return torch.export.load(path).module()


@torch.no_grad()
def test_our_ops_stay_and_the_batch_is_open(normal, tmp_path):
    torch.manual_seed(0)
    module = Upsampler().eval()
    written = to_torch_export(Form(module, (normal(2, 32, 8, 8),)), tmp_path / "m.pt2")
    assert written.needs.startswith("torch and fastgan") and written.difference < 1e-5
    program = torch.export.load(written.path)
    assert {"upfirdn2d_act", "upfirdn2d", "bias_act"} <= {
        node.target.__name__.partition(".")[0]
        for node in program.graph.nodes
        if str(node.target).startswith("fastgan.")
    }
    for n in (1, 3, 64):  # with 64 images the network itself takes another algorithm
        x = normal(n, 32, 8, 8)
        torch.testing.assert_close(program.module()(x), module(x), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_portable_is_plain_pytorch(normal, tmp_path):
    torch.manual_seed(0)
    module = Upsampler().eval()
    written = to_torch_export(
        Form(module, (normal(2, 32, 8, 8),)), tmp_path / "m.pt2", portable=True
    )
    assert written.needs == "torch alone" and written.difference < 1e-5
    program, x = torch.export.load(written.path), normal(5, 32, 8, 8)
    assert all("fastgan" not in str(node.target) for node in program.graph.nodes)
    torch.testing.assert_close(program.module()(x), module(x), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_random_noise_is_drawn_by_the_generators_of_torch(styled, normal, tmp_path):
    form = generator_form(styled, noise="random", truncation_psi=0.7)
    written = to_torch_export(form, tmp_path / "G.pt2")
    run, z, c = load(written.path), normal(5, 8), torch.eye(3)[[0, 1, 2, 2, 1]]
    torch.manual_seed(3)
    expected = styled(z, c, truncation_psi=0.7, noise_mode="random")
    torch.manual_seed(3)
    torch.testing.assert_close(run(z, c), expected, atol=1e-4, rtol=0)
    assert (run(z, c) - expected).abs().max() > 1e-3  # drawn anew


def test_a_fixed_batch(run_of, normal, tmp_path):
    G = run_of("dcgan")[1].networks["G"]
    path = to_torch_export(Form(G, (normal(1, 4),)), tmp_path / "G.pt2", dynamic_batch=False).path
    run, z = load(path), normal(1, 4)
    torch.testing.assert_close(run(z), G(z))
    with pytest.raises(AssertionError, match="Guard failed"):
        run(normal(2, 4))


class Forgetful(nn.Module):
    """A module that gives something else after it was captured."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return x + self.calls


class Shrinking(nn.Module):
    def forward(self, x):
        return x[: x.shape[0] // 2] if x.shape[0] == 2 else x.nonzero()[:1]


def test_a_file_that_differs_is_not_left_behind(normal, tmp_path):
    x = normal(2, 3)
    good = to_torch_export(Form(nn.Linear(3, 3).eval(), (x,)), tmp_path / "m.pt2").path.read_bytes()
    with pytest.raises(
        ExportError, match=r"The torch-export file differs from the network by .*: it was not kept"
    ):
        to_torch_export(Form(Forgetful().eval(), (x,)), tmp_path / "m.pt2")
    assert [p.name for p in tmp_path.iterdir()] == ["m.pt2"] and (
        tmp_path / "m.pt2"
    ).read_bytes() == good


def test_what_cannot_be_exported_is_refused_in_a_sentence(styled, normal, tmp_path):
    x = normal(2, 3)
    path = tmp_path / "m.pt2"
    with pytest.raises(ExportError, match=r"got training mode: call eval\(\) on it first"):
        to_torch_export(Form(nn.Linear(3, 3), (x,)), path)
    with pytest.raises(ExportError, match="must have at least 2 samples"):
        to_torch_export(Form(nn.Linear(3, 3).eval(), (x[:1],)), tmp_path / "m.pt2")
    with pytest.raises(
        ExportError, match=r"torch.export can't capture the network \(.*a fixed batch"
    ):
        to_torch_export(Form(Shrinking().eval(), (x,)), path)
    with pytest.raises(ExportError, match=r"path must end in \.pt2, got '.*m\.pt'"):
        to_torch_export(Form(nn.Linear(3, 3).eval(), (x,)), tmp_path / "m.pt")
    with pytest.raises(ExportError, match="can't be run as asked: z must be a"):
        to_torch_export(Form(styled, (x,)), path)
    assert not list(tmp_path.iterdir())


@torch._inductor.config.patch({"cpp.cxx": ("no-such-compiler",)})
def test_a_missing_compiler_is_named(normal, tmp_path):
    with pytest.raises(
        ExportError,
        match=r"AOTInductor can't compile the network \(.*\): is there a C\+\+ compiler",
    ):
        to_aotinductor(Form(Upsampler().eval(), (normal(2, 32, 8, 8),)), tmp_path / "m.pt2")
    assert not list(tmp_path.iterdir())


FRESH = """
import sys, torch, torch._inductor
cases = torch.load("cases.pt")

def check(name):
    run = torch._inductor.aoti_load_package(name)
    for x, y in cases[name]:
        torch.manual_seed(3)
        assert (run(*x) - y).abs().max() < 1e-4, name

check("portable.pt2")
assert not [m for m in sys.modules if m.startswith("fastgan")]
import fastgan.ops
check("native.pt2")
networks = ("fastgan.networks", "fastgan.nn", "fastgan.export")
assert not [m for m in sys.modules if m.startswith(networks)]
"""


@pytest.mark.long
@torch.no_grad()
def test_packages_run_in_a_process_without_the_networks(styled, normal, tmp_path):
    """They take any batch and new noise; the portable one runs without importing fastgan."""
    torch.manual_seed(0)
    upsampler = Upsampler().eval()
    native = to_aotinductor(Form(upsampler, (normal(2, 32, 8, 8),)), tmp_path / "native.pt2")
    form = generator_form(styled, noise="random", truncation_psi=0.7)
    portable = to_aotinductor(form, tmp_path / "portable.pt2", portable=True)
    assert native.needs.startswith("torch and fastgan ('import fastgan.ops' first)")
    assert (
        portable.needs.startswith("torch alone")
        and max(native.difference, portable.difference) < 1e-5
    )
    inputs = {
        "portable.pt2": [(normal(n, 8), torch.eye(3)[torch.arange(n) % 3]) for n in (1, 2, 7)],
        "native.pt2": [(normal(n, 32, 8, 8),) for n in (1, 2, 7)],
    }
    cases = {}
    for name, network in (("portable.pt2", form.module), ("native.pt2", upsampler)):
        cases[name] = []
        for x in inputs[name]:
            torch.manual_seed(3)
            cases[name].append((x, network(*x)))
    torch.save(cases, tmp_path / "cases.pt")
    done = subprocess.run(
        [sys.executable, "-c", FRESH], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
