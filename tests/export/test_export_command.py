"""`fastgan export` from the command line."""

from __future__ import annotations

import pytest
import torch

from fastgan import cli
from fastgan.cli import UsageError
from fastgan.errors import FastganError
from fastgan.export import load_safetensors


@pytest.fixture
def export(capsys):
    """Run `fastgan export` with these arguments, and return its output."""

    def run(*arguments):
        assert cli.run(["export", *map(str, arguments)]) == 0
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("recipe", ["gan", "dcgan", "stylegan2"])
def test_every_recipe_as_weights_and_as_a_graph(export, run_of, normal, tmp_path, recipe):
    folder, state = run_of(recipe)
    z = normal(5, state.recipe.z_dim)
    weights, graph = tmp_path / "deep" / "G.safetensors", tmp_path / "G.pt2"
    said = export(folder, "--to", "safetensors", "--out", weights)
    assert (
        f"Made {weights} (safetensors): {'averaged ' if state.ema else ''}G of {recipe} after 0 "
        f"images, from " in said
    )
    assert "bit for bit. Opening it needs safetensors, and fastgan" in said
    loaded = load_safetensors(weights).network
    said = export(weights, "--to", "torch-export", "--out", graph)
    shape = "[N, " + ", ".join(map(str, state.networks["G"](z).shape[1:])) + "]"
    assert (
        f"It takes z [N, {z.shape[1]}] and gives images {shape}. It differs from the network by "
        f"at most " in said
    )
    assert "Opening it needs torch and fastgan ('import fastgan.ops' first)." in said
    options = {"noise_mode": "const"} if recipe == "stylegan2" else {}
    with torch.no_grad():
        got, expected = torch.export.load(graph).module()(z), state.sampler["G"](z, **options)
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(loaded(z, **options), expected)


@pytest.mark.parametrize("name", ["G", "D"])
def test_networks_with_classes_take_their_numbers(export, run_of, normal, tmp_path, name):
    folder, state = run_of("cgan")
    export(folder, "--network", name, "--to", "torch-export", "--out", tmp_path / "net.pt2")
    first = normal(5, 4) if name == "G" else normal(5, 3, 16, 16)
    labels = torch.tensor([2, 0, 1, 1, 2])
    with torch.no_grad():
        got = torch.export.load(tmp_path / "net.pt2").module()(first, labels)
        torch.testing.assert_close(got, state.sampler[name](first, labels), atol=1e-4, rtol=0)


def test_the_discriminator_of_a_stylegan2_takes_whole_groups(export, run_of, normal, tmp_path):
    folder, state = run_of("stylegan2")
    export(
        folder, "--network", "D", "--to", "torch-export", "--portable", "--out", tmp_path / "D.pt2"
    )
    run, images = torch.export.load(tmp_path / "D.pt2").module(), normal(12, 3, 8, 8)
    torch.testing.assert_close(run(images), state.networks["D"](images), atol=1e-4, rtol=0)
    with pytest.raises(AssertionError, match="Guard failed"):
        run(images[:11])


def test_truncation_noise_and_batch_reach_the_file(export, run_of, normal, tmp_path):
    folder, state = run_of("stylegan2")
    options = ("--truncation-psi", 0.5, "--noise", "none", "--batch", 3)
    said = export(folder, "--to", "torch-export", "--out", tmp_path / "G.pt2", *options)
    assert "It takes z [3, 8] and gives images [3, 3, 8, 8]. It differs" in said
    z = normal(3, 8)
    with torch.no_grad():
        expected = state.ema["G"](z, truncation_psi=0.5, noise_mode="none")
        got = torch.export.load(tmp_path / "G.pt2").module()(z)
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


def test_onnx(export, run_of, normal, tmp_path):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    folder, state = run_of("gan")
    said = export(folder, "--to", "onnx", "--out", tmp_path / "G.onnx")
    assert (
        "It takes z [N, 4] and gives images [N, 1, 8, 8]. It differs" in said
        and "Opening it needs onnxruntime" in said
    )
    session = onnxruntime.InferenceSession(tmp_path / "G.onnx", providers=["CPUExecutionProvider"])
    z = normal(5, 4)
    (got,) = session.run(None, {"z": z.numpy()})
    torch.testing.assert_close(torch.from_numpy(got), state.ema["G"](z), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "arguments, said",
    [
        ("--to onx --out g.onnx", "--to must be one of .*, got 'onx'. Did you mean 'onnx'?"),
        ("--to onnx --out g.pt", r"--out must end in \.onnx for onnx, got 'g\.pt'\."),
        ("--to aotinductor --out g.so", r"--out must end in \.pt2 for aotinductor"),
        (
            "--to onnx --out taken.onnx",
            r"'taken\.onnx' exists: replace it with --force, or choose another --out\.",
        ),
        (
            "--to onnx --out g.onnx --batch many",
            "--batch must be dynamic or a whole number of at least 1, got 'many'",
        ),
        (
            "--to onnx --out g.onnx --batch 0",
            "--batch must be dynamic or a whole number of at least 1, got '0'",
        ),
        ("--to onnx --out g.onnx --portable", "--portable has no meaning for onnx: leave it out"),
        (
            "--to safetensors --out g.safetensors --batch 2",
            "--batch has no meaning for safetensors: leave it out",
        ),
        (
            "--to onnx --out g.onnx --network D --noise none",
            "MLPDiscriminator has no noise: leave that out",
        ),
        ("--to onnx --out g.onnx --noise none", "MLPGenerator has no noise: leave that out"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(run_of, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.onnx").write_bytes(b"mine")
    with pytest.raises(FastganError, match=said):
        cli.run(["export", str(run_of("gan")[0]), *arguments.split()])
    assert [p.name for p in tmp_path.iterdir()] == ["taken.onnx"]
    assert (tmp_path / "taken.onnx").read_bytes() == b"mine"


def test_force_replaces_a_file(export, run_of, tmp_path):
    out = tmp_path / "D.safetensors"
    out.write_bytes(b"mine")
    export(run_of("gan")[0], "--network", "D", "--to", "safetensors", "--out", out, "--force")
    assert load_safetensors(out).network.training is False
    with pytest.raises(UsageError, match="is safetensors already: copy it"):
        cli.run(
            ["export", str(out), "--to", "safetensors", "--out", str(tmp_path / "2.safetensors")]
        )


def test_a_missing_checkpoint_is_refused(tmp_path):
    for name in ("none", "none.pkl", "none.safetensors"):
        with pytest.raises((FastganError, OSError), match="none"):
            cli.run(
                ["export", str(tmp_path / name), "--to", "onnx", "--out", str(tmp_path / "g.onnx")]
            )
