"""ONNX files, run in onnxruntime."""

from __future__ import annotations

import sys

import pytest
import torch

from fastgan.export import ExportError, Form, generator_form, to_onnx
from fastgan.export import onnx as writer

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def runner(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [x.name for x in session.get_inputs()]
    return names, lambda *inputs: torch.from_numpy(
        session.run(None, {name: x.numpy() for name, x in zip(names, inputs)})[0]
    )


@pytest.mark.slow
@torch.no_grad()
def test_a_styled_generator(styled, normal, tmp_path):
    written = to_onnx(generator_form(styled, truncation_psi=0.7), tmp_path / "G.onnx")
    assert written.difference < 1e-5
    model = onnx.load(written.path)
    onnx.checker.check_model(model, full_check=True)
    assert {opset.domain for opset in model.opset_import} == {""} and not model.functions
    assert {node.domain for node in model.graph.node} == {""}
    assert [
        x.type.tensor_type.shape.dim[0].dim_param for x in (*model.graph.input, *model.graph.output)
    ] == (["batch"] * 3)
    assert b"site-packages" not in written.path.read_bytes()  # nor any other trace of this machine
    names, run = runner(written.path)
    assert names == ["z", "labels"]
    for n in (1, 5):
        z, c = normal(n, 8), torch.eye(3)[torch.arange(n) % 3]
        expected = styled(z, c, truncation_psi=0.7, noise_mode="const")
        torch.testing.assert_close(run(z, c), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dynamic_batch", [True, False])
def test_random_noise_is_drawn_by_the_runtime(normal, tmp_path, dynamic_batch):
    class Noisy(torch.nn.Module):
        def forward(self, x):
            return x + 0.5 * torch.randn((x.shape[0], 1000))

    written = to_onnx(
        Form(Noisy().eval(), (normal(2, 1),)), tmp_path / "m.onnx", dynamic_batch=dynamic_batch
    )
    run, x = runner(written.path)[1], normal(2, 1)
    first, second = run(x), run(x)
    assert written.difference == 0 and not torch.equal(first, second)
    for drawn in (first, second):
        noise = drawn - x
        assert abs(noise.mean()) < 0.1 and 0.45 < noise.std() < 0.55


def test_a_missing_package_is_named(run_of, normal, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    G = run_of("gan")[1].networks["G"]
    with pytest.raises(
        ExportError, match=r"needs onnxscript, .* install it with pip install 'fastgan\[export\]'"
    ):
        to_onnx(Form(G, (normal(2, 4),)), tmp_path / "G.onnx")


def test_what_onnx_cannot_say_is_refused(normal, tmp_path):
    class Eigenvalues(torch.nn.Module):
        def forward(self, x):
            return torch.linalg.eigvalsh(x)

    with pytest.raises(ExportError, match="The network has no form in ONNX"):
        to_onnx(Form(Eigenvalues().eval(), (normal(2, 3, 3),)), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())
    node = onnx.helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], []))
    with pytest.raises(
        ExportError, match=r"operators that aren't ONNX's own \(com\.microsoft::Gelu\)"
    ):
        writer._check_standard(model)
