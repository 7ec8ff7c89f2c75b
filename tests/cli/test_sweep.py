"""`fastgan sweep`: its command line, table and exit statuses; training is a stub."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import pytest

from fastgan.cli.sweep import read_values
from fastgan.recipes import DCGAN, GAN
from fastgan.sweeps import Range, run

SMALL = [
    *("--data", "digits", "--resolution", "8", "--batch", "16", "--total-images", "160"),
    *("--z-dim", "4", "--g-hidden", "8", "--d-hidden", "8", "--measure-samples", "10"),
]


@pytest.fixture
def outcome(monkeypatch):
    """Settings of the stub of training, and what it was called with."""
    seen = SimpleNamespace(stopped_by=None, calls=[], fail=False)

    def train(recipe, settings, options, **more):
        seen.calls.append((recipe, settings, options))
        if seen.fail and recipe.batch == 32:
            raise RuntimeError("[red] no memory")
        return SimpleNamespace(
            nimg=0 if seen.stopped_by else settings.total_images,
            seconds=1.0,
            measures={"kl_to_uniform": recipe.lr * 100 + settings.seed},
            unmeasured="",
            stopped_by=seen.stopped_by,
        )

    monkeypatch.setattr(run, "train", train)
    monkeypatch.setattr(run, "draw_chart", lambda found, vary: found.chart.write_bytes(b"PNG"))
    return seen


def test_the_table_and_the_files(fastgan, outcome, tmp_path):
    outcome.fail = True
    small = [word for word in SMALL if word not in ("--batch", "16")]
    line = ["sweep", "gan", *small, "--out", tmp_path / "s", "--seeds", "2", "--ema", "0.5"]
    line += ["--vary", "lr=1e-2,1e-3", "--vary", "batch=16,32", "--keep", "1"]
    first = fastgan(*line)
    assert first.status == 0, first.err
    table = first.out[first.out.index("lr  ") :].splitlines()
    assert table[0].split() == [
        "lr",
        "batch",
        "KL",
        "to",
        "uniform",
        "(lower",
        "is",
        "better)",
        "runs",
        "remarks",
    ]
    assert table[1].split() == ["0.001", "16", "0.6", "±", "0.71", "2", "–"]
    assert table[2].split()[:2] == ["0.01", "16"]
    assert "0 of 2  seed 0 failed: RuntimeError: [red] no memory; seed 1" in table[3]
    assert f"Best: --lr 0.001 --batch 16 in {tmp_path}" in first.out
    for name in ("chart.png", "trials.csv", "results.json"):
        assert f"  {tmp_path / 's' / name}" in first.out and (tmp_path / "s" / name).exists()
    recipe, settings, options = outcome.calls[-1]
    assert recipe.ema == 0.5 and settings.total_images == 160 and options.keep == 1
    assert len(outcome.calls) == 8
    again = fastgan(*line).out
    assert again.endswith(first.out[first.out.index("lr  ") :]) and len(outcome.calls) == 8


def test_a_stop_has_the_status_of_its_signal(fastgan, outcome, tmp_path):
    outcome.stopped_by = signal.SIGTERM
    stopped = fastgan("sweep", "gan", *SMALL, "--out", tmp_path / "s", "--vary", "lr=1e-3")
    assert stopped.status == 143
    assert "1 of 1 trials are open: the same command goes on." in stopped.out


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ("lr=1e-4,x", "--lr must be a number, got 'x'. See fastgan sweep gan --help."),
        ("n-critic=1..2.5", "The range of a whole number must be whole, got '1..2.5'."),
        ("lr=1..2", "A grid needs the values of --lr one by one"),
        ("lr", "--vary must be a setting and values, as lr=1e-4,4e-4, got 'lr'."),
        ("batch-norm=maybe", "--vary must have true or false for --batch-norm, got 'maybe'."),
        ("seed=1,2", "--vary can't take --seed: --seeds says"),
        ("n_critc=1", "did you mean 'n_critic'?"),
        ("loss=minimal", "--loss must be one of minimax"),
        ("lr=0,1", "--lr must be a positive number, got 0.0."),
    ],
)
def test_wrong_values_are_one_sentence_and_nothing_is_trained(
    refused, outcome, tmp_path, vary, message
):
    said = refused("sweep", "gan", *SMALL, "--out", tmp_path / "s", "--vary", vary)
    assert message in said
    assert not outcome.calls and not (tmp_path / "s").exists()


def test_other_mistakes(refused, tmp_path):
    start = ["sweep", "gan", *SMALL, "--out", tmp_path / "s"]
    assert refused(*start).startswith("--vary must name at least one setting")
    twice = refused(*start, "--vary", "lr=1", "--vary", "lr=2")
    assert twice == "--vary must name a setting once, got --lr again: list its values."
    assert "did you mean '--seeds'" in refused(*start, "--sedes", "2")
    assert (
        refused(*start, "--vary", "lr=1..2", "--random", "0")
        == "--random must be at least 1, got 0."
    )
    for fixed in (["--lr", "1"], ["--lr=1"]):
        assert refused(*start, "--vary", "lr=1,2", *fixed) == (
            "--lr has no meaning beside --vary lr, whose values every run takes in turn: leave one "
            "of them out."
        )
    assert refused(*start, "--vary", "batch_norm=true,false", "--no-batch-norm").startswith("--ba")
    assert refused("sweep", "gam").startswith("Unknown recipe 'gam'")


def test_values_have_the_types_of_their_settings():
    texts = [
        "--lr=1e-5..1e-2:log",
        "n-critic=1..5",
        "betas=0.5 0.999,0 0.9",
        "batch_norm=on,off",
        "d-lr=None,1e-3",
        "loss=minimax, least-squares",
        "resolution=16,32",
    ]
    assert read_values(GAN, texts, prog="fastgan sweep gan") == {
        "lr": Range(1e-5, 1e-2, log=True),
        "n_critic": Range(1, 5),
        "betas": [(0.5, 0.999), (0.0, 0.9)],
        "batch_norm": [True, False],
        "d_lr": [None, 1e-3],
        "loss": ["minimax", "least-squares"],
        "resolution": [16, 32],
    }
    assert read_values(DCGAN, ["ngf=8,16"], prog="x") == {"ngf": [8, 16]}


def test_help_has_the_options_of_the_sweep_and_of_training(fastgan):
    for arguments in (["sweep"], ["sweep", "--help"]):
        assert "--vary NAME=VALUES" in fastgan(*arguments).out
    shown = fastgan("sweep", "gan", "--help").out
    assert all(name in shown for name in ("--vary", "--seeds", "--optuna", "--g-hidden", "--keep"))
