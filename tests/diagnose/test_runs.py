"""Diagnosis of runs broken on purpose and of healthy ones, by the command too."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from io import StringIO

import pytest
import torch

from fastgan import cli
from fastgan.data import InMemoryDataset, to_float
from fastgan.diagnose import DiagnoseError, diagnose_run, run
from fastgan.recipes import GAN, ImageSpec, Inpaint, Pix2Pix
from fastgan.training import RunSettings, train

HEALTHY = GAN(batch=32, lr=4e-4, z_dim=32, g_hidden=(64, 128), d_hidden=(128, 64))
BROKEN = {
    "D too strong": ({"d_lr": 4e-3, "dropout": 0.0}, 4_000),
    "G too strong": ({"d_lr": 4e-5}, 12_000),
    "mode collapse": ({"batch_norm": False}, 12_000),
}
"""Settings that break a run, and images to show, by name of the failure."""


@pytest.fixture(autouse=True)
def one_thread():
    """Use one thread: the layers are small, and two threads take longer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trained(recipe, folder, total_images=16_000, **more):
    options = {"out": str(folder), "device": "cpu", "log_every": total_images // 32}
    options |= {"data": "digits", "resolution": 8, "total_images": total_images, **more}
    train(recipe, measure_samples=500, console=None, **options)
    return diagnose_run(folder)


def test_real_images_of_data_without_a_held_out_part_are_compared_once(monkeypatch):
    recipe = Inpaint(ngf=2, ndf=2, patch=16)
    images = torch.randint(0, 256, (20, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    dataset = InMemoryDataset("few", images.byte(), torch.zeros(20, dtype=torch.int64))
    networks = recipe.build_networks(ImageSpec.of(dataset))
    compared = []
    monkeypatch.setattr(run, "quality_figures", lambda *of: compared.append(of) or {})
    monkeypatch.setattr(run, "NEIGHBOURS", 12)
    run._of_translations(recipe, networks, dataset, seed=0)
    (real, fake, others), *_ = compared
    assert torch.equal(torch.cat([real, others]), to_float(images.byte()))
    assert fake.shape == real.shape


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_a_run_that_was_broken_on_purpose(name, tmp_path):
    settings, total_images = BROKEN[name]
    diagnosis = trained(replace(HEALTHY, **settings), tmp_path / "run", total_images)
    assert name in {symptom.name for symptom in diagnosis.symptoms}, diagnosis.figures


@pytest.mark.long
def test_g_s_rate_times_ten(tmp_path):
    diagnosis = trained(replace(HEALTHY, lr=4e-3, d_lr=4e-4), tmp_path / "run", 8_000)
    assert [symptom.name for symptom in diagnosis.symptoms] == ["G too strong"], diagnosis.figures


@pytest.mark.long
@pytest.mark.parametrize("loss", ["non-saturating", "hinge"])
def test_no_false_alarm(loss, tmp_path):
    diagnosis = trained(replace(HEALTHY, loss=loss), tmp_path / "run", seed=1)
    assert diagnosis.healthy and not diagnosis.unseen, (diagnosis.symptoms, diagnosis.figures)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Return the folder of a balanced run of ten steps, with an invented log and measures."""
    folder = tmp_path_factory.mktemp("short") / "run"
    train(
        replace(HEALTHY, batch=16),
        RunSettings.of(HEALTHY, data="digits", resolution=8, total_images=160),
        out=str(folder),
        device="cpu",
        log_every=16,
        measure=("none",),
        console=None,
    )
    rows = [
        {"step": i, "nimg": 16 * i, "loss/D": 0.9, "loss/G": 1.0, "D(fake)": 0.4}
        for i in range(1, 11)
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "measures.json").write_text('{"samples": 500, "classes_hit": 2, "num_classes": 10}')
    return folder


def command(monkeypatch, *arguments):
    output, errors = StringIO(), StringIO()
    monkeypatch.setattr(sys, "argv", ["fastgan", *map(str, arguments)])
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", errors)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code, output.getvalue(), errors.getvalue()


def test_the_command_names_the_failure_its_numbers_and_remedies(short, tmp_path, monkeypatch):
    out = tmp_path / "new" / "found.json"
    status, output, errors = command(monkeypatch, "diagnose", short, "--out", out)
    assert status == 3 and not errors
    assert output.startswith(
        "gan after 160 images: mode collapse, poor quality.\nD's certainty: 0.35"
    )
    assert "share of the classes that appear: 0.2, under 0.5" in output
    assert "--minibatch-discrimination 16" in output and f"Made {out}." in output
    result = json.loads(out.read_text())
    assert result["healthy"] is False and result["recipe"] == "gan" and result["nimg"] == 160
    collapse, quality = result["symptoms"]
    for evidence in collapse["evidence"]:
        assert evidence["value"] == result["figures"][evidence["figure"]] < evidence["threshold"]
    assert collapse["remedies"][0]["settings"] and quality["remedies"][0]["option"] == "--resume"


def test_a_run_without_its_data_is_diagnosed_by_its_log(short, tmp_path, monkeypatch):
    for name in ("config.json", "log.jsonl"):
        (tmp_path / name).write_bytes((short / name).read_bytes())
    status, output, _ = command(monkeypatch, "diagnose", tmp_path)
    assert status == 0
    assert output.startswith("gan after 160 images: healthy.\n")
    assert "The diagnosis is of the log alone, without samples: There is no checkpoint" in output


def test_runs_that_cannot_be_diagnosed(short, tmp_path, monkeypatch):
    with pytest.raises(DiagnoseError, match=r"There is no run in .*name the out folder"):
        diagnose_run(tmp_path / "none")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"a")
    with pytest.raises(DiagnoseError, match=r"There is no run in .*name the out folder"):
        diagnose_run(tmp_path / "pictures")
    checkpoint = next((short / "checkpoints").glob("*.pt"))
    with pytest.raises(DiagnoseError, match=f"it is a file of the run, name {str(short)!r}"):
        diagnose_run(checkpoint)
    with pytest.raises(DiagnoseError, match="it is a file"):
        diagnose_run(tmp_path / "pictures" / "a.png")
    trial = tmp_path / "sweep" / "trials" / "000-lr=1"
    trial.mkdir(parents=True)
    (trial / "config.json").write_text("{}")
    with pytest.raises(DiagnoseError, match=f"folder of runs, name one .* {str(trial)!r}"):
        diagnose_run(tmp_path / "sweep")
    (tmp_path / "config.json").write_bytes((short / "config.json").read_bytes())
    (tmp_path / "log.jsonl").write_text('{"nimg": 16, "loss/D": 1.0}\n')
    with pytest.raises(
        DiagnoseError, match=r"needs 8 lines of log, got 1 in .*: train longer, or with a lower"
    ):
        diagnose_run(tmp_path)
    status, _, error = command(monkeypatch, "diagnose", short, "--out", "found.txt")
    assert status == 2 and "--out must be a file that ends in .json, got 'found.txt'." in error
    status, _, error = command(monkeypatch, "diagnose", short, "--seed", -1)
    assert status == 2 and "--seed must be at least 0, got -1." in error


def test_a_translation_is_diagnosed_with_its_targets(tmp_path, monkeypatch):
    out = tmp_path / "run"
    recipe = Pix2Pix(batch=8, ngf=2, ndf=2, patch=16)
    train(recipe, out=str(out), device="cpu", resolution=8, total_images=64, log_every=8,
          data="shapes", console=None)  # fmt: skip
    _, output, _ = command(monkeypatch, "diagnose", out)
    assert "D's certainty: " in output and "log alone" not in output
    assert re.search(r"L1 distance from the targets: \S+ \(mean \S+, input \S+\)", output)
    figures = diagnose_run(out).figures
    assert {"certainty_swing", "covered", "sharpness", "features", "input_effect"} <= set(figures)
