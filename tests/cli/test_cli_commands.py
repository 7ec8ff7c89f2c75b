"""train, sample and doctor from end to end."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest
import torch

from fastgan.ops import BackendStatus
from fastgan.recipes import RECIPES
from fastgan.runtime import amx_kernels, threads
from fastgan.training import checkpoint
from tests.recipes.small_recipes import SMALL

PIL = pytest.importorskip("PIL.Image")


def small_options(recipe: str) -> list[str]:
    """Return the options of a recipe's smallest networks, and at most two updates of D per step."""
    settings = {"resolution": 32 if recipe == "srgan" else 16, **SMALL[recipe]}
    if getattr(RECIPES[recipe], "n_critic", 1) > 2:
        settings["n_critic"] = 2
    options = ["--preset", "paper"]
    for name, value in settings.items():
        values = value if isinstance(value, tuple) else (value,)
        options += ["--" + name.replace("_", "-"), *map(str, values)]
    return options


@pytest.mark.parametrize("recipe", RECIPES)
def test_smoke(fastgan, tmp_path, recipe):
    """Every recipe trains on colour images, and `sample` draws from it; two train on digits too."""
    both = {"digits": "L", "shapes": "RGB"}
    for data, channels in both.items() if recipe in ("gan", "dcgan") else [("shapes", "RGB")]:
        out = tmp_path / data
        options = f"--data {data} --batch 8 --total-images 64 --ema 0.9".split()
        outcome = fastgan("train", recipe, *options, *small_options(recipe), "--out", out)
        assert outcome.status == 0, outcome.err
        for made in ("samples.png", "curves.png", "report.html", "checkpoints/000000064.pt"):
            assert f"  {out / made}" in outcome.out and (out / made).stat().st_size > 100
        measured = re.search("classes appears? in 20 samples, KL to uniform", outcome.out)
        assert bool(measured) == (data == "digits")
        assert fastgan("sample", out, "--out", out / "more.png").status == 0
        picture = PIL.open(out / "more.png").convert("RGB")
        grey = all(r == g == b for _, (r, g, b) in picture.getcolors(1_000_000))
        assert grey == (channels == "L")


def test_train_without_a_recipe_lists_them(fastgan):
    for arguments in (["train"], ["train", "--help"]):
        outcome = fastgan(*arguments)
        assert outcome.status == 0 and all(f"  {name} " in outcome.out for name in RECIPES)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_option_is_explained(fastgan, recipe):
    outcome = fastgan("train", recipe, "--help")
    assert outcome.status == 0
    text = outcome.out
    for option in (
        "--data",
        "--resolution",
        "--batch",
        "--total-images",
        "--seed",
        "--ema",
        "--out",
        "--resume",
        "--lr",
    ):
        assert re.search(rf"{option}\b", text), option
    assert "usage: fastgan train " + recipe in text
    assert "recipe options" in text and "run options" in text and "output options" in text
    assert "`" not in text  # the help names options, as errors do


def test_the_help_names_the_option_of_a_setting(fastgan):
    text = " ".join(fastgan("train", "dcgan", "--help").out.replace("│", " ").split())
    assert "Learning rate of G, and of D unless --d-lr is given" in text


def test_the_default_folder_is_named_after_the_recipe(fastgan, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fastgan("train", "gan", *tiny).status == 0
    assert (tmp_path / "runs" / "gan" / "report.html").exists()
    grown = fastgan("train", "gan", "--resume", "--total-images", 320)
    assert grown.status == 0 and "Resumed after 160 images" in grown.out


def test_resume_takes_the_saved_settings(fastgan, refused, tiny, tmp_path):
    begun = fastgan("train", "gan", *tiny, "--out", tmp_path / "run", "--seed", 4, "--resume")
    assert begun.status == 0 and "yet to resume: starting from the beginning." in begun.out
    assert (
        fastgan("train", "gan", "--resume", "--out", tmp_path / "run", "--total-images", 240).status
        == 0
    )
    settings = json.loads((tmp_path / "run" / "config.json").read_text())["settings"]
    assert (settings["total_images"], settings["seed"], settings["g_hidden"]) == (240, 4, [8])
    assert "--batch 16, got 32" in refused(
        "train", "gan", "--resume", "--out", tmp_path / "run", "--batch", 32
    )
    said = refused("train", "dcgan", "--resume", "--out", tmp_path / "run")
    assert "must be 'gan', got 'dcgan': name that recipe, or choose another --out" in said


def test_settings_given_at_a_resume_are_checked_beside_the_saved_ones(fastgan, refused, tmp_path):
    """--decay-after 230000 is above the usual --total-images; --decay-until needs --decay-after."""
    out = tmp_path / "run"
    options = ["--data", "shapes", "--batch", "4", "--measure", "none"]
    run = ("train", "pix2pix", *options, *small_options("pix2pix"), "--out", out)
    decay = ("--decay-after", 4, "--decay-until", 300_000)
    assert fastgan(*run, "--total-images", 8, *decay).status == 0
    assert fastgan("train", "pix2pix", "--out", out, "--resume", "--total-images", 12).status == 0
    again = fastgan("train", "pix2pix", "--out", out, "--resume", "--decay-until", 250_000)
    assert (
        again.status == 0
        and "--decay-until is 250000 now, and was 300000: after 12 images" in again.out
    )
    said = refused("train", "pix2pix", "--out", out, "--resume", "--total-images", 260_000)
    assert said.startswith("--decay-until must be at least --total-images, 260000, since the")
    said = refused("train", "pix2pix", "--out", out, "--resume", "--decay-after", 230_000)
    assert "started with --decay-after 4, got 230000" in said


def test_a_taken_folder_is_refused(fastgan, refused, tiny, tmp_path):
    assert fastgan("train", "gan", *tiny, "--out", tmp_path).status == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert "isn't empty: go on with the run in it with --resume" in refused(
        "train", "gan", *tiny, "--out", tmp_path
    )
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_full_disk_ends_in_a_sentence_and_the_old_checkpoint_stays(
    refused, fastgan, tiny, tmp_path, monkeypatch
):
    written = []
    write_atomic = checkpoint.write_atomic

    def full_after_two(path, parts):
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(path)
        write_atomic(path, parts)

    monkeypatch.setattr(checkpoint, "write_atomic", full_after_two)
    said = refused("train", "gan", *tiny, "--out", tmp_path / "run", "--checkpoint-every", 48)
    assert "000000144.pt' can't be written (No space left on device), so training stopped" in said
    assert "000000096.pt', is intact; make room and go on with --resume." in said
    monkeypatch.undo()
    assert fastgan("train", "gan", "--resume", "--out", tmp_path / "run").status == 0


def test_a_folder_without_images_is_refused(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    said = refused("train", "dcgan", "--data", tmp_path / "empty", "--out", tmp_path / "run")
    assert "empty" in said and not (tmp_path / "run").exists()


def test_a_corrupt_image_is_counted(fastgan, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(4):
        PIL.new("RGB", (16, 16), (i, 2 * i, 90)).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"not an image")
    options = "--batch 4 --total-images 8 --z-dim 4 --ngf 4 --ndf 4"
    with pytest.warns(UserWarning, match=r"^1 .*broken\.png"):
        outcome = fastgan(
            "train", "dcgan", *options.split(), "--data", folder, "--out", tmp_path / "run"
        )
    assert outcome.status == 0, outcome.err
    assert "(4 images of 3×16×16)" in outcome.out


def test_sample_is_seeded_and_counts(fastgan, refused, tiny, tmp_path):
    assert fastgan("train", "gan", *tiny, "--out", tmp_path / "run").status == 0
    newest = tmp_path / "run" / "checkpoints" / "000000160.pt"

    def picture(name, *options):
        outcome = fastgan("sample", tmp_path / "run", "--out", tmp_path / name, *options)
        assert outcome.status == 0, outcome.err
        assert (
            f"Made {tmp_path / name}: " in outcome.out
            and f"after 160 images, from {newest}." in outcome.out
        )
        return PIL.open(tmp_path / name)

    a, b, other = picture("a.png"), picture("b.png"), picture("c.png", "--seed", 1)
    assert a.tobytes() == b.tobytes() != other.tobytes()
    wide = picture("deep/er/wide.png", "--rows", 2, "--columns", 5)
    assert wide.size == (5 * 66 + 2, 2 * 66 + 2)
    assert wide.crop((0, 0, 132, 66)).tobytes() == a.crop((0, 0, 132, 66)).tobytes()
    assert fastgan("sample", newest, "--out", tmp_path / "d.png").status == 0
    newest.write_bytes(newest.read_bytes()[:1000])
    assert "is truncated" in refused("sample", newest, "--out", tmp_path / "e.png")
    assert not (tmp_path / "e.png").exists()


def test_sample_takes_the_best_one_and_steps_over_a_damaged_one(fastgan, refused, tiny, tmp_path):
    out, picture = tmp_path / "run", tmp_path / "a.png"
    options = [*tiny, "--out", out, "--measure-every", 64, "--checkpoint-every", 64]
    trained = fastgan("train", "gan", *options)
    assert trained.status == 0 and f"  {out}/checkpoints/best.pt" in trained.out
    nimg = json.loads((out / "config.json").read_text())["settings"]["total_images"]
    drawn = fastgan("sample", out / "checkpoints" / "best.pt", "--out", picture)
    assert drawn.status == 0 and "best.pt" in drawn.out
    newest = out / "checkpoints" / f"{nimg:09d}.pt"
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.warns(UserWarning, match=r"160\.pt' is truncated.*\. Taking the one before it\."):
        drawn = fastgan("sample", out, "--out", picture)
    assert drawn.status == 0 and "after 128 images" in drawn.out
    assert newest.exists()  # only --resume puts it aside
    for path in (out / "checkpoints").iterdir():
        path.write_bytes(b"")
    assert "No checkpoint in" in refused("sample", out, "--out", picture)


def test_doctor(fastgan, monkeypatch):
    statuses = {
        "cuda": BackendStatus("cuda", False, ("cuda",), "no driver", "install one"),
        "cpu": BackendStatus("cpu", True, ("cpu",), "", ""),
    }
    monkeypatch.setattr("fastgan.cli.doctor.backends", lambda: statuses)
    outcome = fastgan("doctor")
    assert outcome.status == 0
    assert re.search(r"^torch +2\.", outcome.out, re.M)
    assert re.search(r"^cuda +no +cuda +no driver: install one", outcome.out, re.M)
    assert re.search(r"^cpu +yes +cpu", outcome.out, re.M)
    assert re.search(r"^threads +\d+, waiting passive", outcome.out, re.M)
    assert re.search(r"^AMX kernels +(yes|no: )", outcome.out, re.M)


@pytest.mark.parametrize("there", [True, False])
def test_doctor_shows_the_precision_of_auto(fastgan, monkeypatch, there):
    monkeypatch.setattr("fastgan.training.auto_precision.has_amx", lambda: there)
    out = fastgan("doctor").out
    if there:
        assert re.search(r"^bf16 +dcgan, .*r3gan +this CPU has AMX", out, re.M)
    else:
        assert re.search(r"^fp32 +dcgan, .*r3gan +this CPU has no AMX", out, re.M)
    assert re.search(r"^fp32 +the others +five seeds don't show", out, re.M)


def test_doctor_here(fastgan):
    out = fastgan("doctor").out
    assert all(
        re.search(rf"^{name} +(yes|no) ", out, re.M)
        for name in ("cuda", "triton", "cpu", "reference")
    )


@pytest.mark.parametrize(
    "build,cpu,expected",
    [
        (SimpleNamespace(), True, "no: not in this build"),
        (SimpleNamespace(amx_is_available=lambda: True), True, "yes"),
        (SimpleNamespace(amx_is_available=lambda: False), True, "no: FASTGAN_CPU_LEVEL"),
        (SimpleNamespace(amx_is_available=lambda: False), False, "no: this CPU or system has no"),
    ],
)
def test_doctor_says_if_amx_kernels_run(monkeypatch, build, cpu, expected):
    monkeypatch.setattr(torch.ops, "fastgan_runtime", build)
    monkeypatch.setattr("fastgan.runtime.has_amx", lambda: cpu)
    assert amx_kernels().startswith(expected)


@pytest.mark.parametrize(
    "policy,spins,waiting",
    [
        ("passive", None, "passive"),
        ("ACTIVE", None, "active"),
        (None, None, "active"),
        (None, "7", "GOMP_SPINCOUNT=7"),
    ],
)
def test_doctor_says_how_threads_wait(monkeypatch, policy, spins, waiting):
    for name, value in (("OMP_WAIT_POLICY", policy), ("GOMP_SPINCOUNT", spins)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert f", waiting {waiting}" in threads()


def test_a_resumed_run_keeps_its_options_unless_they_are_given_anew(fastgan, tiny, tmp_path):
    out = tmp_path / "run"

    def logged():
        return [json.loads(line)["nimg"] for line in (out / "log.jsonl").read_text().splitlines()]

    assert (
        fastgan("train", "gan", *tiny, "--out", out, "--total-images", 64, "--log-every", 32).status
        == 0
    )
    assert fastgan("train", "gan", "--out", out, "--resume", "--total-images", 128).status == 0
    assert logged() == [32, 64, 96, 128]
    again = fastgan(
        "train", "gan", "--out", out, "--resume", "--total-images", 192, "--log-every", 64
    )
    assert again.status == 0 and logged() == [32, 64, 96, 128, 192]
    (out / "options.json").write_text("{")  # broken: the defaults, and what is given
    assert fastgan("train", "gan", "--out", out, "--resume", "--total-images", 224).status == 0
    assert logged() == [32, 64, 96, 128, 192, 224]


def test_what_changes_nothing_is_said(fastgan, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(4):
        PIL.new("RGB", (16, 16), (i, 2 * i, 90)).save(folder / f"{i}.png")
    options = "--batch 4 --total-images 8 --z-dim 4 --ngf 4 --ndf 4 --measure-every 4"
    outcome = fastgan(
        "train", "dcgan", *options.split(), "--data", folder, "--out", tmp_path / "run"
    )
    assert outcome.status == 0
    assert (
        "There are no measures for images but those of --measure, such as fd, so --measure-every "
        "changes nothing." in outcome.out
    )


def test_a_picture_of_too_many_samples_is_refused(refused):
    said = refused("sample", "nowhere", "--out", "a.png", "--rows", 1000, "--columns", 1000)
    assert "--rows times --columns must be at most 10,000 for one picture, got 1000 × 1000." in said
